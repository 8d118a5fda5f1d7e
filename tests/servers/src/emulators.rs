//! Emulators of AWS services, each a process that keeps everything in memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::aws;
use crate::ports::free_port;
use crate::process::{self, Process, blocking, http_status};
use crate::tools;

/// MiniStack: an emulator of many AWS services.
pub struct MiniStack;

/// DynamoDB Local, in the version that is available without registration. It has one set of tables
/// for all credentials.
///
/// It is of early 2020: no PartiQL, ten items in a transaction, no empty strings, and
/// `ReturnValuesOnConditionCheckFailure` returns nothing. It cannot be bound to one interface.
pub struct DynamoDbLocal;

/// A running emulator.
pub struct Emulator {
    port: u16,
    /// Dropped before the directory, because fields are dropped in the order of their declaration.
    _process: Process,
    _dir: TempDir,
}

impl MiniStack {
    /// The server that all tests of this process share, started at the first call. Tests use tables
    /// and queues with different names.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn shared() -> &'static Emulator {
        static SHARED: OnceCell<Emulator> = OnceCell::const_new();
        let is_ready = |port| http_status(port, "/_ministack/ready") == Some(200);
        SHARED.get_or_init(|| Emulator::start("MiniStack", tools::ministack_python(), Self::configure, is_ready)).await
    }

    /// It does not inherit the environment of the test, because it passes its environment on to
    /// functions.
    fn configure(command: &mut Command, dir: &Path, port: u16) {
        command
            .args(["-m", "ministack"])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", dir)
            .env("TMPDIR", dir)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_REGION", aws::REGION)
            // All instances would listen on the same port for MQTT.
            .env("IOT_MTLS_ENABLED", "0");
    }
}

impl DynamoDbLocal {
    /// The server that all tests of this process share, started at the first call. Tests use tables
    /// with different names.
    ///
    /// # Panics
    /// When it or Java is not installed, or it does not start.
    pub async fn shared() -> &'static Emulator {
        static SHARED: OnceCell<Emulator> = OnceCell::const_new();
        // It refuses the request, because the request has no credentials.
        let is_ready = |port| http_status(port, "/").is_some();
        SHARED.get_or_init(|| Emulator::start("DynamoDB Local", tools::java(), Self::configure, is_ready)).await
    }

    fn configure(command: &mut Command, dir: &Path, port: u16) {
        let home = tools::dynamodb_local();
        command
            .arg(format!("-Djava.library.path={}", home.join("DynamoDBLocal_lib").display()))
            // The directory into which SQLite's native library is unpacked.
            .arg(format!("-Djava.io.tmpdir={}", dir.display()))
            // With less compilation it starts in half the time.
            .arg("-XX:TieredStopAtLevel=1")
            .arg("-Xmx512m")
            .arg("-jar")
            .arg(home.join("DynamoDBLocal.jar"))
            .args(["-inMemory", "-sharedDb", "-port", &port.to_string()]);
    }
}

impl Emulator {
    async fn start(
        name: &'static str,
        program: PathBuf,
        configure: fn(&mut Command, &Path, u16),
        is_ready: fn(u16) -> bool,
    ) -> Self {
        let attempt = move || {
            let (dir, port) = (process::directory(), free_port());
            let mut process =
                Process::spawn(name, &program, dir.path(), |command| configure(command, dir.path(), port));
            process.wait_until(|| is_ready(port))?;
            Ok(Self { port, _process: process, _dir: dir })
        };
        blocking(|| process::start(attempt)).await
    }

    /// The URL of its services: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The environment variables with which a function uses it.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        aws::environment(&self.endpoint())
    }
}
