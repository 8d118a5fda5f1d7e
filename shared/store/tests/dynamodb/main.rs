//! The DynamoDB store on real servers: MiniStack, DynamoDB Local, and a proxy that makes them fail.
//!
//! | module | what it tests |
//! |---|---|
//! | `conformance` | the suite of every store, in both commit modes, and what DynamoDB Local lacks |
//! | `counts` | how many calls there are, and how many connections |
//! | `faults` | what the server refuses, as errors |
//! | `connections` | what happens to connections |
//! | `rows` | how rows look, expire and are damaged |
//! | `support` | stores, tables and proxies to test with |

mod conformance;
mod connections;
mod counts;
mod faults;
mod rows;
mod support;
