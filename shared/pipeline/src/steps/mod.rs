//! The steps of the pipeline, in the order in which [`process`](mod@crate::process) takes them.
//!
//! Each is a free function over the context and the batch. No step imports another one. `preview`
//! takes the place of load and commit where commands are only tried.

pub mod answer;
pub mod apply;
pub mod commit;
pub mod decode;
pub mod load;
pub mod preview;
pub mod publish;
pub mod record;
pub mod refresh;
