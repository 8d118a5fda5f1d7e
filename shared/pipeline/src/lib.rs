//! The pipeline that carries commands and ticks to queues. It knows no vendor.
//!
//! Start with [`process`](process()): it shows the way of a payload from its bytes to the answer, step by step.
//!
//! | module | what it has |
//! |---|---|
//! | [`process`](mod@process) | the way of a payload: the steps in their order |
//! | [`context`], [`batch`] | the two values that every step works on |
//! | [`player`], [`item`] | a player of the batch and one of its commands or ticks, with their states |
//! | [`decode`] | the payload into a batch |
//! | [`steps`] | load, apply, commit, record, due entries, refresh, answer: one file each |
//! | [`apply_items`](mod@apply_items), [`applied`] | the pure domain on the items of one player, and what it led to |
//! | [`loaded_queue`], [`lookup`], [`rows`] | a queue with what is known about it; reads of caches and rows |
//! | [`platform`], [`settings`] | what all invocations of a process share |
//! | [`failure`] | why something has to be delivered again |
//! | [`counters`], [`lateness`] | what the steps count |
//! | [`answer`], [`report`], [`report_builder`] | what an invocation answers |
//! | [`performance`], [`process_reports`] | what the invocations of a process took |
//!
//! # What holds after a crash
//! A queue row carries the records of its last commit, the outbox. Records are written after the commit.
//! Only then are messages acknowledged and the queue cached. A process that reads the row from the table
//! writes its outbox again first. So a crash at any point loses nothing: redelivered commands are found
//! remembered, and their records are put again under the same keys.
#![deny(missing_docs)]

pub mod answer;
pub mod applied;
pub mod apply_items;
pub mod batch;
pub mod context;
pub mod counters;
pub mod decode;
pub mod failure;
pub mod item;
pub mod lateness;
pub mod loaded_queue;
mod logs;
pub mod lookup;
pub mod performance;
pub mod platform;
pub mod player;
pub mod process;
pub mod process_reports;
pub mod report;
pub mod report_builder;
pub mod rows;
pub mod settings;
pub mod steps;
mod writes;

pub use answer::{Answer, ProcessError};
pub use context::{Context, Invocation};
pub use failure::Failure;
pub use platform::{Clock, Platform, PlatformParts};
pub use player::MAX_PLAYER_ITEMS;
pub use process::{CommandsAnswer, PlayerCommands, process};
pub use report::Report;
pub use settings::PipelineSettings;
