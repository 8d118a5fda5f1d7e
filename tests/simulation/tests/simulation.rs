//! A seeded simulation of several processes with store faults, crashes and redeliveries.
//!
//! Messages are redelivered until they are acknowledged. At the end ticks advance all queues to a
//! time at which every heartbeat is lost and every attempt has timed out. The final state must
//! equal the state of a run without faults. Every event must be published, with the same bytes in
//! each copy, and the events must tell the stored queues.
//!
//! The tests use the paused clock of tokio, a simulated wall clock and seeded randomness. A failure
//! is therefore reproducible with the seed that its message contains.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use millrace_domain::{FailureReason, record::Table};
use millrace_pipeline::{Failure, Invocation, PipelineSettings};
use millrace_simulation::{
    Options, Process, START_MS, SqsMessage, access_denied,
    destination::{DestinationFault, FakeDestination, publishing_to},
    published_events::assert_all_published,
    sqs_payload,
};
use millrace_store::{
    StoreError,
    memory::{Fault, MemoryStore, Operation},
};
use serde_json::{Value, json};
use tokio::time::Instant;

const PLAYERS: usize = 4;
const PROCESSES: usize = 3;
const COMMANDS: usize = 300;
/// The time of the last ticks.
const END_MS: u64 = START_MS + 1_000_000_000;

/// Random commands in the order in which they are sent.
///
/// They use few players and tasks, so that many commands concern the same task.
fn random_commands(rng: &mut Rng) -> Vec<(String, u64, Value)> {
    let mut sent_at = START_MS;
    (0..COMMANDS)
        .map(|_| {
            sent_at += rng.u64(1..400);
            let player = format!("p{}", rng.usize(0..PLAYERS));
            let task = format!("t{}", rng.u32(0..6));
            let prerequisite = format!("t{}", rng.u32(0..6));
            let attempt = (rng.u32(0..3) == 0).then(|| rng.u32(1..4));
            let body = match rng.u32(0..22) {
                0..6 => {
                    let work = if rng.bool() {
                        json!({"durationMs": rng.u64(1..2_000)})
                    } else {
                        let deadline = |rng: &mut Rng| rng.bool().then(|| rng.u64(1_000..20_000));
                        json!({"units": rng.u64(1..200), "heartbeatMs": deadline(rng), "timeoutMs": deadline(rng)})
                    };
                    let prerequisites = if rng.u32(0..4) == 0 { vec![prerequisite] } else { vec![] };
                    json!({"type": "enqueueTasks", "playerId": player, "tasks": [{
                        "taskId": task, "kind": "k", "work": work, "prerequisites": prerequisites,
                        "payload": rng.bool().then(|| json!({"n": [rng.u32(..), "x"]})),
                        "costs": {"gold": rng.u64(0..3)},
                        "rewards": {"gold": rng.u64(0..5), "wood": 1, format!("item-{}", rng.u32(..)): 1},
                        "maxRetries": rng.u32(0..2), "retryDelayMs": rng.u32(0..300)}]})
                }
                6..11 => json!({
                    "type": "reportProgress", "playerId": player, "taskId": task, "unitsDone": rng.u64(0..60),
                    "attempt": attempt,
                }),
                11 => json!({
                    "type": "failTask", "playerId": player, "taskId": task, "reason": "simulated", "attempt": attempt,
                    "retry": (rng.u32(0..3) == 0).then_some(false),
                }),
                20 | 21 => json!({
                    "type": "completeTask", "playerId": player, "taskId": task, "attempt": attempt,
                    "result": rng.bool().then(|| json!([rng.u32(..), null])),
                }),
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

/// A FIFO queue like that of SQS: a group is blocked while messages of it are in flight.
struct FifoQueue {
    groups: BTreeMap<String, VecDeque<SqsMessage>>,
    in_flight: Vec<String>,
}

impl FifoQueue {
    fn new(commands: &[(String, u64, Value)]) -> Self {
        let mut groups: BTreeMap<String, VecDeque<SqsMessage>> = BTreeMap::new();
        for (n, (player, sent_at, body)) in commands.iter().enumerate() {
            let sent = SqsMessage {
                id: format!("m-{n}"),
                body: body.to_string(),
                sent_at: *sent_at,
                // The commands of a player come through two queues, whose numbers are not related.
                fifo: Some((player.clone(), if n % 3 == 0 { 1 } else { 1_000 } + n as u64)),
                fifo_queue: if n % 3 == 0 { "purchases" } else { "commands" },
            };
            groups.entry(player.clone()).or_default().push_back(sent);
        }
        Self { groups, in_flight: Vec::new() }
    }

    fn is_done(&self) -> bool {
        self.groups.values().all(VecDeque::is_empty) && self.in_flight.is_empty()
    }

    /// Receives at most ten messages of groups that are not in flight.
    fn receive(&mut self, rng: &mut Rng) -> Vec<SqsMessage> {
        let mut batch = Vec::new();
        for (group, messages) in &self.groups {
            if self.in_flight.contains(group) || messages.is_empty() || rng.u32(0..3) == 0 {
                continue;
            }
            let count = rng.usize(1..=5).min(10 - batch.len());
            if count > 0 {
                self.in_flight.push(group.clone());
                batch.extend(messages.iter().take(count).cloned());
            }
        }
        batch
    }

    /// Deletes the acknowledged messages and unblocks the groups of the batch.
    fn settle(&mut self, batch: &[SqsMessage], acknowledged: &dyn Fn(&str) -> bool) {
        for sent in batch {
            let Some((group, _)) = &sent.fifo else { continue };
            self.in_flight.retain(|blocked| blocked != group);
            if acknowledged(&sent.id) {
                let messages = self.groups.get_mut(group).expect("the group exists");
                // SQS deletes by receipt handle. This assertion checks the order within the group.
                assert_eq!(
                    messages.front().map(|front| &front.id),
                    Some(&sent.id),
                    "messages of a group are acknowledged in order"
                );
                messages.pop_front();
            }
        }
    }
}

/// Injects faults at random. Operations without a fault are delayed by up to 3 ms.
fn random_faults(rng: Arc<Mutex<Rng>>) -> millrace_store::memory::FaultHook {
    Arc::new(move |operation: &Operation<'_>| {
        let mut rng = rng.lock().unwrap();
        let throttled = StoreError::Throttled { table: "simulated".to_owned() };
        match (rng.u32(0..25), operation) {
            (0, _) => Fault::Error(throttled),
            (1, Operation::Commit { .. }) => Fault::Conflict,
            (2, Operation::Commit { .. } | Operation::Write { .. }) => Fault::FailAfterEffect(throttled),
            (3, Operation::Write { keys, .. }) => Fault::Unprocessed((0..keys.len()).filter(|_| rng.bool()).collect()),
            (4, Operation::Write { .. }) => access_denied(),
            // The delay allows a crash before a call takes effect, or between two calls.
            _ => Fault::Delay(Duration::from_millis(rng.u64(0..4))),
        }
    })
}

/// The state that must not depend on faults: queues without their versions, and the history.
fn final_state(store: &MemoryStore) -> (Vec<Value>, Vec<Value>) {
    let queues = store
        .queues()
        .into_iter()
        .map(|(_, row)| {
            let queue: millrace_domain::Queue = millrace_domain::codec::decode(&row.queue).unwrap();
            // Progress between milestones may be in the progress table only.
            let task_state = |task: &millrace_domain::Task| {
                json!([task.id, task.attempts, task.started_at(), task.quarter(task.units_done)])
            };
            let tasks: Vec<_> = queue.tasks.iter().map(task_state).collect();
            json!({
                "player": queue.player_id, "balances": queue.balances, "totals": queue.totals,
                "tasks": tasks, "recent": queue.finished_tasks.newest_first(), "paused": queue.paused_at,
            })
        })
        .collect();
    let mut history: Vec<Value> = store
        .records(Table::History)
        .iter()
        .map(|record| {
            let mut row = serde_json::to_value(record).unwrap();
            // The progress of a cancelled task between milestones depends on the reports that were
            // written before, so it is not compared.
            if let Some(row) = row.as_object_mut() {
                row.remove("unitsDone");
            }
            row
        })
        .collect();
    history.sort_by_key(Value::to_string);
    (queues, history)
}

/// Refuses events at random: single events, whole calls, and for a while or for good.
fn random_refusals(destination: &FakeDestination, rng: Arc<Mutex<Rng>>) {
    destination.set_faults(move |_, _| {
        let mut rng = rng.lock().unwrap();
        let reasons = [FailureReason::EventsUnavailable, FailureReason::EventsRefused, FailureReason::AccessDenied];
        match (rng.u32(0..25), Failure::new(reasons[rng.usize(0..3)], "simulated")) {
            (0, failure) => DestinationFault::Refuse(failure),
            (1, failure) => DestinationFault::FailCall(failure),
            _ => DestinationFault::None,
        }
    });
}

/// Advances all queues to [`END_MS`] in a process without faults.
async fn finish(rows: &MemoryStore, clock: &Arc<AtomicU64>, options: &Options) {
    clock.store(END_MS, Ordering::Relaxed);
    let process = Process::on_store(rows.handle(), Arc::clone(clock), options.clone());
    let players: Vec<String> = (0..PLAYERS).map(|at| format!("p{at}")).collect();
    process.invoke(&json!({"type": "advanceQueues", "playerIds": players})).await;
}

async fn run_without_faults(commands: &[(String, u64, Value)]) -> (Vec<Value>, Vec<Value>) {
    let process = Process::new();
    process.advance_clock(1_000_000);
    let mut rng = Rng::with_seed(1);
    let mut queue = FifoQueue::new(commands);
    while !queue.is_done() {
        let batch = queue.receive(&mut rng);
        let answer = process.invoke(&sqs_payload(&batch)).await;
        assert!(answer.batch_item_failures.is_empty());
        queue.settle(&batch, &|_| true);
    }
    finish(&process.store, &process.clock, &Options::default()).await;
    final_state(&process.store)
}

async fn run_with_faults(commands: &[(String, u64, Value)], seed: u64) -> (Vec<Value>, Vec<Value>, u64) {
    let rows = MemoryStore::new();
    let clock = Arc::new(AtomicU64::new(START_MS + 1_000_000));
    let mut rng = Rng::with_seed(seed);
    let fault_rng = Arc::new(Mutex::new(Rng::with_seed(seed ^ 0xfa17)));
    let settings = PipelineSettings { conflict_retries: 2, seed, ..PipelineSettings::default() };
    let destinations = [FakeDestination::ordered(), FakeDestination::unordered()];
    for destination in &destinations {
        random_refusals(destination, Arc::clone(&fault_rng));
    }
    let publishing = Some(publishing_to(&destinations, true));
    let options = Options { settings, publishing, ..Options::default() };
    let start = |rows: &MemoryStore| {
        let process = Process::on_store(rows.handle(), Arc::clone(&clock), options.clone());
        process.store.set_faults(random_faults(Arc::clone(&fault_rng)));
        process
    };
    let mut processes: Vec<Process> = (0..PROCESSES).map(|_| start(&rows)).collect();
    let mut queue = FifoQueue::new(commands);
    let mut crashes = 0;
    let mut rounds = 0;
    while !queue.is_done() {
        rounds += 1;
        assert!(rounds < 20_000, "seed {seed}: the queue is not empty after 20,000 rounds");
        clock.fetch_add(rng.u64(0..2_000), Ordering::Relaxed);
        // Two processes handle batches of different groups at the same time.
        let batches = [queue.receive(&mut rng), queue.receive(&mut rng)];
        let first = rng.usize(0..PROCESSES);
        let chosen = [first, (first + 1) % PROCESSES];
        let run = |process: usize, batch: &[SqsMessage], crash_after: Option<Duration>| {
            let process = &processes[process];
            let payload = sqs_payload(batch).to_string();
            let invocation = Invocation {
                request_id: format!("r-{rounds}"),
                times_out_at: Instant::now() + Duration::from_secs(3),
                cold_start: false,
                record: Default::default(),
            };
            async move {
                let work = process.process(payload.as_bytes(), &invocation);
                match crash_after {
                    // Dropping the future kills the process at its current await point.
                    Some(after) => tokio::time::timeout(after, work).await.ok().map(Result::unwrap),
                    None => Some(work.await.unwrap()),
                }
            }
        };
        let crash_after = [(); 2].map(|()| (rng.u32(0..2) == 0).then(|| Duration::from_micros(rng.u64(0..20_000))));
        let answers =
            tokio::join!(run(chosen[0], &batches[0], crash_after[0]), run(chosen[1], &batches[1], crash_after[1]));
        for (index, answer) in [answers.0, answers.1].into_iter().enumerate() {
            match answer {
                Some(answer) => {
                    let failed = millrace_simulation::failed_message_ids(&answer);
                    queue.settle(&batches[index], &|id| !failed.contains(&id));
                }
                None => {
                    crashes += 1;
                    processes[chosen[index]] = start(&rows);
                    queue.settle(&batches[index], &|_| false);
                }
            }
        }
    }
    destinations.iter().for_each(|destination| destination.clear_faults());
    finish(&rows, &clock, &options).await;
    assert_all_published(&rows, &destinations, true, &format!("seed {seed}"));
    // No record is left in an outbox only: a delivery that crashed was not acknowledged, so it was
    // redelivered and its records were written.
    let (queues, history) = final_state(&rows);
    (queues, history, crashes)
}

#[tokio::test(start_paused = true)]
async fn faults_and_crashes_do_not_change_the_final_state() {
    let (mut total_crashes, mut reasons) = (0, BTreeSet::new());
    for seed in 0..25 {
        let commands = random_commands(&mut Rng::with_seed(seed));
        let expected = run_without_faults(&commands).await;
        let (queues, history, crashes) = run_with_faults(&commands, seed).await;
        assert_eq!(queues, expected.0, "seed {seed}: the queues differ");
        assert_eq!(history, expected.1, "seed {seed}: the history differs");
        assert!(!history.is_empty(), "seed {seed}: no task finished");
        total_crashes += crashes;
        reasons.extend(history.iter().filter_map(|row| row["reason"].as_str().map(str::to_owned)));
    }
    for reason in ["heartbeat_lost", "timed_out", "simulated"] {
        assert!(reasons.contains(reason), "no task failed for {reason}: {reasons:?}");
    }
    assert!(total_crashes > 400, "only {total_crashes} crashes, which is too few for a meaningful test");
}
