//! Every event file is delivered several times. Later deliveries change no row.

use millrace_tests::{
    answers::{Counts, counts, failures},
    database::Database,
    event_files,
};

/// The counts of the first delivery of a file.
fn expected_counts(name: &str) -> Counts {
    let (applied, rejected, malformed) = match name {
        "01-sqs-commands-fifo.json" => (11, 0, 0),
        "02-sqs-progress-standard.json" => (16, 0, 0),
        "03-player-session.json" => (14, 0, 0),
        "04-sqs-malformed-and-rejected.json" => (2, 7, 6),
        "05-eventbridge-command.json" => (1, 0, 0),
        "06-tick.json" => (0, 0, 0),
        "07-direct-commands.json" => (3, 0, 0),
        other => panic!("the counts of {other} are missing here"),
    };
    Counts { received: applied + rejected + malformed, applied, rejected, malformed, ..Counts::default() }
}

#[tokio::test]
async fn redelivered_events_change_no_row() {
    let database = Database::new();
    let mut function = database.process_tasks().started().await;
    for file in event_files::all() {
        let answer = function.invoke(&file.json).await.unwrap_or_else(|error| panic!("{}: {error}", file.name));
        assert_eq!(counts(&answer), expected_counts(&file.name), "{}: {answer:#}", file.name);
        assert_eq!(failures(&answer), [""; 0], "{}", file.name);
    }
    let before = database.dump();
    assert!(before.len() > 30, "{} rows", before.len());
    // Delivered again in order, in reverse order, and to a new process with an empty cache.
    let mut again = event_files::all();
    for round in 0..3 {
        for file in &again {
            let answer = function.invoke(&file.json).await.unwrap_or_else(|error| panic!("{}: {error}", file.name));
            let first = expected_counts(&file.name);
            let second = Counts { duplicate: first.applied + first.rejected, applied: 0, rejected: 0, ..first };
            assert_eq!(counts(&answer), second, "{} in round {round}: {answer:#}", file.name);
            assert_eq!(failures(&answer), [""; 0], "{}", file.name);
        }
        assert_eq!(database.dump(), before, "round {round} has changed a table");
        again.reverse();
        if round == 1 {
            function.kill().await;
            function = database.process_tasks().started().await;
        }
    }
}

#[tokio::test]
async fn the_event_files_lead_to_the_documented_queues() {
    let (database, function) = Database::with_process_tasks().await;
    for file in event_files::all() {
        function.invoke(&file.json).await.unwrap_or_else(|error| panic!("{}: {error}", file.name));
    }
    let queue = database.queue("player-2001").await.expect("a queue");
    let balances = ["defense", "fame", "gold", "maps", "stone", "tools", "wood"].map(|name| queue.balances.get(name));
    assert_eq!(balances, [10, 5, 140, 1, 20, 2, 40]);
    assert_eq!((queue.totals.completed, queue.totals.failed, queue.totals.cancelled), (5, 1, 2));
    let history = database.history("player-2001").await;
    let finished: Vec<String> = history
        .iter()
        .map(|row| format!("{} {} {}", &row.finished_at.to_string()[11..19], row.task_id, row.outcome.as_str()))
        .collect();
    assert_eq!(
        finished,
        [
            "10:01:30 quarry-stone completed",
            "10:02:02 forge-tools completed",
            "10:08:45 scout-north completed",
            "10:10:00 dig-moat cancelled",
            "10:10:00 scout-south failed",
            "10:10:00 map-south cancelled",
            "10:17:02 build-wall completed",
            "13:00:00 festival completed",
        ]
    );
    // Rewards of completed tasks are credited, and costs of started tasks are deducted.
    let harvest = database.queue("player-1001").await.expect("a queue");
    assert_eq!((harvest.balances.get("wheat"), harvest.balances.get("gold")), (120, 110));
    let sawmill = database.queue("player-1002").await.expect("a queue");
    assert_eq!((sawmill.tasks.len(), sawmill.tasks[0].units_done), (1, 210));
}
