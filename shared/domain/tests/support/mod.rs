//! What the property tests share: random command sequences, and how they are applied.
//!
//! | module | what is in it |
//! |---|---|
//! | [`steps`] | deliveries and ticks, and how a queue takes them |
//! | [`unnamed`] | steps, commands and tasks without their names |
//! | [`generators`] | random commands that do not name their tasks yet |
//! | [`naming`] | gives generated commands their task ids, times and FIFO positions |

pub mod generators;
pub mod naming;
pub mod steps;
pub mod unnamed;

use proptest::prelude::ProptestConfig;

/// `cases` runs of each property, unless `PROPTEST_CASES` says otherwise. Failing inputs are
/// printed, shrunk, and not kept in files.
pub fn config(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
