//! The two functions that are compared, and their servers.

use std::{
    env,
    path::{Path, PathBuf},
};

use millrace_servers::MiniStack;
use millrace_tests::{
    Function,
    backends::Backends,
    function::{FunctionBuilder, StartError},
};
use serde_json::Value;

/// The measured function.
pub const FUNCTION: &str = "process-tasks";
/// The function with the same clients and without logic.
pub const FLOOR: &str = "floor";

/// The binaries of both functions.
pub struct Stage {
    function: PathBuf,
    floor: PathBuf,
}

/// Empty tables and an empty Redis.
pub struct Servers {
    /// The tables and the Redis.
    pub backends: Backends,
    environment: Vec<(&'static str, String)>,
}

impl Stage {
    /// The binaries in a directory that `cargo lambda build --lambda-dir` wrote.
    ///
    /// # Panics
    /// If one is missing.
    pub fn at(directory: &Path) -> Self {
        let binary = |name: &str| {
            let path = directory.join(name).join("bootstrap");
            assert!(path.is_file(), "there is no {}; make bench builds it", path.display());
            path
        };
        Self { function: binary(FUNCTION), floor: binary(FLOOR) }
    }

    /// The measured function on these servers. It gets the settings in the environment of this
    /// program, so that their cost can be measured: `MILLRACE_DB_MAX_CONNECTIONS=5 make bench`.
    pub fn function(&self, servers: &Servers) -> FunctionBuilder {
        let builder = env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("MILLRACE_")))
            .fold(Function::builder_for(FUNCTION, self.function.clone()), |builder, (name, value)| {
                builder.env(name, value)
            });
        servers.configure(builder).env("MILLRACE_STORE", "dynamodb")
    }

    /// The floor on these servers.
    pub fn floor(&self, servers: &Servers) -> FunctionBuilder {
        servers.configure(Function::builder_for(FLOOR, self.floor.clone()))
    }
}

impl Servers {
    /// Starts the servers.
    pub async fn start() -> Self {
        let backends = Backends::start().await;
        // Without the proxies of the tests, which would compete with the functions for processors.
        let mut environment = MiniStack::shared().await.env();
        environment.push(("MILLRACE_TABLE_PREFIX", backends.prefix().to_owned()));
        environment.push(("MILLRACE_REDIS_URL", backends.redis.url()));
        Self { backends, environment }
    }

    fn configure(&self, builder: FunctionBuilder) -> FunctionBuilder {
        self.environment.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
    }

    /// The keys of the queues of these players in Redis.
    pub fn keys(&self, players: impl IntoIterator<Item = String>) -> Vec<String> {
        let prefix = self.backends.prefix();
        players.into_iter().map(|player| format!("{prefix}queue:{player}")).collect()
    }
}

/// Starts a function, and checks that it has reached its servers.
///
/// # Panics
/// If the function does not start, or logs a warning.
pub async fn started(builder: &FunctionBuilder) -> Function {
    let function = builder.start().await.unwrap_or_else(|error: StartError| panic!("{error}"));
    let log = function.log();
    let no_warning = log.iter().all(|line| !matches!(line["level"].as_str(), Some("WARN" | "ERROR")));
    assert!(no_warning, "the function has not reached all of its servers: {log:#?}");
    function
}

/// A number of an answer.
///
/// # Panics
/// If it is missing.
pub fn number(answer: &Value, path: &str) -> f64 {
    let found = answer.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("there is no {path} in {answer:#}"))
}
