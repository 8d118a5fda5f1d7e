//! `millrace history`, `millrace events` and `millrace rejections`.

use serde_json::{Value, json};

use crate::support::{Program, Server, terminal::Terminal};

fn unit(task: &str) -> Value {
    json!({"type": "enqueueTasks", "commandId": format!("enqueue-{task}"), "tasks": [
        {"taskId": task, "kind": "k", "work": {"units": 1}, "rewards": {"wood": 2}}]})
}

fn complete(task: &str) -> Value {
    json!({"type": "completeTask", "taskId": task, "result": {"quality": "good"}})
}

#[tokio::test]
async fn the_history_is_a_table_or_lines_of_json() {
    let server = Server::start().await;
    for name in ["t-0", "t-1", "t-2"] {
        server.apply("p-1", json!([unit(name), complete(name)])).await;
    }
    let run = server.millrace(&["history", "p-1", "--limit", "2"]).run().await;
    assert!(run.stderr.contains("there are more: add --limit 10"), "{run:?}");
    let text = run.succeeded();
    for part in ["FINISHED AT", "t-2", "completed", "wood 2", r#"{"quality":"good"}"#] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains("t-0"));
    let run = server.millrace(&["history", "p-1", "--json"]).run().await;
    let tasks: Vec<Value> = run.json_lines().iter().map(|item| item["taskId"].clone()).collect();
    assert_eq!(tasks, ["t-2", "t-1", "t-0"]);
    server.millrace(&["history", "p 1"]).run().await.failed(1, &["playerId: `p 1` is not allowed"]);
}

#[tokio::test]
async fn events_are_listed_from_a_sequence_on_and_by_type() {
    let server = Server::start().await;
    server.apply("p-1", json!([unit("a"), complete("a")])).await;
    let text = server.millrace(&["events", "p-1"]).run().await.succeeded();
    let types: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(types, ["taskQueued", "taskStarted", "taskCompleted", "queueEmptied"]);
    assert!(text.contains("a, attempt 1") && text.contains(r#"rewards {"wood":2}"#), "{text}");
    let run = server.millrace(&["events", "p-1", "--after", "2", "--type", "queueEmptied", "--json"]).run().await;
    assert_eq!(run.json_lines()[0]["sequence"], 4);
    let run = server.millrace(&["events", "p-1", "--limit", "2", "--json"]).run().await;
    assert_eq!(run.json_lines().len(), 2);
}

#[tokio::test]
async fn followed_events_appear_as_they_happen() {
    let server = Server::start().await;
    server.apply("p-1", unit("a")).await;
    let mut terminal = Terminal::start(&server.millrace(&["events", "p-1", "--follow"]));
    let before = terminal.wait_for("taskStarted", 0).await;
    server.apply("p-1", complete("a")).await;
    terminal.wait_for("queueEmptied", before).await;
    terminal.press("\u{3}");
    assert_ne!(terminal.ended().await, 0, "Ctrl-C ends the program");
    let run = server.millrace(&["events", "p-1", "--follow", "--limit", "4"]).run().await;
    assert_eq!(run.succeeded().lines().count(), 4);
}

#[tokio::test]
async fn events_that_are_gone_or_not_kept_are_explained() {
    let server = Server::start().await;
    server.apply("p-1", unit("a")).await;
    server.database.add_events("p-1", [5..=6]).await;
    let run = server.millrace(&["events", "p-1", "--after", "3"]).run().await;
    run.failed(5, &["the next event is not kept any more", "next:  leave out --after"]);
    let off = Server::with(|builder| builder.env("MILLRACE_AUTH", "none").env("MILLRACE_EVENTS", "")).await;
    off.millrace(&["events", "p-1"]).run().await.failed(5, &["keeps no events", "next:  add `table`"]);
}

#[tokio::test]
async fn rejections_are_listed_by_reason_and_id() {
    let server = Server::start().await;
    let refused = [
        json!({"type": "cancelTask", "commandId": "c-1", "taskId": "none"}),
        json!({"type": "moveToFront", "commandId": "c-2", "taskId": "none"}),
    ];
    refuse(&server, &refused).await;
    let text = server.millrace(&["rejections", "p-1"]).run().await.succeeded();
    for part in ["REASON", "c-1", "cancelTask", "unknown_task", "c-2"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let run = server.millrace(&["rejections", "p-1", "--id", "c-2", "--json"]).run().await;
    let lines = run.json_lines();
    assert_eq!((lines.len(), &lines[0]["commandId"]), (1, &json!("c-2")));
    let run = server.millrace(&["rejections", "p-1", "--reason", "malformed", "--json"]).run().await;
    assert_eq!(run.succeeded(), "");
    server.millrace(&["rejections"]).run().await.failed(2, &["<PLAYER>"]);
}

/// Sends commands past the checks of the program, as a client would.
async fn refuse(server: &Server, commands: &[Value]) {
    let input: Vec<String> = commands.iter().map(Value::to_string).collect();
    let run = server.millrace(&["send", "-", "--player", "p-1"]).input(input.join("\n")).run().await;
    run.failed(1, &[]);
}

#[tokio::test]
async fn malformed_input_is_corrected_in_an_editor_and_replayed_under_its_id() {
    let server = Server::start().await;
    server.post("p-1", r#"{"type": "grantResources", "commandId": "gift", "resources": {"gold": "five"}}"#).await;
    let as_it_is = server.millrace(&["rejections", "replay", "p-1"]).run().await;
    as_it_is.failed(2, &["resources.gold", "next:  correct it with --edit"]);
    let replay = |flags: &[&str]| {
        let arguments = [&["rejections", "replay", "p-1", "--edit"], flags].concat();
        server.millrace(&arguments).env("EDITOR", r#"sed -i s/"five"/5/"#)
    };
    let trial = replay(&["--dry-run"]).run().await;
    assert!(trial.stderr.contains("on trial:\n  gift applied"), "{trial:?}");
    assert_eq!(trial.succeeded(), "");
    assert!(server.database.queue("p-1").await.is_none());
    assert_eq!(replay(&[]).run().await.succeeded(), "1 command: 1 applied\n");
    assert_eq!(replay(&[]).run().await.succeeded(), "1 command: 1 duplicate\n", "the id is the original one");
    assert_eq!(server.database.queue("p-1").await.expect("a queue").balances.get("gold"), 5);
    let broken = server.millrace(&["rejections", "replay", "p-1", "--edit"]).env("EDITOR", "false");
    broken.run().await.failed(2, &["the editor ended with"]);
    let missing = server.millrace(&["rejections", "replay", "p-1", "--edit"]).env("EDITOR", "/nonexistent");
    missing.run().await.failed(2, &["cannot edit", "next:  set EDITOR"]);
}

#[tokio::test]
async fn a_refused_command_is_replayed_under_a_new_id_while_its_refusal_is_remembered() {
    let server = Server::start().await;
    refuse(&server, &[json!({"type": "moveToFront", "commandId": "c-1", "taskId": "a"})]).await;
    server.apply("p-1", json!([unit("x"), unit("a")])).await;
    let run = server.millrace(&["rejections", "replay", "p-1"]).run().await;
    assert!(run.stderr.contains("c-1 duplicate: unknown_task") && run.stderr.contains("add --new-ids"), "{run:?}");
    assert_eq!(run.succeeded(), "1 command: 1 duplicate\n");
    let run = server.millrace(&["rejections", "replay", "p-1", "--new-ids", "again"]).run().await;
    assert!(run.stderr.contains("c-1.again applied"), "{run:?}");
    assert_eq!(run.succeeded(), "1 command: 1 applied\n");
    let nothing = server.millrace(&["rejections", "replay", "p-1", "--id", "none"]).run().await;
    nothing.failed(5, &["no rejection of this player is selected", "millrace rejections p-1"]);
    let nowhere = ["rejections", "replay", "p-1", "--endpoint", "http://127.0.0.1:1"];
    Program::new(&nowhere).run().await.failed(3, &["does not answer"]);
}
