//! Upkeep of the shared cache: warm, clear, rebuild, emergency mode, statistics.
//!
//! | module | what it has |
//! |---|---|
//! | [`request`] | what is requested: by a payload, or by a URL and its body |
//! | [`run`](mod@run) | one request within its deadline |
//! | `progress` | the deadline and the counters of a run |
//! | `warm`, `clear`, `rebuild` | copies put where there are none, removed, or made again |
//! | `emergency` | the flag that all processes see |
//! | [`statistics`] | what the servers of the shared cache say, kept for a day |
//! | `loading` | queues from the table |
//! | [`report`], [`error`] | what was done, and why it was not |
//! | [`settings`] | the settings of the upkeep |
//!
//! Nothing here decides anything about a queue, and everything stops at the deadline. The answer
//! says what is done, and how to continue with the rest.
#![deny(missing_docs)]

mod clear;
mod emergency;
pub mod error;
mod loading;
mod progress;
mod rebuild;
pub mod report;
pub mod request;
pub mod run;
pub mod settings;
pub mod statistics;
mod warm;

pub use error::UpkeepError;
pub use report::UpkeepReport;
pub use request::Request;
pub use run::run;
pub use settings::UpkeepSettings;
pub use statistics::statistics_history;
