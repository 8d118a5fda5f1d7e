//! The command line, used as a person uses it, against the functions on real stores.
//!
//! | module | content |
//! |---|---|
//! | `support` | functions behind an HTTP server, and the program with its output |
//! | `basics` | help, completions, manual pages, and errors that all commands share |
//! | `send`, `explain` | `millrace send` and `millrace explain` |
//! | `lists` | `millrace history`, `millrace events` and `millrace rejections` |
//! | `dlq` | `millrace dlq` |
//! | `admin` | `millrace players` and `millrace perf` |
//! | `doctor` | `millrace doctor` against broken set-ups |
//! | `load` | `millrace load` |
//! | `docs` | the help in `docs/cli.md` |
//! | `queue` | `millrace queue`, with `--watch` on a pseudo-terminal |

mod admin;
mod basics;
mod dlq;
mod docs;
mod doctor;
mod explain;
mod lists;
mod load;
mod queue;
mod send;
mod support;
