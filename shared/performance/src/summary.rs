//! Figures as readers see them.

use serde::Serialize;

use crate::{
    figures::{Counter, Figures, Kind, Measurement},
    sketch::Distribution,
};

/// Figures of a span of time, as readers see them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Invocations of the functions. Those of `queue-api` that neither read a queue nor apply
    /// commands count as requests only.
    pub invocations: u64,
    /// Of these: first invocations of their process.
    pub cold_starts: u64,
    /// Processing times in milliseconds.
    pub processing_time_ms: Times,
    /// Commands by outcome.
    pub commands: CommandFigures<u64>,
    /// The same for each second of the span.
    pub commands_per_second: CommandFigures<f64>,
    /// HTTP requests.
    pub requests: RequestFigures,
    /// Lookups of queues in the caches.
    pub cache: CacheFigures,
    /// Round trips to load rows.
    pub load_calls: u64,
    /// Conditional writes.
    pub commits: CommitFigures,
    /// Records written in batches.
    pub writes: WriteFigures,
    /// Events.
    pub events: EventFigures,
    /// How late timed completions were committed, in milliseconds; null without any.
    pub lateness_ms: Option<Distribution>,
    /// Resident memory at the end of the invocations, in bytes; null where the system does not
    /// tell.
    pub resident_bytes: Option<Distribution>,
    /// What the invocations cost at list prices, in millionths of a dollar; null if nothing was
    /// counted.
    pub estimated_cost: Option<f64>,
}

/// Processing times by kind of invocations; null without any.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// Invocations with commands or ticks.
    pub commands: Option<Distribution>,
    /// Reads of queues.
    pub reads: Option<Distribution>,
    /// Runs of `advance-queues` and `maintain-cache`.
    pub runs: Option<Distribution>,
}

/// Commands by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CommandFigures<T> {
    /// All of them: the sum of the others.
    pub received: T,
    /// Commands that took effect.
    pub applied: T,
    /// Commands that were decided before.
    pub duplicate: T,
    /// Commands that are refused for good.
    pub rejected: T,
    /// Commands that have to be delivered again.
    pub failed: T,
    /// Input that could not be understood.
    pub malformed: T,
}

/// HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RequestFigures {
    /// All of them.
    pub received: u64,
    /// Answered with a status from 400 to 499.
    pub refused: u64,
    /// Answered with a status of 500 or above.
    pub failed: u64,
}

/// Lookups of queues in the caches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheFigures {
    /// All lookups.
    pub lookups: u64,
    /// Queues found in a cache.
    pub hits: u64,
    /// Hits per lookup, 0 to 1; null where nothing was looked up.
    pub hit_rate: Option<f64>,
    /// The local cache.
    pub local: TierFigures,
    /// The shared cache. It is asked for what the local cache does not have.
    pub redis: TierFigures,
    /// Calls of the shared cache that failed.
    pub errors: u64,
    /// Invocations at whose end the shared cache was not used because it had failed before.
    pub unavailable: u64,
}

/// Hits of one cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierFigures {
    /// Queues found there.
    pub hits: u64,
    /// Hits per queue that was looked up there, 0 to 1; null where none was.
    pub hit_rate: Option<f64>,
}

/// Conditional writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CommitFigures {
    /// Queues committed.
    pub committed: u64,
    /// Version conflicts.
    pub conflicts: u64,
    /// Round trips.
    pub calls: u64,
}

/// Records written in batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteFigures {
    /// Records written.
    pub items: u64,
    /// Round trips.
    pub calls: u64,
    /// Records sent more than once.
    pub retried_items: u64,
    /// How many more round trips one write for each record would have taken.
    pub round_trips_saved: u64,
}

/// Events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EventFigures {
    /// Events that every destination accepted.
    pub published: u64,
    /// Events that some destination did not accept.
    pub failed: u64,
    /// Round trips to event buses and queues.
    pub calls: u64,
}

impl Summary {
    /// The figures of a span of this many seconds.
    pub fn new(figures: &Figures, seconds: u64) -> Self {
        let counter = |counter| figures.counter(counter);
        let times = |kind: Kind| figures.sketch(kind.times()).distribution(0.001);
        let commands = CommandFigures {
            received: counter(Counter::Received),
            applied: counter(Counter::Applied),
            duplicate: counter(Counter::Duplicate),
            rejected: counter(Counter::Rejected),
            failed: counter(Counter::Failed),
            malformed: counter(Counter::Malformed),
        };
        let processing_time_ms =
            Times { commands: times(Kind::Commands), reads: times(Kind::Reads), runs: times(Kind::Runs) };
        let Times { commands: of_commands, reads, runs } = &processing_time_ms;
        let cost = counter(Counter::CostNanodollars);
        Self {
            invocations: [of_commands, reads, runs].into_iter().flatten().map(|times| times.count).sum(),
            cold_starts: counter(Counter::ColdStarts),
            processing_time_ms,
            commands,
            commands_per_second: commands.per_second(seconds),
            requests: RequestFigures {
                received: counter(Counter::Requests),
                refused: counter(Counter::RequestsRefused),
                failed: counter(Counter::RequestsFailed),
            },
            cache: CacheFigures::new(figures),
            load_calls: counter(Counter::LoadCalls),
            commits: CommitFigures {
                committed: counter(Counter::Committed),
                conflicts: counter(Counter::Conflicts),
                calls: counter(Counter::CommitCalls),
            },
            writes: WriteFigures {
                items: counter(Counter::Records),
                calls: counter(Counter::WriteCalls),
                retried_items: counter(Counter::RecordsRetried),
                round_trips_saved: counter(Counter::RoundTripsSaved),
            },
            events: EventFigures {
                published: counter(Counter::EventsPublished),
                failed: counter(Counter::EventsFailed),
                calls: counter(Counter::EventCalls),
            },
            lateness_ms: figures.sketch(Measurement::LatenessMs).distribution(1.0),
            resident_bytes: figures.sketch(Measurement::MemoryKib).distribution(1024.0),
            estimated_cost: (cost > 0).then_some(cost as f64 / 1000.0),
        }
    }
}

impl CommandFigures<u64> {
    fn per_second(self, seconds: u64) -> CommandFigures<f64> {
        let rate = |count: u64| thousandths(count as f64 / seconds.max(1) as f64);
        CommandFigures {
            received: rate(self.received),
            applied: rate(self.applied),
            duplicate: rate(self.duplicate),
            rejected: rate(self.rejected),
            failed: rate(self.failed),
            malformed: rate(self.malformed),
        }
    }
}

impl CacheFigures {
    fn new(figures: &Figures) -> Self {
        let [lookups, local, redis] =
            [Counter::Lookups, Counter::LocalHits, Counter::RedisHits].map(|counter| figures.counter(counter));
        let rate = |hits: u64, of: u64| (of > 0).then(|| thousandths(hits as f64 / of as f64));
        Self {
            lookups,
            hits: local + redis,
            hit_rate: rate(local + redis, lookups),
            local: TierFigures { hits: local, hit_rate: rate(local, lookups) },
            redis: TierFigures { hits: redis, hit_rate: rate(redis, lookups.saturating_sub(local)) },
            errors: figures.counter(Counter::RedisErrors),
            unavailable: figures.counter(Counter::RedisUnavailable),
        }
    }
}

/// Rounds to three decimals: more would be noise.
fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
