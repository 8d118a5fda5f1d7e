//! Builds the functions, starts `cargo lambda watch` with it, and ends what it started.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use crate::{
    client::{Client, ClientError},
    http::Api,
    workspace,
};

/// The function that takes events.
pub const FUNCTION: &str = "process-tasks";
/// The function that takes HTTP requests.
pub const API: &str = "queue-api";
/// All functions that are started.
const FUNCTIONS: [&str; 2] = [FUNCTION, API];
/// How long a built function may take to answer its first event.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// How long `cargo lambda watch` may take to end before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How many lines of the log an error shows.
const TAIL_LINES: usize = 30;

/// Why there is no function to send events to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("`{program}` cannot be started: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("the functions do not build; cargo says why above")]
    Build,
    #[error("no free port on 127.0.0.1: {0}")]
    NoPort(io::Error),
    #[error("port {port} of 127.0.0.1 cannot be used: {source}; take another: make dev PORT=9001")]
    Port { port: u16, source: io::Error },
    #[error("{path} cannot be written: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{FUNCTION} did not answer within {} s{log}", START_TIMEOUT.as_secs())]
    TimedOut { log: Tail },
    #[error("{what} has ended{log}")]
    Ended { what: String, log: Tail },
    #[error("{FUNCTION} does not take events: {source}{log}")]
    Refused { source: ClientError, log: Tail },
}

/// The end of a log, where there is one.
#[derive(Debug)]
pub struct Tail(Option<String>);

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "; the end of its log:\n{text}"),
            None => Ok(()),
        }
    }
}

/// How a server is started.
#[derive(Debug)]
pub struct Options<'a> {
    /// Where cargo-lambda is.
    pub cargo_lambda: &'a Path,
    /// Where it listens; none: on a free port.
    pub port: Option<u16>,
    /// Variables of the function's environment.
    pub environment: &'a [(String, String)],
    /// A folder for what this run needs.
    pub folder: &'a Path,
    /// Where the logs go; none: to this process's own output.
    pub log: Option<PathBuf>,
    /// Whether the function sees only the settings given here, and none of this process.
    pub isolated: bool,
}

/// A running `cargo lambda watch`. It ends with this value, and with it all that it started.
#[derive(Debug)]
pub struct Server {
    process: Child,
    port: u16,
    log: Option<PathBuf>,
}

/// Builds the functions, with cargo's own progress on the terminal: `cargo lambda watch` would keep
/// whoever waits for it in the dark.
pub async fn build() -> Result<(), ServerError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = tokio::process::Command::new(&cargo)
        // By binary alone, as `cargo lambda watch` runs them: so it finds them built.
        .arg("build")
        .args(FUNCTIONS.iter().flat_map(|name| ["--bin", name]))
        .current_dir(workspace())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| ServerError::Spawn { program: cargo.to_string_lossy().into_owned(), source })?;
    if status.success() { Ok(()) } else { Err(ServerError::Build) }
}

impl Server {
    /// Starts `cargo lambda watch` and waits until the function answers.
    pub async fn start(options: Options<'_>) -> Result<Self, ServerError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| ServerError::File { path, source }
        };
        // A file, because a value on the command line ends at a comma.
        let environment = options.folder.join("function.env");
        let lines: String = options.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::write(&environment, lines).map_err(file(&environment))?;
        let port = match options.port {
            // Events must not go to whoever else listens there.
            Some(port) => bind(port).map_err(|source| ServerError::Port { port, source })?,
            None => bind(0).map_err(ServerError::NoPort)?,
        };
        let cargo_lambda = match options.cargo_lambda {
            // A bare name is looked up in the path.
            name if name.components().count() == 1 => name.to_owned(),
            path => std::path::absolute(path).map_err(file(path))?,
        };
        let mut command = Command::new(&cargo_lambda);
        command
            .args(["lambda", "watch", "--ignore-changes", "--wait", "--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &port.to_string(), "--env-file"])
            .arg(&environment)
            .current_dir(workspace())
            .stdin(Stdio::null());
        if options.isolated {
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("MILLRACE_") {
                    command.env_remove(name);
                }
            }
        }
        if let Some(path) = &options.log {
            let log = File::create(path).map_err(file(path))?;
            command.stderr(log.try_clone().map_err(file(path))?).stdout(log);
        }
        // A group of its own: Ctrl-C in the terminal goes to this process, which ends the group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command
            .spawn()
            .map_err(|source| ServerError::Spawn { program: cargo_lambda.display().to_string(), source })?;
        let mut server = Self { process, port, log: options.log };
        server.ready().await?;
        Ok(server)
    }

    /// Where events are sent to.
    pub fn client(&self) -> Client {
        Client::new(self.port, FUNCTION)
    }

    /// Where HTTP requests are sent to.
    pub fn api(&self) -> Api {
        Api::new(self.port, API)
    }

    /// Waits until the function answers a batch without messages.
    async fn ready(&mut self) -> Result<(), ServerError> {
        let client = self.client();
        let deadline = Instant::now() + START_TIMEOUT;
        let mut answer = std::pin::pin!(client.wait_for(br#"{"Records":[]}"#));
        loop {
            match tokio::time::timeout(Duration::from_millis(100), &mut answer).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(source)) => return Err(ServerError::Refused { source, log: self.tail() }),
                Err(_) => self.check()?,
            }
            if Instant::now() > deadline {
                return Err(ServerError::TimedOut { log: self.tail() });
            }
        }
    }

    /// Waits until something has ended that should not have; `cargo lambda watch` keeps an
    /// invocation waiting whose function is gone.
    pub async fn ended(&mut self) -> ServerError {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if let Err(error) = self.check() {
                return error;
            }
        }
    }

    fn check(&mut self) -> Result<(), ServerError> {
        if let Ok(Some(status)) = self.process.try_wait() {
            return Err(ServerError::Ended { what: format!("cargo lambda watch ({status})"), log: self.tail() });
        }
        if self.log_text().is_some_and(|log| log.contains("command exited")) {
            return Err(ServerError::Ended { what: "a function".to_owned(), log: self.tail() });
        }
        Ok(())
    }

    fn log_text(&self) -> Option<String> {
        let bytes = fs::read(self.log.as_ref()?).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The end of the log.
    pub fn tail(&self) -> Tail {
        Tail(self.log_text().map(|text| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        }))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.process.id().cast_signed()) {
            // Where the group is gone already, that is what was wanted.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Drop for Server {
    /// Ends the process group. `cargo lambda watch` ends its functions, which have groups of their own;
    /// where it is killed, they lose the API that they wait on, and end.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.signal(Signal::KILL);
        let _ = self.process.wait();
    }
}

/// A port that can be listened on: this one, or for 0 any.
fn bind(port: u16) -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", port))?.local_addr()?.port())
}
