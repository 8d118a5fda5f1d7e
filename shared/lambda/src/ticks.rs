//! The queue for ticks: SQS.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use millrace_due::{TickMessage, TicksQueue};
use millrace_pipeline::SendAnswer;

use crate::{
    service_client::SendReasons,
    sqs_queue::{QueueMessage, SqsQueue},
};

/// A queue of SQS for ticks.
#[derive(Debug)]
pub struct SqsTicks(SqsQueue);

impl SqsTicks {
    /// The queue at `url`, with the region, credentials and endpoint of `sdk`.
    pub fn new(sdk: &SdkConfig, url: &str) -> Self {
        Self(SqsQueue::new(sdk, url, SendReasons::TICKS))
    }
}

#[async_trait]
impl TicksQueue for SqsTicks {
    async fn send(&self, messages: &[TickMessage<'_>]) -> SendAnswer {
        let message = |message: &TickMessage<'_>| {
            let entry = SendMessageBatchRequestEntry::builder()
                .message_body(message.body)
                .delay_seconds(i32::try_from(message.delay_seconds).unwrap_or(i32::MAX));
            QueueMessage { entry, cause: None }
        };
        self.0.send(messages.iter().map(message).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;
    use crate::runtime;

    #[tokio::test]
    async fn a_call_names_the_trace_of_its_invocation() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let credentials = SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test"));
        let sdk = SdkConfig::builder()
            .region(Region::new("eu-central-1"))
            .credentials_provider(credentials)
            .endpoint_url(&url)
            .behavior_version(BehaviorVersion::v2026_01_12())
            .build();
        let ticks = SqsTicks::new(&sdk, &format!("{url}/1/ticks"));
        let trace_id = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned());
        let messages = [TickMessage { body: "{}", delay_seconds: 0 }];
        let call = runtime::layer::TRACE_ID.scope(trace_id, ticks.send(&messages));
        let request = async {
            let (mut connection, _) = server.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = connection.read(&mut request).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        // The call fails, because the server closes the connection.
        let (request, _) = tokio::join!(request, call);
        assert!(request.contains("x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"), "{request}");
    }
}
