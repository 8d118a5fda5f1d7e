//! The production store: DynamoDB.
//!
//! | module | contents |
//! |---|---|
//! | `store` | [`DynamoDbStore`] |
//! | `settings` | [`DynamoDbSettings`] |
//! | `load` | loads queues and progress |
//! | `commit` | commits queues |
//! | `records` | writes records |
//! | `pages` | reads records |
//! | `due` | reads the due index |
//! | `scan` | scans the queues table |
//! | `tables` | the client and the names of the tables |
//! | `calls` | concurrency, time-outs and retries of calls |
//! | `pool` | the connection pool |
//! | `items` | rows as items of DynamoDB |
//! | `error` | errors of DynamoDB and of the network |
//! | `schema` | creates the tables, for tests and local use |
//!
//! Reads are strongly consistent, except for the due index. Each call has a time-out, and each time
//! it is sent counts as a round trip. Pages omit expired rows that DynamoDB has not deleted yet.
//! Writing a record again renews its expiry.
//!
//! A call that is dropped before its answer may still take effect.
//!
//! The role needs these permissions (`dynamodb:`):
//!
//! | table | actions |
//! |---|---|
//! | queues | `GetItem`, `BatchGetItem`, `PutItem`, `PartiQLInsert`, `PartiQLUpdate`, `Scan` for the list of players |
//! | index `due` of queues | `Query` |
//! | progress | `BatchGetItem`, `BatchWriteItem` |
//! | stats | `BatchGetItem`, `BatchWriteItem` |
//! | history, rejections | `Query`, `BatchWriteItem` |

mod calls;
mod commit;
mod due;
mod error;
mod items;
mod load;
mod pages;
mod pool;
mod records;
mod scan;
mod schema;
mod settings;
mod store;
mod tables;

pub use schema::create_tables;
pub use settings::{DynamoDbSettings, MAX_CONNECTIONS};
pub use store::DynamoDbStore;
