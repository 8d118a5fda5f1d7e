//! Crashes at every await of an invocation lose no event.
//!
//! An invocation is repeated from the same state, and dropped after its first poll, its second, and
//! so on until it completes. Every operation of the store and every call of a destination has an
//! await before it, so each step between the commit and the acknowledgement is the last one once.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use fastrand::Rng;
use millrace_domain::{PlayerId, events::fold::FoldedQueue};
use millrace_pipeline::{Invocation, PipelineSettings};
use millrace_simulation::{
    Options, Process, SqsMessage,
    destination::{FakeDestination, publishing_to},
    failed_message_ids, grant_gold, invocation,
    published_events::assert_all_published,
    sqs_payload, standard_message,
};
use millrace_store::memory::Fault;
use serde_json::{Value, json};

const PLAYERS: [&str; 3] = ["p0", "p1", "p2"];
/// The time between two steps of the script.
const STEP_MS: u64 = 2_000;

/// The commands of each step. A step begins [`STEP_MS`] after the one before it.
fn script() -> Vec<Vec<Value>> {
    let each = |command: &dyn Fn(&str) -> Value| PLAYERS.map(command);
    let timed = |player: &str| {
        json!({"type": "enqueueTasks", "playerId": player, "tasks": [
            {"taskId": "timed", "kind": "k", "work": {"durationMs": 3_000}, "rewards": {"gold": 2}},
            {"taskId": "reported", "kind": "k", "work": {"units": 4, "heartbeatMs": 3_000, "timeoutMs": 20_000},
             "payload": {"depth": [1.50, "x"]}, "costs": {"gold": 1}, "retryDelayMs": 100}]})
    };
    let report =
        |player: &str| json!({"type": "reportProgress", "playerId": player, "taskId": "reported", "unitsDone": 3});
    let complete =
        |player: &str| json!({"type": "completeTask", "playerId": player, "taskId": "reported", "result": [player, 7]});
    let refused = |player: &str| json!({"type": "cancelTask", "playerId": player, "taskId": "unknown"});
    let tick = vec![json!({"type": "advanceQueues", "playerIds": PLAYERS})];
    let start = [each(&timed), each(&|player| grant_gold(player, 1))].concat();
    let reports = [each(&report), each(&refused)].concat();
    // The timed task completes in the third step. A heartbeat is lost in the fifth.
    vec![start, tick.clone(), reports.clone(), tick.clone(), tick, reports, each(&complete).to_vec()]
}

/// Where events go, and who repeats what a crash cuts short.
#[derive(Debug, Clone, Copy)]
struct Setup {
    destinations: &'static [&'static str],
    table: bool,
    is_redelivered: bool,
}

/// A process, its rows, and the destinations of its events.
struct World {
    setup: Setup,
    destinations: Vec<Arc<FakeDestination>>,
    process: Process,
}

impl World {
    fn new(setup: Setup) -> Self {
        let destination = |kind: &&str| match *kind {
            "ordered" => FakeDestination::ordered(),
            _ => FakeDestination::unordered(),
        };
        let destinations: Vec<_> = setup.destinations.iter().map(destination).collect();
        let mut world = Self { setup, destinations, process: Process::new() };
        world.restart();
        world
    }

    /// Another process on the same rows: nothing is in its caches.
    fn restart(&mut self) {
        let publishing = Some(publishing_to(&self.destinations, self.setup.table));
        let settings = PipelineSettings { is_redelivered: self.setup.is_redelivered, ..PipelineSettings::default() };
        self.process = self.process.start_another(Options { settings, publishing, ..Options::default() });
        // An await before each operation.
        self.process.store.set_faults(Arc::new(|_| Fault::Delay(Duration::from_millis(1))));
    }

    /// Carries out a step. Returns whether nothing has to be repeated.
    async fn run(&self, number: usize, commands: &[Value]) -> bool {
        let invocation = Invocation { request_id: format!("r-{number}"), ..invocation(60) };
        if self.setup.is_redelivered {
            let sent_at = self.process.clock.load(std::sync::atomic::Ordering::Relaxed);
            let message = |(at, command): (usize, &Value)| SqsMessage {
                sent_at,
                ..standard_message(&format!("m-{number}-{at}"), command)
            };
            let messages: Vec<_> = commands.iter().enumerate().map(message).collect();
            let payload = sqs_payload(&messages).to_string();
            let answer = self.process.process(payload.as_bytes(), &invocation).await.unwrap();
            return failed_message_ids(&answer).is_empty();
        }
        for command in commands.iter().filter(|command| command["playerId"].is_string()) {
            let player = PlayerId::new(command["playerId"].as_str().unwrap()).unwrap();
            self.process.apply_commands(&player, command, &invocation).await;
        }
        self.process.advance(None, &invocation).await.unwrap();
        true
    }

    /// Carries out a step after a crash in it.
    async fn recover(&self, number: usize, commands: &[Value]) {
        match self.setup.is_redelivered {
            true => assert!(self.run(number, commands).await),
            // The commands are not repeated. The next run of `advance-queues` finds the queues.
            false => drop(self.process.advance(None, &invocation(60)).await.unwrap()),
        }
    }

    fn told(&self) -> Vec<FoldedQueue> {
        PLAYERS.map(|player| FoldedQueue::from(&self.process.queue(player)).without_reports()).to_vec()
    }
}

/// Polls `work` at most `polls` times, and then drops it.
async fn crash_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| {
        left = left.saturating_sub(1);
        match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Runs the script with a crash in one step after `polls` polls, and maybe another one in what
/// follows it. Returns the world, and whether the step completed before the crash.
async fn run_with_crash(setup: Setup, step: usize, polls: usize, second: Option<usize>) -> (World, bool) {
    let mut world = World::new(setup);
    let mut completed = false;
    for (number, commands) in script().iter().enumerate() {
        world.process.advance_clock(STEP_MS);
        if number != step {
            assert!(world.run(number, commands).await);
            continue;
        }
        completed = crash_after(polls, world.run(number, commands)).await.is_some();
        world.restart();
        if let Some(polls) = second {
            crash_after(polls, world.recover(number, commands)).await;
            world.restart();
        }
        world.recover(number, commands).await;
    }
    (world, completed)
}

async fn crash_everywhere(setup: Setup) {
    let expected = run_with_crash(setup, usize::MAX, 0, None).await.0.told();
    let mut rng = Rng::with_seed(7);
    let mut crashes = 0;
    for step in 0..script().len() {
        for polls in 1.. {
            let second = rng.bool().then(|| rng.usize(1..40));
            let (world, completed) = run_with_crash(setup, step, polls, second).await;
            let context = format!("{setup:?}: step {step}, poll {polls}, then {second:?}");
            assert_all_published(&world.process.store, &world.destinations, setup.table, &context);
            if setup.is_redelivered {
                assert_eq!(world.told(), expected, "{context}");
            }
            if completed {
                break;
            }
            crashes += 1;
        }
    }
    assert!(crashes > 40, "{setup:?}: only {crashes} crashes");
}

async fn crash_everywhere_in_each_setup(is_redelivered: bool) {
    for (destinations, table) in [(&["unordered"][..], false), (&["ordered"], false), (&["ordered", "unordered"], true)]
    {
        crash_everywhere(Setup { destinations, table, is_redelivered }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_await_of_a_redelivered_invocation_loses_no_event() {
    crash_everywhere_in_each_setup(true).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_await_of_an_invocation_that_is_not_repeated_loses_no_event() {
    crash_everywhere_in_each_setup(false).await;
}
