//! Checks of a deployment: what is wrong, and how to correct it.
//!
//! | module | content |
//! |---|---|
//! | `findings` | the results of checks |
//! | `settings` | the settings of the functions |
//! | `http` | the HTTP API, and the clock of this machine |
//! | `tables` | tables, index, expiry, and the permission to read them |
//! | `redis` | version, role, rights, eviction policy and latency of the shared cache |
//! | `queues` | queues, their dead letters, and event buses |

pub mod findings;
pub mod http;
pub mod queues;
pub mod redis;
pub mod settings;
pub mod tables;
