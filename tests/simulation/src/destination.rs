//! A fake destination of events.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use millrace_pipeline::{
    EventDestination, Failure, OutgoingEvent, Publishing, SendAnswer, event_destination::MAX_CALL_EVENTS,
};

use crate::Options;

/// What becomes of an event, given the number of the call.
#[derive(Debug, Clone, PartialEq)]
pub enum DestinationFault {
    /// The event is accepted.
    None,
    /// The event is refused.
    Refuse(Failure),
    /// The whole call fails.
    FailCall(Failure),
    /// The call never returns.
    Hang,
}

type FaultHook = Box<dyn Fn(usize, &OutgoingEvent<'_>) -> DestinationFault + Send + Sync>;

/// Publishes all events to these destinations, and to the events table if `table` is set.
pub fn publishing_to(destinations: &[Arc<FakeDestination>], table: bool) -> Publishing {
    let destinations = destinations.iter().map(|destination| Arc::clone(destination) as Arc<dyn EventDestination>);
    Publishing { destinations: destinations.collect(), types: None, table }
}

/// A destination that keeps what it accepted and fails on demand.
#[derive(Default)]
pub struct FakeDestination {
    keeps_order: bool,
    faults: Mutex<Option<FaultHook>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Vec<String>>,
    accepted: Vec<(String, String)>,
}

impl FakeDestination {
    /// A destination that takes events in any order.
    pub fn unordered() -> Arc<Self> {
        Arc::default()
    }

    /// A destination that keeps the order of each player's events.
    pub fn ordered() -> Arc<Self> {
        Arc::new(Self { keeps_order: true, ..Self::default() })
    }

    /// Decides on the fault of each event from now on. The first argument is the number of the
    /// call, from 0.
    pub fn set_faults(&self, faults: impl Fn(usize, &OutgoingEvent<'_>) -> DestinationFault + Send + Sync + 'static) {
        *self.faults.lock().unwrap() = Some(Box::new(faults));
    }

    /// Accepts all events from now on.
    pub fn clear_faults(&self) {
        *self.faults.lock().unwrap() = None;
    }

    /// The ids of the events of each call.
    pub fn calls(&self) -> Vec<Vec<String>> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The ids of the accepted events, in order.
    pub fn accepted_ids(&self) -> Vec<String> {
        self.accepted().into_iter().map(|(id, _)| id).collect()
    }

    /// The ids and the JSON of the accepted events, in order.
    pub fn accepted(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().accepted.clone()
    }

    /// The options of a process that publishes all events to this destination.
    pub fn options(self: &Arc<Self>) -> Options {
        Options { publishing: Some(publishing_to(&[Arc::clone(self)], false)), ..Options::default() }
    }

    fn fault(&self, call: usize, event: &OutgoingEvent<'_>) -> DestinationFault {
        self.faults.lock().unwrap().as_ref().map_or(DestinationFault::None, |faults| faults(call, event))
    }
}

#[async_trait]
impl EventDestination for FakeDestination {
    fn keeps_order(&self) -> bool {
        self.keeps_order
    }

    async fn send(&self, events: &[OutgoingEvent<'_>]) -> SendAnswer {
        assert!((1..=MAX_CALL_EVENTS).contains(&events.len()));
        let call = {
            let mut state = self.state.lock().unwrap();
            state.calls.push(events.iter().map(|event| event.event_id().to_string()).collect());
            state.calls.len() - 1
        };
        // A process can crash before the call takes effect, and before it learns of that.
        tokio::task::yield_now().await;
        let mut results = Vec::new();
        for event in events {
            results.push(match self.fault(call, event) {
                DestinationFault::None => {
                    let accepted = (event.event_id().to_string(), event.json.to_owned());
                    self.state.lock().unwrap().accepted.push(accepted);
                    Ok(())
                }
                DestinationFault::Refuse(failure) => Err(failure),
                DestinationFault::FailCall(failure) => return Err(failure),
                DestinationFault::Hang => std::future::pending().await,
            });
        }
        tokio::task::yield_now().await;
        Ok(results)
    }
}
