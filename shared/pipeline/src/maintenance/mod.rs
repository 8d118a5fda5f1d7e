//! Upkeep of the shared cache: warm, clear, rebuild, emergency mode, statistics.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`request`] | what is asked: from a payload, or from a URL and its body |
//! | [`error`] | why it was not done |
//! | [`maintained`] | what was done |
//! | `run` | [`Service::maintain`]: one request within its deadline |
//! | `warm`, `clear`, `rebuild` | copies put where there are none, taken away, put anew |
//! | `emergency`, [`statistics`] | the flag that all processes see; the history of figures |
//! | [`reports`] | what all processes have done lately |
//!
//! Nothing here decides anything about a queue, and everything stops at the deadline: the answer tells
//! what is done, and how to go on with the rest.
//!
//! [`Service::maintain`]: crate::Service::maintain

mod clear;
mod emergency;
pub mod error;
pub mod maintained;
mod rebuild;
pub mod reports;
pub mod request;
mod run;
pub mod statistics;
mod warm;

pub use error::{BadRequest, MaintenanceError};
pub use maintained::{Cleared, EmergencyMode, Maintained, Rebuilt, Warmed};
pub use reports::ProcessReport;
pub use request::{Clear, Rebuild, Request, SwitchEmergency, Warm};
pub use statistics::Sample;
