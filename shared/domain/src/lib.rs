//! The domain: what a queue is and what happens to it. No async code, no SDK, no clock, no
//! randomness.
//!
//! | room | what is in it |
//! |---|---|
//! | [`model`] | identifiers, time, amounts, tasks, queues, commands, records |
//! | [`rules`] | how time and commands change a queue |
//! | [`json`] | commands and ticks as they come in, with errors that name the field |
//! | [`events`] | events in JSON, and the queue that they add up to |
//! | [`codec`] | queues and outboxes as the bytes of a row |
//! | [`view`] | a queue as its readers see it |
//!
//! Imports go one way: `rules`, `json`, `events`, `codec` and `view` import `model`, which imports
//! none of them. `view` also uses the rules, because it shows a queue as of now.
//!
//! Time, and everything else from outside, comes in as a value. The same input gives the same
//! bytes. A conditional write can therefore be repeated, and a simulation can be seeded.
#![deny(missing_docs)]

pub mod codec;
pub mod events;
pub mod json;
pub mod model;
pub mod rules;
pub mod view;

#[cfg(test)]
mod testing;

pub use model::{
    attempt,
    command::{self, Command, Delivery, FifoPlace, FifoPosition, FifoQueueId, Sender},
    command_memory,
    event::{self, Event, EventData},
    events_record::{EventsRecord, SerializedEvent},
    failure::{self, FailureReason},
    feature_switch::FeatureSwitch,
    fifo_positions, finished_tasks,
    ids::{self, CommandId, PlayerId, ResourceName, TaskId, TaskKind},
    json_text::{self, JsonText},
    queue::{self, Queue},
    record::{self, Record},
    rejection::{self, Rejection, RejectionReason},
    resources::{self, MAX_AMOUNT, Resources},
    task::{self, Priority, Task, TaskSpec},
    time::{self, Timestamp},
    work::{self, Work},
};
pub use rules::{
    deployment::Rules,
    verdict::{RequiredWrite, Verdict},
};
