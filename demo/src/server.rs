//! The functions on this machine, behind an emulator of Lambda.
//!
//! The emulator is `cargo lambda watch --only-lambda-apis`. It does not start the functions,
//! because the environment in `Cargo.toml` would override the settings of a demonstration.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::sleep};

use crate::{
    client::Client,
    error::{LogTail, ServerError},
    process::Process,
    workspace,
};

/// The function that takes events.
pub const PROCESS_TASKS: &str = "process-tasks";
/// The function that takes HTTP requests.
pub const QUEUE_API: &str = "queue-api";
/// The function that advances queues with something due.
pub const ADVANCE_QUEUES: &str = "advance-queues";

/// How long the emulator may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often something is checked that is not ready.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// The last lines of the log that an error shows.
const TAIL_LINES: usize = 30;

/// How the functions are started.
#[derive(Debug)]
pub struct Options<'a> {
    /// The path of cargo-lambda.
    pub cargo_lambda: &'a Path,
    /// The functions to start.
    pub functions: &'a [&'a str],
    /// The port of the emulator; none: a free one.
    pub port: Option<u16>,
    /// Settings of the functions.
    pub settings: &'a [(&'a str, String)],
    /// A folder for the log.
    pub folder: &'a Path,
    /// Whether the functions run unseen: without settings from the environment of this process, and
    /// with their logs in the folder instead of the terminal.
    pub isolated: bool,
}

/// Running functions. They end with this value.
#[derive(Debug)]
pub struct Server {
    // Dropped in this order: the functions end before the emulator.
    functions: Vec<Process>,
    emulator: Process,
    port: u16,
    log: PathBuf,
}

/// Builds the functions with the embedded store.
pub async fn build(functions: &[&str]) -> Result<(), ServerError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = tokio::process::Command::new(&cargo)
        // Without --package the features are those of the whole workspace, as in the tests and in
        // `cargo lambda watch`, so that dependencies are built once.
        .arg("build")
        .args(functions.iter().flat_map(|name| ["--bin", name]))
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| ServerError::Spawn { program: cargo.to_string_lossy().into_owned(), source })?;
    if status.success() { Ok(()) } else { Err(ServerError::Build) }
}

impl Server {
    /// Starts the emulator and the functions, and waits until `process-tasks` answers.
    pub async fn start(options: Options<'_>) -> Result<Self, ServerError> {
        let port = match options.port {
            // Another program may listen there, and must not receive the events.
            Some(port) => bind(port).map_err(|source| ServerError::Port { port, source })?,
            None => bind(0).map_err(ServerError::NoPort)?,
        };
        let path = options.folder.join(if options.isolated { "functions.log" } else { "emulator.log" });
        let log = File::create(&path).map_err(file_error(&path))?;
        let emulator = Process::start("the emulator of Lambda", &mut emulator(options.cargo_lambda, port, &log)?)?;
        let mut server = Self { functions: Vec::new(), emulator, port, log: path };
        server.wait_until_listening().await?;
        for name in options.functions {
            let mut command = function(name, port, &options);
            if options.isolated {
                let output = || log.try_clone().map_err(file_error(&server.log));
                command.stdout(output()?).stderr(output()?);
            }
            server.functions.push(Process::start(name, &mut command)?);
        }
        server.wait_until_answering().await?;
        Ok(server)
    }

    async fn wait_until_listening(&mut self) -> Result<(), ServerError> {
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            self.check()?;
            if Instant::now() > deadline {
                return Err(ServerError::TimedOut { seconds: START_TIMEOUT.as_secs(), log: self.log_tail() });
            }
            sleep(CHECK_EVERY).await;
        }
        Ok(())
    }

    /// Sends a batch without messages.
    async fn wait_until_answering(&mut self) -> Result<(), ServerError> {
        let client = self.client();
        let answer = tokio::select! {
            answer = client.invoke(PROCESS_TASKS, r#"{"Records":[]}"#.into()) => answer,
            ended = self.ended() => return Err(ended),
        };
        answer.map(drop).map_err(|source| ServerError::Refused { source, log: self.log_tail() })
    }

    /// A client of the functions.
    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// Waits until one of the processes has ended.
    pub async fn ended(&mut self) -> ServerError {
        loop {
            if let Err(error) = self.check() {
                return error;
            }
            sleep(CHECK_EVERY).await;
        }
    }

    fn check(&mut self) -> Result<(), ServerError> {
        let status = |process: &mut Process| Some((process.name.clone(), process.exit_status()?));
        let ended = self.functions.iter_mut().chain([&mut self.emulator]).find_map(status);
        if let Some((name, status)) = ended {
            return Err(ServerError::Ended { name, status, log: self.log_tail() });
        }
        Ok(())
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> LogTail {
        LogTail(fs::read(&self.log).ok().map(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        }))
    }
}

fn emulator(cargo_lambda: &Path, port: u16, log: &File) -> Result<Command, ServerError> {
    let program = match cargo_lambda {
        // A name without a folder is looked up in the PATH.
        name if name.components().count() == 1 => name.to_owned(),
        path => std::path::absolute(path).map_err(file_error(path))?,
    };
    let mut command = Command::new(&program);
    command
        .args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1"])
        .args(["--invoke-port", &port.to_string()])
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(file_error(&program))?)
        .stderr(log.try_clone().map_err(file_error(&program))?);
    Ok(command)
}

/// The function `name` with the variables that Lambda sets.
fn function(name: &str, port: u16, options: &Options<'_>) -> Command {
    // Cargo builds the functions into the folder of this program.
    let program = std::env::current_exe().unwrap_or_default().with_file_name(name);
    let mut command = Command::new(program);
    if options.isolated {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MILLRACE_")) {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{port}/.rt/{name}"))
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .envs(options.settings.iter().map(|(name, value)| (name, value)))
        .current_dir(workspace::root())
        .stdin(Stdio::null());
    command
}

/// Checks that nothing listens on the port. For 0 chooses a free one.
fn bind(port: u16) -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", port))?.local_addr()?.port())
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> ServerError + use<> {
    let path = path.to_owned();
    move |source| ServerError::File { path, source }
}
