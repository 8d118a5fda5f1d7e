//! The subcommands, one file each.

pub mod completions;
pub mod dlq;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod history;
pub mod load;
pub mod manual;
pub mod perf;
pub mod players;
pub mod queue;
pub mod rejections;
pub mod send;
