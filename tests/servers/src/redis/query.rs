//! Sends the commands of a test through the Unix socket of a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::{Client, Cmd, Connection, FromRedisValue, RedisResult};

/// How long a command waits for its answer. A paused server gives none.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The Unix socket of the server in a directory.
pub(super) fn socket(dir: &Path) -> PathBuf {
    dir.join("redis.sock")
}

/// Sends one command to the server in a directory.
pub(super) fn query<T: FromRedisValue>(
    dir: &Path,
    password: Option<&str>,
    command: &[impl AsRef<str>],
) -> RedisResult<T> {
    let mut connection = connect(dir, password)?;
    let mut request = Cmd::new();
    for part in command {
        request.arg(part.as_ref());
    }
    request.query(&mut connection)
}

fn connect(dir: &Path, password: Option<&str>) -> RedisResult<Connection> {
    let client = Client::open(format!("unix://{}", socket(dir).display()))?;
    let mut connection = client.get_connection()?;
    connection.set_read_timeout(Some(ANSWER_LIMIT))?;
    connection.set_write_timeout(Some(ANSWER_LIMIT))?;
    if let Some(password) = password {
        redis::cmd("AUTH").arg(password).query::<()>(&mut connection)?;
    }
    Ok(connection)
}

/// One field of an answer to `INFO` or `CLUSTER INFO`.
pub(super) fn field_of(info: &str, field: &str) -> Option<String> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == field)
        .map(|(_, value)| value.trim().to_owned())
}
