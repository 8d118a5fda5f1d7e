//! A timed task over HTTP, from its command to its completion.

use std::time::{Duration, Instant};

use hyper::Response;
use serde_json::{Value, json};

use crate::{
    client::{Client, ClientError},
    text::table,
};

/// The player of the queue.
const PLAYER: &str = "player-4001";
/// How long the task takes.
const DURATION_MS: u64 = 1_500;
/// How long the completion may take.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(20);
/// A request and its response: request, status, cache, content.
type Line = [String; 4];

/// Enqueues a short task, reads the queue while it runs, and again after its completion.
/// Returns the requests with their responses, and the problems found.
pub async fn run_task(client: &Client) -> Result<(Vec<String>, Vec<String>), ClientError> {
    let queue = format!("/players/{PLAYER}/queue");
    let header = ["request", "status", "X-Cache", "response"].map(str::to_owned);
    let (mut rows, mut problems): (Vec<Line>, Vec<String>) = (vec![header], Vec::new());
    let enqueue = json!({"type": "enqueueTasks", "tasks": [{"taskId": "brew-potion", "kind": "brew.potion",
        "work": {"durationMs": DURATION_MS}, "rewards": {"potion": 2}}]});
    let path = format!("/players/{PLAYER}/commands");
    let answer = client.request("POST", &path, enqueue.to_string()).await?;
    let result = answer.body()["results"][0]["status"].as_str().unwrap_or("no result");
    rows.push(line("POST", &path, &answer, format!("{result}, version {}", answer.body()["queue"]["version"])));
    if result != "applied" {
        problems.push(format!("the task was not enqueued: {}", answer.body()));
    }
    let answer = client.request("GET", &queue, String::new()).await?;
    rows.push(line("GET", &queue, &answer, task_line(answer.body())));
    if answer.body()["tasks"][0]["state"] != "active" {
        problems.push(format!("the task is not active: {}", answer.body()));
    }
    let began = Instant::now();
    let completed = loop {
        let answer = client.request("GET", &queue, String::new()).await?;
        if answer.body()["recent"][0]["outcome"] == "completed" || began.elapsed() > COMPLETION_TIMEOUT {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    rows.push(line("GET", &queue, &completed, task_line(completed.body())));
    if completed.body()["balances"]["potion"] != 2 {
        problems.push(format!("the task was not completed exactly once: {}", completed.body()));
    }
    Ok((table(2, &rows), problems))
}

fn line(method: &str, path: &str, answer: &Response<Value>, what: String) -> Line {
    let cache = answer.headers().get("x-cache").and_then(|value| value.to_str().ok()).unwrap_or("-");
    [format!("{method} {path}"), answer.status().as_str().to_owned(), cache.to_owned(), what]
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
