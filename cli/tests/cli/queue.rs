//! `millrace queue`.

use serde_json::json;

use crate::support::{PLAYER_TOKEN, Program, Server, TOKEN, terminal::Terminal};

fn tower() -> serde_json::Value {
    json!([
        {"type": "grantResources", "resources": {"gold": 5}},
        {"type": "enqueueTasks", "tasks": [
            {"taskId": "tower", "kind": "build.tower", "work": {"units": 4}, "costs": {"gold": 3}},
            {"taskId": "wall", "kind": "build.wall", "work": {"durationMs": 60000}, "prerequisites": ["tower"],
             "costs": {"gold": 9}}]},
        {"type": "reportProgress", "taskId": "tower", "unitsDone": 1},
    ])
}

#[tokio::test]
async fn a_queue_is_a_table_with_bars_and_the_reasons_for_waiting() {
    let server = Server::start().await;
    server.apply("p-1", tower()).await;
    let shown = server.millrace(&["queue", "p-1"]).run().await.succeeded();
    for part in [
        "p-1  running  version ",
        "1 of 1 slot in use, 2 tasks of at most 50",
        "balances: gold 2",
        "ended:    0 completed, 0 failed, 0 cancelled; rewards: none",
        "TASK",
        "█████░░░░░░░░░░░░░░░  25 %",
        "1 unit reported",
        "prerequisites are not completed",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no escape codes outside of a terminal");
    let queue = server.millrace(&["queue", "p-1", "--json"]).run().await.json();
    assert_eq!((&queue["playerId"], &queue["tasks"][0]["unitsDone"]), (&json!("p-1"), &json!(1)));
}

#[tokio::test]
async fn a_watched_queue_shows_changes_until_q() {
    let server = Server::start().await;
    server.apply("p-1", tower()).await;
    let mut terminal = Terminal::start(&server.millrace(&["queue", "p-1", "--watch"]));
    terminal.wait_for("25 %", 0).await;
    let before = terminal.wait_for("q ends this view", 0).await;
    server.apply("p-1", json!({"type": "reportProgress", "taskId": "tower", "unitsDone": 3})).await;
    terminal.wait_for("75 %", before).await;
    terminal.press("q");
    assert_eq!(terminal.ended().await, 0);
    let text = terminal.text();
    assert!(text.contains("\u{1b}[?1049h") && text.contains("\u{1b}[?1049l"), "the screen is restored");
    assert!(text.contains("\u{1b}[?25h"), "the cursor is shown again");

    let mut terminal = Terminal::start(&server.millrace(&["queue", "p-1", "--watch"]));
    terminal.wait_for("75 %", 0).await;
    terminal.press("\u{3}");
    assert_eq!(terminal.ended().await, 0, "Ctrl-C leaves too");
}

#[tokio::test]
async fn a_watched_queue_survives_a_server_that_goes_away() {
    let server = Server::start().await;
    server.apply("p-1", tower()).await;
    let mut terminal = Terminal::start(&server.millrace(&["queue", "p-1", "--watch"]));
    terminal.wait_for("25 %", 0).await;
    drop(server);
    terminal.wait_for("last attempt failed: error: http://127.0.0.1", 0).await;
    terminal.press("q");
    assert_eq!(terminal.ended().await, 0);
}

#[tokio::test]
async fn watching_needs_a_terminal_and_a_queue() {
    let server = Server::start().await;
    let watch = server.millrace(&["queue", "p-1", "--watch"]).run().await;
    watch.failed(2, &["--watch needs a terminal", "next:  add --json"]);
    let mut terminal = Terminal::start(&server.millrace(&["queue", "p-1", "--watch"]));
    terminal.wait_for("next:  check the id", 0).await;
    assert_eq!(terminal.ended().await, 5);
}

#[tokio::test]
async fn failures_have_their_exit_codes_and_name_the_next_step() {
    let server = Server::with(|builder| builder).await;
    let queue = || server.millrace(&["queue", "p-1"]);
    queue().run().await.failed(4, &["401", "next:  pass a token with --token"]);
    let own = queue().env("MILLRACE_TOKEN", PLAYER_TOKEN).run().await;
    own.failed(5, &["404 Not Found: no queue of `p-1` exists", "next:  check the id"]);
    let other = server.millrace(&["queue", "p-2", "--token", PLAYER_TOKEN]).run().await;
    other.failed(4, &["millrace/admin", "next:  use a token with this scope"]);
    let bad = server.millrace(&["queue", "a b", "--token", TOKEN]).run().await;
    bad.failed(1, &["400", "playerId: `a b` is not allowed"]);
    let unreachable = Program::new(&["queue", "p-1", "--endpoint", "http://127.0.0.1:1"]).run().await;
    unreachable.failed(3, &["http://127.0.0.1:1 does not answer", "next:  check --endpoint"]);
    for endpoint in ["ftp://host", "localhost:9000", "nonsense"] {
        let wrong = Program::new(&["queue", "p-1", "--endpoint", endpoint]).run().await;
        wrong.failed(2, &["--endpoint: `", "next:  pass the URL"]);
    }
}
