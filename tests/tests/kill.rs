//! A thousand random commands are delivered while the process is killed in the middle of
//! invocations. The result equals that of a run without kills.

use std::{collections::BTreeMap, time::Duration};

use fastrand::Rng;
use millrace_domain::{
    Queue, Resources, Timestamp,
    record::{HistoryRecord, RejectionRecord},
    task::Outcome,
};
use millrace_tests::{
    Function,
    answers::failures,
    database::Database,
    sqs::{self, Message},
};
use serde_json::{Value, json};

const COMMANDS: u64 = 1_000;
const PLAYERS: usize = 5;
const MIN_KILLS: usize = 30;
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];
const RESOURCES: [&str; 4] = ["gold", "wood", "stone", "fame"];

fn player(at: usize) -> String {
    format!("p-{at}")
}

/// A random command of the player `at`. Later commands guess the ids of its tasks.
fn command(rng: &mut Rng, enqueued: &mut [u32; PLAYERS], at: usize) -> Value {
    let player_id = player(at);
    let guess = |rng: &mut Rng, enqueued: u32| format!("t-{}", rng.u32(enqueued.saturating_sub(4)..=enqueued));
    let amounts = |rng: &mut Rng, most: usize| -> BTreeMap<&str, u64> {
        (0..rng.usize(0..=most)).map(|_| (RESOURCES[rng.usize(0..RESOURCES.len())], rng.u64(0..20))).collect()
    };
    let task_id = guess(rng, enqueued[at]);
    let mut command = match rng.u32(0..100) {
        0..30 => {
            let tasks: Vec<Value> = (0..rng.u32(1..=3))
                .map(|_| {
                    enqueued[at] += 1;
                    let work = match rng.bool() {
                        true => json!({"durationMs": rng.u64(1..8_000)}),
                        false => json!({"units": rng.u64(1..60)}),
                    };
                    let mut task = json!({
                        "taskId": format!("t-{}", enqueued[at]), "kind": "k", "work": work,
                        "priority": PRIORITIES[rng.usize(0..4)],
                        "costs": amounts(rng, 2), "rewards": amounts(rng, 3),
                        "maxRetries": rng.u32(0..3), "retryDelayMs": rng.u64(0..2_000),
                    });
                    if rng.u32(0..4) == 0 {
                        task["prerequisites"] = json!([format!("t-{}", rng.u32(0..enqueued[at]))]);
                    }
                    task
                })
                .collect();
            json!({"type": "enqueueTasks", "tasks": tasks})
        }
        30..65 => json!({"type": "reportProgress", "taskId": task_id, "unitsDone": rng.u64(0..70)}),
        65..72 => json!({"type": "failTask", "taskId": task_id, "reason": "bad luck"}),
        72..76 => json!({"type": "cancelTask", "taskId": task_id}),
        76..80 => json!({"type": "setPriority", "taskId": task_id, "priority": "high"}),
        80..83 => json!({"type": "moveToFront", "taskId": task_id}),
        83..86 => json!({"type": "pauseQueue"}),
        86..91 => json!({"type": "resumeQueue"}),
        91 => json!({"type": "clearQueue"}),
        92..98 => json!({"type": "grantResources", "resources": amounts(rng, 4)}),
        _ => json!({"type": "configureQueue", "slots": rng.u32(3..=10)}),
    };
    command["playerId"] = player_id.into();
    command
}

/// The commands as FIFO messages, sent within about twenty minutes. The group is the player.
fn messages(seed: u64) -> Vec<Message> {
    let mut rng = Rng::with_seed(seed);
    let mut enqueued = [0; PLAYERS];
    let mut begun = [false; PLAYERS];
    let mut sent_at = sqs::START_MS;
    (1..=COMMANDS)
        .map(|number| {
            sent_at += rng.u64(0..2_500);
            let at = rng.usize(0..PLAYERS);
            // The first message of a player grants resources and slots.
            let body = match std::mem::replace(&mut begun[at], true) {
                false => json!({"commands": [
                    {"type": "grantResources", "playerId": player(at), "resources": RESOURCES.map(|name| (name, 300)).into_iter().collect::<BTreeMap<_, _>>()},
                    {"type": "configureQueue", "playerId": player(at), "slots": 6},
                ]}),
                true => command(&mut rng, &mut enqueued, at),
            };
            Message::new(number, body).group(&player(at)).sent_at(Timestamp::from_millis(sent_at))
        })
        .collect()
}

/// Invokes the function, and kills it after `kill_after` if it has not answered by then. None if
/// the function was killed before it answered.
async fn invoke(function: &Function, payload: &Value, kill_after: Option<Duration>) -> Option<Value> {
    let call = function.invoke(payload);
    let Some(after) = kill_after else {
        return Some(call.await.unwrap_or_else(|error| panic!("{error}")));
    };
    tokio::pin!(call);
    tokio::select! {
        biased;
        answer = &mut call => Some(answer.unwrap_or_else(|error| panic!("{error}"))),
        () = tokio::time::sleep(after) => {
            function.kill().await;
            // The function may have answered before it was killed.
            call.await.ok()
        }
    }
}

/// Delivers all messages until they are acknowledged, and then a tick. With `kills`, the process is
/// killed at random moments. Returns the number of kills that left an invocation without an answer.
async fn deliver(database: &Database, messages: &[Message], mut kills: Option<Rng>) -> usize {
    let players: Vec<String> = (0..PLAYERS).map(player).collect();
    let tick = json!({"type": "advanceQueues", "playerIds": players});
    let mut function = database.process_tasks().started().await;
    let mut killed = 0;
    // The average duration of an invocation. Kills are spread over this time.
    let mut usual = Duration::from_millis(20);
    for batch in messages.chunks(10) {
        let mut waiting = batch.to_vec();
        let mut attempts = 0;
        while !waiting.is_empty() {
            attempts += 1;
            assert!(attempts < 50, "the batch is never acknowledged");
            for message in &mut waiting {
                *message = message.clone().received(attempts);
            }
            let payload = sqs::fifo(&waiting);
            // Three of five attempts are killed, among the first three attempts of a batch.
            let kill_after = match &mut kills {
                Some(rng) if attempts < 4 => (rng.u32(0..5) < 3).then(|| usual.mul_f64(1.3 * rng.f64())),
                _ => None,
            };
            let begun = std::time::Instant::now();
            let answer = invoke(&function, &payload, kill_after).await;
            match &answer {
                Some(answer) => {
                    usual = (usual + begun.elapsed()) / 2;
                    let failed = failures(answer);
                    waiting.retain(|message| failed.contains(&message.id().as_str()));
                }
                None => killed += 1,
            }
            if !function.is_running() {
                function = database.process_tasks().started().await;
            }
        }
    }
    function.answer(&tick).await;
    killed
}

/// The state of a player that kills must not change.
#[derive(Debug, PartialEq)]
struct PlayerState {
    balances: Resources,
    totals: millrace_domain::queue::Totals,
    unfinished: Vec<millrace_domain::Task>,
    history: Vec<HistoryRecord>,
    rejections: Vec<RejectionRecord>,
}

async fn player_state(database: &Database, id: &str) -> (Queue, PlayerState) {
    let queue = database.queue(id).await.expect("a queue");
    let state = PlayerState {
        balances: queue.balances.clone(),
        totals: queue.totals.clone(),
        unfinished: queue.tasks.clone(),
        history: database.history(id).await,
        rejections: database.rejections(id).await,
    };
    (queue, state)
}

#[tokio::test]
async fn thirty_kills_do_not_change_the_result_of_a_thousand_commands() {
    let messages = messages(0x6d69_6c6c);
    let (undisturbed, killed) = (Database::new(), Database::new());
    assert_eq!(deliver(&undisturbed, &messages, None).await, 0);
    let kills = deliver(&killed, &messages, Some(Rng::with_seed(7))).await;
    assert!(kills >= MIN_KILLS, "killed only {kills} times in the middle of an invocation");
    let (mut finished, mut refused) = (0, 0);
    for id in (0..PLAYERS).map(player) {
        let (_, expected) = player_state(&undisturbed, &id).await;
        let (queue, found) = player_state(&killed, &id).await;
        assert_eq!(found, expected, "{id} after {kills} kills");
        // The rewards that were credited are exactly those of the completed tasks in the history.
        let mut earned = Resources::new();
        for row in found.history.iter().filter(|row| row.outcome == Outcome::Completed) {
            earned.add_all(&row.rewards);
        }
        assert_eq!(earned, queue.totals.rewards, "{id}");
        let ended = queue.totals.completed + queue.totals.failed + queue.totals.cancelled;
        assert_eq!(found.history.len() as u64, ended, "{id}: one row for each finished task");
        finished += found.history.len();
        refused += found.rejections.len();
    }
    assert!(finished > 200, "the commands have finished only {finished} tasks");
    assert!(refused > 50, "only {refused} were refused");
}
