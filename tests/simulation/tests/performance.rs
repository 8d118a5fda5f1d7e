//! The performance history of several processes, and changes of thresholds, by a simulated clock.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use millrace_domain::{FailureReason, Timestamp};
use millrace_performance::{Minute, ProcessHistory, Span, State};
use millrace_pipeline::{Context, Failure, watch::watch_thresholds};
use millrace_simulation::{
    Options, Process,
    destination::{DestinationFault, FakeDestination, publishing_to},
    invocation,
};
use serde_json::{Value, json};
use tokio::time::timeout;

const MINUTE_MS: u64 = 60_000;

/// Processes that share a store, a history and a clock, and publish to a destination.
struct Deployment {
    history: Arc<ProcessHistory>,
    destination: Arc<FakeDestination>,
    processes: Vec<Process>,
}

fn deployment(count: usize) -> Deployment {
    let (history, destination) = (Arc::new(ProcessHistory::shared()), FakeDestination::ordered());
    let options = Options {
        history: Arc::clone(&history) as _,
        publishing: Some(publishing_to(&[Arc::clone(&destination)], false)),
        ..Options::default()
    };
    let first = Process::new();
    let processes = (0..count).map(|_| first.start_another(options.clone())).collect();
    Deployment { history, destination, processes }
}

impl Deployment {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.processes[0].clock.load(Ordering::Relaxed))
    }

    fn advance_clock(&self, millis: u64) {
        self.processes[0].advance_clock(millis);
    }

    /// Sends malformed messages to one process.
    async fn send_malformed(&self, count: usize) {
        for n in 0..count {
            self.processes[0].send(&format!("{}-{n}", self.now()), &json!({"type": "fly", "playerId": "p"})).await;
        }
    }

    /// All processes watch the thresholds at the same time.
    async fn watch(&self) {
        let invocation = invocation(10);
        let contexts: Vec<_> =
            self.processes.iter().map(|process| Context::new(&process.platform, &invocation)).collect();
        futures::future::join_all(contexts.iter().map(watch_thresholds)).await;
    }

    fn published(&self) -> Vec<Value> {
        let crossed = self.destination.accepted().into_iter().filter(|(id, _)| id.starts_with('#'));
        crossed.map(|(_, json)| serde_json::from_str(&json).unwrap()).collect()
    }

    async fn state(&self, id: &str) -> (State, Option<Timestamp>) {
        let states = self.processes[0].performance().await.thresholds.unwrap();
        let found = states.iter().find(|state| state.id == id).unwrap();
        (found.state, found.since)
    }
}

#[tokio::test]
async fn a_day_of_several_processes_is_in_one_history() {
    let deployment = deployment(3);
    for hour in 0..24 {
        for (at, process) in deployment.processes.iter().enumerate() {
            let grant = json!({"type": "grantResources", "playerId": format!("p-{at}"), "resources": {"gold": 1}});
            process.send(&format!("{hour}-{at}"), &grant).await;
        }
        deployment.advance_clock(60 * MINUTE_MS);
    }
    let now = deployment.now();
    let from = Minute::of(now).minus(1_439).start();
    let span = Span::new(Some(from), None, Some(60), now).unwrap();
    let report =
        millrace_queries::performance::performance(&deployment.processes[0].platform, span, &invocation(10)).await;
    let history = report.history.unwrap();
    // The messages of the first hour were sent a day and a minute ago.
    assert_eq!((history.totals.commands.applied, history.totals.commits.committed), (23 * 3, 23 * 3));
    let hours: Vec<_> = history.series.iter().map(|hour| hour.figures.commands.applied).collect();
    assert_eq!((hours.len(), hours.iter().filter(|applied| **applied == 3).count()), (24, 23));
    assert_eq!(history.totals.processing_time_ms.commands.unwrap().count, 23 * 3);
}

#[tokio::test]
async fn the_minute_of_an_invocation_is_that_of_its_end() {
    let deployment = deployment(1);
    let grant = json!({"type": "grantResources", "playerId": "p", "resources": {"gold": 1}});
    deployment.processes[0].send("m-1", &grant).await;
    let history = deployment.processes[0].performance().await.history.unwrap();
    let last = history.series.last().unwrap();
    assert_eq!((last.at, last.figures.commands.applied), (Minute::of(deployment.now()).start(), 1));
}

#[tokio::test]
async fn each_change_of_a_threshold_is_published_once_by_several_processes() {
    let deployment = deployment(4);
    deployment.watch().await;
    assert!(deployment.published().is_empty());
    deployment.send_malformed(11).await;
    deployment.watch().await;
    assert_eq!(deployment.state("malformed").await, (State::Ok, None), "the minute is not over");
    deployment.advance_clock(MINUTE_MS);
    let crossed_at = deployment.now();
    for _ in 0..3 {
        deployment.watch().await;
        deployment.advance_clock(MINUTE_MS);
    }
    assert_eq!(deployment.state("malformed").await, (State::Passed, Some(crossed_at)));
    let published = deployment.published();
    let expected = json!([{
        "eventId": "#malformed/1", "type": "thresholdCrossed", "at": crossed_at, "threshold": "malformed",
        "state": "passed", "value": 11.0, "limit": 10.0, "comparison": "greaterThan", "metric": "CommandsMalformed",
        "meaning": published[0]["meaning"], "runbook": "malformed",
    }]);
    assert_eq!(json!(published), expected);
    assert_eq!(deployment.history.announced().len(), 1);

    deployment.advance_clock(5 * MINUTE_MS);
    let ended_at = deployment.now();
    deployment.watch().await;
    let published = deployment.published();
    assert_eq!(published.len(), 2);
    assert_eq!((&published[1]["eventId"], &published[1]["state"]), (&json!("#malformed/2"), &json!("ok")));
    assert_eq!(deployment.state("malformed").await, (State::Ok, Some(ended_at)));
}

/// Eleven malformed messages, and the end of their minute.
async fn cross_threshold(deployment: &Deployment, fault: DestinationFault) {
    deployment.destination.set_faults(move |_, event| match event.event_type == "thresholdCrossed" {
        true => fault.clone(),
        false => DestinationFault::None,
    });
    deployment.send_malformed(11).await;
    deployment.advance_clock(MINUTE_MS);
}

#[tokio::test]
async fn a_change_that_was_refused_is_published_by_the_next_run() {
    let deployment = deployment(3);
    let refuse = DestinationFault::Refuse(Failure::new(FailureReason::EventsRefused, "no"));
    cross_threshold(&deployment, refuse).await;
    let crossed_at = deployment.now();
    deployment.watch().await;
    assert!(deployment.published().is_empty());
    deployment.destination.clear_faults();
    deployment.advance_clock(MINUTE_MS);
    deployment.watch().await;
    let published = deployment.published();
    assert_eq!(published.len(), 1, "{published:?}");
    assert_eq!((&published[0]["eventId"], &published[0]["at"]), (&json!("#malformed/1"), &json!(crossed_at)));
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_process_ended_is_published_after_a_quarter_of_an_hour() {
    let deployment = deployment(3);
    cross_threshold(&deployment, DestinationFault::Hang).await;
    assert!(timeout(Duration::from_secs(1), deployment.watch()).await.is_err());
    deployment.destination.clear_faults();
    for _ in 0..14 {
        deployment.send_malformed(11).await;
        deployment.advance_clock(MINUTE_MS);
        deployment.watch().await;
    }
    assert!(deployment.published().is_empty(), "the process may still publish it");
    for _ in 0..3 {
        deployment.advance_clock(MINUTE_MS);
        deployment.watch().await;
    }
    let published: Vec<_> = deployment.published().iter().map(|event| event["eventId"].clone()).collect();
    assert_eq!(published, [json!("#malformed/1")]);
}

#[tokio::test]
async fn types_of_events_limit_what_is_published_and_not_what_is_announced() {
    let deployment = deployment(1);
    let mut publishing = publishing_to(&[Arc::clone(&deployment.destination)], false);
    publishing.types = Some(vec!["taskStarted"]);
    let options =
        Options { history: Arc::clone(&deployment.history) as _, publishing: Some(publishing), ..Options::default() };
    let limited = Deployment { processes: vec![deployment.processes[0].start_another(options)], ..deployment };
    limited.send_malformed(11).await;
    limited.advance_clock(MINUTE_MS);
    limited.watch().await;
    assert_eq!((limited.published().len(), limited.history.announced().len()), (0, 1));
    assert_eq!(limited.state("malformed").await.0, State::Passed);
}

#[tokio::test]
async fn the_history_of_a_single_process_is_not_watched() {
    let history = Arc::new(ProcessHistory::default());
    let process = Process::new().start_another(Options { history: Arc::clone(&history) as _, ..Options::default() });
    for n in 0..11 {
        process.send(&format!("m-{n}"), &json!({"type": "fly"})).await;
    }
    process.advance_clock(MINUTE_MS);
    let invocation = invocation(10);
    watch_thresholds(&Context::new(&process.platform, &invocation)).await;
    assert!(history.announced().is_empty());
    let states = process.performance().await.thresholds.unwrap();
    let malformed = states.iter().find(|state| state.id == "malformed").unwrap();
    assert_eq!((malformed.state, malformed.since), (State::Passed, None), "the report shows it");
}
