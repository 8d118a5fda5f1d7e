//! Queries: what a caller can read. A query decides nothing.
//!
//! | module | what it reads |
//! |---|---|
//! | [`queue`] | a queue as of now, cache first |
//! | [`finished_task`] | what the history says of one finished task |
//! | [`pages`] | finished tasks and refused commands, page by page |
//! | [`events`] | events of a player in order |
//! | [`health`] | whether the store and the shared cache answer |
//! | [`performance`] | what the functions did, and which thresholds are passed |
//! | [`players`] | pages of all players, and those whose queues changed recently |
//! | [`read_error`] | why a read has no answer |
#![deny(missing_docs)]

pub mod events;
pub mod finished_task;
pub mod health;
pub mod pages;
pub mod performance;
pub mod players;
pub mod queue;
pub mod read_error;

pub use events::{EventsRead, EventsRequest, read_events};
pub use finished_task::read_finished_task;
pub use millrace_pipeline::performance::ReadReport;
pub use pages::{PageRead, PageRequest, read_history, read_rejections};
pub use queue::{QueueRead, read_queue};
pub use read_error::ReadError;
