//! `millrace players` and `millrace perf`, against answers as `docs/openapi.yaml` describes them.

use hyper::{Request, Response};
use millrace_tests::http_server::HttpServer;
use serde_json::{Value, json};

use crate::support::{Program, terminal::Terminal};

/// A server with two pages of players and a performance history. It answers with the query, too.
async fn server() -> HttpServer {
    HttpServer::start(|request: Request<bytes::Bytes>| async move {
        let answer = answer(request.uri().path(), request.uri().query().unwrap_or_default());
        Response::new(answer.to_string().into())
    })
    .await
}

fn answer(path: &str, query: &str) -> Value {
    let player = |id: &str| {
        json!({"playerId": id, "version": 3, "status": "running", "slots": 1, "tasks": {"active": 1, "pending": 2},
            "blockedBy": {"costs": 1, "slot": 2}, "lastChangedAt": "2026-11-28T07:00:00.000Z"})
    };
    match path {
        "/admin/players" if query.contains("cursor=") => {
            json!({"items": [{"playerId": "p-3", "errorType": "row_unreadable"}], "scanned": 1})
        }
        "/admin/players" => json!({"items": [player("p-1"), player(query)], "scanned": 2, "nextCursor": "c"}),
        "/admin/players/recent" => json!({"source": "store", "items": [player("p-9")]}),
        _ => performance(),
    }
}

fn performance() -> Value {
    let figures = |applied: u64| {
        json!({"commandsPerSecond": {"received": 1.5}, "commands": {"applied": applied, "rejected": 1, "failed": 0},
            "requests": {"received": 4}, "processingTimeMs": {"commands": {"p50": 2.0, "p99": 9.5}, "reads": null},
            "cache": {"hitRate": 0.875}, "commits": {"conflicts": 0}, "latenessMs": null, "events": {"published": 7},
            "residentBytes": {"max": 52_000_000}, "estimatedCost": 12.5})
    };
    let point = |minute: u64, applied: u64| {
        let mut point = figures(applied);
        point["at"] = format!("2026-11-28T07:{minute:02}:00.000Z").into();
        point
    };
    json!({
        "asOf": "2026-11-28T07:03:00.000Z",
        "history": {"source": "redis", "from": "2026-11-28T07:00:00.000Z", "to": "2026-11-28T07:03:00.000Z",
            "stepMinutes": 1, "totals": figures(12), "series": [point(0, 0), point(1, 4), point(2, 8)]},
        "queues": [{"name": "commands.fifo", "depth": {"waiting": 5, "inFlight": 1, "delayed": 0}, "reason": null},
            {"name": "ticks", "depth": null, "reason": "access_denied"}],
        "thresholds": [{"id": "lateness", "state": "passed", "since": "2026-11-28T06:00:00.000Z", "value": 99, "limit": 50,
            "meaning": "timed work is completed late", "runbook": "#lateness"}, {"id": "errors", "state": "ok"}],
    })
}

async fn run(arguments: &[&str]) -> crate::support::Finished {
    let server = server().await;
    Program::new(arguments).env("MILLRACE_ENDPOINT", &format!("http://{}", server.address)).run().await
}

#[tokio::test]
async fn players_are_listed_from_as_many_pages_as_needed() {
    let text = run(&["players"]).await.succeeded();
    for part in ["PLAYER", "p-1", "costs 1, slot 2", "2026-11-28T07:00:00.000Z", "row_unreadable"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let first = run(&["players", "--limit", "2"]).await;
    assert!(first.stderr.contains("there are more"), "{first:?}");
    let recent = run(&["players", "--recent", "--json"]).await;
    assert_eq!(recent.json_lines()[0]["playerId"], "p-9");
}

#[tokio::test]
async fn filters_are_passed_on() {
    let filters = ["--status", "paused", "--blocked-by", "notBefore", "--prefix", "p|"];
    let run = run(&[&["players", "--json", "--limit", "2"], &filters[..]].concat()).await;
    let query = run.json_lines()[1]["playerId"].clone();
    assert_eq!(query, "limit=2&status=paused&blockedBy=notBefore&prefix=p%7C");
    Program::new(&["players", "--status", "asleep"]).run().await.failed(2, &["invalid value 'asleep'"]);
    Program::new(&["players", "--recent", "--prefix", "p"]).run().await.failed(2, &["cannot be used with"]);
}

#[tokio::test]
async fn the_history_has_sparklines_queues_and_passed_thresholds() {
    let text = run(&["perf"]).await.succeeded();
    for part in [
        "1 minutes a step, kept in: redis",
        "commands applied",
        "▁▅█",
        "87.5 %",
        "9.5 ms",
        "52.0 MB",
        "0.000013 $",
        "commands.fifo",
        "access_denied",
        "timed work is completed late",
        "docs/operations.md, #lateness",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert_eq!(run(&["perf", "--json"]).await.json()["history"]["totals"]["commands"]["applied"], 12);
}

#[tokio::test]
async fn the_history_is_watched_on_a_terminal() {
    let server = server().await;
    let program = Program::new(&["perf", "--watch"]).env("MILLRACE_ENDPOINT", &format!("http://{}", server.address));
    let mut terminal = Terminal::start(&program);
    terminal.wait_for("▁▅█", 0).await;
    terminal.press("q");
    assert_eq!(terminal.ended().await, 0);
    Program::new(&["perf", "--watch", "--endpoint", "http://127.0.0.1:1"]).run().await.failed(2, &["needs a terminal"]);
    Program::new(&["perf", "--endpoint", "http://127.0.0.1:1"]).run().await.failed(3, &["does not answer"]);
}
