//! MiniStack: an emulator of many AWS services in one process.

use std::ffi::OsString;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::aws::{self, Environment};
use crate::ports::free_port;
use crate::process::{self, Process, ask, blocking};
use crate::tools;

/// A running MiniStack, with everything in memory.
pub struct MiniStack {
    port: u16,
    process: Process,
    /// Removed after the process has ended: fields are dropped in the order of their declaration.
    _dir: TempDir,
}

impl MiniStack {
    /// Starts one for this caller only.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with more environment variables, such as `AUTH=true`, or `REDIS_HOST` and
    /// `REDIS_PORT`, which become every ElastiCache endpoint. It does not inherit the
    /// environment of the test, because it passes its environment on to functions.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let variables: Vec<(OsString, OsString)> =
            variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        blocking(move || process::start(|| Self::attempt(&variables))).await
    }

    /// The server that all tests of this process share, started at the first call. Tests use tables
    /// and queues with different names.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<MiniStack> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    fn attempt(variables: &[(OsString, OsString)]) -> Result<Self, String> {
        let python = tools::ministack_python();
        let dir = process::directory();
        let port = free_port();
        let mut process = Process::spawn("MiniStack", python.as_os_str(), dir.path(), |command| {
            command
                .args(["-m", "ministack"])
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .env("HOME", dir.path())
                .env("TMPDIR", dir.path())
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .env("MINISTACK_REGION", aws::REGION)
                // All instances would listen on the same port for MQTT.
                .env("IOT_MTLS_ENABLED", "0")
                .envs(variables.iter().map(|(name, value)| (name, value)));
        });
        process.wait_until(|| {
            ask(port, "GET /_ministack/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
                .is_some_and(|answer| answer.lines().next().is_some_and(|line| line.contains(" 200")))
        })?;
        Ok(Self { port, process, _dir: dir })
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
    pub fn env(&self) -> Environment {
        aws::environment(&self.endpoint())
    }

    /// Deletes all of its state.
    ///
    /// # Panics
    /// When it answers with an error.
    pub async fn reset(&self) {
        let port = self.port;
        let answer = blocking(move || {
            ask(port, "POST /_ministack/reset HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        })
        .await;
        let done = answer.as_deref().and_then(|answer| answer.lines().next());
        assert!(done.is_some_and(|line| line.contains(" 200")), "MiniStack was not reset: {answer:?}");
    }

    /// Pauses its process until [`resume`](Self::resume); its connections stay open.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Resumes its process.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// The content of its log.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
