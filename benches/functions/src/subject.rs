//! The two functions that are compared, and the servers they run on.

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

/// The function that is shipped.
pub const FUNCTION: &str = "process-tasks";
/// The function of the same clients with no logic.
pub const FLOOR: &str = "floor";

/// The binaries of both.
pub struct Stage {
    function: PathBuf,
    floor: PathBuf,
}

/// Tables and a Redis of their own.
pub struct Servers {
    /// The tables and the Redis.
    pub backends: Backends,
    environment: Vec<(&'static str, String)>,
}

impl Stage {
    /// The binaries below what `cargo lambda build --lambda-dir` was given.
    ///
    /// # Panics
    /// Where they are not there.
    pub fn at(directory: &Path) -> Self {
        let binary = |name: &str| {
            let path = directory.join(name).join("bootstrap");
            assert!(path.is_file(), "there is no {}; make bench builds it", path.display());
            path
        };
        Self { function: binary(FUNCTION), floor: binary(FLOOR) }
    }

    /// The shipped function on these servers. Settings in the environment of this program reach it,
    /// to see what they cost: `MILLRACE_DB_MAX_CONNECTIONS=5 make bench`.
    pub fn function(&self, servers: &Servers) -> FunctionBuilder {
        let setup = env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("MILLRACE_")))
            .fold(Function::builder_for(FUNCTION, self.function.clone()), |setup, (name, value)| {
                setup.env(name, value)
            });
        servers.told(setup).env("MILLRACE_STORE", "dynamodb")
    }

    /// The floor on these servers.
    pub fn floor(&self, servers: &Servers) -> FunctionBuilder {
        servers.told(Function::builder_for(FLOOR, self.floor.clone()))
    }
}

impl Servers {
    /// Starts them, with empty tables and an empty cache.
    pub async fn start() -> Self {
        let backends = Backends::start().await;
        // Without the proxies of the tests, which would take a processor from the functions.
        let mut environment = MiniStack::shared().await.env();
        environment.push(("MILLRACE_TABLE_PREFIX", backends.prefix().to_owned()));
        environment.push(("MILLRACE_REDIS_URL", backends.redis.url()));
        Self { backends, environment }
    }

    fn told(&self, setup: FunctionBuilder) -> FunctionBuilder {
        self.environment.iter().fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// The keys in Redis of these players' queues.
    pub fn keys(&self, players: impl IntoIterator<Item = String>) -> Vec<String> {
        let prefix = self.backends.prefix();
        players.into_iter().map(|player| format!("{prefix}queue:{player}")).collect()
    }
}

/// Starts a function, which has to reach its servers before it asks for work.
///
/// # Panics
/// Where it does not start, or warns of something.
pub async fn started(setup: &FunctionBuilder) -> Function {
    let function = setup.start().await.unwrap_or_else(|error: StartError| panic!("{error}"));
    let log = function.log();
    let fine = log.iter().all(|line| !matches!(line["level"].as_str(), Some("WARN" | "ERROR")));
    assert!(fine, "the function has not reached all of its servers: {log:#?}");
    function
}

/// A figure of an answer.
///
/// # Panics
/// Where it is not there.
pub fn number(answer: &Value, path: &str) -> f64 {
    let found = answer.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("there is no {path} in {answer:#}"))
}
