//! A server process that ends with the test.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a server may take until it answers, on a machine under load.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The time between two questions whether a server answers.
const POLL: Duration = Duration::from_millis(10);
/// The number of attempts to start a server; each has another port.
const ATTEMPTS: usize = 4;

/// Starts a watcher and becomes the server. The standard input of the watcher is a pipe from the
/// test, which closes when the test process ends in any way. Then the watcher kills the server,
/// removes its directory and kills the process group, with the children of the server and itself.
/// `$1` is the directory, the rest is the command.
const LAUNCHER: &str = r#"
dir=$1
shift
exec 3<&0
(cat <&3 >/dev/null 2>&1; kill -9 $$; rm -rf "$dir"; kill -9 -$$) &
exec "$@" </dev/null 3<&-
"#;

/// A running server. Dropping it kills it.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    pid: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts a server that writes to a log in `dir`, which is removed with it. `configure` sets
    /// the arguments and the environment.
    pub(crate) fn spawn(name: &'static str, program: &Path, dir: &Path, configure: impl FnOnce(&mut Command)) -> Self {
        let log = dir.join("server.log");
        let output = || {
            let file = File::options().create(true).append(true).open(&log);
            file.unwrap_or_else(|error| panic!("cannot open {}: {error}", log.display()))
        };
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(LAUNCHER)
            .arg("launcher")
            .arg(dir)
            .arg(program)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(output())
            .stderr(output())
            .process_group(0);
        configure(&mut command);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let pid = Pid::from_child(&child);
        Self { name, child, pid, log }
    }

    /// Waits until `is_ready` returns true.
    ///
    /// # Errors
    /// How the server ended instead.
    ///
    /// # Panics
    /// When it neither ends nor becomes ready in time.
    pub(crate) fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                let how = status.signal().map_or(status.to_string(), |signal| format!("signal {signal}"));
                return Err(format!("{} ended with {how}. It wrote:\n{}", self.name, self.log()));
            }
            if is_ready() {
                return Ok(());
            }
            assert!(
                begin.elapsed() < START_LIMIT,
                "{} does not answer after {START_LIMIT:?}. It wrote:\n{}",
                self.name,
                self.log()
            );
            thread::sleep(POLL);
        }
    }

    /// Its exit status, if it has ended.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("cannot look after {}: {error}", self.name))
    }

    /// Kills it with its children, and waits until it has ended.
    pub(crate) fn kill(&mut self) {
        // The group does not exist any more if it was killed before. Its number cannot be reused
        // before the server was waited for, or while its watcher runs.
        if self.ended().is_none() || self.child.stdin.is_some() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        self.child.stdin = None;
        let _ = self.child.wait();
    }

    /// Pauses it; its connections stay open.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes it after [`pause`](Self::pause).
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// The content of its log.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log)
            .map_or_else(|error| format!("(no log: {error})"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a server, and tries again if it ends at once: another process may have taken its port.
///
/// # Panics
/// With the log of the server, when all attempts fail.
pub(crate) fn start<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut failure = String::new();
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(server) => return server,
            Err(how) => failure = how,
        }
    }
    panic!("{failure}");
}

/// Runs a blocking function beside the runtime of the test. A panic in it becomes a panic of the
/// caller.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("the runtime ended: {error}"),
        },
    }
}

/// The status code that a server on a local port answers to a `GET` request; `None` when there is
/// no answer.
pub(crate) fn http_status(port: u16, path: &str) -> Option<u16> {
    let limit = Some(Duration::from_secs(5));
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(limit).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut status_line = String::new();
    BufReader::new(stream).read_line(&mut status_line).ok()?;
    status_line.split(' ').nth(1)?.parse().ok()
}

/// A directory for one server.
///
/// # Panics
/// When it cannot be created.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("millrace-")
        .tempdir()
        .unwrap_or_else(|error| panic!("cannot make a directory for a server: {error}"))
}
