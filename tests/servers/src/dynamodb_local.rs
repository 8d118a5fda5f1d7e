//! DynamoDB Local, in the version that is available without registration.

use std::ffi::OsString;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::aws::{self, Environment};
use crate::ports::free_port;
use crate::process::{self, Process, ask, blocking};
use crate::tools;

/// A running DynamoDB Local, with everything in memory and one set of tables for all credentials.
///
/// It is of early 2020: no PartiQL, ten items in a transaction, no empty strings, and
/// `ReturnValuesOnConditionCheckFailure` returns nothing. It cannot be bound to one interface.
pub struct DynamoDbLocal {
    port: u16,
    process: Process,
    /// Removed after the process has ended: fields are dropped in the order of their declaration.
    _dir: TempDir,
}

impl DynamoDbLocal {
    /// Starts one for this caller only.
    ///
    /// # Panics
    /// When it or Java is not installed, or it does not start.
    pub async fn start() -> Self {
        blocking(|| process::start(Self::attempt)).await
    }

    /// The server that all tests of this process share, started at the first call. Tests use tables
    /// with different names.
    ///
    /// # Panics
    /// When it or Java is not installed, or it does not start.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<DynamoDbLocal> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    fn attempt() -> Result<Self, String> {
        let home = tools::dynamodb_local();
        let java = tools::java();
        let dir = process::directory();
        let port = free_port();
        let mut libraries = OsString::from("-Djava.library.path=");
        libraries.push(home.join("DynamoDBLocal_lib"));
        let mut process = Process::spawn("DynamoDB Local", java.as_os_str(), dir.path(), |command| {
            command
                .arg(libraries)
                // The directory into which SQLite's native library is unpacked.
                .arg(format!("-Djava.io.tmpdir={}", dir.path().display()))
                // With less compilation it starts in half the time.
                .arg("-XX:TieredStopAtLevel=1")
                .arg("-Xmx512m")
                .arg("-jar")
                .arg(home.join("DynamoDBLocal.jar"))
                .args(["-inMemory", "-sharedDb", "-port", &port.to_string()]);
        });
        process.wait_until(|| ask(port, &list_tables()).is_some_and(|answer| answer.contains("TableNames")))?;
        Ok(Self { port, process, _dir: dir })
    }

    /// Its URL: `http://127.0.0.1:PORT`.
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

/// A request that DynamoDB answers once it is ready. It reads the access key and the region of the
/// authorization and does not check the signature.
fn list_tables() -> String {
    format!(
        "POST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n\
         X-Amz-Target: DynamoDB_20120810.ListTables\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={}/20200101/{}/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=0\r\nContent-Length: 2\r\n\r\n{{}}",
        aws::ACCESS_KEY_ID,
        aws::REGION,
    )
}
