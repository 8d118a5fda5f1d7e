//! Events as they are published, and the queue that they add up to.
//!
//! | module | what is in it |
//! |---|---|
//! | [`published`] | one event in JSON |
//! | [`outbox`] | what a commit has led to |
//! | [`fold`] | a queue rebuilt from its events, as a consumer can do it |

pub mod fold;
pub mod outbox;
pub mod published;
