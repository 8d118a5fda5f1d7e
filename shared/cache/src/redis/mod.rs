//! The shared cache in Redis or Valkey: one server or a cluster.
//!
//! | module | contents |
//! |---|---|
//! | [`settings`] | the settings, and the source of credentials |
//! | [`cache`] | the cache: client, circuit breaker, counters |
//! | `serving`, `call` | get, put and forget; one call with its pending invalidations |
//! | [`value`] | the layout of values |
//! | `command`, `scripts` | the commands, and the scripts that compare and set |
//! | `connection` | opens connections |
//! | `client`, `batch` | sends commands and repeats what may be repeated |
//! | `routing` | routes in a cluster without a key |
//! | `write_check` | reads copies only from servers that accept writes |
//! | `reply` | classifies answers |
//! | `recovery` | opens the circuit breaker, and closes it after a probe |
//! | `probe` | the writes that show whether Redis works |
//! | `pending_invalidations` | players whose copy in Redis may be stale |
//! | `housekeeping` | commands that are sent in the same pipeline as a call |
//! | `performance`, `figures` | the performance history; its layout in Redis |
//! | `server_information` | the reports of the servers about themselves |
//! | `upkeep`, `upkeep_call`, `scan`, `measurement`, `nodes` | the upkeep |
//!
//! # Guarantees
//! - **One round trip** for any number of players. To a single server it is one pipeline. In a
//!   cluster all commands are sent at the same time, and the client library follows redirects. A
//!   second round trip is made only after a lost connection and for a missing script.
//! - **A version never moves backwards.** A value begins with its stamp, and a script compares and
//!   sets.
//! - **A copy is read only from a server that accepts writes.** Others get no newer copies.
//! - **The time of a call is bounded.** After some failures in a row the circuit breaker opens, and
//!   calls return at once. One probe at a time runs in the background on a new connection. It
//!   writes, so a demoted primary fails it.
//! - **An outage leaves no stale copy for long.** Players whose put failed are remembered as
//!   pending invalidations. They are sent with the next call that Redis answers, and before the
//!   circuit breaker closes.
//! - **A damaged value is a miss** and an error for its player only.
//!
//! # Commands that the user needs
//! `GETEX`, `MGET`, `GET`, `SET`, `GETRANGE`, `DEL`, `EVALSHA`, `SCRIPT|LOAD`, and in a cluster
//! `CLUSTER|SLOTS` and `ASKING`, on keys that begin with the prefix. The client library also sends
//! `CLIENT|SETINFO` for each connection, and ignores a refusal.
//!
//! Housekeeping uses these commands and is left out without them:
//! - `INFO` for evictions and memory in the statistics;
//! - `ZADD`, `ZREMRANGEBYRANK` and `PEXPIRE` for the active players;
//! - `BITFIELD` and `PEXPIRE` for the figures of the performance history.
//!
//! The upkeep also uses `SCAN`, `UNLINK`, `PTTL`, `DBSIZE`, `PING`, `ZREVRANGEBYSCORE` and
//! `ZREMRANGEBYSCORE`. Thresholds of the performance history also use `PUBLISH` on the channel
//! `<prefix>thresholds`.

mod batch;
pub mod cache;
mod call;
mod client;
mod command;
mod connection;
mod figures;
mod housekeeping;
mod measurement;
mod nodes;
mod pending_invalidations;
mod performance;
mod probe;
mod recovery;
mod reply;
mod routing;
mod scan;
mod scripts;
mod server_information;
mod serving;
pub mod settings;
mod upkeep;
mod upkeep_call;
pub mod value;
mod write_check;

pub use cache::RedisCache;
pub use settings::{Credentials, RedisCacheSettings, RedisCredentials, RedisMode, RedisSettingsError};
