//! Sends commands: in portions of one player, over one of four ways.
//!
//! | module | content |
//! |---|---|
//! | `portions` | commands in portions, in their order for each player |
//! | `outcomes` | what became of the commands, counted |
//! | `batches` | portions in batches for SQS and EventBridge |
//! | `http`, `sqs`, `eventbridge`, `function` | one way each |

mod batches;
pub mod eventbridge;
pub mod function;
pub mod http;
pub mod outcomes;
pub mod portions;
pub mod sqs;
