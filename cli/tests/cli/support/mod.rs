//! Functions behind an HTTP server, and the program with its output.

pub mod aws;
pub mod terminal;

use std::{process::Output, sync::Arc};

use bytes::Bytes;
use hyper::{Request, Response};
use millrace_tests::{
    Function, FunctionError, Invocation, database::Database, function::FunctionBuilder, http, http_server::HttpServer,
};
use serde_json::{Value, json};

/// The token that the server accepts. Its owner has all scopes.
pub const TOKEN: &str = "token-of-the-tests";
/// The token of the player p-1, without scopes.
pub const PLAYER_TOKEN: &str = "token-of-p-1";

/// What `make dev` offers: the HTTP API, and the Lambda API of `process-tasks`.
pub struct Server {
    pub database: Database,
    functions: Arc<Functions>,
    http: HttpServer,
}

impl Server {
    /// Functions on a new embedded store, which need no token.
    pub async fn start() -> Self {
        Self::with(|builder| builder.env("MILLRACE_AUTH", "none")).await
    }

    /// Functions on a new embedded store.
    pub async fn with(change: impl Fn(FunctionBuilder) -> FunctionBuilder) -> Self {
        let database = Database::new();
        let functions = Functions {
            api: change(database.queue_api().env("MILLRACE_EVENTS", "table")).started().await,
            tasks: change(database.process_tasks().env("MILLRACE_EVENTS", "table")).started().await,
        };
        let functions = Arc::new(functions);
        let shared = Arc::clone(&functions);
        let http = HttpServer::start(move |request| {
            let functions = Arc::clone(&shared);
            async move { functions.answer(request).await }
        })
        .await;
        Self { database, functions, http }
    }

    /// The URL for `--endpoint`.
    pub fn url(&self) -> String {
        format!("http://{}", self.http.address)
    }

    /// The program with these arguments and the endpoint of this server.
    pub fn millrace(&self, arguments: &[&str]) -> Program {
        Program::new(arguments).env("MILLRACE_ENDPOINT", &self.url())
    }

    /// Posts a body as it is, past the checks of the program.
    pub async fn post(&self, player: &str, body: &str) {
        let request = http::Request::new("POST", &format!("/players/{player}/commands"));
        let request = request.header("content-type", "application/json").body(body);
        request.send(&self.functions.api).await;
    }

    /// Sends commands that must be applied.
    pub async fn apply(&self, player: &str, commands: Value) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let list = match commands {
            Value::Array(commands) => commands,
            command => vec![command],
        };
        let lines: Vec<String> = list
            .into_iter()
            .map(|mut command| {
                command["playerId"] = player.into();
                command.to_string()
            })
            .collect();
        std::fs::write(file.path(), lines.join("\n")).expect("the file is written");
        self.millrace(&["send", &file.path().display().to_string(), "--quiet"]).run().await.succeeded();
    }
}

struct Functions {
    api: Function,
    tasks: Function,
}

impl Functions {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        if head.uri.path() == "/2015-03-31/functions/process-tasks/invocations" {
            return match self.tasks.invoke(Invocation::new(body)).await {
                Ok(answer) => Response::new(answer.to_string().into()),
                Err(FunctionError::Reported { body, .. }) => {
                    let response = Response::builder().header("x-amz-function-error", "Unhandled");
                    response.body(body.to_string().into()).expect("a valid response")
                }
                Err(error) => Response::builder().status(502).body(error.to_string().into()).expect("a response"),
            };
        }
        let authorizer = match head.headers.get("authorization").and_then(|value| value.to_str().ok()) {
            Some(value) if value == format!("Bearer {TOKEN}") => {
                json!({"jwt": {"claims": {"sub": "tester"}, "scopes": ["millrace/commands", "millrace/admin"]}})
            }
            Some(value) if value == format!("Bearer {PLAYER_TOKEN}") => {
                json!({"jwt": {"claims": {"sub": "p-1"}, "scopes": null}})
            }
            _ => Value::Null,
        };
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut forwarded = http::Request::new(head.method.as_str(), target).authorizer(authorizer);
        for (name, value) in &head.headers {
            forwarded = forwarded.header(name.as_str(), value.to_str().unwrap_or_default());
        }
        if !body.is_empty() {
            forwarded = forwarded.body(body);
        }
        let answer = forwarded.send(&self.api).await;
        let response = answer
            .headers
            .iter()
            .fold(Response::builder().status(answer.status), |response, header| response.header(header.0, header.1));
        response.body(answer.body.into()).expect("the function answers with valid HTTP")
    }
}

/// A run of the program. Settings of the environment of the test are not passed on.
pub struct Program {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    input: Vec<u8>,
}

/// The output of a run that has ended.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { arguments, environment: Vec::new(), input: Vec::new() }
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the standard input.
    #[must_use]
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = text.into();
        self
    }

    /// The whole environment of the program.
    pub fn environment(&self) -> Vec<(String, String)> {
        let inherited =
            ["PATH", "HOME"].iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
        let aws = [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", "/nonexistent")];
        let aws = aws.map(|(name, value)| (name.to_owned(), value.to_owned()));
        inherited.chain(aws).chain(self.environment.iter().cloned()).collect()
    }

    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Runs the program until it ends. The runtime of the test goes on, because it is the server.
    pub async fn run(self) -> Finished {
        let run = move || {
            let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_millrace"));
            command.args(&self.arguments).env_clear().envs(self.environment()).write_stdin(self.input.clone());
            command.timeout(std::time::Duration::from_secs(120)).output().expect("the program ends")
        };
        tokio::task::spawn_blocking(run).await.expect("the run does not panic").into()
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Self { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Finished {
    /// Asserts the exit code 0 and returns the output.
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Asserts the exit code 0 and returns the output as JSON.
    pub fn json(self) -> Value {
        let text = self.succeeded();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The lines of the output as JSON.
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Asserts the exit code and that the error names each of `parts`. Returns the output.
    pub fn failed(self, code: i32, parts: &[&str]) -> String {
        assert_eq!(self.code, code, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
        self.stdout
    }
}
