//! A function as a process under a [`RuntimeApi`] of its own: start, invoke, kill, terminate, logs.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    binary,
    runtime_api::{Answer, Phase, RuntimeApi},
};

/// How long a function may take to ask for its first invocation. Lambda gives it 10 seconds; the
/// machine that runs the tests may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an invocation may take where it does not say.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a function may take to end after SIGTERM before it is killed.
const TERMINATION_TIMEOUT: Duration = Duration::from_secs(10);

/// A function that is not started yet.
#[derive(Debug, Clone)]
pub struct Setup {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    extensions: bool,
}

/// A running function. It is killed with this value.
#[derive(Debug)]
pub struct Function {
    api: RuntimeApi,
    pid: Pid,
    started_in: Duration,
    exit: watch::Receiver<Option<ExitStatus>>,
    stdout: Lines,
    stderr: Lines,
    supervisor: JoinHandle<()>,
}

type Lines = Arc<Mutex<Vec<String>>>;

/// What a function is invoked with.
#[derive(Debug, Clone)]
pub struct Invocation {
    payload: Bytes,
    timeout: Duration,
    request_id: Option<String>,
}

impl Invocation {
    /// An invocation with these bytes, which need not be JSON.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), timeout: INVOCATION_TIMEOUT, request_id: None }
    }

    /// It has to be answered within this time; a function that does not is killed, as by Lambda.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// It has this request id, as a retry of an asynchronous invocation has that of the first attempt.
    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }
}

impl From<&Value> for Invocation {
    fn from(value: &Value) -> Self {
        Self::new(value.to_string())
    }
}

impl From<Value> for Invocation {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl From<&str> for Invocation {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

/// An invocation that ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The function answered with an error.
    #[error("{error_type}: {message}")]
    Reported {
        /// `errorType`.
        error_type: String,
        /// `errorMessage`.
        message: String,
        /// The whole body.
        body: Value,
    },
    /// The answer is no JSON.
    #[error("the answer is no JSON: {0}")]
    NoJson(String),
    /// The process ended; in AWS `Runtime.ExitError`.
    #[error("the process ended with {status}\n{stderr}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error.
        stderr: String,
    },
    /// The deadline passed and the process was killed; in AWS `Task timed out`.
    #[error("no answer within {0:?}; the process was killed")]
    TimedOut(Duration),
}

/// A function that did not start.
#[derive(Debug, thiserror::Error)]
#[error("the function did not start ({status}), reported: {reported:?}\n{stderr}")]
pub struct StartError {
    /// How the process ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// What it posted to `/runtime/init/error`.
    pub reported: Option<String>,
}

impl Setup {
    /// Sets a variable of the function's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Another function in the same environment.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { program: binary::path(name), ..self }
    }

    /// Whether there is an Extensions API; there is, where this is not called.
    #[must_use]
    pub fn extensions(mut self, extensions: bool) -> Self {
        self.extensions = extensions;
        self
    }

    /// Starts the function and waits until it asks for its first invocation.
    ///
    /// # Errors
    /// [`StartError`] where the process ends before.
    ///
    /// # Panics
    /// Where the process cannot be spawned or hangs.
    pub async fn start(&self) -> Result<Function, StartError> {
        let api = RuntimeApi::start(self.extensions).await;
        let mut phase = api.phase();
        let began = Instant::now();
        let mut function = self.spawn(api);
        let mut exit = function.exit.clone();
        let started = tokio::time::timeout(START_TIMEOUT, async {
            tokio::select! {
                ready = phase.wait_for(|phase| *phase == Phase::Ready) => ready.map(drop).is_ok(),
                _ = exit.wait_for(Option::is_some) => false,
            }
        });
        match started.await {
            Ok(true) => {
                function.started_in = began.elapsed();
                Ok(function)
            }
            Ok(false) => {
                let reported = match &*phase.borrow() {
                    Phase::Failed(body) => Some(body.clone()),
                    Phase::Starting | Phase::Ready => None,
                };
                let status = function.exited().await;
                Err(StartError { status, stdout: joined(&function.stdout), stderr: function.stderr(), reported })
            }
            Err(_) => panic!("the function did not start within {START_TIMEOUT:?}:\n{}", function.stderr()),
        }
    }

    fn spawn(&self, api: RuntimeApi) -> Function {
        let kept = ["PATH", "HOME", "RUST_BACKTRACE"].map(|name| (name, env::var_os(name)));
        let mut child = Command::new(&self.program)
            .env_clear()
            .envs(kept.into_iter().filter_map(|(name, value)| Some((name, value?))))
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "process-tasks")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("a child that was just started");
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = [
            tokio::spawn(collect(child.stdout.take().expect("piped above"), Arc::clone(&stdout))),
            tokio::spawn(collect(child.stderr.take().expect("piped above"), Arc::clone(&stderr))),
        ];
        let (exited, exit) = watch::channel(None);
        let supervisor = tokio::spawn(supervise(child, readers, exited));
        Function { api, pid, started_in: Duration::ZERO, exit, stdout, stderr, supervisor }
    }
}

/// Tells how the process ended, once all that it wrote has been read.
async fn supervise(mut child: Child, readers: [JoinHandle<()>; 2], exited: watch::Sender<Option<ExitStatus>>) {
    let status = child.wait().await.expect("a child can be waited for");
    for reader in readers {
        reader.await.expect("reading a pipe does not panic");
    }
    exited.send_replace(Some(status));
}

async fn collect(pipe: impl AsyncRead + Unpin, lines: Lines) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        lines.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        line.clear();
    }
}

fn joined(lines: &Lines) -> String {
    lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
}

impl Function {
    /// The binary `name`, built if need be, with an environment to be given.
    pub fn named(name: &str) -> Setup {
        Self::at(binary::path(name))
    }

    /// The binary at `program`, likewise.
    pub fn at(program: PathBuf) -> Setup {
        Setup { program, environment: Vec::new(), extensions: true }
    }

    /// Invokes the function and waits for its answer. Invocations run one after the other.
    ///
    /// # Errors
    /// [`FunctionError`] where it gives none.
    pub async fn invoke(&self, invocation: impl Into<Invocation>) -> Result<Value, FunctionError> {
        let Invocation { payload, timeout, request_id } = invocation.into();
        let answer = self.api.invoke(payload, timeout, request_id);
        let mut exit = self.exit.clone();
        let answered = tokio::time::timeout(timeout, async {
            tokio::select! {
                // What was answered counts, even if the process ended right after.
                biased;
                Ok(answer) = answer => Ok(answer),
                _ = exit.wait_for(Option::is_some) => Err(()),
            }
        });
        match answered.await {
            Ok(Ok(Answer::Response(body))) => serde_json::from_slice(&body)
                .map_err(|_| FunctionError::NoJson(String::from_utf8_lossy(&body).into_owned())),
            Ok(Ok(Answer::Error { body, error_type })) => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let text = |name: &str| body[name].as_str().map(str::to_owned);
                Err(FunctionError::Reported {
                    error_type: text("errorType").or(error_type).unwrap_or_default(),
                    message: text("errorMessage").unwrap_or_default(),
                    body,
                })
            }
            Ok(Err(())) => Err(FunctionError::Exited { status: self.exited().await, stderr: self.stderr() }),
            Err(_) => {
                self.kill().await;
                Err(FunctionError::TimedOut(timeout))
            }
        }
    }

    /// Kills the process, at once and whatever it does, and waits for its end.
    pub async fn kill(&self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.exited().await
    }

    /// Asks the process to end, as Lambda does before it takes a sandbox down, and waits for its end;
    /// one that does not end is killed after a while.
    pub async fn terminate(&self) -> ExitStatus {
        self.signal(Signal::TERM);
        match tokio::time::timeout(TERMINATION_TIMEOUT, self.exited()).await {
            Ok(status) => status,
            Err(_) => self.kill().await,
        }
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How long it took from before its spawn to its first request for an invocation.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Whether the process has not ended yet.
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Waits for the end of the process.
    pub async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let exited = exit.wait_for(Option::is_some).await.expect("the supervisor tells before it ends");
        exited.expect("waited for")
    }

    fn signal(&self, signal: Signal) {
        // A process that was waited for has given its id back.
        if self.is_running() {
            // It may have ended just now, and that is what was wanted.
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// The lines of standard output so far, as JSON; a line that is none, as a string.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line.as_str()))).collect()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        joined(&self.stderr)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.supervisor.abort();
    }
}
