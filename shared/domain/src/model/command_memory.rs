//! The commands that a queue remembers, so that a second delivery of one changes nothing.
//!
//! Ids are kept as 128-bit hashes: 16 bytes instead of the 38 of a message id with its index. The
//! probability that two of the remembered ids have the same hash is below 10^-35.

use minicbor::{Decode, Encode};
use smallvec::SmallVec;

use crate::model::{
    command::{Delivery, FifoPosition},
    ids::CommandId,
    rejection::RejectionReason,
};

/// How many commands a queue remembers at least.
pub const REMEMBERED_COMMANDS: usize = 64;

/// For how many more commands memory is reserved at a time.
const SLACK: usize = 16;

/// The hash that stands for a command id.
pub type CommandHash = [u8; 16];

/// The hash of `id`.
pub fn hash(id: &CommandId) -> CommandHash {
    xxhash_rust::xxh3::xxh3_128(id.as_str().as_bytes()).to_le_bytes()
}

/// A decided command: the 16 bytes of its hash, then the number of its rejection reason, or 0.
///
/// The number may be one of a newer release, so it is kept as it is.
type Entry = [u8; size_of::<CommandHash>() + 1];

fn entry(id: &CommandId, rejection: Option<RejectionReason>) -> Entry {
    let mut entry = [rejection.map_or(0, RejectionReason::number); size_of::<Entry>()];
    entry[..size_of::<CommandHash>()].copy_from_slice(&hash(id));
    entry
}

fn entry_hash([hash @ .., _]: &Entry) -> &CommandHash {
    hash
}

fn entry_rejection([.., number]: &Entry) -> Option<RejectionReason> {
    RejectionReason::from_number(*number)
}

/// The commands that a queue remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct CommandMemory {
    /// Oldest first. Every commit writes all of them, so they have the same layout in memory as in
    /// the row: one byte string.
    #[cbor(n(0), with = "byte_string")]
    commands: Vec<Entry>,
    /// The last position seen in the player's FIFO group.
    #[n(1)]
    position: Option<FifoPosition>,
}

/// A command that was decided by an earlier delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedCommand {
    /// Why it was refused, if it was refused and the reason is still remembered.
    pub rejection: Option<RejectionReason>,
}

impl CommandMemory {
    /// Finds an earlier delivery of the same command, by the id and by the position in the FIFO
    /// group.
    pub fn find(&self, delivery: &Delivery) -> Option<DecidedCommand> {
        let hash = hash(&delivery.command_id);
        if let Some(entry) = self.commands.iter().rfind(|entry| *entry_hash(entry) == hash) {
            return Some(DecidedCommand { rejection: entry_rejection(entry) });
        }
        match (delivery.position, self.position) {
            (Some(position), Some(last)) if position <= last => Some(DecidedCommand { rejection: None }),
            _ => None,
        }
    }

    /// Remembers a delivery, with the reason if it was refused. [`CommandMemory::trim`] is
    /// separate.
    pub fn remember(&mut self, delivery: &Delivery, rejection: Option<RejectionReason>) {
        if self.commands.len() == self.commands.capacity() {
            // Queues stay in memory for long: reserve a little instead of doubling the capacity.
            self.commands.reserve_exact((self.commands.len() / 4).max(SLACK));
        }
        self.commands.push(entry(&delivery.command_id, rejection));
        self.position = self.position.max(delivery.position);
    }

    /// The number of remembered commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether no command is remembered.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Forgets the oldest commands beyond [`REMEMBERED_COMMANDS`], but none of `batch`, the
    /// commands of one delivery. If they are delivered again, it is together, and there may be more
    /// than that.
    pub fn trim<'a>(&mut self, batch: impl Iterator<Item = &'a CommandId> + Clone) {
        let mut excess = self.commands.len().saturating_sub(REMEMBERED_COMMANDS);
        if excess == 0 {
            return;
        }
        let mut batch: SmallVec<[CommandHash; 4]> = batch.map(hash).collect();
        batch.sort_unstable();
        let is_in_batch = |entry: &Entry| batch.binary_search(entry_hash(entry)).is_ok();
        if self.commands[..excess].iter().any(is_in_batch) {
            self.commands.retain(|entry| {
                let forget = excess > 0 && !is_in_batch(entry);
                excess -= usize::from(forget);
                !forget
            });
        } else {
            self.commands.drain(..excess);
        }
        if self.commands.capacity() > 2 * (self.commands.len() + SLACK) {
            // Give back what one large batch has taken.
            self.commands.shrink_to(self.commands.len() + SLACK);
        }
    }

    /// How many bytes of memory the commands take, reserved ones included.
    pub fn allocated_bytes(&self) -> usize {
        self.commands.capacity() * size_of::<Entry>()
    }
}

/// The remembered commands as one byte string.
mod byte_string {
    use minicbor::{
        Decoder, Encoder,
        decode::Error as DecodeError,
        encode::{Error as EncodeError, Write},
    };

    use super::Entry;

    pub(super) fn encode<C, W: Write>(
        commands: &[Entry],
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        encoder.bytes(commands.as_flattened())?.ok()
    }

    pub(super) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Vec<Entry>, DecodeError> {
        match decoder.bytes()?.as_chunks() {
            (commands, []) => Ok(commands.to_vec()),
            (_, rest) => Err(DecodeError::message(format_args!("{} bytes follow the remembered commands", rest.len()))),
        }
    }
}

#[cfg(test)]
mod tests;
