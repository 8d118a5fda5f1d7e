//! `advance-queues` on real back ends, with a clock that the tests move.
//!
//! | module | what it shows |
//! |---|---|
//! | `direct` | 10,000 queues over two minutes on the embedded store, killed and run twice at once; deadlines |
//! | `ticks` | the same by ticks through SQS, each to its second |
//! | `costs` | what a run costs: nothing for idle queues, a call a shard and page |
//! | `faults` | SQS and shards failing, partly and wholly |
//! | `inactive` | queues of inactive players |

mod costs;
mod direct;
mod faults;
mod inactive;
mod ticks;

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::QueueAttributeName,
};
use millrace_domain::Timestamp;
use millrace_servers::{ACCESS_KEY_ID, Fault, MiniStack, REGION, SECRET_ACCESS_KEY};
use millrace_tests::{Function, backends::BackEnds, due::MovedClock, function::Setup, sqs};
use serde_json::{Value, json};

/// When the tests begin, by their own clock.
fn begin() -> Timestamp {
    Timestamp::from_millis(sqs::START_MS)
}

/// Starts a function that has to start, on this clock.
async fn started(setup: Setup, clock: &MovedClock) -> Function {
    setup.env("MILLRACE_CLOCK_FILE", clock.path()).start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// What EventBridge Scheduler sends where no input is set.
fn scheduled() -> Value {
    json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.scheduler", "account": "123456789012", "time": "2026-01-15T09:00:00Z", "region": "eu-central-1",
        "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/millrace-advance"], "detail": "{}",
    })
}

/// One run with a minute of time.
async fn run(function: &Function) -> Value {
    function.invoke(scheduled()).await.unwrap_or_else(|error| panic!("{error}\n{}", function.stderr()))
}

/// A whole number of the answer.
fn figure(answer: &Value, path: &str) -> u64 {
    answer.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path} in {answer:#}"))
}

fn is_done(answer: &Value) -> bool {
    answer["advance"]["done"].as_bool().unwrap_or_else(|| panic!("not told in {answer:#}"))
}

/// A tick as it was sent to SQS.
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

/// A queue of SQS that ticks go to, and what was sent to it, behind the proxy of the back ends.
struct TicksQueue {
    url: String,
    sqs: Client,
    sent: Arc<Mutex<Vec<SentTick>>>,
}

impl TicksQueue {
    /// A new queue; the proxy of `back_ends` writes down what is sent to it.
    async fn new(back_ends: &BackEnds) -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test"))
            .endpoint_url(MiniStack::shared().await.endpoint())
            .build();
        let sqs = Client::from_conf(config);
        let made = sqs.create_queue().queue_name(format!("{}ticks", back_ends.prefix())).send().await;
        let url = made.expect("a queue can be made").queue_url.expect("a queue has a URL");
        let queue = Self { url, sqs, sent: Arc::default() };
        back_ends.dynamodb.set_rule(queue.write_down());
        queue
    }

    /// A rule that writes down what is sent, and forwards it.
    fn write_down(&self) -> impl Fn(&millrace_servers::Call) -> Fault + Send + Sync + 'static {
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

    /// `advance-queues` that sends to it.
    fn advance_queues(&self, back_ends: &BackEnds) -> Setup {
        back_ends.function("advance-queues").env("MILLRACE_TICKS_QUEUE_URL", &self.url)
    }

    /// What was sent since the last call.
    fn take_sent(&self) -> Vec<SentTick> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many messages lie in it, those that are held back among them.
    async fn messages(&self) -> u64 {
        let names =
            [QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::ApproximateNumberOfMessagesDelayed];
        let asked = self.sqs.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let attributes = asked.send().await.expect("it can be asked").attributes.unwrap_or_default();
        attributes.values().map(|number| number.parse::<u64>().expect("a number")).sum()
    }
}
