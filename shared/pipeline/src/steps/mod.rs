//! The steps of the pipeline, in the order in which [`process`](mod@crate::process) takes them.
//!
//! Each is a free function over the context and the batch. No step imports another one.

pub mod answer;
pub mod apply;
pub mod commit;
pub mod decode;
pub mod load;
pub mod publish;
pub mod record;
pub mod refresh;
