//! The list of metrics: name, unit, statistic, meaning.
//!
//! Every metric is a field of the record that an invocation writes. CloudWatch keeps those that are
//! [published](Metric::is_published), each at a monthly price. The others are for queries of logs.

use serde::Serialize;

/// The dimension that all metrics have, and its value. Users of AWS Lambda Powertools expect it.
pub const SERVICE_DIMENSION: (&str, &str) = ("service", "millrace");
/// The further dimension of [`Metric::ColdStart`]: the name of the Lambda function.
pub const FUNCTION_DIMENSION: &str = "function_name";

/// The unit of a metric, as CloudWatch names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// A share, 0 to 100.
    Percent,
    /// Bytes.
    Bytes,
    /// Another unit, which the meaning names.
    None,
}

/// How the values of a period become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Statistic {
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// The largest.
    Maximum,
}

/// What the list says of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// The name in CloudWatch, and of the field of the record.
    pub name: &'static str,
    /// The unit.
    pub unit: Unit,
    /// How the values of a period become one.
    pub statistic: Statistic,
    /// Whether CloudWatch keeps it as a metric.
    pub published: bool,
    /// What it counts or measures, as a sentence.
    pub meaning: &'static str,
}

macro_rules! metrics {
    ($($metric:ident: $unit:ident $statistic:ident $published:ident, $meaning:literal;)*) => {
        /// A metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $meaning] $metric),*
        }

        impl Metric {
            /// All metrics, in the order of the record.
            pub const ALL: [Self; [$(Self::$metric),*].len()] = [$(Self::$metric),*];

            /// What the list says of it.
            pub const fn definition(self) -> Definition {
                match self {
                    $(Self::$metric => Definition {
                        name: stringify!($metric),
                        unit: Unit::$unit,
                        statistic: Statistic::$statistic,
                        published: metrics!(@ $published),
                        meaning: $meaning,
                    }),*
                }
            }
        }
    };
    (@ published) => { true };
    (@ logged) => { false };
}

metrics! {
    ColdStart: Count Sum published, "First invocations of a process.";
    ProcessingTime: Milliseconds Average logged, "The time from the payload to the answer.";
    CommandsReceived: Count Sum published, "Commands and malformed input.";
    CommandsApplied: Count Sum published, "Commands that took effect.";
    CommandsDuplicate: Count Sum logged, "Commands that were decided before.";
    CommandsRejected: Count Sum published, "Commands that are refused for good.";
    CommandsMalformed: Count Sum published, "Input that could not be understood.";
    CommandsFailed: Count Sum published, "Commands that have to be delivered again.";
    Ticks: Count Sum logged, "Ticks received by `process-tasks`, or sent or applied by `advance-queues`.";
    Messages: Count Sum logged, "Messages received: SQS records, EventBridge events, direct calls.";
    MessagesFailed: Count Sum logged, "Messages that were handed back to their source.";
    Players: Count Sum logged, "Players whose queues were used.";
    Requests: Count Sum logged, "HTTP requests.";
    RequestsRefused: Count Sum logged, "HTTP requests answered with a status from 400 to 499.";
    RequestsFailed: Count Sum logged, "HTTP requests answered with a status of 500 or above.";
    Reads: Count Sum logged, "Queues, lists and tasks read over HTTP.";
    Lateness: Milliseconds Maximum published,
        "How late timed completions were committed: the 99th percentile of the invocation.";
    Completions: Count Sum logged, "Timed completions that were committed.";
    AttemptsTimedOut: Count Sum published, "Attempts that failed by a lost heartbeat or a time-out.";
    CacheLookups: Count Sum published, "Queues looked up in the caches.";
    CacheHits: Count Sum published, "Queues found in a cache.";
    LocalHits: Count Sum logged, "Queues found in the local cache.";
    RedisHits: Count Sum logged, "Queues found in Redis.";
    RedisErrors: Count Sum published, "Calls to Redis that failed.";
    RedisUnavailable: Percent Average published,
        "100 where the circuit breaker keeps the function from Redis at the end of the invocation, otherwise 0.";
    Commits: Count Sum logged, "Queues committed.";
    Conflicts: Count Sum published, "Version conflicts of commits.";
    RoundTrips: Count Sum published, "Calls to the tables, retries included.";
    RoundTripsSaved: Count Sum published, "How many more calls one write for each record would have taken.";
    RecordsWritten: Count Sum logged, "Records written in batches.";
    RecordsRetried: Count Sum logged, "Records sent more than once.";
    ReadUnits: Count Sum logged, "Read units of DynamoDB, counted by the sizes of the rows.";
    WriteUnits: Count Sum logged, "Write units of DynamoDB, counted by the sizes of the rows and the due index.";
    EventsPublished: Count Sum published, "Events that every destination accepted.";
    EventsFailed: Count Sum published, "Events of commits that some destination did not accept.";
    MemoryUsed: Percent Maximum published, "The resident memory, as a share of the memory of the function.";
    ResidentMemory: Bytes Maximum logged, "The resident memory of the process.";
    EstimatedCost: None Sum published,
        "What the invocation costs at list prices, in millionths of a dollar. The metrics page lists what is counted.";
}

impl Metric {
    /// The name in CloudWatch, and of the field of the record.
    pub const fn name(self) -> &'static str {
        self.definition().name
    }

    /// Whether CloudWatch keeps it as a metric.
    pub const fn is_published(self) -> bool {
        self.definition().published
    }
}

impl Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_no_more_metrics_than_cloudwatch_takes() {
        const MAX_METRICS: usize = 100;
        assert!(Metric::ALL.iter().filter(|metric| metric.is_published()).count() <= MAX_METRICS);
    }

    #[test]
    fn meanings_are_sentences() {
        for Definition { name, meaning, .. } in Metric::ALL.map(Metric::definition) {
            assert!(meaning.ends_with('.'), "{name}: {meaning}");
        }
    }
}
