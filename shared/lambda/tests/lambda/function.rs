//! `examples/echo.rs` as a process.

use std::{
    path::PathBuf,
    process::{ExitStatus, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::runtime_api::RuntimeApi;

/// Builds the example once, and returns its path.
pub fn build() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let build = escargot::CargoBuild::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
            // With --workspace the dependencies have the same features as in `cargo test
            // --workspace`, and are not built again.
            .arg("--workspace")
            .example("echo");
        let built = if cfg!(debug_assertions) { build } else { build.release() };
        built.run().expect("the example `echo` builds").path().to_owned()
    })
}

/// The value of `MILLRACE_STORE` for an embedded store in `folder`.
pub fn store_in(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("queues.db").display())
}

fn command(vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new(build());
    command.env_clear().envs(vars.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the function with only these variables until it ends.
pub async fn run_alone(vars: &[(&str, &str)]) -> Output {
    let ended = timeout(Duration::from_secs(10), command(vars).output()).await;
    ended.expect("it ends").expect("it starts")
}

/// A running function.
pub struct Function {
    child: Child,
    _folder: TempDir,
}

impl Function {
    /// Starts the function with the variables that Lambda sets, and these.
    pub fn start(api: &RuntimeApi, vars: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(&folder);
        let mut all = vec![
            ("AWS_LAMBDA_RUNTIME_API", api.address()),
            ("AWS_LAMBDA_FUNCTION_NAME", "echo"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("MILLRACE_STORE", &store),
        ];
        all.extend(vars);
        let child = command(&all).spawn().expect("it starts");
        Self { child, _folder: folder }
    }

    /// Ends the function as Lambda does. Returns its exit status and its logs.
    pub async fn end(self) -> (ExitStatus, Vec<Value>) {
        self.signal("TERM").await
    }

    /// Sends a signal to the function. Returns its exit status and its logs, after a check that
    /// standard output has only JSON lines and standard error is empty.
    pub async fn signal(self, signal: &str) -> (ExitStatus, Vec<Value>) {
        let id = self.child.id().expect("it is still running").to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().await.expect("kill is there");
        assert!(sent.success());
        let ended = timeout(Duration::from_secs(10), self.child.wait_with_output()).await;
        let output = ended.expect("it ends").unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")));
        (output.status, lines.collect())
    }
}
