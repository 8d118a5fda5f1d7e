//! What a queue is and what happens to it: pure, without async, SDK, clock or randomness.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`ids`] | validated identifiers and names |
//! | `encoding` | how fields of rows are encoded |
//! | [`time`] | [`Timestamp`]: milliseconds since the Unix epoch, RFC 3339 in JSON |
//! | [`resources`] | amounts of resources: balances, costs, rewards |
//! | [`task`] | what a task is asked to be, and what it is while unfinished |
//! | [`command`] | every request that can change a queue, and how it was delivered |
//! | [`parse`] | JSON of commands and ticks into the types above, with errors that name the field |
//! | [`queue`] | one player's queue, and what it remembers |
//! | [`apply`] | one command takes effect: duplicate, rejected or applied |
//! | [`advance`] | time passes: what is due completes, free slots are filled |
//! | [`finish`] | a task completes, fails or is cancelled, with all that follows |
//! | [`event`] | what each step led to |
//! | [`failure`] | why work has to be delivered again |
//! | [`record`] | rows that record what was decided: history, stats, rejections, progress |
//! | [`rejection`] | why a command was refused |
//! | [`memory`] | what a queue remembers of the commands it has seen |
//! | [`recent`] | the finished tasks that it remembers |
//! | [`rules`] | what a deployment decides for all its queues: when inactive ones are paused |
//! | [`rollout`] | feature switches, rolled out by player |
//! | [`codec`] | compact, versioned bytes of a queue, checked for damage |
//! | `wire` | writes and reads postcard's wire format, in which these bytes are |
//! | [`view`] | a queue as of now, the way readers see it |
//!
//! Time, and everything else from outside, comes in as a value. The same bytes in give the same
//! bytes out, which is what lets a conditional write be repeated and a simulation be seeded.
#![deny(missing_docs)]

pub mod advance;
pub mod apply;
pub mod codec;
pub mod command;
pub mod command_memory;
mod encoding;
pub mod event;
pub mod failure;
pub mod finish;
pub mod finished_tasks;
pub mod ids;
pub mod parse;
pub mod queue;
pub mod record;
pub mod rejection;
pub mod resources;
pub mod rollout;
pub mod rules;
pub mod task;
pub mod time;
pub mod view;
mod wire;

#[cfg(test)]
mod scenario;

pub use apply::{Change, Verdict};
pub use command::{Command, Delivery, FifoPosition};
pub use event::Event;
pub use failure::FailureReason;
pub use ids::{CommandId, PlayerId, ResourceName, TaskId, TaskKind};
pub use queue::Queue;
pub use record::Record;
pub use rejection::{Rejection, RejectionReason};
pub use resources::{MAX_AMOUNT, Resources};
pub use rollout::FeatureSwitch;
pub use rules::Rules;
pub use task::{Priority, Task, TaskSpec, Work};
pub use time::Timestamp;
