//! Tasks that workers do. They learn of a task from the events of the player, send heartbeats and
//! complete it. One worker dies, and its task is retried.

use std::time::Duration;

use millrace_domain::{
    event::EventType,
    events::{fold::fold, published::PublishedEvent},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    client::{Client, ClientError},
    participant::Participant,
    server::ADVANCE_QUEUES,
    transcript::Transcript,
    worker::Worker,
};

/// The player of the queue.
const PLAYER: &str = "player-5001";
/// The tasks: the first is done by a worker, the worker of the second one dies.
const TASKS: [(&str, u64); 2] = [("fell-pines", 5), ("fell-oaks", 3)];
/// An attempt without a report for so long has failed. The work on the first task takes longer. It
/// is not shorter, so that the demo also works while the machine is busy.
const HEARTBEAT_MS: u64 = 3_000;
/// How often something is looked for that is due. In a deployment, a schedule does that.
const ADVANCE_EVERY: Duration = Duration::from_millis(200);

/// Runs the scene, while queues with something due are advanced.
pub async fn run_workers(client: &Client, shown: &mut Transcript) -> Result<(), ClientError> {
    tokio::select! {
        done = scene(client, shown) => done,
        error = advance_queues(client) => Err(error),
    }
}

/// Invokes `advance-queues` as a schedule does, until that fails.
async fn advance_queues(client: &Client) -> ClientError {
    loop {
        if let Err(error) = client.invoke(ADVANCE_QUEUES, "{}".into()).await {
            return error;
        }
        sleep(ADVANCE_EVERY).await;
    }
}

async fn scene(client: &Client, shown: &mut Transcript) -> Result<(), ClientError> {
    let participant = |name| Participant { name, client, player: PLAYER };
    let game = participant("game");
    let tasks = TASKS.map(|(task_id, trees)| {
        json!({"taskId": task_id, "kind": "harvest.wood", "work": {"units": 100, "heartbeatMs": HEARTBEAT_MS},
            "payload": {"trees": trees}, "rewards": {"wood": trees}, "retryDelayMs": 0})
    });
    let subject = TASKS.map(|(task_id, _)| task_id).join(", ");
    game.send(json!({"type": "enqueueTasks", "tasks": tasks}), subject, "applied", shown).await?;

    let mut worker = Worker::new(participant("worker-1"), None);
    let Some(pines) = worker.next_start(shown).await? else { return Ok(()) };
    worker.work(&pines, shown).await?;

    let mut mortal = Worker::new(participant("worker-2"), Some(1));
    mortal.skip_to(&worker);
    let Some(oaks) = mortal.next_start(shown).await? else { return Ok(()) };
    mortal.work(&oaks, shown).await?;

    worker.skip_to(&mortal);
    let Some(retry) = worker.next_start(shown).await? else { return Ok(()) };
    // What a worker sends of an attempt that is over has no effect.
    mortal.complete(&oaks, "rejected, stale_report", shown).await?;
    worker.work(&retry, shown).await?;
    check(&game, mortal.deadline.as_deref(), shown).await
}

/// Checks what the tasks, the queue and the events say at the end.
async fn check(game: &Participant<'_>, deadline: Option<&str>, shown: &mut Transcript) -> Result<(), ClientError> {
    let read = async |path: String| {
        let answer = game.client.request("GET", &format!("/players/{PLAYER}/{path}"), String::new()).await;
        answer.map(hyper::Response::into_body)
    };
    for ((task_id, trees), failures) in TASKS.into_iter().zip([&[][..], &["heartbeat_lost"]]) {
        let task = read(format!("tasks/{task_id}")).await?;
        let reasons: Vec<&str> = task["failures"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|failure| failure["reason"].as_str())
            .collect();
        let is_done = task["outcome"] == "completed" && task["result"] == json!({"wood": trees});
        shown.expect(is_done && reasons == failures, || format!("{task_id} is not as expected: {task}"));
        let outcome = task["outcome"].as_str().unwrap_or("?");
        let failed = if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") };
        shown.add("game", "reads task", format!("{task_id}: {outcome}, result {}, failures: {failed}", task["result"]));
    }
    let queue = read("queue".to_owned()).await?;
    let events = game.all_events().await?;
    check_events(&events, &queue, deadline, shown);
    Ok(())
}

/// Checks that the events add up to the queue, and that the lost attempt ended at its deadline.
fn check_events(events: &[PublishedEvent], queue: &Value, deadline: Option<&str>, shown: &mut Transcript) {
    let lost: Vec<String> = events
        .iter()
        .filter(|event| event.event_type == EventType::TaskRetried)
        .map(|event| event.at.to_string())
        .collect();
    shown.expect(deadline.is_some_and(|deadline| lost == [deadline]), || {
        format!("the heartbeat was lost at {lost:?}, and its deadline was {deadline:?}")
    });
    let folded = match fold(events) {
        Ok(folded) => folded,
        Err(error) => return shown.expect(false, || format!("the events are no queue: {error}")),
    };
    let balances = json!(folded.balances);
    let same = balances == queue["balances"] && json!(folded.totals) == queue["totals"] && folded.tasks.is_empty();
    shown.expect(same, || format!("the events add up to {folded:?}, and the queue is {queue}"));
    let wood: u64 = TASKS.iter().map(|(_, trees)| trees).sum();
    shown.expect(balances == json!({"wood": wood}), || format!("expected {wood} wood, got {balances}"));
    let outcome = format!("{} events, from which the queue is rebuilt: balances {balances}", events.len());
    shown.add("game", "reads events", outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(lines: &[&str]) -> Vec<PublishedEvent> {
        let event = |(at, line): (usize, &&str)| {
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            let head = format!(r#""eventId":"p/{0}","playerId":"p","sequence":{0},"version":1"#, at + 1);
            serde_json::from_str(&format!(r#"{{{head},"at":"2026-01-15T09:00:00.000Z","type":"{kind}"{rest}}}"#))
                .unwrap()
        };
        lines.iter().enumerate().map(event).collect()
    }

    fn problems(events: &[PublishedEvent], queue: &Value, deadline: &str) -> usize {
        let mut shown = Transcript::default();
        check_events(events, queue, Some(deadline), &mut shown);
        shown.problems.len()
    }

    #[test]
    fn events_that_do_not_add_up_to_the_queue_are_problems() {
        let queued = r#"taskQueued ,"task":{"taskId":"t","kind":"k","priority":"normal","work":{"units":8},
            "maxRetries":3,"retryDelayMs":0}"#;
        let named = r#","task":{"taskId":"t","kind":"k","attempt":1}"#;
        let retried =
            format!(r#"taskRetried {named},"reason":"heartbeat_lost","notBefore":"2026-01-15T09:00:00.000Z""#);
        let completed = format!(r#"taskCompleted {named},"rewards":{{"wood":8}},"timeSpentMs":0"#);
        let started = format!("taskStarted {named}");
        let all = events(&[queued, &started, &retried, &started, &completed]);
        let totals = json!({"completed": 1, "failed": 0, "cancelled": 0, "timeSpentMs": 0, "rewards": {"wood": 8}});
        let queue = json!({"balances": {"wood": 8}, "totals": totals});
        assert_eq!(problems(&all, &queue, "2026-01-15T09:00:00.000Z"), 0);
        assert_eq!(problems(&all, &queue, "2026-01-15T09:00:00.001Z"), 1, "another deadline");
        assert_eq!(problems(&all[1..], &queue, "2026-01-15T09:00:00.000Z"), 1, "a missing event");
        assert_eq!(problems(&all, &json!({"balances": {"wood": 9}, "totals": totals}), "2026-01-15T09:00:00.000Z"), 1);
    }
}
