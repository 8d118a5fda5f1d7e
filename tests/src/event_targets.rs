//! What functions publish events to: a bus with a queue that gets all its events, and a FIFO queue.

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName as Attribute, QueueAttributeName,
};
use millrace_servers::MiniStack;
use serde_json::Value;

use crate::{backends::Backends, eventbridge, sqs};

/// A bus and queues of MiniStack.
pub struct EventTargets {
    bus: String,
    bus_queue: String,
    fifo_queue: String,
    sqs: aws_sdk_sqs::Client,
}

/// A message of the FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuedEvent {
    /// The message group.
    pub group: String,
    /// The deduplication id.
    pub deduplication_id: String,
    /// The body.
    pub body: String,
}

impl EventTargets {
    /// Creates a bus and queues with the prefix of these backends.
    ///
    /// # Panics
    /// If that fails.
    pub async fn new(backends: &Backends) -> Self {
        let endpoint = MiniStack::shared().await.endpoint();
        let (sqs, events) = (sqs::client(&endpoint), eventbridge::client(&endpoint));
        let name = |name: &str| format!("{}{name}", backends.prefix());
        let (bus, rule) = (name("events"), name("all"));
        let fifo = [(QueueAttributeName::FifoQueue, "true".to_owned())];
        let create = sqs.create_queue().queue_name(name("events.fifo")).set_attributes(Some(fifo.into()));
        let fifo_queue = create.send().await.expect("the queue is created").queue_url.expect("a URL");
        let create = sqs.create_queue().queue_name(name("bus-events"));
        let bus_queue = create.send().await.expect("the queue is created").queue_url.expect("a URL");
        let arn = sqs.get_queue_attributes().queue_url(&bus_queue).attribute_names(QueueAttributeName::QueueArn);
        let arn = arn.send().await.expect("SQS answers").attributes.unwrap_or_default();
        let arn = &arn[&QueueAttributeName::QueueArn];
        events.create_event_bus().name(&bus).send().await.expect("the bus is created");
        let pattern = r#"{"source": ["millrace"]}"#;
        let put = events.put_rule().name(&rule).event_bus_name(&bus).event_pattern(pattern);
        put.send().await.expect("the rule is created");
        let target = Target::builder().id("queue").arn(arn).build().expect("a target");
        let put = events.put_targets().rule(&rule).event_bus_name(&bus).targets(target);
        put.send().await.expect("the target is added");
        Self { bus, bus_queue, fifo_queue, sqs }
    }

    /// The entry of `MILLRACE_EVENTS` for the bus.
    pub fn bus(&self) -> String {
        format!("eventbridge:{}", self.bus)
    }

    /// The entry of `MILLRACE_EVENTS` for the FIFO queue.
    pub fn queue(&self) -> String {
        format!("sqs:{}", self.fifo_queue)
    }

    /// Takes the events that the bus has delivered, in the order of their arrival.
    pub async fn take_from_bus(&self) -> Vec<Value> {
        let messages = self.take(&self.bus_queue).await;
        messages.iter().map(|message| serde_json::from_str(body(message)).expect("an event is JSON")).collect()
    }

    /// Takes the messages of the FIFO queue, in the order of their arrival.
    pub async fn take_from_queue(&self) -> Vec<QueuedEvent> {
        let attribute = |message: &Message, name| {
            message.attributes.as_ref().and_then(|all| all.get(&name)).expect("a FIFO message has it").clone()
        };
        let queued = |message: &Message| QueuedEvent {
            group: attribute(message, Attribute::MessageGroupId),
            deduplication_id: attribute(message, Attribute::MessageDeduplicationId),
            body: body(message).to_owned(),
        };
        self.take(&self.fifo_queue).await.iter().map(queued).collect()
    }

    async fn take(&self, url: &str) -> Vec<Message> {
        let mut taken = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(url).max_number_of_messages(10);
            let receive = receive.message_system_attribute_names(Attribute::All).wait_time_seconds(0);
            let messages = receive.send().await.expect("SQS answers").messages.unwrap_or_default();
            if messages.is_empty() {
                return taken;
            }
            let delete = |(at, message): (usize, &Message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string());
                entry.set_receipt_handle(message.receipt_handle.clone()).build().expect("an entry")
            };
            let entries = messages.iter().enumerate().map(delete).collect();
            let delete = self.sqs.delete_message_batch().queue_url(url).set_entries(Some(entries));
            delete.send().await.expect("the messages are deleted");
            taken.extend(messages);
        }
    }
}

fn body(message: &Message) -> &str {
    message.body.as_deref().expect("a message has a body")
}
