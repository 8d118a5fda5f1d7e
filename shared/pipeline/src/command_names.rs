//! Names for commands that bring none: `<id of the message>:<index in the message>`.

use millrace_domain::{CommandId, command_memory};

/// How the commands of a message are named that bring no `commandId`.
#[derive(Debug, Clone, Copy)]
pub struct CommandNames<'a> {
    /// What names the message.
    pub id: &'a str,
    /// The index of its first command.
    pub first: usize,
}

impl CommandNames<'_> {
    /// The name of the command at `index` of the message.
    pub fn name(self, index: usize) -> CommandId {
        CommandId::named_after(self.id, self.first + index)
    }
}

/// The partition of malformed input that names no player: `unknown#<hex digit>`. A redelivery goes
/// to the same one of the 16 partitions.
pub fn unknown_partition(command_id: &CommandId) -> String {
    let digit = command_memory::hash(command_id)[0] & 0xf;
    format!("unknown#{digit:x}")
}
