//! Redis: `redis-server` with nothing on disk.
//!
//! Besides its port every server has a Unix socket in its directory. The tests' own commands go through
//! it, so that they neither count as connections to the port nor depend on TLS.

mod builder;
mod certificates;
mod cluster;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Client, Connection, FromRedisValue, RedisResult};
use tempfile::TempDir;

pub use self::builder::RedisBuilder;
pub use self::cluster::RedisCluster;
use crate::process::{Process, blocking};

/// How long a command of the test waits for its answer. A paused server gives none.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A running `redis-server`.
#[derive(Clone)]
pub struct Redis {
    server: Arc<Server>,
}

struct Server {
    port: u16,
    password: Option<String>,
    ca_file: Option<PathBuf>,
    process: Mutex<Process>,
    /// Removed after the process has ended: fields are dropped in the order they stand here.
    dir: TempDir,
}

impl Redis {
    /// Starts one without password and limits.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// What a server is to be like.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// Starts a replica, and waits until it has what `primary` holds. It answers `READONLY` to writes.
    ///
    /// # Panics
    /// When it does not start or does not reach the primary.
    pub async fn replica_of(primary: &Self) -> Self {
        Self::builder().replica_of(primary).start().await
    }

    /// `redis://127.0.0.1:PORT`, with TLS `rediss://127.0.0.1:PORT`. No credentials are in it.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.port())
    }

    /// The URL with credentials in it. Those of `requirepass` belong to the user `default`.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("{}://{user}:{password}@127.0.0.1:{}", self.scheme(), self.port())
    }

    fn scheme(&self) -> &'static str {
        match self.server.ca_file {
            Some(_) => "rediss",
            None => "redis",
        }
    }

    /// The port that it listens on, with TLS if it has that; it has no other.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The certificate, as a file, of the authority that signed the server's; only with TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.server.ca_file.as_deref()
    }

    /// Kills it, as a machine that is lost. Its port refuses connections.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts it again on the same port, killing it before if need be. It is empty, and what was set at
    /// run time (`CONFIG SET`, `REPLICAOF`) is as it was at the first start.
    ///
    /// # Panics
    /// When it does not start, for instance because somebody took its port.
    pub async fn restart(&self) {
        let server = Arc::clone(&self.server);
        blocking(move || {
            let mut process = server.process();
            process.kill();
            let mut next = builder::spawn(server.dir.path());
            if let Err(how) = next.wait_until(|| server.answers()) {
                panic!("{how}");
            }
            *process = next;
        })
        .await;
    }

    /// Stops it where it is: connections stay open and new ones are accepted by the system, but nothing
    /// is answered.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Sends a command, such as `&["SET", "key", "value"]`, and gives its answer.
    ///
    /// # Panics
    /// When the answer is an error or of another type.
    pub async fn cli<T: FromRedisValue + Send + 'static>(&self, command: &[&str]) -> T {
        self.try_cli(command).await.unwrap_or_else(|error| panic!("Redis answered {command:?} with {error}"))
    }

    /// Sends a command as [`cli`](Self::cli) does, and gives an error back.
    pub async fn try_cli<T: FromRedisValue + Send + 'static>(&self, command: &[&str]) -> RedisResult<T> {
        let server = Arc::clone(&self.server);
        let command: Vec<String> = command.iter().map(|&part| part.to_owned()).collect();
        blocking(move || server.query(&command)).await
    }

    /// Makes it a replica of another one, as a failover does with the former primary: writes are
    /// answered with `READONLY`, and what it holds is replaced by what the other one holds.
    pub async fn demote_to_replica_of(&self, primary: &Self) {
        let port = primary.port().to_string();
        self.cli::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
    }

    /// Makes a replica a primary.
    pub async fn promote(&self) {
        self.cli::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    }

    /// One field of `INFO`, such as `used_memory` or `connected_clients`.
    ///
    /// # Panics
    /// When there is none of that name.
    pub async fn info(&self, field: &str) -> String {
        let info: String = self.cli(&["INFO", "everything"]).await;
        field_of(&info, field).unwrap_or_else(|| panic!("INFO has no {field}:\n{info}"))
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        self.process().log()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.server.process()
    }
}

impl Server {
    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn query<T: FromRedisValue>(&self, command: &[impl AsRef<str>]) -> RedisResult<T> {
        query(self.dir.path(), self.password.as_deref(), command)
    }

    fn answers(&self) -> bool {
        self.query::<String>(&["PING"]).is_ok()
    }
}

/// Sends a command to the server of a directory.
fn query<T: FromRedisValue>(dir: &Path, password: Option<&str>, command: &[impl AsRef<str>]) -> RedisResult<T> {
    let mut connection = connect(dir, password)?;
    let mut request = redis::Cmd::new();
    for part in command {
        request.arg(part.as_ref());
    }
    request.query(&mut connection)
}

fn connect(dir: &Path, password: Option<&str>) -> RedisResult<Connection> {
    let client = Client::open(format!("unix://{}", dir.join(builder::SOCKET).display()))?;
    let mut connection = client.get_connection()?;
    connection.set_read_timeout(Some(ANSWER_LIMIT))?;
    connection.set_write_timeout(Some(ANSWER_LIMIT))?;
    if let Some(password) = password {
        redis::cmd("AUTH").arg(password).query::<()>(&mut connection)?;
    }
    Ok(connection)
}

fn field_of(info: &str, field: &str) -> Option<String> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == field)
        .map(|(_, value)| value.trim().to_owned())
}
