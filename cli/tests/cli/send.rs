//! `millrace send`.

use serde_json::{Value, json};

use crate::support::{PLAYER_TOKEN, Program, Server, TOKEN, aws::Aws};

const LINES: &str = r#"{"type": "grantResources", "playerId": "p-1", "commandId": "gift", "resources": {"gold": 5}}
{"type": "enqueueTasks", "playerId": "p-2", "commandId": "wall", "tasks": [{"taskId": "w", "kind": "k", "work": {"units": 2}}]}
{"type": "cancelTask", "playerId": "p-1", "commandId": "none", "taskId": "missing"}
"#;

#[tokio::test]
async fn lines_from_standard_input_are_applied_and_summarized() {
    let server = Server::start().await;
    let run = server.millrace(&["send", "-"]).input(LINES).run().await;
    let text = run.failed(1, &[]);
    for part in ["PLAYER", "p-1", "unknown_task", "3 commands: 2 applied, 1 rejected"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let again = server.millrace(&["send", "-", "--json"]).input(LINES).run().await;
    let summary: Value = serde_json::from_str(&again.failed(0, &[])).expect("JSON");
    assert_eq!((&summary["duplicate"], &summary["applied"], &summary["sent"]), (&json!(3), &json!(0), &json!(3)));
    assert_eq!(server.database.queue("p-1").await.expect("a queue").balances.get("gold"), 5);
}

#[tokio::test]
async fn flags_make_commands_too_and_a_key_makes_them_take_effect_once() {
    let server = Server::start().await;
    let grant = r#"{"type": "grantResources", "resources": {"gold": 1}}"#;
    let arguments = ["send", "--player", "p-1", "--command", grant, "--command", grant];
    let first = server.millrace(&arguments).run().await;
    assert!(first.stderr.contains("add --key cli-"), "{first:?}");
    assert_eq!(first.succeeded(), "2 commands: 2 applied\n");
    for expected in ["2 commands: 2 applied\n", "2 commands: 2 duplicate\n"] {
        let run = server.millrace(&[&arguments[..], &["--key", "k"]].concat()).run().await;
        assert_eq!(run.stderr, "");
        assert_eq!(run.succeeded(), expected);
    }
    assert_eq!(server.database.queue("p-1").await.expect("a queue").balances.get("gold"), 4);
    let bad = server.millrace(&[&arguments[..], &["--key", "a b"]].concat()).run().await;
    bad.failed(2, &["--key: `a b` is not allowed"]);
}

#[tokio::test]
async fn the_commands_of_a_player_keep_their_order_in_several_requests() {
    let server = Server::start().await;
    let lines: Vec<String> = (0..250)
        .flat_map(|n| {
            ["a", "b"].map(|player| {
                json!({"type": "configureQueue", "playerId": player, "commandId": format!("{player}-{n}"), "maxTasks": 1 + n % 200})
                    .to_string()
            })
        })
        .collect();
    let run = server.millrace(&["send", "-", "--to", "function"]).input(lines.join("\n")).run().await;
    assert_eq!(run.succeeded(), "500 commands: 500 applied\n");
    for player in ["a", "b"] {
        assert_eq!(server.database.queue(player).await.expect("a queue").max_tasks, 50);
    }
}

#[tokio::test]
async fn malformed_input_stops_everything_before_the_first_command() {
    let server = Server::start().await;
    let input = format!("{LINES}{{\"type\": \"fly\", \"playerId\": \"p\"}}\n");
    let run = server.millrace(&["send", "-"]).input(input).run().await;
    run.failed(2, &["-: line 4: type: unknown type `fly`", "nothing is sent", "next:  correct the input"]);
    assert!(server.database.queue("p-1").await.is_none(), "nothing was sent");
    server.millrace(&["send", "-"]).input("").run().await.failed(2, &["there are no commands"]);
    server.millrace(&["send", "/nonexistent"]).run().await.failed(2, &["cannot read /nonexistent"]);
    server.millrace(&["send"]).run().await.failed(2, &["<FILE>"]);
}

#[tokio::test]
async fn missing_rights_and_servers_are_named() {
    let server = Server::with(|builder| builder).await;
    server.millrace(&["send", "-"]).input(LINES).run().await.failed(4, &["401"]);
    let run = server.millrace(&["send", "-", "--token", PLAYER_TOKEN]).input(LINES).run().await;
    run.failed(4, &["403", "send the same input again"]);
    server.millrace(&["send", "-", "--token", TOKEN]).input(LINES).run().await.failed(1, &[]);
    let nowhere = ["send", "-", "--endpoint", "http://127.0.0.1:1"];
    Program::new(&nowhere).input(LINES).run().await.failed(3, &["does not answer"]);
    let sqs = Program::new(&["send", "-", "--to", "sqs"]).input(LINES).run().await;
    sqs.failed(2, &["without --stage, the output CommandsQueueUrl", "next:  pass --stage"]);
}

#[tokio::test]
async fn a_fifo_queue_gets_the_player_as_the_group() {
    let aws = Aws::start().await;
    let url = aws.queue("commands.fifo").await;
    let send = || aws.millrace(&["send", "-", "--to", "sqs", "--queue-url", &url]).input(LINES);
    assert_eq!(send().run().await.succeeded(), "3 commands: 3 accepted\n");
    // The same content within five minutes is dropped by the queue.
    assert_eq!(send().run().await.succeeded(), "3 commands: 3 accepted\n");
    let mut messages = aws.messages(&url).await;
    messages.sort_by_key(|message| message.group.clone());
    let groups: Vec<&str> = messages.iter().map(|message| message.group.as_str()).collect();
    assert_eq!(groups, ["p-1", "p-2"]);
    let body: Value = serde_json::from_str(&messages[0].body).expect("JSON");
    assert_eq!(
        (&body["commands"][0]["commandId"], &body["commands"][1]["commandId"]),
        (&json!("gift"), &json!("none"))
    );
    let missing = aws.millrace(&["send", "-", "--to", "sqs", "--queue-url", &format!("{url}-none")]).input(LINES);
    missing.run().await.failed(5, &["cannot send to the queue", "next:  check --stage"]);
}

#[tokio::test]
async fn an_event_bus_takes_commands() {
    let aws = Aws::start().await;
    let run = aws.millrace(&["send", "-", "--to", "eventbridge", "--bus", "default"]).input(LINES).run().await;
    assert_eq!(run.succeeded(), "3 commands: 3 accepted\n");
}

#[tokio::test]
async fn a_stage_names_the_queue_by_the_outputs_of_its_stack() {
    let aws = Aws::start().await;
    let url = aws.queue("stage-commands.fifo").await;
    aws.stack("millrace-dev", &[("CommandsQueueUrl", &url)]).await;
    let run = aws.millrace(&["send", "-", "--to", "sqs", "--stage", "dev"]).input(LINES).run().await;
    assert_eq!(run.succeeded(), "3 commands: 3 accepted\n");
    let unknown = aws.millrace(&["send", "-", "--to", "sqs", "--stage", "none"]).input(LINES).run().await;
    unknown.failed(5, &["millrace-none", "next:  check --stage"]);
    let bus = aws.millrace(&["send", "-", "--to", "eventbridge", "--stage", "dev"]).input(LINES).run().await;
    bus.failed(5, &["the stack millrace-dev has no output BusName"]);
}
