//! `millrace perf` on the functions: the figures are those of what was sent.

use millrace_domain::Timestamp;
use millrace_servers::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use millrace_tests::{clock::ClockFile, sqs};
use serde_json::{Value, json};

use crate::support::{Server, aws::Aws, terminal::Terminal};

const DAY: &str = "2026-11-20";

fn at(time: &str) -> Timestamp {
    Timestamp::parse(&format!("{DAY}T{time}Z")).expect("a time")
}

/// Functions that read this clock.
async fn server_at(clock: &ClockFile) -> Server {
    Server::with(|builder| builder.env("MILLRACE_AUTH", "none").env("MILLRACE_CLOCK_FILE", clock.path())).await
}

/// Sends commands of which some are refused, in one request.
async fn send(server: &Server, player: &str, commands: &[Value]) {
    let lines: Vec<String> = commands.iter().map(Value::to_string).collect();
    let run = server.millrace(&["send", "-", "--player", player, "--quiet"]).input(lines.join("\n")).run().await;
    assert!(matches!(run.code, 0 | 1), "{run:?}");
}

/// The cells of a row of the table, behind its name.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let row = table.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in\n{table}"));
    row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[tokio::test]
async fn the_figures_are_those_of_the_commands() {
    let clock = ClockFile::at(at("12:00:30"));
    let server = server_at(&clock).await;
    let grant = json!({"type": "grantResources", "resources": {"gold": 1}});
    let refused = json!({"type": "cancelTask", "taskId": "none"});
    let task = json!({"type": "enqueueTasks", "tasks": [{"taskId": "t", "kind": "k", "work": {"durationMs": 1000}}]});
    send(&server, "p-1", &[grant.clone(), task]).await;
    clock.set(at("12:01:30"));
    send(&server, "p-1", &[grant.clone(), grant.clone(), grant, refused]).await;
    clock.set(at("12:03:30"));
    server.millrace(&["queue", "p-1"]).run().await.succeeded();

    let span = format!("--from={DAY}T12:00:00Z");
    let answer = server.millrace(&["perf", &span, "--step", "1", "--json"]).run().await.json();
    let totals = &answer["history"]["totals"];
    let commands = &totals["commands"];
    let counts = ["received", "applied", "duplicate", "rejected", "failed"].map(|name| commands[name].as_u64());
    assert_eq!(counts, [6, 5, 0, 1, 0].map(Some), "{totals:#}");
    assert_eq!(totals["requests"]["received"], 3, "{totals:#}");

    let table = server.millrace(&["perf", &span, "--step", "1"]).run().await.succeeded();
    let heading = format!("{DAY}T12:00:00.000Z to {DAY}T12:03:30.000Z, 1 minute a step, kept in: store");
    assert_eq!(table.lines().next(), Some(heading.as_str()));
    assert_eq!(row(&table, "commands applied"), ["5", "0", "▆█▁▁"]);
    assert_eq!(row(&table, "commands rejected"), ["1", "0", "▁█▁▁"]);
    assert_eq!(row(&table, "commands failed"), ["0", "0", "▁▁▁▁"]);
    let lateness = totals["latenessMs"]["p99"].as_f64().expect("the task was completed late");
    assert_eq!(row(&table, "lateness p99")[0], format!("{lateness:.1} ms"));
    let hit_rate = totals["cache"]["hitRate"].as_f64().expect("queues were looked up");
    assert_eq!(row(&table, "cache hit rate")[0], format!("{:.1} %", hit_rate * 100.0));
    assert!(table.ends_with("thresholds is passed\n"), "{table}");

    let part = server.millrace(&["perf", &span, "--to", &format!("{DAY}T12:00:59Z"), "--json"]).run().await.json();
    assert_eq!(part["history"]["totals"]["commands"]["applied"], 2);
    let bad = server.millrace(&["perf", "--from", "noon"]).run().await;
    bad.failed(2, &["from: `noon` is not allowed", "next:  pass a value that is allowed"]);
}

#[tokio::test]
async fn a_passed_threshold_is_shown_with_its_runbook() {
    let clock = ClockFile::at(at("12:00:30"));
    let server = server_at(&clock).await;
    let messages: Vec<_> = (0..11).map(|number| sqs::Message::new(number, "no JSON")).collect();
    server.invoke_process_tasks(sqs::standard(&messages)).await;
    clock.set(at("12:01:30"));
    let advance = server.database.function("advance-queues").env("MILLRACE_CLOCK_FILE", clock.path());
    advance.started().await.answer("{}").await;

    let table = server.millrace(&["perf"]).run().await.succeeded();
    assert_eq!(row(&table, "commands malformed")[..2], ["11", "0"]);
    let passed = row(&table, "malformed");
    assert_eq!(passed[..3], [format!("{DAY}T12:01:30.000Z"), "11".to_owned(), "10".to_owned()], "{table}");
    assert!(table.contains("docs/operations.md#malformed"), "{table}");
    let answer = server.millrace(&["perf", "--json"]).run().await.json();
    let is_passed = |threshold: &&Value| threshold["state"] == "passed";
    let passed: Vec<&Value> = answer["thresholds"].as_array().into_iter().flatten().filter(is_passed).collect();
    assert_eq!((passed.len(), &passed[0]["id"]), (1, &json!("malformed")));
}

#[tokio::test]
async fn queues_of_sqs_are_shown_with_their_depth() {
    let aws = Aws::start().await;
    let url = aws.queue("perf-commands").await;
    for body in ["1", "2"] {
        aws.send(&url, body.to_owned(), None).await;
    }
    let endpoint = aws.endpoint().to_owned();
    let queues = format!("{url},{}", url.replace("perf-commands", "perf-none"));
    let server = Server::with(|builder| {
        let builder = builder.env("MILLRACE_AUTH", "none").env("MILLRACE_MONITORED_QUEUES", &queues);
        let builder = builder.env("AWS_ENDPOINT_URL", &endpoint).env("AWS_REGION", REGION);
        builder.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    })
    .await;
    let table = server.millrace(&["perf"]).run().await.succeeded();
    assert_eq!(row(&table, "perf-commands"), ["2", "0", "0"]);
    assert_eq!(row(&table, "perf-none"), ["no_such_queue"]);
}

#[tokio::test]
async fn watched_figures_change_with_the_commands() {
    let server = Server::start().await;
    let grant = json!({"type": "grantResources", "resources": {"gold": 1}});
    server.apply("p-1", grant.clone()).await;
    let mut terminal = Terminal::start(&server.millrace(&["perf", "--watch", "--interval", "1"]));
    let applied = |count: u64| format!("{:<21}{count} ", "commands applied");
    let before = terminal.wait_for(&applied(1), 0).await;
    server.apply("p-1", json!([grant.clone(), grant])).await;
    terminal.wait_for(&applied(3), before).await;
    terminal.press("q");
    assert_eq!(terminal.ended().await, 0);
}
