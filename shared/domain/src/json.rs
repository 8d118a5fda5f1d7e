//! Commands and ticks in JSON. Errors name the field, its value and what is allowed.
//!
//! A message is parsed in one pass into a flat struct of all fields that any command has.
//! Afterwards it is checked which of them belong to its `type`. This is faster than a tagged enum,
//! which buffers, and gives better errors. Only a message that fails is parsed again to find the
//! path of the field.
//!
//! | module | what is in it |
//! |---|---|
//! | `message` | a message: one command, a list of commands, or a tick |
//! | `command` | the fields of a command, by its type |
//! | `task` | a task of `enqueueTasks` |
//! | `amounts` | amounts of resources |
//! | `written` | commands as JSON again |
//! | `value` | bounded numbers, bounded lists, objects |

mod amounts;
mod command;
mod message;
mod task;
mod value;
mod written;

pub use command::{MAX_COMMANDS, MAX_GRANTED, MAX_REASON_LENGTH, MAX_TASKS, MAX_TICK_PLAYERS, Request};
pub use message::{MalformedInput, Message, ParsedCommands, parse_message, parse_message_for};
pub use written::write_command;

#[cfg(test)]
mod tests;
