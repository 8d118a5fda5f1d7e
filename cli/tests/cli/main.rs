//! The command line, used as a person uses it, against the functions on real stores.
//!
//! | module | content |
//! |---|---|
//! | `support` | functions behind an HTTP server, and the program with its output |
//! | `basics` | help, completions, manual pages, and errors that all commands share |
//! | `send`, `explain` | `millrace send` and `millrace explain` |
//! | `lists` | `millrace history`, `millrace events` and `millrace rejections` |
//! | `delivered` | what `millrace send` gives to a queue or a bus, and the functions receive |
//! | `dlq`, `dlq_limits` | `millrace dlq` |
//! | `players`, `performance` | `millrace players` and `millrace perf` on the functions |
//! | `admin` | `millrace players` and `millrace perf` against answers of a deployment |
//! | `doctor`, `doctor_redis` | `millrace doctor` against broken set-ups |
//! | `load` | `millrace load` |
//! | `signed` | requests that are signed with AWS credentials |
//! | `docs`, `docs_sessions` | the help and the sessions in `docs/cli.md` |
//! | `queue` | `millrace queue`, with `--watch` on a pseudo-terminal |

mod admin;
mod basics;
mod delivered;
mod dlq;
mod dlq_limits;
mod docs;
mod docs_sessions;
mod doctor;
mod doctor_redis;
mod explain;
mod lists;
mod load;
mod performance;
mod players;
mod queue;
mod send;
mod signed;
mod support;
