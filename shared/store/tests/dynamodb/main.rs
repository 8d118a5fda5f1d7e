//! The DynamoDB store on real servers: MiniStack, DynamoDB Local, and a proxy that makes them fail.
//!
//! | module | contents |
//! |---|---|
//! | `conformance` | the suite of every store, and the limits of DynamoDB Local |
//! | `counts` | the numbers of calls and connections |
//! | `faults` | errors of the server and their retries |
//! | `connections` | refused, broken and idle connections |
//! | `rows` | attributes, expiry and damaged rows |
//! | `support` | stores, tables and proxies to test with |

mod conformance;
mod connections;
mod counts;
mod faults;
mod rows;
mod support;
