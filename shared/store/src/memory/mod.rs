//! A store in memory, for benchmarks, simulations and tests of other crates.
//!
//! | module | contents |
//! |---|---|
//! | `store` | [`MemoryStore`] |
//! | `faults` | [`Fault`]: what a test can make fail |
//! | `rows` | the tables |
//!
//! It follows the rules of the other stores: conditional commits, and limits of batches and rows.
//! It keeps the encoded bytes of queues, so loading one has the cost of decoding it. Rows do not
//! expire.

mod faults;
mod rows;
mod store;

pub use faults::{Fault, FaultHook, Operation};
pub use store::MemoryStore;
