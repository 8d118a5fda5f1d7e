//! A timed task from its command to its end, over HTTP, by `queue-api`.

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

/// Whose queue it is.
const PLAYER: &str = "player-4001";
/// How long the task takes.
const DURATION_MS: u64 = 1_500;
/// How long its end is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the function takes requests.
pub struct Api {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    base: String,
}

/// An answer.
struct Answer {
    status: u16,
    cache: String,
    body: Value,
}

/// What was asked, and what came back.
type Line = [String; 4];

impl Api {
    /// The function `name` behind a port of this machine.
    pub fn new(port: u16, name: &str) -> Self {
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Self { http, base: url(port, name) }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, ClientError> {
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
            Ok(Answer {
                status: head.status.as_u16(),
                cache: head.headers.get("x-cache").and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned(),
                body: serde_json::from_slice(&bytes).map_err(|_| ClientError::NoJson(text()))?,
            })
        };
        tokio::time::timeout(REQUEST_TIMEOUT, answer).await.map_err(|_| ClientError::TimedOut)?
    }

    /// Queues a short task, looks at it while it runs, and again when it has ended. Returns what was asked
    /// and answered, and what is not as it should be.
    pub async fn story(&self) -> Result<(Vec<String>, Vec<String>), ClientError> {
        let queue = format!("/players/{PLAYER}/queue");
        let (mut rows, mut problems): (Vec<Line>, Vec<String>) = (Vec::new(), Vec::new());
        let enqueue = json!({"type": "enqueueTasks", "tasks": [{"taskId": "brew-potion", "kind": "brew.potion",
            "work": {"durationMs": DURATION_MS}, "rewards": {"potion": 2}}]});
        let path = format!("/players/{PLAYER}/commands");
        let answer = self.send("POST", &path, Some(&enqueue)).await?;
        let result = answer.body["results"][0]["status"].as_str().unwrap_or("nothing");
        rows.push(line("POST", &path, &answer, format!("{result}, version {}", answer.body["queue"]["version"])));
        if result != "applied" {
            problems.push(format!("the task was not queued: {}", answer.body));
        }
        let answer = self.send("GET", &queue, None).await?;
        rows.push(line("GET", &queue, &answer, task_line(&answer.body)));
        if answer.body["tasks"][0]["state"] != "active" {
            problems.push(format!("the task is not active: {}", answer.body));
        }
        let began = Instant::now();
        let ended = loop {
            let answer = self.send("GET", &queue, None).await?;
            if answer.body["recent"][0]["outcome"] == "completed" || began.elapsed() > PATIENCE {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        rows.push(line("GET", &queue, &ended, task_line(&ended.body)));
        if ended.body["balances"]["potion"] != 2 {
            problems.push(format!("the task did not complete, or not once: {}", ended.body));
        }
        Ok((table(2, &rows), problems))
    }
}

/// Where a function takes HTTP requests under `cargo lambda watch`.
pub fn url(port: u16, name: &str) -> String {
    format!("http://127.0.0.1:{port}/lambda-url/{name}")
}

fn line(method: &str, path: &str, answer: &Answer, what: String) -> Line {
    [format!("{method} {path}"), answer.status.to_string(), answer.cache.clone(), what]
}

/// What a queue says of its one task.
fn task_line(queue: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    match (&queue["tasks"][0], &queue["recent"][0]) {
        (Value::Null, Value::Null) => "no task".to_owned(),
        (Value::Null, ended) => format!(
            "{} {} at {}, {} potions",
            text(&ended["taskId"]),
            text(&ended["outcome"]),
            text(&ended["finishedAt"]),
            queue["balances"]["potion"]
        ),
        (task, _) => format!(
            "{} {}, {:.0} %, ends {}",
            text(&task["taskId"]),
            text(&task["state"]),
            task["progress"].as_f64().unwrap_or_default() * 100.0,
            text(&task["finishAt"])
        ),
    }
}
