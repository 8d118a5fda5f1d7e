//! Redis and Valkey servers that keep nothing on disk.
//!
//! Besides its port every server has a Unix socket in its directory. The commands of the tests go
//! through the socket: they do not count as connections to the port and do not depend on TLS.
//!
//! | module | contents |
//! |---|---|
//! | `program` | the two programs: `redis-server` and `valkey-server` |
//! | `builder` | configures and starts a server |
//! | `server` | a running server: kill, pause, restart, demote |
//! | `refusal` | makes a server refuse writes while it answers reads |
//! | `cluster` | three primaries that share the slots |
//! | `certificates` | the certificates of a server with TLS |
//! | `query` | sends one command through the Unix socket |

mod builder;
mod certificates;
mod cluster;
mod program;
mod query;
mod refusal;
mod server;

pub use self::builder::RedisBuilder;
pub use self::cluster::RedisCluster;
pub use self::program::RedisProgram;
pub use self::refusal::WriteRefusal;
pub use self::server::Redis;
