//! The pipeline that carries events to queues, and nothing that knows a vendor.
//!
//! `decode → group → load → apply → commit → record → refresh → answer`: one invocation does each
//! step once for all its players. The modules stand in that order.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`decode`] | an event's bytes into commands, ticks and malformed input |
//! | [`group`] | the work of each player, in order |
//! | [`load`] | queues: local cache, remote cache, then the table; outboxes written again |
//! | [`apply`] | the pure domain, a panic kept to its player |
//! | [`commit`] | one conditional write a changed player; conflicts are loaded and applied again |
//! | [`record`] | what was decided, through the write batcher |
//! | [`settle`] | out of the index of what is due with what stands there for the sake of its records |
//! | [`refresh`] | the caches, once the records are written |
//! | [`answer`] | batch item failures and results |
//! | [`report`] | what an invocation took, counted by the steps on their way |
//! | [`service`] | [`Service`]: the steps put together, bounded by the invocation's deadline |
//! | [`command`] | commands of a caller who waits: all results and the new queue |
//! | [`read`] | a queue as of now, cache first; pages of what is recorded |
//! | [`performance`], [`health`] | what the last invocations took; what can be reached |
//! | [`maintenance`] | upkeep of the shared cache: warm, clear, rebuild, emergency mode, statistics |
//! | [`advance`] | finds the queues with something due, and has them advanced |
//! | [`lateness`] | how late timed completions were seen |
//! | [`fifo`] | in a FIFO batch, everything behind a failed message of its group fails too |
//! | [`status`] | what became of a command, and why one failed |
//! | `player`, `log` | a player's work under way; what an invocation logs |
//! | [`settings`], [`clock`] | what the pipeline is told, and its time |
//!
//! # What holds after a crash
//! A queue's row carries the records of its last commit (the outbox). Records are written after the
//! commit; only then are messages acknowledged and the queue cached. Whoever loads the row from the
//! table writes its outbox again first. So a crash at any point loses nothing: redelivered commands
//! are found remembered, and their records are put again under the same keys.
#![deny(missing_docs)]

pub mod advance;
pub mod answer;
pub mod apply;
pub mod clock;
pub mod command;
pub mod commit;
pub mod decode;
pub mod fifo;
pub mod group;
pub mod health;
pub mod lateness;
pub mod load;
mod log;
pub mod maintenance;
pub mod performance;
mod player;
pub mod read;
pub mod record;
pub mod refresh;
pub mod report;
pub mod service;
pub mod settings;
pub mod settle;
pub mod status;

pub use advance::{AdvanceError, Advanced, TickError, TickMessage, TicksQueue};
pub use answer::Answer;
pub use clock::Clock;
pub use command::{CommandsAnswer, ReadCommands};
pub use player::MAX_PLAYER_ITEMS;
pub use read::{QueueRead, ReadError, ReadReport};
pub use report::Report;
pub use service::{Invocation, Parts, ProcessError, Service};
pub use settings::ServiceSettings;
