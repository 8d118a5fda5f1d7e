//! An event bus of EventBridge, to which events are published.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_eventbridge::{
    Client,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use millrace_pipeline::{EventDestination, Failure, OutgoingEvent, SendAnswer};
use millrace_telemetry::trace::TARGET;
use tracing::{Instrument as _, Span, field::Empty};

use crate::service_client::{OutgoingTrace, SendReasons, ServiceClient, record_failure};

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
        let span = tracing::info_span!(
            target: TARGET,
            "eventbridge",
            otel.kind = "producer",
            rpc.system = "aws-api",
            rpc.service = "EventBridge",
            rpc.method = "PutEvents",
            messaging.destination.name = self.bus,
            messaging.batch.message_count = events.len(),
            "error.type" = Empty,
        );
        let answer = self.send_in(&span, events).instrument(span.clone()).await;
        record_failure(&span, &answer);
        answer
    }
}

impl EventBus {
    async fn send_in(&self, span: &Span, events: &[OutgoingEvent<'_>]) -> SendAnswer {
        let trace = OutgoingTrace::of_call(span);
        let entry = |event: &OutgoingEvent<'_>| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.bus)
                .source(SOURCE)
                .detail_type(event.event_type)
                .detail(event.json)
                .set_trace_header(trace.header_of(event.trace))
                .build()
        };
        let call = self.client.get().put_events().set_entries(Some(events.iter().map(entry).collect()));
        // The futures of the SDK have several kilobytes.
        let answer = Box::pin(call.customize().mutate_request(trace.add_to_request()).send()).await;
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
