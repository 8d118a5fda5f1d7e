//! A function as a process with its own [`RuntimeApi`]: start, invoke, kill, terminate, read its
//! logs.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use millrace_schemas::Schema;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    answers, binary,
    invocation::Invocation,
    runtime_api::{Answer, InitState, RuntimeApi},
};

/// How long a function may take to ask for its first invocation. Lambda allows 10 seconds. This is
/// more, because the machine that runs the tests may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a function may take to end after SIGTERM. After that it is killed.
const TERMINATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of a function. It can be started several times.
#[derive(Debug, Clone)]
pub struct FunctionBuilder {
    name: String,
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    has_extensions_api: bool,
}

/// A running function. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Function {
    api: RuntimeApi,
    pid: Pid,
    answer_schema: Option<&'static Schema>,
    started_in: Duration,
    exit: watch::Receiver<Option<ExitStatus>>,
    stdout: Lines,
    stderr: Lines,
    supervisor: JoinHandle<()>,
}

type Lines = Arc<Mutex<Vec<String>>>;

/// An invocation without a successful answer.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The function answered with an error.
    #[error("{error_type}: {message}")]
    Reported {
        /// The `errorType`.
        error_type: String,
        /// The `errorMessage`.
        message: String,
        /// The whole error as JSON.
        body: Value,
    },
    /// The answer is not JSON.
    #[error("the answer is not JSON: {0}")]
    NoJson(String),
    /// The process ended. In AWS this is `Runtime.ExitError`.
    #[error("the process ended with {status}\n{stderr}")]
    Exited {
        /// The exit status.
        status: ExitStatus,
        /// The standard error of the process.
        stderr: String,
    },
    /// The time-out passed and the process was killed. In AWS this is `Task timed out`.
    #[error("no answer within {0:?}, so the process was killed")]
    TimedOut(Duration),
}

/// A function whose process ended before its first invocation.
#[derive(Debug, thiserror::Error)]
#[error("the function did not start ({status}), reported: {reported:?}\n{stderr}")]
pub struct StartError {
    /// The exit status.
    pub status: ExitStatus,
    /// The standard output of the process.
    pub stdout: String,
    /// The standard error of the process.
    pub stderr: String,
    /// The body that the process posted to `/runtime/init/error`.
    pub reported: Option<String>,
}

impl FunctionBuilder {
    /// Sets an environment variable of the function.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Whether the function finds an Extensions API. The default is true.
    #[must_use]
    pub fn extensions_api(mut self, exists: bool) -> Self {
        self.has_extensions_api = exists;
        self
    }

    /// Starts a function that is expected to start.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn started(&self) -> Function {
        self.start().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the function and waits until it asks for its first invocation.
    ///
    /// # Errors
    /// [`StartError`] if the process ends before that.
    ///
    /// # Panics
    /// If the process cannot be spawned or hangs.
    pub async fn start(&self) -> Result<Function, StartError> {
        let api = RuntimeApi::start(&self.name, self.has_extensions_api).await;
        let mut init_state = api.init_state();
        let began = Instant::now();
        let mut function = self.spawn(api);
        let mut exit = function.exit.clone();
        let started = tokio::time::timeout(START_TIMEOUT, async {
            tokio::select! {
                ready = init_state.wait_for(|state| *state == InitState::Ready) => ready.map(drop).is_ok(),
                _ = exit.wait_for(Option::is_some) => false,
            }
        });
        match started.await {
            Ok(true) => {
                function.started_in = began.elapsed();
                Ok(function)
            }
            Ok(false) => {
                let reported = match &*init_state.borrow() {
                    InitState::Failed(body) => Some(body.clone()),
                    InitState::Starting | InitState::Ready => None,
                };
                let status = function.exited().await;
                Err(StartError { status, stdout: joined(&function.stdout), stderr: function.stderr(), reported })
            }
            Err(_) => panic!("the function did not start within {START_TIMEOUT:?}:\n{}", function.stderr()),
        }
    }

    fn spawn(&self, api: RuntimeApi) -> Function {
        let inherited = ["PATH", "HOME", "RUST_BACKTRACE"].map(|name| (name, env::var_os(name)));
        let mut child = Command::new(&self.program)
            .env_clear()
            .envs(inherited.into_iter().filter_map(|(name, value)| Some((name, value?))))
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .expect("a child that has not been waited for has an id");
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = [
            tokio::spawn(collect(child.stdout.take().expect("piped above"), Arc::clone(&stdout))),
            tokio::spawn(collect(child.stderr.take().expect("piped above"), Arc::clone(&stderr))),
        ];
        let (exited, exit) = watch::channel(None);
        let supervisor = tokio::spawn(supervise(child, readers, exited));
        let answer_schema = answers::schema_of(&self.name);
        Function { api, pid, answer_schema, started_in: Duration::ZERO, exit, stdout, stderr, supervisor }
    }
}

/// Publishes the exit status after all output of the process has been read.
async fn supervise(mut child: Child, readers: [JoinHandle<()>; 2], exited: watch::Sender<Option<ExitStatus>>) {
    let status = child.wait().await.expect("waiting for a child succeeds");
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
    /// The function `name`. Its binary is built if necessary.
    pub fn builder(name: &str) -> FunctionBuilder {
        Self::builder_for(name, binary::path(name))
    }

    /// The function `name` with the binary at `program`.
    pub fn builder_for(name: &str, program: PathBuf) -> FunctionBuilder {
        FunctionBuilder { name: name.to_owned(), program, environment: Vec::new(), has_extensions_api: true }
    }

    /// Invokes a function that is expected to answer successfully.
    ///
    /// # Panics
    /// If it does not.
    pub async fn answer(&self, invocation: impl Into<Invocation>) -> Value {
        self.invoke(invocation).await.unwrap_or_else(|error| panic!("{error}\n{}", self.stderr()))
    }

    /// Invokes the function and waits for its answer. Invocations run one after the other.
    ///
    /// # Errors
    /// [`FunctionError`] if the function does not answer successfully.
    ///
    /// # Panics
    /// If the answer is not as `docs/schemas/answer.json` describes it.
    pub async fn invoke(&self, invocation: impl Into<Invocation>) -> Result<Value, FunctionError> {
        let Invocation { payload, timeout, request_id, headers } = invocation.into();
        let answer = self.api.invoke(payload, timeout, request_id, headers);
        let mut exit = self.exit.clone();
        let answered = tokio::time::timeout(timeout, async {
            tokio::select! {
                // An answer counts even if the process ended right after it.
                biased;
                Ok(answer) = answer => Ok(answer),
                _ = exit.wait_for(Option::is_some) => Err(()),
            }
        });
        match answered.await {
            Ok(Ok(Answer::Response(body))) => {
                let answer = serde_json::from_slice(&body)
                    .map_err(|_| FunctionError::NoJson(String::from_utf8_lossy(&body).into_owned()))?;
                self.answer_schema.into_iter().for_each(|schema| schema.assert_accepts(&answer));
                Ok(answer)
            }
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

    /// Kills the process with SIGKILL and waits for its end.
    pub async fn kill(&self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.exited().await
    }

    /// Sends SIGTERM, as Lambda does before it removes a sandbox, and waits for the end of the
    /// process. After 10 seconds the process is killed.
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

    /// The time from spawning the process to its first request for an invocation.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Whether the process is still running.
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Waits for the end of the process.
    pub async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let exited = exit.wait_for(Option::is_some).await.expect("the supervisor publishes the status");
        exited.expect("the status is set")
    }

    fn signal(&self, signal: Signal) {
        // The id of a process that has ended may belong to another process.
        if self.is_running() {
            // An error means that the process has just ended.
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// The lines of standard output so far, as JSON. A line that is not JSON becomes a string.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line.as_str()))).collect()
    }

    /// The standard error so far.
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
