//! `millrace explain`.

use serde_json::json;

use crate::support::{Program, Server};

const FILE: &str = r#"{"type": "grantResources", "resources": {"gold": 5}}
{"type": "enqueueTasks", "commandId": "build", "tasks": [{"taskId": "tower", "kind": "build.tower", "work": {"durationMs": 60000}, "costs": {"gold": 3}}]}
{"type": "cancelTask", "taskId": "wall"}
{"type": "enqueueTasks", "tasks": []}
"#;

#[tokio::test]
async fn each_command_is_explained_on_an_empty_queue_without_a_server() {
    let run = Program::new(&["explain", "-", "--player", "p-1"]).input(FILE).run().await;
    assert!(run.stderr.contains("nothing was sent"), "{run:?}");
    let text = run.failed(1, &[]);
    for part in [
        "line 2  p-1     queues 1 task: tower (1 min 0 s)",
        "taskQueued, taskStarted",
        "rejected: unknown_task",
        "is malformed",
        "0 tasks",
        "balances: gold 2",
        "build.tower",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[tokio::test]
async fn the_explanation_is_json_too() {
    let good: String = FILE.lines().take(2).map(|line| format!("{line}\n")).collect();
    let document = Program::new(&["explain", "-", "--player", "p-1", "--json"]).input(good).run().await.json();
    assert_eq!(document["commands"][1]["events"], json!(["taskQueued", "taskStarted"]));
    assert_eq!(
        (&document["commands"][1]["status"], &document["commands"][1]["commandId"]),
        (&json!("applied"), &json!("build"))
    );
    assert_eq!(document["queues"][0]["balances"]["gold"], 2);
}

#[tokio::test]
async fn commands_are_tried_on_the_present_queue_and_change_nothing() {
    let server = Server::start().await;
    server
        .apply(
            "p-1",
            json!([
                {"type": "grantResources", "resources": {"gold": 5}},
                {"type": "enqueueTasks", "tasks": [{"taskId": "tower", "kind": "k", "work": {"units": 1}}]},
            ]),
        )
        .await;
    for _ in 0..2 {
        let run = server.millrace(&["explain", "-", "--player", "p-1", "--current"]).input(FILE).run().await;
        let text = run.failed(1, &["nothing was sent: 4 commands applied on trial to the present queues"]);
        for part in ["rejected: duplicate_task", "balances: gold 10", "rejected: malformed"] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
    let queue = server.millrace(&["queue", "p-1", "--json"]).run().await.json();
    assert_eq!(queue["balances"]["gold"], 5);
    let nowhere = ["explain", "-", "--player", "p-1", "--current", "--endpoint", "http://127.0.0.1:1"];
    Program::new(&nowhere).input(FILE).run().await.failed(3, &["does not answer"]);
    let many: String = (0..101).map(|_| "{\"type\": \"pauseQueue\"}\n").collect();
    let run = server.millrace(&["explain", "-", "--player", "p-1", "--current"]).input(many).run().await;
    run.failed(2, &["p-1 has 101 commands", "next:  split the file"]);
}
