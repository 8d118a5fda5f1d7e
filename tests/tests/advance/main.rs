//! `advance-queues` with real backends and a clock that the tests set.
//!
//! | module | content |
//! |---|---|
//! | `direct` | 10,000 queues on the embedded store, with kills, concurrent runs and short deadlines |
//! | `ticks` | 10,000 queues advanced by ticks through SQS |
//! | `costs` | the exact number of calls of a run |
//! | `faults` | errors of SQS and of shards of the due index |
//! | `inactive` | queues of inactive players |

mod costs;
mod direct;
mod faults;
mod inactive;
mod ticks;

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::{Client, types::QueueAttributeName};
use millrace_domain::Timestamp;
use millrace_servers::{Fault, MiniStack};
use millrace_tests::{Function, backends::Backends, clock::ClockFile, function::FunctionBuilder, sqs};
use serde_json::{Value, json};

/// The time that the clock of a test shows first.
fn start_time() -> Timestamp {
    Timestamp::from_millis(sqs::START_MS)
}

/// Starts a function with this clock. Panics if it does not start.
async fn start(builder: FunctionBuilder, clock: &ClockFile) -> Function {
    builder.env("MILLRACE_CLOCK_FILE", clock.path()).started().await
}

/// The event of a schedule of EventBridge Scheduler that has no input.
fn scheduler_event() -> Value {
    json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.scheduler", "account": "123456789012", "time": "2026-01-15T09:00:00Z", "region": "eu-central-1",
        "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/millrace-advance"], "detail": "{}",
    })
}

/// Runs the function once, with a time-out of a minute.
async fn run(function: &Function) -> Value {
    function.answer(scheduler_event()).await
}

fn is_done(answer: &Value) -> bool {
    answer["advance"]["done"].as_bool().unwrap_or_else(|| panic!("no advance.done in {answer:#}"))
}

/// A tick that was sent to SQS.
#[derive(Debug, Clone, PartialEq)]
struct SentTick {
    delay_seconds: u64,
    body: Value,
}

impl SentTick {
    fn players(&self) -> impl Iterator<Item = &str> {
        self.body["playerIds"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }
}

/// The SQS queue for ticks. The proxy of the backends records what is sent to it.
struct TicksQueue {
    url: String,
    sqs: Client,
    sent: Arc<Mutex<Vec<SentTick>>>,
}

impl TicksQueue {
    /// Creates a queue and a rule of the proxy that records what is sent to it.
    async fn new(backends: &Backends) -> Self {
        let sqs = sqs::client(&MiniStack::shared().await.endpoint());
        let created = sqs.create_queue().queue_name(format!("{}ticks", backends.prefix())).send().await;
        let url = created.expect("the queue is created").queue_url.expect("a queue has a URL");
        let queue = Self { url, sqs, sent: Arc::default() };
        backends.aws_proxy.set_rule(queue.recording_rule());
        queue
    }

    /// A rule that records the ticks of a call and forwards it.
    fn recording_rule(&self) -> impl Fn(&millrace_servers::Call) -> Fault + Send + Sync + 'static {
        let sent = Arc::clone(&self.sent);
        move |call| {
            if call.operation == "SendMessageBatch" {
                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                for entry in call.body["Entries"].as_array().into_iter().flatten() {
                    let body = entry["MessageBody"].as_str().expect("a message has a body");
                    sent.push(SentTick {
                        delay_seconds: entry["DelaySeconds"].as_u64().expect("a message has a delay"),
                        body: serde_json::from_str(body).expect("a body is JSON"),
                    });
                }
            }
            Fault::none()
        }
    }

    /// `advance-queues` with this queue for its ticks.
    fn advance_queues(&self, backends: &Backends) -> FunctionBuilder {
        backends.function("advance-queues").env("MILLRACE_TICKS_QUEUE_URL", &self.url)
    }

    /// The ticks that were sent since the last call of this method.
    fn take_sent(&self) -> Vec<SentTick> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of messages in the queue, delayed messages included.
    async fn messages(&self) -> u64 {
        let names =
            [QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::ApproximateNumberOfMessagesDelayed];
        let request = self.sqs.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let attributes = request.send().await.expect("SQS answers").attributes.unwrap_or_default();
        attributes.values().map(|number| number.parse::<u64>().expect("a number")).sum()
    }
}
