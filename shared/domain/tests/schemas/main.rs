//! The JSON Schemas in `docs/schemas/` describe what the parser accepts and what is published.
//!
//! | module | content |
//! |---|---|
//! | [`files`] | the schemas themselves: references, enumerations, closed objects |
//! | [`commands`] | the schema of messages accepts what the parser accepts |
//! | [`changed_commands`] | changes of a message that the schema and the parser must judge alike |
//! | [`events`] | the schema of events accepts every event, and nothing else |
//! | [`sent`] | commands in JSON, as a client sends them |

mod changed_commands;
mod commands;
mod events;
mod files;
mod sent;
#[allow(dead_code, reason = "the properties use more of it")]
#[path = "../support/mod.rs"]
mod support;
