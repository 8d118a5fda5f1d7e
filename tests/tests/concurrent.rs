//! Several processes use one database and the same players. Every command takes effect once.

use std::collections::VecDeque;

use millrace_tests::{
    Function,
    answers::{counts, failures},
    database::Database,
    sqs::{self, Message},
};
use serde_json::json;

const PROCESSES: u64 = 4;
const PLAYERS: u64 = 5;
const BATCHES: u64 = 25;
const PER_BATCH: u64 = 10;

/// Delivers the messages of one process in batches, until all are acknowledged. Messages that are
/// handed back are delivered again. Returns the numbers of applied commands and version conflicts.
async fn deliver(function: &Function, process: u64) -> (u64, u64) {
    let mut waiting: VecDeque<Message> = (0..BATCHES * PER_BATCH)
        .map(|number| {
            let player = format!("p-{}", number % PLAYERS);
            // Each process grants its own resource, so that a sum shows a lost or repeated command.
            let resources = json!({"gold": 1, format!("from-{process}"): number});
            Message::new(
                process * 1_000_000 + number,
                json!({"type": "grantResources", "playerId": player, "resources": resources}),
            )
        })
        .collect();
    let (mut applied, mut conflicts, mut rounds) = (0, 0, 0);
    while !waiting.is_empty() {
        let batch: Vec<Message> = waiting.drain(..waiting.len().min(PER_BATCH as usize)).collect();
        let answer = function.answer(sqs::standard(&batch)).await;
        let failed = failures(&answer);
        waiting.extend(batch.into_iter().filter(|message| failed.contains(&message.id().as_str())));
        applied += counts(&answer).applied;
        conflicts += answer["report"]["commits"]["conflicts"].as_u64().expect("a count");
        rounds += 1;
        assert!(rounds < 20 * BATCHES, "the processes make no progress");
    }
    (applied, conflicts)
}

#[tokio::test]
async fn commands_of_four_concurrent_processes_are_each_applied_once() {
    let database = Database::new();
    let mut functions = Vec::new();
    for _ in 0..PROCESSES {
        functions.push(database.process_tasks().started().await);
    }
    let [a, b, c, d] = functions.as_slice() else { panic!("four processes") };
    let done = tokio::join!(deliver(a, 0), deliver(b, 1), deliver(c, 2), deliver(d, 3));
    let done = [done.0, done.1, done.2, done.3];
    assert_eq!(done.map(|(applied, _)| applied), [BATCHES * PER_BATCH; 4], "each command is applied once");
    let conflicts: u64 = done.iter().map(|(_, conflicts)| conflicts).sum();
    assert!(conflicts > 0, "no version conflict occurred, so nothing was tested");
    let per_player = BATCHES * PER_BATCH / PLAYERS;
    for player in 0..PLAYERS {
        let queue = database.queue(&format!("p-{player}")).await.expect("a queue");
        assert_eq!(queue.balances.get("gold"), PROCESSES * per_player, "p-{player}");
        let expected: u64 = (0..per_player).map(|n| n * PLAYERS + player).sum();
        for process in 0..PROCESSES {
            assert_eq!(queue.balances.get(&format!("from-{process}")), expected, "p-{player} from process {process}");
        }
    }
}

#[tokio::test]
async fn messages_delivered_to_four_processes_at_once_take_effect_once() {
    let database = Database::new();
    let mut functions = Vec::new();
    for _ in 0..PROCESSES {
        functions.push(database.process_tasks().started().await);
    }
    let [a, b, c, d] = functions.as_slice() else { panic!("four processes") };
    let mut applied = 0;
    for batch in 0..20 {
        let messages: Vec<Message> = (0..PLAYERS)
            .map(|player| {
                let task = json!({"taskId": format!("t-{batch}"), "kind": "k", "work": {"durationMs": 1}, "rewards": {"gold": 2}});
                let body = json!({"type": "enqueueTasks", "playerId": format!("p-{player}"), "tasks": [task]});
                Message::new(1000 * batch + player, body)
            })
            .collect();
        let payload = sqs::standard(&messages);
        let answers = tokio::join!(a.invoke(&payload), b.invoke(&payload), c.invoke(&payload), d.invoke(&payload));
        for answer in [answers.0, answers.1, answers.2, answers.3] {
            let answer = answer.unwrap_or_else(|error| panic!("{error}"));
            let counts = counts(&answer);
            assert_eq!(counts.rejected, 0, "{answer:#}");
            applied += counts.applied;
        }
    }
    assert_eq!(applied, 20 * PLAYERS, "each message is applied by one process");
    let players: Vec<String> = (0..PLAYERS).map(|player| format!("p-{player}")).collect();
    a.answer(json!({"type": "advanceQueues", "playerIds": players})).await;
    for player in &players {
        let queue = database.queue(player).await.expect("a queue");
        assert_eq!((queue.balances.get("gold"), queue.totals.completed), (40, 20), "{player}");
        assert_eq!(database.history(player).await.len(), 20, "{player}");
    }
}
