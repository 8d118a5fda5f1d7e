//! Names for commands that bring none: `<id of the message>:<index in the message>`.

use millrace_domain::{CommandId, command_memory};

/// How the commands of a message are named that bring no `commandId`.
#[derive(Debug, Clone, Copy)]
pub enum CommandNames<'a> {
    /// `<id>:<index>`.
    Indexed(&'a str),
    /// The id alone for a single command, `<id>:<index>` for each of several.
    IndexedIfSeveral(&'a str),
    /// All commands are named after one place in a list: `<id>:<place>`.
    Place(&'a str, usize),
}

impl CommandNames<'_> {
    /// The name of the command at `index`, of `count` commands.
    pub fn name(self, index: usize, count: usize) -> CommandId {
        match self {
            Self::IndexedIfSeveral(id) if count == 1 => CommandId::new(id).unwrap_or_else(|_| fitted(id, 0)),
            Self::Indexed(id) | Self::IndexedIfSeveral(id) => indexed(id, index),
            Self::Place(id, place) => indexed(id, place),
        }
    }
}

/// Ids of AWS messages fit as they are. Anything else is made to fit.
fn indexed(id: &str, index: usize) -> CommandId {
    CommandId::with_index(id, index).unwrap_or_else(|_| fitted(id, index))
}

fn fitted(id: &str, index: usize) -> CommandId {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    let start: String = id.chars().take(100).map(|c| if allowed(c) { c } else { '_' }).collect();
    CommandId::new(&format!("{start}:{index}")).unwrap_or_else(|_| unreachable!("it has allowed characters only"))
}

/// The partition of malformed input that names no player: `unknown#<hex digit>`. A redelivery goes
/// to the same one of the 16 partitions.
pub fn unknown_partition(command_id: &CommandId) -> String {
    let digit = command_memory::hash(command_id)[0] & 0xf;
    format!("unknown#{digit:x}")
}
