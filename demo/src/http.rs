//! A timed task over HTTP, from its command to its completion.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::{client::ClientError, text::table};

/// The player of the queue.
const PLAYER: &str = "player-4001";
/// How long the task takes.
const DURATION_MS: u64 = 1_500;
/// How long the completion may take.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of `queue-api`.
pub struct Api {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    base: String,
}

/// A response.
struct Response {
    status: u16,
    cache: String,
    body: Value,
}

/// A request and its response: request, status, cache, content.
type Line = [String; 4];

impl Api {
    /// A client at a port of this machine.
    pub fn new(port: u16) -> Self {
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Self { http, base: url(port) }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Response, ClientError> {
        let unreachable = |error: &dyn std::error::Error| ClientError::Unreachable(error.to_string());
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(Full::new(body.map(Value::to_string).unwrap_or_default().into()))
            .map_err(|error| unreachable(&error))?;
        let answer = async {
            let response = self.http.request(request).await.map_err(|error| unreachable(&error))?;
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|error| unreachable(&error))?.to_bytes();
            let text = || String::from_utf8_lossy(&bytes).into_owned();
            Ok(Response {
                status: head.status.as_u16(),
                cache: head.headers.get("x-cache").and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned(),
                body: serde_json::from_slice(&bytes).map_err(|_| ClientError::NotJson(text()))?,
            })
        };
        tokio::time::timeout(REQUEST_TIMEOUT, answer).await.map_err(|_| ClientError::TimedOut)?
    }

    /// Enqueues a short task, reads the queue while it runs, and again after its completion.
    /// Returns the requests with their responses, and the problems found.
    pub async fn run_task(&self) -> Result<(Vec<String>, Vec<String>), ClientError> {
        let queue = format!("/players/{PLAYER}/queue");
        let header = ["request", "status", "X-Cache", "response"].map(str::to_owned);
        let (mut rows, mut problems): (Vec<Line>, Vec<String>) = (vec![header], Vec::new());
        let enqueue = json!({"type": "enqueueTasks", "tasks": [{"taskId": "brew-potion", "kind": "brew.potion",
            "work": {"durationMs": DURATION_MS}, "rewards": {"potion": 2}}]});
        let path = format!("/players/{PLAYER}/commands");
        let answer = self.send("POST", &path, Some(&enqueue)).await?;
        let result = answer.body["results"][0]["status"].as_str().unwrap_or("no result");
        rows.push(line("POST", &path, &answer, format!("{result}, version {}", answer.body["queue"]["version"])));
        if result != "applied" {
            problems.push(format!("the task was not enqueued: {}", answer.body));
        }
        let answer = self.send("GET", &queue, None).await?;
        rows.push(line("GET", &queue, &answer, task_line(&answer.body)));
        if answer.body["tasks"][0]["state"] != "active" {
            problems.push(format!("the task is not active: {}", answer.body));
        }
        let began = Instant::now();
        let completed = loop {
            let answer = self.send("GET", &queue, None).await?;
            if answer.body["recent"][0]["outcome"] == "completed" || began.elapsed() > COMPLETION_TIMEOUT {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        rows.push(line("GET", &queue, &completed, task_line(&completed.body)));
        if completed.body["balances"]["potion"] != 2 {
            problems.push(format!("the task was not completed exactly once: {}", completed.body));
        }
        Ok((table(2, &rows), problems))
    }
}

/// The address at which the emulator takes HTTP requests. Its router, in `Cargo.toml`, hands them
/// to `queue-api`.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn line(method: &str, path: &str, answer: &Response, what: String) -> Line {
    [format!("{method} {path}"), answer.status.to_string(), answer.cache.clone(), what]
}

/// The one task of a queue.
fn task_line(queue: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    match (&queue["tasks"][0], &queue["recent"][0]) {
        (Value::Null, Value::Null) => "no task".to_owned(),
        (Value::Null, finished) => format!(
            "{} {} at {}, {} potions",
            text(&finished["taskId"]),
            text(&finished["outcome"]),
            text(&finished["finishedAt"]),
            queue["balances"]["potion"]
        ),
        (task, _) => format!(
            "{} {}, {:.0} %, finishes {}",
            text(&task["taskId"]),
            text(&task["state"]),
            task["progress"].as_f64().unwrap_or_default() * 100.0,
            text(&task["finishAt"])
        ),
    }
}
