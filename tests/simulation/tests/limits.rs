//! The limit of items per player and invocation. It keeps a queue row below the row size limit.

use millrace_pipeline::MAX_PLAYER_ITEMS;
use millrace_simulation::{Process, SqsMessage, failed_message_ids, sqs_payload, standard_message};
use millrace_store::{MAX_ROW_BYTES, QueueStore};
use serde_json::{Value, json};

/// A standard message with `commands` commands for one player. They cause no records.
fn pause_and_resume(number: usize, commands: usize) -> SqsMessage {
    const TYPES: [&str; 2] = ["pauseQueue", "resumeQueue"];
    let commands: Vec<Value> = (0..commands).map(|index| json!({"type": TYPES[index % 2], "playerId": "p"})).collect();
    standard_message(&format!("m{number:04}"), &json!({ "commands": commands }))
}

#[tokio::test]
async fn messages_above_the_player_limit_are_redelivered_and_applied_later() {
    const MESSAGES: usize = 235;
    let process = Process::new();
    let messages: Vec<SqsMessage> = (0..MESSAGES).map(|number| pause_and_resume(number, 100)).collect();
    let mut remaining: Vec<&SqsMessage> = messages.iter().collect();
    let mut deliveries = 0;
    while !remaining.is_empty() {
        deliveries += 1;
        assert!(
            deliveries <= MESSAGES * 100 / MAX_PLAYER_ITEMS + 1,
            "each delivery applies as many messages as the limit allows"
        );
        let delivered: Vec<SqsMessage> = remaining.iter().map(|sent| (*sent).clone()).collect();
        let answer = process.invoke(&sqs_payload(&delivered)).await;
        let failed = failed_message_ids(&answer);
        assert_eq!(answer.report.commands.applied, ((remaining.len() - failed.len()) * 100) as u64);
        assert!(answer.results.iter().all(|result| result.reason == Some("too_many_commands")), "{:?}", answer.results);
        let applied = remaining.len() - failed.len();
        assert_eq!(
            applied,
            remaining.len().min(MAX_PLAYER_ITEMS / 100),
            "the first messages are applied, each as a whole"
        );
        remaining.drain(..applied);
        let player = millrace_domain::PlayerId::new("p").unwrap();
        let row = process.store.load(std::slice::from_ref(&player), &[]).await.take_queue(&player).unwrap().unwrap();
        let bytes = row.queue.len() + row.outbox.map_or(0, |outbox| outbox.len());
        assert!(bytes < MAX_ROW_BYTES / 2, "{bytes} bytes of remembered commands");
    }
    // A redelivery of the last batch contains duplicates only.
    let last_batch: Vec<SqsMessage> = messages[MESSAGES - MESSAGES % (MAX_PLAYER_ITEMS / 100)..].to_vec();
    let again = process.invoke(&sqs_payload(&last_batch)).await;
    assert_eq!(again.report.commands.duplicate, last_batch.len() as u64 * 100);
}
