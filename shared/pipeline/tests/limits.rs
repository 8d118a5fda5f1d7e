//! What one invocation takes at most of one player, and that a row never grows too large for the table.

mod support;

use millrace_pipeline::MAX_PLAYER_ITEMS;
use millrace_store::{MAX_ROW_BYTES, QueueStore};
use serde_json::{Value, json};
use support::{Process, Sent, failures, sqs, standard};

/// A standard message of this many commands without records for one player.
fn pauses(number: usize, commands: usize) -> Sent {
    const TYPES: [&str; 2] = ["pauseQueue", "resumeQueue"];
    let commands: Vec<Value> = (0..commands).map(|at| json!({"type": TYPES[at % 2], "playerId": "p"})).collect();
    standard(&format!("m{number:04}"), &json!({ "commands": commands }))
}

#[tokio::test]
async fn what_one_invocation_does_not_take_of_a_player_is_handed_back_and_comes_again() {
    const MESSAGES: usize = 235;
    let process = Process::new();
    let messages: Vec<Sent> = (0..MESSAGES).map(|number| pauses(number, 100)).collect();
    let mut left: Vec<&Sent> = messages.iter().collect();
    let mut deliveries = 0;
    while !left.is_empty() {
        deliveries += 1;
        assert!(deliveries <= MESSAGES * 100 / MAX_PLAYER_ITEMS + 1, "each takes as many as it may");
        let owned: Vec<Sent> = left.iter().map(|sent| (*sent).clone()).collect();
        let answer = process.invoke(&sqs(&owned)).await;
        let failed = failures(&answer);
        assert_eq!(answer.report.commands.applied, ((left.len() - failed.len()) * 100) as u64);
        assert!(answer.results.iter().all(|result| result.reason == Some("too_many_commands")), "{:?}", answer.results);
        let taken = left.len() - failed.len();
        assert_eq!(taken, left.len().min(MAX_PLAYER_ITEMS / 100), "whole messages, the first ones");
        left.drain(..taken);
        let player = millrace_domain::PlayerId::new("p").unwrap();
        let row = process.store.load(std::slice::from_ref(&player), &[]).await.take_queue(&player).unwrap().unwrap();
        let bytes = row.queue.len() + row.outbox.map_or(0, |outbox| outbox.len());
        assert!(bytes < MAX_ROW_BYTES / 2, "{bytes} bytes of remembered commands");
    }
    // And all of the last delivery is known.
    let last: Vec<Sent> = messages[MESSAGES - MESSAGES % (MAX_PLAYER_ITEMS / 100)..].to_vec();
    let again = process.invoke(&sqs(&last)).await;
    assert_eq!(again.report.commands.duplicate, last.len() as u64 * 100);
}
