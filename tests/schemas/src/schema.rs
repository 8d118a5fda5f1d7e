//! A schema, or one of its definitions, as a validator.

use std::{fs, path::PathBuf, sync::LazyLock};

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};

/// The base of the references between the files.
const BASE: &str = "json-schema:///";

/// One command, a list of commands, or a tick.
pub static MESSAGE: LazyLock<Schema> = LazyLock::new(|| Schema::new("command.json"));
/// An event.
pub static EVENT: LazyLock<Schema> = LazyLock::new(|| Schema::new("event.json"));
/// The answer of `process-tasks`.
pub static PROCESS_TASKS_ANSWER: LazyLock<Schema> =
    LazyLock::new(|| Schema::new("answer.json#/$defs/ProcessTasksAnswer"));
/// The answer of `advance-queues`.
pub static ADVANCE_QUEUES_ANSWER: LazyLock<Schema> =
    LazyLock::new(|| Schema::new("answer.json#/$defs/AdvanceQueuesAnswer"));
/// The answer of `maintain-cache`.
pub static MAINTAIN_CACHE_ANSWER: LazyLock<Schema> =
    LazyLock::new(|| Schema::new("answer.json#/$defs/MaintainCacheAnswer"));

/// All files of schemas.
static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    let mut registry = Registry::new();
    for (name, schema) in files() {
        registry = registry.add(format!("{BASE}{name}"), schema).expect("the name is part of a URI");
    }
    registry.prepare().unwrap_or_else(|error| panic!("docs/schemas: {error}"))
});

/// A schema, or one of its definitions.
#[derive(Debug)]
pub struct Schema(Validator);

impl Schema {
    /// The schema at `reference`, such as `event.json` or `common.json#/$defs/Time`. Formats such
    /// as `date-time` are checked.
    ///
    /// # Panics
    /// If there is no such schema, or if a file of `docs/schemas/` is no JSON Schema.
    pub fn new(reference: &str) -> Self {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&REGISTRY)
            .should_validate_formats(true)
            .build(&json!({"$ref": format!("{BASE}{reference}")}));
        Self(validator.unwrap_or_else(|error| panic!("docs/schemas/{reference}: {error}")))
    }

    /// Whether the schema accepts the value.
    pub fn accepts(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }

    /// Asserts that the schema accepts the value.
    ///
    /// # Panics
    /// If it does not, with all reasons.
    #[track_caller]
    pub fn assert_accepts(&self, value: &Value) {
        if !self.accepts(value) {
            let errors: Vec<String> =
                self.0.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
            panic!("the schema refuses {value:#}\n{}", errors.join("\n"));
        }
    }
}

/// The schemas in `docs/schemas/` by file name.
///
/// # Panics
/// If a file cannot be read, or is not JSON.
pub fn files() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder is readable").path());
    let schemas = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: PathBuf| {
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let json = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), json)
    };
    schemas.map(read).collect()
}
