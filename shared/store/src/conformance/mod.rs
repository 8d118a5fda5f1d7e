//! The test suite that every store passes.
//!
//! | module | contents |
//! |---|---|
//! | [`queues`] | loading queues and progress, conditional commits |
//! | [`due`] | the due index |
//! | [`events`] | events of a player |
//! | [`records`] | writing and reading records |
//! | [`sample`] | rows to test with |
//! | `support` | what the cases share |
//! | `suite` | [`conformance_tests!`](crate::conformance_tests) |
//!
//! Each case takes a store and creates its players, so cases may run concurrently and repeatedly on
//! one store. [`conformance_tests!`](crate::conformance_tests) makes one test of each case. A case
//! panics if the store fails it.

pub mod due;
pub mod events;
pub mod queues;
pub mod records;
pub mod sample;
pub mod scan;
mod suite;
mod support;

pub use support::{SharedStore, load_queue, write_records};
