//! What a queue remembers of commands and tasks.

use millrace_tests::{
    Function,
    answers::{counts, result},
    database::Database,
    http::Request,
    sqs::{self, Message},
};
use serde_json::{Value, json};

use crate::{apply, enqueue_units, grant};

fn named(id: &str, mut command: Value) -> Value {
    command["commandId"] = id.into();
    command
}

/// The player's own commands over HTTP, with its own token.
async fn by_player(api: &Function, player: &str, commands: &[Value]) -> Value {
    let request = Request::post(&format!("/players/{player}/commands"), &json!({"commands": commands}));
    request.token(player, &[]).send(api).await.expect(200)
}

/// From a game whose players press pause and resume while the server repeats a command.
#[tokio::test]
async fn commands_of_the_player_push_out_no_command_of_the_server() {
    let (database, function) = Database::with_process_tasks().await;
    let api = database.queue_api().started().await;
    let command = named("server-1", grant("p-1"));
    apply(&function, command.clone()).await;
    for round in 0..3 {
        let commands: Vec<Value> = (0..50)
            .map(|n| json!({"type": if n % 2 == 0 { "pauseQueue" } else { "resumeQueue" }, "commandId": format!("{round}-{n}")}))
            .collect();
        let answer = by_player(&api, "p-1", &commands).await;
        assert_eq!(answer["report"]["commands"]["applied"], 50, "{answer:#}");
    }
    let answer = function.answer(command).await;
    assert_eq!(result(&answer, "server-1")["status"], "duplicate");
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 1);
    // The last 32 commands of the player are remembered too, and the last 96 of the server.
    let last: Vec<Value> = (18..50).map(|n| json!({"type": "pauseQueue", "commandId": format!("2-{n}")})).collect();
    let answer = by_player(&api, "p-1", &last).await;
    assert_eq!(answer["report"]["commands"]["duplicate"], 32, "{answer:#}");
    let others: Vec<Message> =
        (1..=95).map(|number| Message::new(number, named(&format!("other-{number}"), grant("p-1")))).collect();
    for other in others {
        apply(&function, sqs::standard(&[other])).await;
    }
    let answer = function.answer(named("server-1", grant("p-1"))).await;
    assert_eq!(counts(&answer).duplicate, 1, "{answer:#}");
}

/// From a player that guesses the id of the server's next command.
#[tokio::test]
async fn the_player_cannot_take_the_id_of_a_command_of_the_server() {
    let (database, function) = Database::with_process_tasks().await;
    let api = database.queue_api().started().await;
    apply(&function, named("reward-1", grant("p-1"))).await;
    let taken = by_player(&api, "p-1", &[json!({"type": "resumeQueue", "commandId": "reward-2"})]).await;
    assert_eq!(taken["results"][0]["status"], "applied");
    let answer = function.answer(named("reward-2", grant("p-1"))).await;
    assert_eq!(result(&answer, "reward-2")["status"], "applied");
    // Nor does a command of the server stop one of the player.
    let own = by_player(&api, "p-1", &[json!({"type": "pauseQueue", "commandId": "reward-1"})]).await;
    assert_eq!(own["results"][0]["status"], "applied");
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 2);
}

/// From a deployment with a queue for each kind of command, and from one that moved to a new queue.
#[tokio::test]
async fn each_fifo_queue_has_its_own_sequence_numbers() {
    let (database, function) = Database::with_process_tasks().await;
    let from = |queue: &str, number: u64| {
        // The number of the message decides its sequence number.
        sqs::fifo_of(
            &format!("{queue}.fifo"),
            &[Message::new(number, named(&format!("{queue}-{number}"), grant("p-1"))).group("p-1")],
        )
    };
    for (queue, number) in [("a", 900), ("b", 10), ("c", 500), ("d", 1), ("b", 11), ("a", 901), ("d", 2)] {
        apply(&function, from(queue, number)).await;
    }
    // Enough commands that no id is remembered.
    for number in 1_000..1_100 {
        apply(&function, from("a", number)).await;
    }
    for (queue, number) in [("a", 900), ("b", 10), ("c", 500), ("d", 1), ("b", 11), ("d", 2), ("c", 499)] {
        let answer = function.answer(from(queue, number)).await;
        assert_eq!(counts(&answer).duplicate, 1, "{queue} {number}: {answer:#}");
    }
    assert_eq!(database.queue("p-1").await.expect("a queue").balances.get("gold"), 107);
}

/// From a game that names its tasks after buildings, so that a new attempt has the same name.
#[tokio::test]
async fn the_id_of_a_failed_or_cancelled_task_can_be_used_again() {
    let (database, function) = Database::with_process_tasks().await;
    let fail = |retry: usize| json!({"type": "failTask", "playerId": "p-1", "taskId": "barracks", "reason": format!("r-{retry}")});
    let cancel = json!({"type": "cancelTask", "playerId": "p-1", "taskId": "barracks"});
    apply(&function, json!({"commands": [enqueue_units("p-1", "barracks", 4), fail(1), fail(2)]})).await;
    apply(&function, json!({"commands": [enqueue_units("p-1", "barracks", 4), cancel]})).await;
    apply(&function, enqueue_units("p-1", "barracks", 4)).await;
    let complete = json!({"type": "reportProgress", "playerId": "p-1", "taskId": "barracks", "unitsDone": 4});
    apply(&function, complete).await;
    let totals = database.queue("p-1").await.expect("a queue").totals;
    assert_eq!((totals.failed, totals.cancelled, totals.completed), (1, 1, 1));
    assert_eq!(database.history("p-1").await.len(), 3);
    // A completed task keeps its id as long as it is remembered.
    let answer = function.answer(named("c-1", enqueue_units("p-1", "barracks", 4))).await;
    assert_eq!(result(&answer, "c-1")["reason"], "duplicate_task");
}
