//! The metrics of invocations and the performance history have the same figures.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use millrace_domain::{FailureReason, PlayerId};
use millrace_performance::{Figures, HistoryStore as _, Minute, ProcessHistory, metric_values};
use millrace_pipeline::{Failure, Invocation, PipelineSettings};
use millrace_simulation::{
    Options, Process, access_denied,
    destination::{DestinationFault, FakeDestination, publishing_to},
    grant_gold, invocation,
    payloads::{SqsMessage, sqs_payload, standard_message},
};
use millrace_store::memory::{Fault, Operation};
use millrace_telemetry::{InvocationRecord, Metric, metrics::Statistic};
use serde_json::{Value, json};

/// A process whose invocations are measured, and the metrics of all of them together.
struct Measured {
    process: Process,
    history: Arc<ProcessHistory>,
    metrics: BTreeMap<Metric, f64>,
    sent: usize,
}

impl Measured {
    /// Sends commands, one in each message.
    async fn send(&mut self, commands: &[Value]) {
        let sent_at = self.process.clock.load(Ordering::Relaxed);
        let messages = commands.iter().map(|command| {
            self.sent += 1;
            SqsMessage { sent_at, ..standard_message(&format!("m-{}", self.sent), command) }
        });
        let payload = sqs_payload(&messages.collect::<Vec<_>>()).to_string();
        let record = InvocationRecord::empty();
        let invocation = Invocation { record: record.clone(), ..invocation(10) };
        self.process.process(payload.as_bytes(), &invocation).await.unwrap();
        for (metric, value) in record.take().unwrap().values() {
            let all = self.metrics.entry(metric).or_default();
            *all = match metric.definition().statistic {
                Statistic::Sum => *all + value,
                Statistic::Maximum | Statistic::Average => all.max(value),
            };
        }
    }

    async fn figures(&self) -> Figures {
        let recorded = self.history.read(Minute(0)..Minute(u64::MAX), &[]).await.unwrap();
        let mut all = Figures::default();
        recorded.figures.values().for_each(|minute| all.merge(minute));
        all
    }
}

/// Invocations in which every figure of the pipeline occurs.
async fn eventful_invocations() -> Measured {
    let (history, destination) = (Arc::new(ProcessHistory::default()), FakeDestination::unordered());
    let (first, shared_cache) = Process::with_shared_cache();
    let process = first.start_another(Options {
        settings: PipelineSettings { memory_mib: Some(128), ..PipelineSettings::default() },
        shared_cache: Some(Arc::clone(&shared_cache)),
        history: Arc::clone(&history) as _,
        publishing: Some(publishing_to(&[Arc::clone(&destination)], true)),
        ..Options::default()
    });
    let mut measured = Measured { process, history, metrics: BTreeMap::new(), sent: 0 };
    let enqueue = json!({"type": "enqueueTasks", "playerId": "p", "commandId": "c-1", "tasks": [
        {"taskId": "timed", "kind": "k", "work": {"durationMs": 500}},
        {"taskId": "reported", "kind": "k", "work": {"units": 9, "heartbeatMs": 1_000}}]});
    let slots = json!({"type": "configureQueue", "playerId": "p", "slots": 2});
    let grant = grant_gold("p", 1);
    measured.send(&[slots, enqueue.clone()]).await;
    measured.process.advance_clock(60_000);
    let unknown = json!({"type": "cancelTask", "playerId": "p", "taskId": "none"});
    measured.send(&[grant.clone(), enqueue, unknown, json!({"type": "fly"})]).await;

    measured.process.interleave(0, first.start_another(Options::default()), grant.clone());
    measured.send(std::slice::from_ref(&grant)).await;
    measured.process.inject(access_denied(), |operation| matches!(operation, Operation::Commit { .. }));
    measured.send(std::slice::from_ref(&grant)).await;
    let refused = AtomicBool::new(false);
    let first_write = move |operation: &Operation<'_>| {
        matches!(operation, Operation::Write { .. }) && !refused.swap(true, Ordering::Relaxed)
    };
    measured.process.inject(Fault::Unprocessed(vec![0]), first_write);
    measured.send(std::slice::from_ref(&grant)).await;
    measured.process.inject(Fault::None, |_| false);

    destination.set_faults(|_, _| DestinationFault::Refuse(Failure::new(FailureReason::EventsRefused, "no")));
    measured.send(std::slice::from_ref(&grant)).await;
    destination.clear_faults();
    shared_cache.loses_writes.store(true, Ordering::Relaxed);
    measured.send(std::slice::from_ref(&grant)).await;
    shared_cache.loses_writes.store(false, Ordering::Relaxed);
    measured.send(std::slice::from_ref(&grant)).await;
    measured.process.platform.cache.forget_local(&PlayerId::new("p").unwrap());
    measured.send(&[grant, json!({"type": "advanceQueues", "playerIds": ["p"]})]).await;
    measured
}

#[tokio::test]
async fn the_history_has_the_figures_of_the_metrics() {
    let measured = eventful_invocations().await;
    let figures = measured.figures().await;
    let mut compared = 0;
    for metric in Metric::ALL {
        let Some(kept) = metric_values::value(metric, &figures) else { continue };
        let sum = measured.metrics.get(&metric).copied().unwrap_or_default();
        // A distribution is within 2 %; its parts are thousandths.
        let tolerance = match metric.definition().statistic {
            Statistic::Sum => 1e-6,
            Statistic::Maximum | Statistic::Average => sum * 0.02 + 0.1,
        };
        assert!((kept - sum).abs() <= tolerance, "{metric:?}: {kept} in the history, {sum} in the metrics");
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

#[tokio::test]
async fn every_figure_of_the_pipeline_is_a_metric() {
    let measured = eventful_invocations().await;
    // What the functions and the requests add is not measured here.
    let others = ["ColdStart", "Requests", "RequestsRefused", "RequestsFailed", "Reads"];
    // It is tested with a server of Redis.
    let zero = "RedisUnavailable";
    for metric in Metric::ALL.into_iter().filter(|metric| !others.contains(&metric.name())) {
        let value = measured.metrics.get(&metric).unwrap_or_else(|| panic!("{metric:?} is not measured"));
        assert!(*value > 0.0 || metric.name() == zero, "{metric:?} is {value}");
    }
}
