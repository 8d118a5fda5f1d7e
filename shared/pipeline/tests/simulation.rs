//! A seeded simulation: several processes, a store that fails in every way it can, crashes at any
//! moment, and messages delivered again until they are acknowledged. At the end everything must be as
//! if nothing had ever gone wrong.
//!
//! Time is tokio's paused clock and the simulation's own, randomness is seeded: a failure repeats under
//! its seed, which the message names.

mod support;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use millrace_domain::record::Table;
use millrace_pipeline::{Invocation, ServiceSettings};
use millrace_store::{
    StoreError,
    memory::{Fault, MemoryStore, Operation},
};
use serde_json::{Value, json};
use support::{BEGIN, Options, Process, Sent, sqs};
use tokio::time::Instant;

const PLAYERS: usize = 4;
const PROCESSES: usize = 3;
const COMMANDS: usize = 300;

/// Random commands over few tasks, so that they meet: in the order in which they are sent.
fn commands(rng: &mut Rng) -> Vec<(String, u64, Value)> {
    let mut sent_at = BEGIN;
    (0..COMMANDS)
        .map(|_| {
            sent_at += rng.u64(1..400);
            let player = format!("p{}", rng.usize(0..PLAYERS));
            let task = format!("t{}", rng.u32(0..12));
            let other = format!("t{}", rng.u32(0..12));
            let body = match rng.u32(0..20) {
                0..6 => {
                    let work = if rng.bool() {
                        json!({"durationMs": rng.u64(1..2_000)})
                    } else {
                        json!({"units": rng.u64(1..50)})
                    };
                    let prerequisites = if rng.u32(0..4) == 0 { vec![other] } else { vec![] };
                    json!({"type": "enqueueTasks", "playerId": player, "tasks": [{
                        "taskId": task, "kind": "k", "work": work, "prerequisites": prerequisites,
                        "costs": {"gold": rng.u64(0..3)}, "rewards": {"gold": rng.u64(0..5), "wood": 1},
                        "maxRetries": rng.u32(0..2), "retryDelayMs": rng.u32(0..300)}]})
                }
                6..11 => {
                    json!({"type": "reportProgress", "playerId": player, "taskId": task, "unitsDone": rng.u64(0..60)})
                }
                11 => json!({"type": "failTask", "playerId": player, "taskId": task, "reason": "simulated"}),
                12 => json!({"type": "cancelTask", "playerId": player, "taskId": task}),
                13 => json!({"type": "setPriority", "playerId": player, "taskId": task, "priority": "high"}),
                14 => json!({"type": "moveToFront", "playerId": player, "taskId": task}),
                15 => json!({"type": "pauseQueue", "playerId": player}),
                16 | 17 => json!({"type": "resumeQueue", "playerId": player}),
                18 => json!({"type": "grantResources", "playerId": player, "resources": {"gold": rng.u64(0..20)}}),
                _ => json!({"type": "configureQueue", "playerId": player, "slots": rng.u32(1..4)}),
            };
            (player, sent_at, body)
        })
        .collect()
}

/// A FIFO queue as SQS keeps it: groups are blocked while a batch of theirs is out.
struct FifoQueue {
    groups: BTreeMap<String, VecDeque<Sent>>,
    out: Vec<String>,
}

impl FifoQueue {
    fn new(commands: &[(String, u64, Value)]) -> Self {
        let mut groups: BTreeMap<String, VecDeque<Sent>> = BTreeMap::new();
        for (n, (player, sent_at, body)) in commands.iter().enumerate() {
            let sent = Sent {
                id: format!("m-{n}"),
                body: body.to_string(),
                sent_at: *sent_at,
                fifo: Some((player.clone(), 1_000 + n as u64)),
            };
            groups.entry(player.clone()).or_default().push_back(sent);
        }
        Self { groups, out: Vec::new() }
    }

    fn is_done(&self) -> bool {
        self.groups.values().all(VecDeque::is_empty) && self.out.is_empty()
    }

    /// Up to ten messages of groups that are not out.
    fn receive(&mut self, rng: &mut Rng) -> Vec<Sent> {
        let mut batch = Vec::new();
        for (group, messages) in &self.groups {
            if self.out.contains(group) || messages.is_empty() || rng.u32(0..3) == 0 {
                continue;
            }
            let count = rng.usize(1..=5).min(10 - batch.len());
            if count > 0 {
                self.out.push(group.clone());
                batch.extend(messages.iter().take(count).cloned());
            }
        }
        batch
    }

    /// Deletes what was acknowledged and lets the groups go on.
    fn settle(&mut self, batch: &[Sent], acknowledged: &dyn Fn(&str) -> bool) {
        for sent in batch {
            let Some((group, _)) = &sent.fifo else { continue };
            self.out.retain(|out| out != group);
            if acknowledged(&sent.id) {
                let messages = self.groups.get_mut(group).expect("the group is known");
                // SQS deletes by receipt; order within the group is what this checks.
                assert_eq!(messages.front().map(|front| &front.id), Some(&sent.id), "acknowledged out of order");
                messages.pop_front();
            }
        }
    }
}

/// Something goes wrong with about every fifth operation.
fn faults(rng: Arc<Mutex<Rng>>) -> millrace_store::memory::Faults {
    Arc::new(move |operation: &Operation<'_>| {
        let mut rng = rng.lock().unwrap();
        let throttled = StoreError::Throttled { table: "simulated".to_owned() };
        match (rng.u32(0..25), operation) {
            (0, _) => Fault::Error(throttled),
            (1, Operation::Commit { .. }) => Fault::Conflict,
            (2, Operation::Commit { .. } | Operation::Write { .. }) => Fault::FailAfterEffect(throttled),
            (3, Operation::Write { keys, .. }) => Fault::Unprocessed((0..keys.len()).filter(|_| rng.bool()).collect()),
            (4, Operation::Write { .. }) => Fault::Error(StoreError::AccessDenied { detail: "simulated".to_owned() }),
            // Time to crash in: before a call has its effect, or between two calls.
            _ => Fault::Delay(Duration::from_millis(rng.u64(0..4))),
        }
    })
}

/// What must not depend on what went wrong: queues without versions, and all history.
fn outcome(store: &MemoryStore) -> (Vec<Value>, Vec<Value>) {
    let queues = store
        .queues()
        .into_iter()
        .map(|(_, row)| {
            let queue: millrace_domain::Queue = millrace_domain::codec::decode(&row.queue).unwrap();
            // Reports between milestones may be with the progress table alone.
            let tasks: Vec<_> = queue.tasks.iter().map(|task| (&task.id, task.attempts, task.started_at(), task.quarter(task.units_done))).collect();
            json!({"player": queue.player_id, "balances": queue.balances, "totals": queue.totals, "tasks": tasks, "recent": queue.finished_tasks.newest_first(), "paused": queue.paused_at})
        })
        .collect();
    let mut history: Vec<Value> = store
        .records(Table::History)
        .iter()
        .map(|record| {
            let mut row = serde_json::to_value(record).unwrap();
            // How far a cancelled task had come between milestones is known as exactly as its last report.
            if let Some(row) = row["History"].as_object_mut() {
                row.remove("unitsDone");
            }
            row
        })
        .collect();
    history.sort_by_key(Value::to_string);
    (queues, history)
}

async fn undisturbed(commands: &[(String, u64, Value)]) -> (Vec<Value>, Vec<Value>) {
    let process = Process::new();
    process.wait(1_000_000);
    let mut rng = Rng::with_seed(1);
    let mut queue = FifoQueue::new(commands);
    while !queue.is_done() {
        let batch = queue.receive(&mut rng);
        let answer = process.invoke(&sqs(&batch)).await;
        assert!(answer.batch_item_failures.is_empty());
        queue.settle(&batch, &|_| true);
    }
    outcome(&process.store)
}

async fn disturbed(commands: &[(String, u64, Value)], seed: u64) -> (Vec<Value>, Vec<Value>, u64) {
    let rows = MemoryStore::new();
    let clock = Arc::new(AtomicU64::new(BEGIN + 1_000_000));
    let mut rng = Rng::with_seed(seed);
    let trouble = Arc::new(Mutex::new(Rng::with_seed(seed ^ 0xfa17)));
    let settings = ServiceSettings { conflict_retries: 2, seed, ..ServiceSettings::default() };
    let options = Options { settings, ..Options::default() };
    let start = |rows: &MemoryStore| {
        let process = Process::on(rows.handle(), Arc::clone(&clock), options.clone());
        process.store.set_faults(faults(Arc::clone(&trouble)));
        process
    };
    let mut processes: Vec<Process> = (0..PROCESSES).map(|_| start(&rows)).collect();
    let mut queue = FifoQueue::new(commands);
    let mut crashes = 0;
    let mut rounds = 0;
    while !queue.is_done() {
        rounds += 1;
        assert!(rounds < 20_000, "seed {seed}: the queue never empties");
        clock.fetch_add(rng.u64(0..2_000), Ordering::Relaxed);
        // Two batches of different groups at once, in different processes.
        let batches = [queue.receive(&mut rng), queue.receive(&mut rng)];
        let first = rng.usize(0..PROCESSES);
        let places = [first, (first + 1) % PROCESSES];
        let run = |process: usize, batch: &[Sent], crash: Option<Duration>| {
            let process = &processes[process];
            let event = sqs(batch).to_string();
            let invocation = Invocation {
                request_id: format!("r-{rounds}"),
                times_out_at: Instant::now() + Duration::from_secs(3),
                cold_start: false,
            };
            async move {
                let work = process.service.process(event.as_bytes(), &invocation);
                match crash {
                    // The process is killed wherever it is: its future is dropped.
                    Some(after) => tokio::time::timeout(after, work).await.ok().map(Result::unwrap),
                    None => Some(work.await.unwrap()),
                }
            }
        };
        let crash = [(); 2].map(|()| (rng.u32(0..2) == 0).then(|| Duration::from_micros(rng.u64(0..20_000))));
        let answers = tokio::join!(run(places[0], &batches[0], crash[0]), run(places[1], &batches[1], crash[1]));
        for (at, answer) in [answers.0, answers.1].into_iter().enumerate() {
            match answer {
                Some(answer) => {
                    let failed = support::failures(&answer);
                    queue.settle(&batches[at], &|id| !failed.contains(&id));
                }
                None => {
                    crashes += 1;
                    processes[places[at]] = start(&rows);
                    queue.settle(&batches[at], &|_| false);
                }
            }
        }
    }
    // The last commits' records may still be with their rows alone if the very last delivery crashed
    // and was not needed again; there is none such: whatever was not acknowledged was delivered again.
    let (queues, history) = outcome(&rows);
    (queues, history, crashes)
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_the_end_is_the_same() {
    let mut crashes = 0;
    for seed in 0..25 {
        let commands = commands(&mut Rng::with_seed(seed));
        let expected = undisturbed(&commands).await;
        let (queues, history, crashed) = disturbed(&commands, seed).await;
        assert_eq!(queues, expected.0, "seed {seed}: queues");
        assert_eq!(history, expected.1, "seed {seed}: history");
        assert!(!history.is_empty(), "seed {seed}: nothing finished");
        crashes += crashed;
    }
    assert!(crashes > 400, "only {crashes} crashes: the simulation does not disturb");
}
