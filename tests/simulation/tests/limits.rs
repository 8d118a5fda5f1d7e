//! The limits that keep a queue row below the row size limit.

use millrace_domain::{PlayerId, queue::MAX_TOTALLED_RESOURCES};
use millrace_pipeline::MAX_PLAYER_ITEMS;
use millrace_simulation::{
    Options, Process, START_MS, SqsMessage,
    destination::{FakeDestination, publishing_to},
    failed_message_ids, sqs_payload, standard_message,
};
use millrace_store::{MAX_ROW_BYTES, PageOrder, QueueStore, RecordStore};
use serde_json::{Map, Value, json};

/// A standard message with `commands` commands for one player. They cause no records.
fn pause_and_resume(number: usize, commands: usize) -> SqsMessage {
    const TYPES: [&str; 2] = ["pauseQueue", "resumeQueue"];
    let commands: Vec<Value> = (0..commands).map(|index| json!({"type": TYPES[index % 2], "playerId": "p"})).collect();
    standard_message(&format!("m{number:04}"), &json!({ "commands": commands }))
}

/// The bytes of a player's queue and outbox.
async fn row_bytes(process: &Process, player: &str) -> usize {
    let player = PlayerId::new(player).unwrap();
    let row = process.store.load(std::slice::from_ref(&player), &[], &[]).await.take_queue(&player).unwrap().unwrap();
    row.queue.len() + row.outbox.map_or(0, |outbox| outbox.len())
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
        let bytes = row_bytes(&process, "p").await;
        assert!(bytes < MAX_ROW_BYTES / 2, "{bytes} bytes of remembered commands");
    }
    // A redelivery of the last batch contains duplicates only.
    let last_batch: Vec<SqsMessage> = messages[MESSAGES - MESSAGES % (MAX_PLAYER_ITEMS / 100)..].to_vec();
    let again = process.invoke(&sqs_payload(&last_batch)).await;
    assert_eq!(again.report.commands.duplicate, last_batch.len() as u64 * 100);
}

/// Amounts of 1 of the resources `from` to `to - 1`, with names of 64 characters.
fn long_names(from: usize, to: usize) -> Map<String, Value> {
    (from..to).map(|n| (format!("resource-{n:055}"), json!(1))).collect()
}

/// A task with the longest id that costs and rewards the same 20 resources, which the player holds.
fn long_task(n: usize, work: &Value) -> Value {
    json!({"taskId": format!("task-{n:0123}"), "kind": "k".repeat(64), "work": work,
        "costs": long_names(0, 20), "rewards": long_names(0, 20)})
}

/// A player whose balances, totals and finished tasks take all the room that they may take.
async fn player_at_all_limits(process: &Process) -> String {
    let player = "p".repeat(128);
    let mut sent = 0;
    let mut send = async |command: Value| {
        sent += 1;
        let message = SqsMessage { sent_at: START_MS + 10 * sent, ..standard_message(&format!("s{sent}"), &command) };
        process.advance_clock(10);
        let answer = process.invoke(&sqs_payload(&[message])).await;
        answer.results.first().map(|result| result.reason.unwrap_or_default())
    };
    let configure = json!({"type": "configureQueue", "playerId": player, "maxTasks": 200, "slots": 10});
    assert_eq!(send(configure).await, None);
    for n in 0..64 {
        let mut task = long_task(n, &json!({"durationMs": 1}));
        (task["costs"], task["rewards"]) = (json!({}), json!(long_names(4 * n, 4 * n + 4)));
        assert_eq!(send(json!({"type": "enqueueTasks", "playerId": player, "tasks": [task]})).await, None);
    }
    let mut granted = 256;
    loop {
        let resources = long_names(granted, granted + 20);
        match send(json!({"type": "grantResources", "playerId": player, "resources": resources})).await {
            None => granted += 20,
            Some(reason) => {
                assert_eq!(reason, "too_many_resources");
                break;
            }
        }
    }
    let many = long_names(0, 20).into_iter().map(|(name, _)| (name, json!(1_000_000))).collect::<Map<_, _>>();
    assert_eq!(send(json!({"type": "grantResources", "playerId": player, "resources": many})).await, None);
    let queue = process.queue(&player);
    assert!(queue.balances.len() > 900, "{} balances", queue.balances.len());
    assert_eq!((queue.totals.rewards.len(), queue.finished_tasks.len()), (MAX_TOTALLED_RESOURCES, 64));
    player
}

/// Queues long tasks until no more fit, in one batch with as many commands as an invocation takes.
fn fill_with_tasks(player: &str, round: usize, work: &Value, last: &Value) -> Value {
    let mut commands: Vec<Value> = (0..MAX_PLAYER_ITEMS - 200)
        .map(|_| json!({"type": "configureQueue", "playerId": player, "slots": 10}))
        .collect();
    for n in 0..90 {
        let task = long_task(1_000 * round + n, work);
        commands.push(json!({"type": "enqueueTasks", "playerId": player, "tasks": [task]}));
    }
    commands.push(last.clone());
    let message = |(n, commands): (usize, &[Value])| {
        standard_message(&format!("f{round}-{n:04}"), &json!({"commands": commands}))
    };
    sqs_payload(&commands.chunks(100).enumerate().map(message).collect::<Vec<_>>())
}

/// Publishes all events, and writes them to the events table. The store refuses rows that are too
/// large for DynamoDB.
fn with_events() -> Options {
    Options { publishing: Some(publishing_to(&[FakeDestination::unordered()], true)), ..Options::default() }
}

/// A process that publishes no events, and one that publishes all.
fn processes() -> [Process; 2] {
    [Process::new(), Process::new().start_another(with_events())]
}

/// The bytes of the events in a player's newest row of the events table.
async fn newest_events_bytes(process: &Process, player: &str) -> usize {
    let player = PlayerId::new(player).unwrap();
    let newest = process.store.events(&player, PageOrder::NewestFirst, 1, None).await.unwrap();
    newest.items[0].events.iter().map(|event| event.json.len()).sum()
}

#[tokio::test]
async fn the_largest_queue_fits_a_row_before_and_after_its_tasks_end() {
    for process in processes() {
        let player = player_at_all_limits(&process).await;
        let clear = json!({"type": "clearQueue", "playerId": player});
        let pause = json!({"type": "pauseQueue", "playerId": player});
        for (round, last) in [(1, pause), (2, clear)] {
            let answer = process.invoke(&fill_with_tasks(&player, round, &json!({"units": 5}), &last)).await;
            assert_eq!(answer.report.commands.failed, 0);
            let refused = answer.results.iter().filter(|result| result.reason == Some("queue_too_large")).count();
            assert!((1..=90).contains(&refused), "{refused} tasks did not fit");
            let bytes = row_bytes(&process, &player).await;
            assert!((140_000..MAX_ROW_BYTES - 10_000).contains(&bytes), "{bytes} bytes");
        }
    }
}

/// A queue row and a row of events are largest right after one command that queues as much as fits.
#[tokio::test]
async fn tasks_that_are_queued_by_one_command_fit_a_row_with_their_events() {
    let process = Process::new().start_another(with_events());
    let player = player_at_all_limits(&process).await;
    let mut largest = 0;
    for count in (5..50).rev() {
        let tasks: Vec<Value> = (0..count)
            .map(|n| {
                let mut task = long_task(1_000 * count + n, &json!({"units": 5}));
                task["payload"] = json!("x".repeat(4_094));
                task
            })
            .collect();
        let command = json!({"type": "enqueueTasks", "playerId": player, "tasks": tasks});
        let answer = process.invoke(&sqs_payload(&[standard_message(&format!("n{count}"), &command)])).await;
        if answer.report.commands.applied == 1 {
            largest = count;
            break;
        }
        assert_eq!(answer.results[0].reason, Some("queue_too_large"));
    }
    assert!(largest > 5, "{largest} tasks fit");
    let bytes = row_bytes(&process, &player).await;
    assert!((250_000..MAX_ROW_BYTES - 10_000).contains(&bytes), "{bytes} bytes with {largest} tasks");
    let bytes = newest_events_bytes(&process, &player).await;
    assert!((70_000..MAX_ROW_BYTES / 2).contains(&bytes), "{bytes} bytes of events of {largest} tasks");
}

#[tokio::test]
async fn tasks_that_end_by_time_leave_room_for_as_many_new_ones() {
    for process in processes() {
        check_tasks_that_end_by_time(&process).await;
    }
}

async fn check_tasks_that_end_by_time(process: &Process) {
    let player = player_at_all_limits(process).await;
    let resume = json!({"type": "resumeQueue", "playerId": player});
    let answer = process.invoke(&fill_with_tasks(&player, 1, &json!({"durationMs": 1}), &resume)).await;
    assert_eq!(answer.report.commands.failed, 0);
    process.advance_clock(86_400_000);
    let sent_at = process.clock.load(std::sync::atomic::Ordering::Relaxed);
    let before = process.queue(&player);
    assert!(before.tasks.len() > 20, "{} tasks", before.tasks.len());
    let tasks: Vec<Value> = (0..15).map(|n| long_task(9_000 + n, &json!({"units": 5}))).collect();
    let command = json!({"type": "enqueueTasks", "playerId": player, "tasks": tasks});
    let answer = process.invoke(&sqs_payload(&[SqsMessage { sent_at, ..standard_message("new", &command) }])).await;
    let commits = answer.report.commits.committed;
    assert_eq!(answer.report.commands.applied, 1);
    assert!((2..10).contains(&commits), "the time takes commits before that of the command: {commits}");
    let after = process.queue(&player);
    assert_eq!((after.tasks.len(), after.version), (15, before.version + commits));
    assert_eq!(after.totals.completed, before.totals.completed + before.tasks.len() as u64);
    let bytes = row_bytes(process, &player).await;
    assert!(bytes < MAX_ROW_BYTES - 10_000, "{bytes} bytes");
}
