//! What the functions log.

use millrace_tests::{Function, database::Database, http::Request, sqs, sqs::Message};
use serde_json::{Value, json};

/// Part of every payload, result and token. No other text has it.
const SECRET: &str = "s3cr3t";

fn lines_with_secret(function: &Function) -> Vec<String> {
    let lines = function.log().into_iter().map(|line| line.to_string());
    lines.filter(|line| line.contains(SECRET)).collect()
}

/// Random commands with secrets wherever they may be, well-formed or not.
fn random_commands(rng: &mut fastrand::Rng, count: usize) -> Vec<Value> {
    let secret = json!({"inside": [SECRET, {"deep": SECRET}]});
    let command = |rng: &mut fastrand::Rng| {
        let player = format!("p-{}", rng.u8(0..4));
        let task = format!("t-{}", rng.u8(0..6));
        match rng.u8(0..7) {
            0..=2 => json!({"type": "enqueueTasks", "playerId": player, "tasks": [
                {"taskId": task, "kind": "k", "work": {"units": 10}, "payload": secret}]}),
            3 => json!({"type": "completeTask", "playerId": player, "taskId": task, "result": secret}),
            4 => json!({"type": "enqueueTasks", "playerId": player, "tasks": [
                {"taskId": task, "kind": "k", "work": {"units": 0}, "payload": SECRET}]}),
            5 => json!({"type": "enqueueTasks", "playerId": player, "tasks": [
                {"taskId": task, "kind": "k", "work": {"units": 1}, "payload": SECRET.repeat(1_000)}]}),
            _ => json!({"type": "completeTask", "playerId": player, "taskId": task, "result": secret, "more": SECRET}),
        }
    };
    (0..count).map(|_| command(rng)).collect()
}

#[tokio::test]
async fn no_payload_result_or_token_is_logged_at_info() {
    let (database, function) = Database::with_process_tasks().await;
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    for batch in 0..10 {
        let commands = random_commands(&mut rng, 30);
        let messages: Vec<Message> =
            commands.into_iter().enumerate().map(|(n, body)| Message::new(100 * batch + n as u64, body)).collect();
        function.answer(sqs::standard(&messages)).await;
    }
    let api = database.queue_api().started().await;
    for command in random_commands(&mut rng, 30) {
        let request = Request::post("/players/p-0/commands", &json!({"commands": [command]})).trusted();
        request.header("authorization", &format!("Bearer {SECRET}")).send(&api).await;
    }
    for function in [&function, &api] {
        assert!(function.metrics().len() >= 10, "seed {seed}");
        assert_eq!(lines_with_secret(function), [""; 0], "seed {seed}");
    }
}

#[tokio::test]
async fn the_line_of_a_rejected_command_leads_to_its_message() {
    let (_database, function) = Database::with_process_tasks().await;
    let message = Message::new(1, json!({"type": "cancelTask", "playerId": "p-1", "taskId": "t", "commandId": "c-1"}));
    let answer = function.answer(sqs::standard(std::slice::from_ref(&message))).await;
    let line = function.log().into_iter().find(|line| line["message"] == "rejected").expect("a line");
    for (field, expected) in [
        ("message_id", json!(message.id())),
        ("command_id", json!("c-1")),
        ("player_id", json!("p-1")),
        ("reason", json!("unknown_task")),
        ("request_id", answer["report"]["requestId"].clone()),
    ] {
        assert_eq!(line[field], expected, "{field} of {line:#}");
    }
}

#[tokio::test]
async fn debug_logs_are_sampled_by_invocation() {
    let database = Database::new();
    let is_debug = |line: &Value| line["level"] == "DEBUG";
    for (rate, expected) in [("0", false), ("1", true)] {
        let function = database.process_tasks().env("MILLRACE_LOG_SAMPLE_RATE", rate).started().await;
        function.answer(json!({"type": "grantResources", "playerId": "p", "resources": {"gold": 1}})).await;
        assert_eq!(function.log().iter().any(is_debug), expected, "at a rate of {rate}");
    }
}
