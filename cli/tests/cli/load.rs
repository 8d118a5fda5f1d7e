//! `millrace load`.

use serde_json::{Value, json};

use crate::support::{Program, Server, aws::Aws};

#[tokio::test]
async fn every_command_takes_effect_once_and_the_books_balance() {
    let server = Server::start().await;
    let run = server.millrace(&["load", "--players", "5", "--concurrency", "3", "--run", "game", "--json"]).run().await;
    assert!(run.stderr.contains("the books are checked"), "{run:?}");
    let report = run.json();
    assert_eq!(
        report["commands"],
        json!({"sent": 100, "applied": 100, "accepted": 0, "duplicate": 0, "rejected": 0, "failed": 0})
    );
    assert_eq!(report["books"], json!({"balanced": 5, "unbalanced": 0, "wrong": []}));
    assert!(report["requestMs"]["p99"].as_f64() > Some(0.0) && report["hitRate"].as_f64() > Some(0.5), "{report}");
    // The same run again changes nothing: the ids of its commands are known.
    let table = server.millrace(&["load", "--players", "5", "--run", "game", "--quiet"]).run().await.succeeded();
    for part in ["100: 100 duplicate", "p50 / p95 / p99 / max", "commands a second", "5 players balanced, 0 not"] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
}

#[tokio::test]
async fn books_that_do_not_balance_are_found() {
    let server = Server::start().await;
    server.apply("game-00001", json!({"type": "grantResources", "resources": {"gold": 1}})).await;
    let run = server.millrace(&["load", "--players", "2", "--run", "game"]).run().await;
    let text = run.failed(1, &["the books do not balance"]);
    assert!(text.contains("1 player balanced, 1 not") && text.contains("game-00001 has fame 1, gold 100"), "{text}");
}

#[tokio::test]
async fn a_rate_limits_the_commands() {
    let server = Server::start().await;
    let run = server.millrace(&["load", "--players", "2", "--rate", "50", "--json"]).run().await;
    let report: Value = run.json();
    assert!(report["commandsPerSecond"].as_f64() < Some(55.0), "{report}");
}

#[tokio::test]
async fn a_queue_is_loaded_with_one_message_for_each_command() {
    let (aws, server) = (Aws::start().await, Server::start().await);
    let url = aws.queue("load-commands.fifo").await;
    let arguments =
        ["load", "--players", "2", "--to", "sqs", "--queue-url", &url, "--patience", "0", "--run", "q", "--json"];
    let run = aws.millrace(&arguments).env("MILLRACE_ENDPOINT", &server.url()).run().await;
    let report: Value = serde_json::from_str(&run.failed(1, &["the books do not balance"])).expect("JSON");
    assert_eq!(report["commands"]["accepted"], 40);
    assert_eq!(report["books"]["wrong"][0].as_str().map(|text| text.ends_with("has no queue")), Some(true));
    assert_eq!(aws.count(&url).await, 40);
}

#[tokio::test]
async fn failures_name_the_next_step() {
    Program::new(&["load", "--endpoint", "http://127.0.0.1:1"]).run().await.failed(3, &["does not answer"]);
    Program::new(&["load", "--run", "a b"]).run().await.failed(2, &["use other characters in --run"]);
    let server = Server::with(|builder| builder).await;
    server.millrace(&["load", "--players", "1"]).run().await.failed(4, &["401"]);
}
