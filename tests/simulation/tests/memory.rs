//! What a queue remembers of commands, by sender and by FIFO queue, and what late reports cost.

use millrace_domain::{PlayerId, Sender, record::Table};
use millrace_simulation::{
    Process, SqsMessage, enqueue_task, fifo_message, grant_gold, invocation, report_progress, sqs_payload,
};
use serde_json::{Value, json};

fn player() -> PlayerId {
    PlayerId::new("p").unwrap()
}

fn named(id: &str, mut command: Value) -> Value {
    command["commandId"] = id.into();
    command
}

/// The statuses of commands that the player sends with its own token.
async fn send_as_player(process: &Process, commands: &[Value]) -> Vec<&'static str> {
    let commands = json!({ "commands": commands });
    let answer = process.apply_commands_of(Sender::Player, &player(), &commands, &invocation(10)).await;
    answer.results.iter().map(|result| result.status).collect()
}

#[tokio::test]
async fn commands_of_the_player_displace_no_command_of_the_server() {
    let process = Process::new();
    process.send("m0", &named("server-1", grant_gold("p", 1))).await;
    for round in 0..3 {
        let command =
            |n: usize| json!({"type": (["pauseQueue", "resumeQueue"][n % 2]), "commandId": format!("{round}-{n}")});
        let commands: Vec<Value> = (0..50).map(command).collect();
        assert_eq!(send_as_player(&process, &commands).await, ["applied"; 50]);
    }
    let again = process.send("m1", &named("server-1", grant_gold("p", 1))).await;
    assert_eq!(again.report.commands.duplicate, 1);
    assert_eq!(process.queue("p").balances.get("gold"), 1);
    let last: Vec<Value> = (0..50).map(|n| json!({"type": "pauseQueue", "commandId": format!("2-{n}")})).collect();
    assert_eq!(send_as_player(&process, &last).await, ["duplicate"; 50], "a request is remembered as a whole");
}

#[tokio::test]
async fn the_player_cannot_use_up_an_id_of_the_server() {
    let process = Process::new();
    let resume = json!({"type": "resumeQueue", "commandId": "reward-1"});
    assert_eq!(send_as_player(&process, std::slice::from_ref(&resume)).await, ["applied"]);
    let reward = process.send("m0", &named("reward-1", grant_gold("p", 7))).await;
    assert_eq!(reward.report.commands.applied, 1);
    assert_eq!(send_as_player(&process, &[resume]).await, ["duplicate"]);
    // A caller with a scope is a trusted sender.
    let command = named("reward-1", grant_gold("p", 7));
    let answer = process.apply_commands(&player(), &command, &invocation(10)).await;
    assert_eq!(answer.results[0].status, "duplicate");
    assert_eq!(process.queue("p").balances.get("gold"), 7);
}

#[tokio::test]
async fn each_fifo_queue_has_its_own_sequence_numbers() {
    let process = Process::new();
    let message = |queue, sequence, id: &str| SqsMessage {
        fifo_queue: queue,
        ..fifo_message(id, "p", sequence, &grant_gold("p", 1))
    };
    let first = sqs_payload(&[message("commands", 900, "m0"), message("purchases", 5, "m1")]);
    assert_eq!(process.invoke(&first).await.report.commands.applied, 2, "a lower number of another queue is new");
    let passed = sqs_payload(&[message("commands", 899, "m2"), message("purchases", 5, "m3")]);
    assert_eq!(process.invoke(&passed).await.report.commands.duplicate, 2);
    let next = sqs_payload(&[message("purchases", 6, "m4"), message("commands", 901, "m5")]);
    assert_eq!(process.invoke(&next).await.report.commands.applied, 2);
    assert_eq!(process.queue("p").balances.get("gold"), 4);
}

#[tokio::test]
async fn late_reports_for_a_completed_task_cost_no_write() {
    let process = Process::new();
    process.send("m0", &enqueue_task("p", "t", json!({"units": 4}))).await;
    process.send("m1", &report_progress("p", "t", 4)).await;
    let version = process.version("p");
    for n in 0..20 {
        process.advance_clock(10);
        let late = process.send(&format!("late-{n}"), &report_progress("p", "t", n % 6)).await.report;
        assert_eq!((late.commands.applied, late.commits.calls, late.writes.calls), (1, 0, 0));
        assert_eq!(late.loads.calls, 1, "that the task has completed is checked with the table");
    }
    assert_eq!((process.version("p"), process.store.records(Table::Rejections).len()), (version, 0));
    let refused = process.send("m2", &report_progress("p", "other", 4)).await;
    assert_eq!(refused.results[0].reason, Some("unknown_task"));
}
