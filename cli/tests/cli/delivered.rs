//! Commands that `millrace send` gives to a queue or a bus, received by `process-tasks`.

use millrace_tests::sqs::{self, Message};
use serde_json::{Value, json};

use crate::support::{Server, aws::Aws};

const LINES: &str = r#"{"type": "grantResources", "playerId": "p-1", "resources": {"gold": 5}}
{"type": "grantResources", "playerId": "p-2", "commandId": "gift", "resources": {"gold": 7}}
{"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}}
"#;

async fn balance(server: &Server, player: &str) -> u64 {
    server.database.queue(player).await.expect("a queue").balances.get("gold")
}

#[tokio::test]
async fn messages_of_the_queue_take_effect_once() {
    let (aws, server) = (Aws::start().await, Server::start().await);
    let url = aws.queue("delivered-commands.fifo").await;
    let arguments = ["send", "-", "--to", "sqs", "--queue-url", &url, "--key", "k", "--json"];
    let sent = aws.millrace(&arguments).input(LINES).run().await.json();
    assert_eq!((&sent["accepted"], &sent["failed"]), (&json!(3), &json!(0)));
    let records = (1..).zip(aws.messages(&url).await);
    let records: Vec<Message> =
        records.map(|(number, message)| Message::new(number, &message.body).group(&message.group)).collect();
    for _ in 0..2 {
        server.invoke_process_tasks(sqs::fifo(&records)).await;
        assert_eq!((balance(&server, "p-1").await, balance(&server, "p-2").await), (6, 7));
    }
    let again = server.millrace(&["send", "-", "--key", "k"]).input(LINES).run().await;
    assert_eq!(again.succeeded(), "3 commands: 3 duplicate\n", "the ids are the same on all ways");
}

#[tokio::test]
async fn events_of_the_bus_take_effect() {
    let (aws, server) = (Aws::start().await, Server::start().await);
    let queue = aws.bus("delivered-bus", "TaskQueueCommand").await;
    aws.stack("millrace-delivered", &[("BusName", "delivered-bus")]).await;
    let run = aws.millrace(&["send", "-", "--to", "eventbridge", "--stage", "delivered"]).input(LINES).run().await;
    assert_eq!(run.succeeded(), "3 commands: 3 accepted\n");
    let events = aws.messages(&queue).await;
    let event: Value = serde_json::from_str(&events[0].body).expect("JSON");
    assert_eq!((&event["detail-type"], &event["source"]), (&json!("TaskQueueCommand"), &json!("millrace.cli")));
    let records: Vec<Message> = (1..).zip(&events).map(|(number, event)| Message::new(number, &event.body)).collect();
    server.invoke_process_tasks(sqs::standard(&records)).await;
    assert_eq!((balance(&server, "p-1").await, balance(&server, "p-2").await), (6, 7));
    let missing = aws.millrace(&["send", "-", "--to", "eventbridge", "--bus", "none"]).input(LINES).run().await;
    missing.failed(5, &["the event bus none does not exist", "next:  check --bus"]);
}
