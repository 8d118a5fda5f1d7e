//! Finds the queues with something due, by the due index and never by a scan, and has them
//! advanced.
//!
//! | module | what it has |
//! |---|---|
//! | [`advance`](mod@advance) | one run, from the index to its report |
//! | [`due_queues`] | what is due in all shards of the index, the oldest first |
//! | [`ticks`] | the port of the queue that ticks go to, and ticks as messages |
//! | `send` | sends ticks for what comes due before the next run, each for its second |
//! | `direct` | without a queue for ticks: advances what is due through the pipeline |
//! | [`report`] | how far a run came |
//!
//! A run holds one page of each shard and what it is about to send or to advance, however much is
//! due. What it does not reach before its deadline is still due for the next run, and comes first
//! there. Two runs at once do the same work twice: a tick that finds nothing due changes nothing.
#![deny(missing_docs)]

pub mod advance;
mod direct;
pub mod due_queues;
pub mod report;
mod send;
pub mod ticks;

pub use advance::{AdvanceError, TickTarget, advance};
pub use report::{AdvanceReport, Advanced, Calls, Mode};
pub use ticks::{MAX_TICKS, TickMessage, TicksQueue};
