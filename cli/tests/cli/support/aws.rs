//! Emulated services of AWS, with queues and stacks for one test.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use millrace_servers::{ACCESS_KEY_ID, MiniStack, REGION, SECRET_ACCESS_KEY};
use serde_json::json;

use super::Program;

/// The services. All tests of the process share them, so queues and stacks have different names.
pub struct Aws {
    endpoint: String,
    pub config: SdkConfig,
    pub sqs: aws_sdk_sqs::Client,
}

/// A message of a queue.
#[derive(Debug)]
pub struct Message {
    pub body: String,
    pub group: String,
}

impl Aws {
    pub async fn start() -> Self {
        let endpoint = MiniStack::shared().await.endpoint();
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test"))
            .endpoint_url(&endpoint)
            .load()
            .await;
        let sqs = aws_sdk_sqs::Client::new(&config);
        Self { endpoint, config, sqs }
    }

    /// The program with these arguments, and credentials of the services.
    pub fn millrace(&self, arguments: &[&str]) -> Program {
        Program::new(arguments)
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    }

    /// The URL of all services.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Creates a queue and returns its URL.
    pub async fn queue(&self, name: &str) -> String {
        let mut create = self.sqs.create_queue().queue_name(name);
        if name.ends_with(".fifo") {
            create = create.attributes(QueueAttributeName::FifoQueue, "true");
        }
        create.send().await.expect("the queue is created").queue_url.expect("a URL")
    }

    /// Sends a message; to a FIFO queue with a group and a deduplication id.
    pub async fn send(&self, url: &str, body: String, fifo: Option<(&str, &str)>) {
        let mut send = self.sqs.send_message().queue_url(url).message_body(body);
        if let Some((group, id)) = fifo {
            send = send.message_group_id(group).message_deduplication_id(id);
        }
        send.send().await.expect("the message is sent");
    }

    /// The number of messages in a queue.
    pub async fn count(&self, url: &str) -> usize {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let get = self.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
        let attributes = get.send().await.expect("the attributes are read").attributes.unwrap_or_default();
        attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Receives the messages that are in a queue now.
    pub async fn messages(&self, url: &str) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(url).max_number_of_messages(10);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
            let messages = receive.send().await.expect("messages are received").messages.unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            all.extend(messages.into_iter().map(|message| {
                Message {
                    group: message
                        .attributes()
                        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::MessageGroupId).cloned())
                        .unwrap_or_default(),
                    body: message.body.unwrap_or_default(),
                }
            }));
        }
    }

    /// Creates a log group with these lines.
    pub async fn log(&self, group: &str, lines: &[serde_json::Value]) {
        let client = aws_sdk_cloudwatchlogs::Client::new(&self.config);
        client.create_log_group().log_group_name(group).send().await.expect("the group is created");
        let stream = client.create_log_stream().log_group_name(group).log_stream_name("s");
        stream.send().await.expect("the stream is created");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
        let now = i64::try_from(now.as_millis()).expect("a time");
        let event =
            |line: &serde_json::Value| InputLogEvent::builder().timestamp(now).message(line.to_string()).build();
        let events = lines.iter().map(event).collect::<Result<_, _>>().expect("valid events");
        let put = client.put_log_events().log_group_name(group).log_stream_name("s").set_log_events(Some(events));
        put.send().await.expect("the lines are written");
    }

    /// Creates a stack with these outputs.
    pub async fn stack(&self, name: &str, outputs: &[(&str, &str)]) {
        let outputs: serde_json::Map<_, _> =
            outputs.iter().map(|(name, value)| ((*name).to_owned(), json!({ "Value": value }))).collect();
        let parameter =
            json!({"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": "1"}});
        let template = json!({"Resources": {"Parameter": parameter}, "Outputs": outputs}).to_string();
        let client = aws_sdk_cloudformation::Client::new(&self.config);
        client.create_stack().stack_name(name).template_body(template).send().await.expect("the stack is created");
        for _ in 0..100 {
            let stacks = client.describe_stacks().stack_name(name).send().await.expect("the stack is described");
            let status = stacks.stacks().first().and_then(|stack| stack.stack_status()).expect("a status");
            if status.as_str() == "CREATE_COMPLETE" {
                return;
            }
            assert_eq!(status.as_str(), "CREATE_IN_PROGRESS");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the stack {name} is not created");
    }
}
