//! The two functions that are compared, and the servers that they use.

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

/// The name of the shipped function.
pub const FUNCTION: &str = "process-tasks";
/// The name of the floor, which has the same clients and no logic.
pub const FLOOR: &str = "floor";

/// The binaries of both functions.
pub struct Binaries {
    function: PathBuf,
    floor: PathBuf,
}

/// New tables and a new Redis server.
pub struct Servers {
    /// The tables and the Redis server.
    pub backends: Backends,
    environment: Vec<(&'static str, String)>,
}

impl Binaries {
    /// The binaries in the folder of `cargo lambda build --lambda-dir`.
    ///
    /// # Panics
    /// If a binary is missing.
    pub fn at(directory: &Path) -> Self {
        let binary = |name: &str| {
            let path = directory.join(name).join("bootstrap");
            assert!(path.is_file(), "there is no {}; make bench builds it", path.display());
            path
        };
        Self { function: binary(FUNCTION), floor: binary(FLOOR) }
    }

    /// The shipped function with these servers. It gets the settings in the environment of this
    /// program, so that their effect can be measured: `MILLRACE_DB_MAX_CONNECTIONS=5 make bench`.
    pub fn function(&self, servers: &Servers) -> FunctionBuilder {
        let builder = env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("MILLRACE_")))
            .fold(Function::builder_for(FUNCTION, self.function.clone()), |setup, (name, value)| {
                setup.env(name, value)
            });
        servers.with_environment(builder).env("MILLRACE_STORE", "dynamodb")
    }

    /// The floor with these servers.
    pub fn floor(&self, servers: &Servers) -> FunctionBuilder {
        servers.with_environment(Function::builder_for(FLOOR, self.floor.clone()))
    }
}

impl Servers {
    /// Starts servers with empty tables and an empty cache.
    pub async fn start() -> Self {
        let backends = Backends::start().await;
        // Without the proxies of the tests, because they would use a processor.
        let mut environment = MiniStack::shared().await.env();
        environment.push(("MILLRACE_TABLE_PREFIX", backends.prefix().to_owned()));
        environment.push(("MILLRACE_REDIS_URL", backends.redis.url()));
        Self { backends, environment }
    }

    fn with_environment(&self, builder: FunctionBuilder) -> FunctionBuilder {
        self.environment.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
    }

    /// The keys of the queues of these players in Redis.
    pub fn keys(&self, players: impl IntoIterator<Item = String>) -> Vec<String> {
        let prefix = self.backends.prefix();
        players.into_iter().map(|player| format!("{prefix}queue:{player}")).collect()
    }
}

/// Starts a function.
///
/// # Panics
/// If it does not start, or if it logs a warning or an error, as when a server is not reachable.
pub async fn start(builder: &FunctionBuilder) -> Function {
    let function = builder.start().await.unwrap_or_else(|error: StartError| panic!("{error}"));
    let log = function.log();
    let is_clean = log.iter().all(|line| !matches!(line["level"].as_str(), Some("WARN" | "ERROR")));
    assert!(is_clean, "the function logged a problem: {log:#?}");
    function
}

/// The number at a JSON pointer in an answer.
///
/// # Panics
/// If there is none.
pub fn number(answer: &Value, path: &str) -> f64 {
    let found = answer.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("there is no {path} in {answer:#}"))
}
