//! Having queues advanced that have something due, on a store in memory: merged over the shards, in both
//! modes, with shards, stores and the ticks queue failing.

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use millrace_domain::{
    PlayerId, Record, Rules, Timestamp,
    parse::{self, Message},
    record::Table,
};
use millrace_service::{
    AdvanceError, Advanced, Invocation, ServiceSettings, TickError, TickMessage, TicksQueue,
    advance::{
        Mode,
        due::{DueQueues, PAGE},
    },
};
use millrace_store::{
    DUE_SHARDS, QueueStore, QueueWrite, StoreError, due_shard,
    memory::{Fault, MemoryStore, Operation},
};
use proptest::prelude::*;
use serde_json::json;
use support::{BEGIN, Options, Process, Sent, enqueue, grant, sqs, standard};
use tokio::time::Instant;

const SHARDS: u64 = DUE_SHARDS as u64;

fn invocation(seconds: u64) -> Invocation {
    let times_out_at = Instant::now() + Duration::from_secs(seconds);
    Invocation { request_id: "r-1".to_owned(), times_out_at, cold_start: false }
}

/// A process that nobody delivers anything to again.
fn advancing(rows: &Process) -> Process {
    advancing_with(rows, ServiceSettings::default())
}

fn advancing_with(rows: &Process, settings: ServiceSettings) -> Process {
    rows.another(Options { settings: ServiceSettings { delivered_again: false, ..settings }, ..Options::default() })
}

async fn direct(process: &Process) -> Advanced {
    process.service.advance(None, &invocation(10)).await.unwrap()
}

/// Queues a task for each of `count` players, due so many milliseconds after the beginning.
async fn queue_tasks(process: &Process, count: usize, millis: impl Fn(usize) -> u64) {
    let messages: Vec<Sent> = (0..count)
        .map(|at| standard(&format!("m{at}"), &enqueue(&format!("p{at}"), "t", json!({"durationMs": millis(at)}))))
        .collect();
    let answer = process.invoke(&sqs(&messages)).await;
    assert_eq!(answer.report.commands.applied, count as u64);
}

/// Every player has completed its task once: in its queue, its history and its stats.
fn assert_completed_once(process: &Process, count: usize) {
    for at in 0..count {
        let queue = process.queue(&format!("p{at}"));
        assert_eq!((queue.totals.completed, queue.balances.get("gold")), (1, 1), "p{at}");
    }
    assert_eq!(process.store.records(Table::History).len(), count);
    let stats = process.store.records(Table::Stats);
    assert!(stats.iter().all(|row| matches!(row, Record::Stats(row) if row.totals.completed == 1)));
    assert_eq!(stats.len(), count);
}

fn index_is_empty(process: &Process) -> bool {
    process.store.queues().iter().all(|(player, _)| process.store.due_at(player).is_none())
}

/// A ticks queue that keeps what is sent, and fails as it is told.
#[derive(Default)]
struct Ticks {
    /// Players and delay of each message that was taken.
    taken: Mutex<Vec<(Vec<PlayerId>, u32)>>,
    calls: AtomicU64,
    /// Fails a message by the number of its call and its place in it.
    fault: Option<fn(u64, usize) -> Option<TickError>>,
    /// Fails a call by its number.
    call_fault: Option<fn(u64) -> Option<TickError>>,
}

fn error(passing: bool) -> TickError {
    TickError { code: "refused", detail: "no".into(), passing }
}

#[async_trait]
impl TicksQueue for Ticks {
    async fn send(&self, messages: &[TickMessage<'_>]) -> Result<Vec<Result<(), TickError>>, TickError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!((1..=10).contains(&messages.len()));
        if let Some(error) = self.call_fault.and_then(|fault| fault(call)) {
            return Err(error);
        }
        let outcome = |(at, message): (usize, &TickMessage<'_>)| {
            if let Some(error) = self.fault.and_then(|fault| fault(call, at)) {
                return Err(error);
            }
            let Ok(Message::Tick(players)) = parse::message(message.body) else { panic!("no tick: {message:?}") };
            self.taken.lock().unwrap().push((players, message.delay_seconds));
            Ok(())
        };
        Ok(messages.iter().enumerate().map(outcome).collect())
    }
}

impl Ticks {
    /// How many players get a tick after each delay.
    fn by_delay(&self) -> BTreeMap<u32, usize> {
        let mut delays = BTreeMap::new();
        for (players, delay) in self.taken.lock().unwrap().iter() {
            *delays.entry(*delay).or_default() += players.len();
        }
        delays
    }

    fn players(&self) -> Vec<PlayerId> {
        self.taken.lock().unwrap().iter().flat_map(|(players, _)| players.clone()).collect()
    }
}

#[tokio::test]
async fn what_is_due_is_advanced_and_the_rest_is_left_alone() {
    let rows = Process::new();
    queue_tasks(&rows, 60, |at| if at < 40 { 1_000 + at as u64 } else { 9_000 }).await;
    let process = advancing(&rows);
    process.wait(5_000);
    let Advanced { advance, report } = direct(&process).await;
    assert_eq!((advance.mode, advance.due, advance.ticks, advance.failed), (Mode::Direct, 40, 40, 0));
    assert_eq!((advance.done, advance.up_to), (true, Timestamp::from_millis(BEGIN + 5_000)));
    assert_eq!((advance.calls.due, advance.calls.ticks, advance.messages), (SHARDS, 0, 0));
    assert_eq!((report.players, report.commands.received), (40, 0));
    // The first was due at 1000 and the last at 1039: seen at 5000.
    let late = report.lateness;
    assert_eq!((late.count, late.max_ms), (40, Some(4_000)));
    assert!(late.p50_ms >= Some(3_980) && late.p99_ms <= Some(4_000), "{late:?}");
    // Two calls that decide and two that take the queues out of the index, 25 at a time.
    assert_eq!((report.commits.committed, report.commits.calls, advance.settled), (80, 4, 40));
    assert_eq!((report.writes.items, process.store.records(Table::History).len()), (80, 40));

    process.wait(4_000);
    let last = direct(&process).await.advance;
    assert_eq!((last.due, last.ticks, last.done), (20, 20, true));
    assert_completed_once(&process, 60);
    assert!(index_is_empty(&process));
}

#[tokio::test]
async fn nothing_due_costs_a_read_of_each_shard_however_many_queues_there_are() {
    let rows = Process::new();
    let process = advancing(&rows);
    for idle in [0, 2_000] {
        let writes: Vec<QueueWrite> = (0..idle).map(|at| idle_row(&format!("idle-{at}"))).collect();
        assert!(rows.store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
        let Advanced { advance, report } = direct(&process).await;
        assert_eq!((advance.due, advance.done, advance.calls.due), (0, true, SHARDS), "{idle} idle queues");
        assert_eq!((report.loads.calls, report.commits.calls, report.writes.calls), (0, 0, 0));
        assert_eq!((report.cache.hit_rate, report.lateness.p99_ms), (None, None));
    }
}

fn idle_row(player: &str) -> QueueWrite {
    let player_id = PlayerId::new(player).unwrap();
    QueueWrite { player_id, expected: 0, version: 1, queue: b"idle".to_vec(), outbox: None, due_at: None }
}

#[tokio::test]
async fn ticks_are_sent_for_the_second_at_which_a_queue_is_due_past_the_next_run() {
    let rows = Process::new();
    // 250 due already, 250 in half a second, 250 in 64.9 s, 250 beyond the look-ahead of 65 s.
    queue_tasks(&rows, 1_000, |at| [1, 500, 64_900, 65_400][at / 250] + 100).await;
    rows.wait(101);
    let ticks = Ticks::default();
    let Advanced { advance, report } = rows.service.advance(Some(&ticks), &invocation(10)).await.unwrap();
    assert_eq!(ticks.by_delay(), BTreeMap::from([(0, 250), (1, 250), (65, 250)]));
    assert_eq!((advance.mode, advance.due, advance.ticks, advance.messages), (Mode::Ticks, 750, 750, 9));
    assert_eq!((advance.calls.due, advance.calls.ticks, advance.done), (SHARDS, 1, true));
    assert_eq!((report.players, report.commits.calls, report.loads.calls), (0, 0, 0));
    assert_eq!(ticks.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn messages_that_are_not_taken_are_sent_again_and_no_others() {
    let rows = Process::new();
    queue_tasks(&rows, 2_000, |_| 1).await;
    rows.wait(10);
    let ticks = Ticks { fault: Some(|call, at| (call < 2 && at % 3 == 0).then(|| error(true))), ..Ticks::default() };
    let advance = rows.service.advance(Some(&ticks), &invocation(10)).await.unwrap().advance;
    // Twenty messages in two calls, of which 0, 3, 6 and 9 come again; the two calls for them go well.
    assert_eq!((advance.ticks, advance.messages, advance.retried_messages), (2_000, 20, 8));
    assert_eq!((advance.calls.ticks, advance.failed, advance.done), (4, 0, true));
    assert_eq!(advance.send_error, None);
    let mut players = ticks.players();
    players.sort();
    players.dedup();
    assert_eq!(players.len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_never_taken_is_given_up_and_harms_no_other() {
    for passing in [true, false] {
        let rows = Process::new();
        queue_tasks(&rows, 200, |at| 1 + 2_000 * (at as u64 / 100)).await;
        rows.wait(10);
        // Always the first of a call: a message that is left over comes first in the next one.
        let fault: fn(u64, usize) -> Option<TickError> = match passing {
            true => |_, at| (at == 0).then(|| error(true)),
            false => |_, at| (at == 0).then(|| error(false)),
        };
        let ticks = Ticks { fault: Some(fault), ..Ticks::default() };
        let advance = rows.service.advance(Some(&ticks), &invocation(60)).await.unwrap().advance;
        assert_eq!((advance.ticks, advance.failed, advance.done), (100, 100, false), "{advance:?}");
        assert_eq!(advance.calls.ticks, if passing { 5 } else { 1 });
        assert_eq!(advance.send_error.unwrap().code, "refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_ends_the_run_with_an_error() {
    let rows = Process::new();
    queue_tasks(&rows, 3, |_| 1).await;
    rows.wait(10);
    for (call_fault, calls) in
        [((|_| Some(error(true))) as fn(u64) -> Option<TickError>, 5), (|_| Some(error(false)), 1)]
    {
        let ticks = Ticks { call_fault: Some(call_fault), ..Ticks::default() };
        let failed = rows.service.advance(Some(&ticks), &invocation(60)).await.unwrap_err();
        assert_eq!(failed, AdvanceError::TicksNotSent { due: 3, detail: "refused: no".to_owned() });
        assert_eq!((failed.error_type(), ticks.calls.load(Ordering::Relaxed)), ("TicksNotSent", calls));
    }
    let ticks = Ticks { call_fault: Some(|call| (call < 3).then(|| error(true))), ..Ticks::default() };
    let advance = rows.service.advance(Some(&ticks), &invocation(60)).await.unwrap().advance;
    assert_eq!((advance.ticks, advance.calls.ticks, advance.done), (3, 4, true));
}

fn shard_of(at: usize) -> u8 {
    due_shard(&PlayerId::new(&format!("p{at}")).unwrap())
}

#[tokio::test]
async fn a_shard_that_cannot_be_read_harms_no_other_and_is_in_the_answer() {
    let rows = Process::new();
    queue_tasks(&rows, 100, |_| 1).await;
    let process = advancing(&rows);
    process.wait(10);
    let broken = StoreError::AccessDenied { detail: "no".to_owned() };
    let fault = Fault::Error(broken);
    process.store.set_faults(Arc::new(move |operation| match operation {
        Operation::Due { shard: 3 } => fault.clone(),
        _ => Fault::None,
    }));
    let advance = direct(&process).await.advance;
    let missing = (0..100).filter(|at| shard_of(*at) == 3).count() as u64;
    assert!(missing > 0);
    assert_eq!((advance.ticks, advance.failed, advance.done), (100 - missing, 0, false));
    let told: Vec<_> = advance.errors.iter().map(|error| (error.shard, error.error)).collect();
    assert_eq!(told, [(3, "access_denied")]);
    process.store.clear_faults();
    assert_eq!(direct(&process).await.advance.ticks, missing);
    assert_completed_once(&process, 100);

    process.store.set_faults(Arc::new(|_| Fault::Error(StoreError::Throttled { table: "queues".to_owned() })));
    let failed = process.service.advance(None, &invocation(10)).await.unwrap_err();
    assert_eq!(failed.error_type(), "IndexUnreadable");
}

#[tokio::test]
async fn a_queue_that_cannot_be_advanced_holds_up_no_other() {
    let rows = Process::new();
    queue_tasks(&rows, 50, |_| 1).await;
    let process = advancing(&rows);
    process.wait(10);
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Load { table: Table::Queues, player } if player.as_str() == "p7" => {
            Fault::Error(StoreError::unreadable(Table::Queues, "damaged"))
        }
        _ => Fault::None,
    }));
    let advance = direct(&process).await.advance;
    assert_eq!((advance.due, advance.ticks, advance.failed, advance.done), (50, 49, 1, false));
}

/// Nobody delivers a run again: what a crash cuts short is found by the next one in the index.
#[tokio::test]
async fn records_that_a_crash_kept_back_are_written_by_the_next_run() {
    let rows = Process::new();
    queue_tasks(&rows, 10, |_| 1).await;
    rows.wait(10);
    let dying = advancing(&rows);
    // As good as dead between commit and records: no row is written, and nothing is settled.
    dying.store.set_faults(Arc::new(|operation| match operation {
        Operation::Write { .. } => Fault::Error(StoreError::AccessDenied { detail: "dying".to_owned() }),
        _ => Fault::None,
    }));
    let cut = direct(&dying).await.advance;
    assert_eq!((cut.ticks, cut.failed, cut.settled), (0, 10, 0));
    assert_eq!((rows.queue("p3").totals.completed, rows.store.records(Table::History).len()), (1, 0));

    rows.wait(60_000);
    let next = advancing(&rows);
    let healed = direct(&next).await;
    assert_eq!((healed.advance.due, healed.advance.settled, healed.advance.done), (10, 10, true));
    assert_eq!(healed.report.lateness.count, 0, "nothing completes a second time");
    assert_completed_once(&rows, 10);
    assert!(index_is_empty(&rows));
    assert_eq!(direct(&next).await.advance.due, 0);
}

#[tokio::test]
async fn a_queue_that_somebody_changes_before_it_is_settled_is_left_to_them() {
    let rows = Process::new();
    queue_tasks(&rows, 1, |_| 1).await;
    rows.wait(10);
    let process = advancing(&rows);
    let (other, commits) = (rows.another(Options::default()), AtomicU64::new(0));
    let other = Arc::new(other);
    process.store.set_faults(Arc::new(move |operation| {
        if matches!(operation, Operation::Commit { .. }) && commits.fetch_add(1, Ordering::Relaxed) == 1 {
            let other = Arc::clone(&other);
            // Another process grants gold between the commit and the settling.
            std::thread::scope(|scope| {
                let grant = scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(other.invoke(&sqs(&[standard("g", &grant("p0", 5))])))
                });
                assert_eq!(grant.join().unwrap().report.commands.applied, 1);
            });
        }
        Fault::None
    }));
    let Advanced { advance, report } = direct(&process).await;
    assert_eq!((advance.ticks, advance.settled, advance.failed), (1, 0, 0));
    assert_eq!(report.commits.conflicts, 1);
    assert_eq!(rows.queue("p0").balances.get("gold"), 6);
    assert!(index_is_empty(&rows));
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_complete_everything_once() {
    let rows = Process::new();
    queue_tasks(&rows, 300, |at| 1 + at as u64 % 7).await;
    rows.wait(10);
    let (one, other) = (advancing(&rows), advancing(&rows));
    for process in [&one, &other] {
        // A store that takes its time lets the other run go on in the middle of each call.
        process.store.set_faults(Arc::new(|operation| match operation {
            Operation::Ping => Fault::None,
            _ => Fault::Delay(Duration::from_millis(1)),
        }));
    }
    let (first, second) = tokio::join!(direct(&one), direct(&other));
    assert!(first.advance.due > 0 && second.advance.due > 0, "{:?} {:?}", first.advance, second.advance);
    assert!(first.report.commits.conflicts + second.report.commits.conflicts > 0, "they never met");
    assert_eq!(first.report.lateness.count + second.report.lateness.count, 300);
    assert_completed_once(&rows, 300);
    direct(&one).await;
    assert!(index_is_empty(&rows));
}

#[tokio::test]
async fn an_inactive_queue_is_paused_and_leaves_the_index() {
    let rules = Rules::default().pause_after_days(30);
    let settings = ServiceSettings { rules, ..ServiceSettings::default() };
    let rows = Process::on(
        MemoryStore::new(),
        Arc::new(AtomicU64::new(BEGIN)),
        Options { settings: settings.clone(), ..Options::default() },
    );
    let mut command = enqueue("p0", "t", json!({"durationMs": 1}));
    command["tasks"][0]["notBefore"] = json!("2026-06-01T00:00:00.000Z");
    rows.invoke(&sqs(&[standard("m", &command)])).await;
    let day = 86_400_000;
    let process = advancing_with(&rows, settings);
    process.wait(30 * day - 1);
    assert_eq!(direct(&process).await.advance.due, 0);
    process.wait(day);
    assert_eq!(direct(&process).await.advance.due, 1);
    let queue = process.queue("p0");
    assert_eq!(queue.paused_at, Some(Timestamp::from_millis(BEGIN + 30 * day)), "as of its moment, not of the run");
    assert!(index_is_empty(&process));
    process.wait(365 * day);
    assert_eq!(direct(&process).await.advance.due, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_reached_before_the_deadline_is_taken_up_by_the_next_run_oldest_first() {
    let rows = Process::new();
    queue_tasks(&rows, 2_000, |at| 1 + at as u64).await;
    let process = advancing(&rows);
    process.wait(5_000);
    // A call of 25 commits takes a second.
    process.store.set_faults(Arc::new(|operation| match operation {
        Operation::Commit { write } if write.version == 2 => Fault::Delay(Duration::from_millis(40)),
        _ => Fault::None,
    }));
    let cut = process.service.advance(None, &invocation(6)).await.unwrap().advance;
    assert!(!cut.done && cut.ticks > 0 && cut.due < 2_000, "{cut:?}");
    let completed = |at: usize| process.queue(&format!("p{at}")).totals.completed;
    // All that was due before `upTo` is done, over all shards.
    let up_to = cut.up_to.as_millis() - BEGIN - 1;
    assert!(up_to >= 300, "{cut:?}");
    assert!((0..up_to as usize).all(|at| completed(at) == 1));
    assert!((0..2_000).filter(|at| completed(*at) == 1).count() < 2_000);
    process.store.clear_faults();
    let rest = process.service.advance(None, &invocation(60)).await.unwrap().advance;
    assert!(rest.done, "{rest:?}");
    assert_completed_once(&process, 2_000);
    assert!(index_is_empty(&process));
}

/// Rows in the index at these moments.
async fn indexed(moments: &[u64]) -> MemoryStore {
    let store = MemoryStore::new();
    let write = |(at, millis): (usize, &u64)| QueueWrite {
        due_at: Some(Timestamp::from_millis(*millis)),
        ..idle_row(&format!("p{at}"))
    };
    let writes: Vec<_> = moments.iter().enumerate().map(write).collect();
    assert!(store.commit(&writes).await.outcomes.iter().all(Result::is_ok));
    store
}

#[tokio::test]
async fn a_shard_of_many_pages_is_read_to_its_end_one_call_a_page() {
    let moments: Vec<u64> = (0..SHARDS * 1_100).collect();
    let store = indexed(&moments).await;
    let mut due = DueQueues::new(&store, Timestamp::from_millis(u64::MAX), Instant::now() + Duration::from_secs(60));
    let mut found = Vec::new();
    loop {
        let taken = due.take(777).await;
        if taken.is_empty() {
            break;
        }
        found.extend(taken.into_iter().map(|due| due.due_at.as_millis()));
    }
    assert_eq!(found, moments);
    let mut sizes = [0_usize; DUE_SHARDS as usize];
    (0..moments.len()).for_each(|at| sizes[usize::from(shard_of(at))] += 1);
    let pages: usize = sizes.iter().map(|size| size.div_ceil(PAGE).max(1)).sum();
    assert_eq!(due.calls(), pages as u64);
    assert!(!due.is_cut());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_due_comes_in_the_order_of_its_moments_over_all_shards(
        moments in proptest::collection::vec(0..500_u64, 0..400),
        until in 0..600_u64,
        limits in proptest::collection::vec(1..50_usize, 1..20),
        failing in proptest::option::of(0..DUE_SHARDS),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = indexed(&moments).await;
            store.set_faults(Arc::new(move |operation| match operation {
                Operation::Due { shard } if Some(*shard) == failing => {
                    Fault::Error(StoreError::Throttled { table: "queues".to_owned() })
                }
                _ => Fault::None,
            }));
            let until = Timestamp::from_millis(until);
            let mut due = DueQueues::new(&store, until, Instant::now() + Duration::from_secs(60));
            let mut found = Vec::new();
            for limit in limits.iter().cycle() {
                let taken = due.take(*limit).await;
                prop_assert!(taken.len() <= *limit);
                prop_assert_eq!(taken.len() < *limit, !due.is_cut() && taken.len() < *limit);
                if taken.is_empty() {
                    break;
                }
                found.extend(taken);
            }
            prop_assert!(found.iter().map(|due| due.due_at).is_sorted());
            let mut told: Vec<String> = found.iter().map(|due| due.player_id.to_string()).collect();
            told.sort();
            let wanted = moments.iter().enumerate().filter(|(at, moment)| {
                **moment <= until.as_millis() && Some(shard_of(*at)) != failing
            });
            let mut wanted: Vec<String> = wanted.map(|(at, _)| format!("p{at}")).collect();
            wanted.sort();
            prop_assert_eq!(told, wanted);
            prop_assert_eq!(due.errors().len(), usize::from(failing.is_some()));
            Ok(())
        })?;
    }
}
