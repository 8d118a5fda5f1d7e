//! The paths of the installed servers.

use std::env;
use std::path::{Path, PathBuf};

/// The versions that the Makefile installs.
const MINISTACK_VERSION: &str = "1.5.33";
const DYNAMODB_LOCAL_VERSION: &str = "0.6.0";
const VALKEY_VERSION: &str = "9.1.2.post2";
const SCHEMATHESIS_VERSION: &str = "4.32.5";

/// `redis-server` of the `PATH`, or the one that `make servers` downloaded.
pub(crate) fn redis_server() -> PathBuf {
    on_path("redis-server")
        .unwrap_or_else(|| installed("redis-server, neither on the PATH nor", tools().join("redis/redis-server")))
}

/// `valkey-server`, as `make servers` installs it.
pub(crate) fn valkey_server() -> PathBuf {
    installed(&format!("Valkey {VALKEY_VERSION},"), tools().join(format!("valkey-{VALKEY_VERSION}/valkey-server")))
}

/// The Python of the virtual environment that MiniStack is installed in.
pub(crate) fn ministack_python() -> PathBuf {
    let python = tools().join(format!("ministack-{MINISTACK_VERSION}/bin/python"));
    installed(&format!("MiniStack {MINISTACK_VERSION},"), python)
}

/// The directory of DynamoDB Local.
pub(crate) fn dynamodb_local() -> PathBuf {
    let dir = tools().join(format!("dynamodb-local-{DYNAMODB_LOCAL_VERSION}"));
    installed("DynamoDB Local,", dir.join("DynamoDBLocal.jar"));
    dir
}

/// The Python of the virtual environment that Schemathesis is installed in.
///
/// # Panics
/// When it is not installed.
pub fn schemathesis_python() -> PathBuf {
    let python = tools().join(format!("schemathesis-{SCHEMATHESIS_VERSION}/bin/python"));
    installed(&format!("Schemathesis {SCHEMATHESIS_VERSION},"), python)
}

/// `java`, which runs DynamoDB Local.
pub(crate) fn java() -> PathBuf {
    on_path("java")
        .unwrap_or_else(|| panic!("java is not on the PATH. To get it: apt-get install default-jre-headless"))
}

fn tools() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.canonicalize().unwrap_or(workspace).join(".tools")
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn installed(what: &str, file: PathBuf) -> PathBuf {
    assert!(
        file.exists(),
        "a server that this test needs is not installed: {what} at {}. Install it with: make servers",
        file.display()
    );
    file
}
