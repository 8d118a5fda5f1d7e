//! Commands as events of an event bus.

use std::time::Duration;

use aws_sdk_eventbridge::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata as _},
    types::PutEventsRequestEntry,
};

use crate::{
    deployment::aws_failure,
    failure::Failure,
    send::{batches::batches, outcomes::Outcomes, portions::Portion},
};

/// The detail type that the rule of the deployment forwards.
const DETAIL_TYPE: &str = "TaskQueueCommand";
const SOURCE: &str = "millrace.cli";
/// How often an event is sent that the bus does not take.
const ATTEMPTS: u32 = 4;
const WAIT: Duration = Duration::from_millis(300);

/// Sends the portions of all players. `progress` is called with the number of commands sent.
///
/// # Errors
/// [`Failure`] if the bus takes nothing at all.
pub async fn send(
    client: &Client,
    bus: &str,
    players: &[Vec<Portion>],
    outcomes: &mut Outcomes,
    progress: impl Fn(u64),
) -> Result<(), Failure> {
    for mut left in batches(players) {
        let mut refused = String::new();
        for attempt in 0..ATTEMPTS {
            if left.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(WAIT * attempt).await;
            }
            let entries = left.iter().map(|portion| {
                let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source(SOURCE);
                entry.detail_type(DETAIL_TYPE).detail(portion.body()).build()
            });
            let answer = client.put_events().set_entries(Some(entries.collect())).send().await.map_err(|error| {
                aws_failure("send to the event bus", error.code(), &DisplayErrorContext(&error).to_string())
            })?;
            let mut not_taken = Vec::new();
            for (at, portion) in left.into_iter().enumerate() {
                match answer.entries().get(at).and_then(|entry| entry.error_code()) {
                    None => {
                        outcomes.accept(portion);
                        progress(portion.commands.len() as u64);
                    }
                    Some(code) => {
                        code.clone_into(&mut refused);
                        not_taken.push(portion);
                    }
                }
            }
            left = not_taken;
        }
        left.into_iter().for_each(|portion| outcomes.fail(portion, "not_sent", &refused));
    }
    Ok(())
}
