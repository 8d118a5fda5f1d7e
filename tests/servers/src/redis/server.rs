//! A running Redis or Valkey server.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{FromRedisValue, RedisResult};
use tempfile::TempDir;

use super::program::RedisProgram;
use super::query::{field_of, query, socket};
use crate::process::{Process, blocking};

/// A running server. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub struct Redis {
    pub(super) server: Arc<Server>,
}

pub(super) struct Server {
    pub(super) program: RedisProgram,
    pub(super) port: u16,
    pub(super) password: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) process: Mutex<Process>,
    /// Removed after the process has ended: fields are dropped in the order of their declaration.
    pub(super) dir: TempDir,
}

impl Redis {
    /// `redis://127.0.0.1:PORT`, with TLS `rediss://127.0.0.1:PORT`. No credentials are in it.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.port())
    }

    /// The URL with credentials. The password of `requirepass` belongs to the user `default`.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("{}://{user}:{password}@127.0.0.1:{}", self.scheme(), self.port())
    }

    fn scheme(&self) -> &'static str {
        match self.server.ca_file {
            Some(_) => "rediss",
            None => "redis",
        }
    }

    /// The only port that it listens on; with TLS if the server has TLS.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The certificate file of the authority that signed the server's certificate; only with TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.server.ca_file.as_deref()
    }

    /// Kills it, as when its machine is lost. Its port refuses connections.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts it again on the same port, and kills it before that if it still runs. It is empty,
    /// and what was set at run time (`CONFIG SET`, `REPLICAOF`) is as it was at the first start.
    ///
    /// # Panics
    /// When it does not start, for instance because another process took its port.
    pub async fn restart(&self) {
        let server = Arc::clone(&self.server);
        blocking(move || {
            let mut process = server.process();
            process.kill();
            let mut next = spawn(server.program, server.dir.path());
            if let Err(failure) = next.wait_until(|| server.query::<String>(&["PING"]).is_ok()) {
                panic!("{failure}");
            }
            *process = next;
        })
        .await;
    }

    /// Pauses its process: connections stay open and the system accepts new ones, but nothing is
    /// answered.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Resumes its process.
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Sends a command, such as `&["SET", "key", "value"]`, and returns its answer.
    ///
    /// # Panics
    /// When the answer is an error or of another type.
    pub async fn cli<T: FromRedisValue + Send + 'static>(&self, command: &[&str]) -> T {
        self.try_cli(command).await.unwrap_or_else(|error| panic!("{command:?} was answered with {error}"))
    }

    /// Sends a command as [`cli`](Self::cli) does.
    ///
    /// # Errors
    /// The error that the server answered.
    pub async fn try_cli<T: FromRedisValue + Send + 'static>(&self, command: &[&str]) -> RedisResult<T> {
        let server = Arc::clone(&self.server);
        let command: Vec<String> = command.iter().map(|&part| part.to_owned()).collect();
        blocking(move || server.query(&command)).await
    }

    /// Makes it a replica of another server, as a failover does with the former primary. Writes are
    /// answered with `READONLY`, and its keys are replaced by those of the other server.
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

    /// The content of its log.
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

    pub(super) fn query<T: FromRedisValue>(&self, command: &[impl AsRef<str>]) -> RedisResult<T> {
        query(self.dir.path(), self.password.as_deref(), command)
    }
}

/// The configuration file of the server in a directory.
pub(super) fn configuration(dir: &Path) -> PathBuf {
    dir.join("redis.conf")
}

/// Starts the server that is configured in a directory.
pub(super) fn spawn(program: RedisProgram, dir: &Path) -> Process {
    // A killed server leaves its socket behind, which would be taken for the new one's.
    let _ = fs::remove_file(socket(dir));
    Process::spawn(program.name(), &program.path(), dir, |command| {
        command.arg(configuration(dir));
    })
}
