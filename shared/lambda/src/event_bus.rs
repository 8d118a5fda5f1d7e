//! An event bus of EventBridge, to which events are published.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_eventbridge::{
    Client,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use millrace_pipeline::{EventDestination, Failure, OutgoingEvent, SendAnswer};

use crate::service_client::{SendReasons, ServiceClient, add_trace};

/// The `source` of every event.
const SOURCE: &str = "millrace";
/// How the codes of entries begin that EventBridge failed to take, through no fault of the entry.
const INTERNAL: &str = "Internal";

/// An event bus. Rules match the type of an event as its `detail-type`.
#[derive(Debug)]
pub struct EventBus {
    client: ServiceClient<Client>,
    /// The name or the ARN of the bus.
    bus: String,
}

impl EventBus {
    /// The bus with this name or ARN, with the region, credentials and endpoint of `sdk`.
    pub fn new(sdk: &SdkConfig, bus: &str) -> Self {
        Self { client: ServiceClient::new(sdk, Client::new), bus: bus.to_owned() }
    }
}

#[async_trait]
impl EventDestination for EventBus {
    fn keeps_order(&self) -> bool {
        false
    }

    async fn send(&self, events: &[OutgoingEvent<'_>]) -> SendAnswer {
        let entry = |event: &OutgoingEvent<'_>| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(SOURCE)
                .detail_type(event.event_type)
                .detail(event.json)
                .build()
        };
        let call = self.client.get().put_events().set_entries(Some(events.iter().map(entry).collect()));
        // The futures of the SDK have several kilobytes.
        let answer = Box::pin(call.customize().mutate_request(add_trace()).send()).await;
        let answer = answer.map_err(|error| SendReasons::EVENTS.of_call(&error))?;
        Ok(answer.entries().iter().map(result_of).collect())
    }
}

/// The results are in the order of the entries.
fn result_of(entry: &PutEventsResultEntry) -> Result<(), Failure> {
    match (entry.event_id(), entry.error_code()) {
        (_, Some(code)) => {
            Err(SendReasons::EVENTS.of_message(code, entry.error_message(), !code.starts_with(INTERNAL)))
        }
        (Some(_), None) => Ok(()),
        (None, None) => Err(Failure::unanswered()),
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::FailureReason;

    use super::*;

    #[test]
    fn each_entry_has_its_result() {
        let failed = |code| result_of(&PutEventsResultEntry::builder().error_code(code).error_message("m").build());
        let reason = |code| failed(code).unwrap_err().reason;
        assert_eq!(result_of(&PutEventsResultEntry::builder().event_id("e-1").build()), Ok(()));
        assert_eq!(result_of(&PutEventsResultEntry::builder().build()), Err(Failure::unanswered()));
        for code in ["InternalFailure", "InternalException", "ThrottlingException"] {
            assert_eq!(reason(code), FailureReason::EventsUnavailable, "{code}");
        }
        assert_eq!(
            failed("MalformedDetail").unwrap_err(),
            Failure::new(FailureReason::EventsRefused, "MalformedDetail: m")
        );
    }
}
