//! The pipeline that carries commands and ticks to queues. It knows no vendor.
//!
//! Start with [`process`](process()): it shows the way of a payload from its bytes to the answer,
//! step by step.
//!
//! | module | what it has |
//! |---|---|
//! | [`process`](mod@process) | the way of a payload: the steps in their order |
//! | [`context`], [`batch`] | the two values that every step works on |
//! | [`message`], [`player`], [`item`] | what a batch has: messages, players, commands and ticks, with their states |
//! | [`steps`] | decode, load, apply, commit, record, publish, refresh, answer: one file each |
//! | [`applied`] | what applying the items of one player led to |
//! | [`command_names`], `envelope`, `text` | names for commands that bring none; wrapped bodies; UTF-8 |
//! | `message_trace` | the trace that a message of SQS names |
//! | `row_size` | why a queue row stays below the largest row of the table |
//! | [`loaded_queue`], [`lookup`], [`rows`] | a queue with what is known about it; reads of caches and rows |
//! | [`platform`], [`settings`], [`clock`] | what all invocations of a process share |
//! | [`event_destination`] | the port of what events are published to |
//! | [`publishing`] | publishes the events of commits |
//! | [`send_answer`], [`send_call`](mod@send_call) | a call that sends messages, with its retries |
//! | [`failure`] | why something has to be delivered again |
//! | [`counters`], [`lateness`] | what the steps count |
//! | [`measurement`] | reports and reads as metrics |
//! | [`answer`], [`report`], [`report_builder`] | what an invocation answers |
//! | [`performance`] | what the invocations of a process contribute to the performance history |
//! | [`watch`] | publishes that a threshold of the performance history is crossed |
//!
//! # What holds after a crash
//! A queue row carries the records of its last commit, the outbox. Records are written after the
//! commit, and events are published. Only then are messages acknowledged and the queue cached. A
//! process that reads the row from the table writes and publishes its outbox again first. So a
//! crash at any point loses nothing: redelivered commands are found remembered, their records are
//! put again under the same keys, and their events are published again.
#![deny(missing_docs)]

pub mod answer;
pub mod applied;
pub mod batch;
pub mod clock;
pub mod command_names;
pub mod context;
pub mod counters;
mod envelope;
pub mod event_destination;
pub mod failure;
mod grouping;
pub mod item;
pub mod lateness;
pub mod loaded_queue;
mod logs;
pub mod lookup;
pub mod measurement;
pub mod message;
mod message_trace;
mod outboxes;
pub mod performance;
pub mod platform;
pub mod player;
pub mod process;
pub mod publishing;
pub mod report;
pub mod report_builder;
mod row_size;
pub mod rows;
pub mod send_answer;
pub mod send_call;
pub mod settings;
pub mod steps;
mod text;
pub mod watch;

pub use answer::{Answer, ProcessError};
pub use clock::Clock;
pub use context::{Context, Invocation};
pub use event_destination::{EventDestination, OutgoingEvent, Publishing};
pub use failure::Failure;
pub use platform::{Platform, PlatformParts};
pub use player::MAX_PLAYER_ITEMS;
pub use process::{CommandsAnswer, PlayerCommands, process};
pub use report::Report;
pub use send_answer::SendAnswer;
pub use send_call::{SendResult, send_call};
pub use settings::PipelineSettings;
