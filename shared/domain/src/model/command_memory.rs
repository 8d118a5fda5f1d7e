//! The commands that a queue remembers, so that a second delivery of one changes nothing.
//!
//! Commands of trusted senders and commands of the player have separate memories. A command is only
//! compared with those of the same sender.
//!
//! Ids are kept as 128-bit hashes: 16 bytes instead of the 38 of a message id with its index. The
//! probability that two of the remembered ids have the same hash is below 10^-34.

use minicbor::{Decode, Encode};
use smallvec::SmallVec;

use crate::model::{
    command::{Delivery, Sender},
    fifo_positions::FifoPositions,
    ids::CommandId,
    rejection::RejectionReason,
};

/// How many commands of trusted senders a queue remembers at least.
pub const REMEMBERED_COMMANDS: usize = 96;
/// How many commands of the player itself a queue remembers at least.
pub const REMEMBERED_PLAYER_COMMANDS: usize = 32;

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
    /// Those of trusted senders, oldest first. Every commit writes all of them, so they have the
    /// same layout in memory as in the row: one byte string.
    #[cbor(n(0), with = "byte_string", skip_if = "Vec::is_empty")]
    trusted: Vec<Entry>,
    /// Those of the player, likewise.
    #[cbor(n(1), with = "byte_string", skip_if = "Vec::is_empty")]
    player: Vec<Entry>,
    /// The last position in each FIFO queue.
    #[cbor(n(2), skip_if = "FifoPositions::is_empty")]
    fifo: FifoPositions,
}

/// A command that was decided by an earlier delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedCommand {
    /// Why it was refused, if it was refused and the reason is still remembered.
    pub rejection: Option<RejectionReason>,
}

impl CommandMemory {
    /// Finds an earlier delivery of the same command, by the id among those of the same sender, and
    /// by the position in the FIFO group.
    pub fn find(&self, delivery: &Delivery) -> Option<DecidedCommand> {
        let hash = hash(&delivery.command_id);
        if let Some(entry) = self.commands(delivery.sender).iter().rfind(|entry| *entry_hash(entry) == hash) {
            return Some(DecidedCommand { rejection: entry_rejection(entry) });
        }
        let passed = delivery.fifo.is_some_and(|place| self.fifo.has_reached(place));
        passed.then_some(DecidedCommand { rejection: None })
    }

    /// Remembers a delivery, with the reason if it was refused. [`CommandMemory::trim`] is
    /// separate.
    pub fn remember(&mut self, delivery: &Delivery, rejection: Option<RejectionReason>) {
        let commands = self.commands_mut(delivery.sender);
        if commands.len() == commands.capacity() {
            // Queues stay in memory for long: reserve a little instead of doubling the capacity.
            commands.reserve_exact((commands.len() / 4).max(SLACK));
        }
        commands.push(entry(&delivery.command_id, rejection));
        if let Some(place) = delivery.fifo {
            self.fifo.remember(place);
        }
    }

    /// The number of remembered commands of both senders.
    pub fn len(&self) -> usize {
        self.trusted.len() + self.player.len()
    }

    /// Whether no command is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the oldest commands beyond [`REMEMBERED_COMMANDS`] and
    /// [`REMEMBERED_PLAYER_COMMANDS`], but none of `batch`, the commands of one delivery. If they
    /// are delivered again, it is together, and there may be more than that. A sender that has no
    /// command in the batch displaces none, so its own memory stays as it is.
    pub fn trim<'a>(&mut self, batch: impl Iterator<Item = &'a Delivery> + Clone) {
        for (sender, limit) in [(Sender::Trusted, REMEMBERED_COMMANDS), (Sender::Player, REMEMBERED_PLAYER_COMMANDS)] {
            let commands = self.commands_mut(sender);
            if commands.len() > limit {
                let batch = batch.clone().filter(|delivery| delivery.sender == sender);
                trim_to(limit, commands, batch.map(|delivery| hash(&delivery.command_id)).collect());
            }
        }
    }

    /// How many bytes of memory the commands take, reserved ones included.
    pub fn allocated_bytes(&self) -> usize {
        (self.trusted.capacity() + self.player.capacity()) * size_of::<Entry>() + self.fifo.allocated_bytes()
    }

    fn commands(&self, sender: Sender) -> &[Entry] {
        match sender {
            Sender::Trusted => &self.trusted,
            Sender::Player => &self.player,
        }
    }

    fn commands_mut(&mut self, sender: Sender) -> &mut Vec<Entry> {
        match sender {
            Sender::Trusted => &mut self.trusted,
            Sender::Player => &mut self.player,
        }
    }
}

/// Forgets the oldest commands beyond `limit`, but none of `batch`.
fn trim_to(limit: usize, commands: &mut Vec<Entry>, mut batch: SmallVec<[CommandHash; 4]>) {
    let mut excess = commands.len().saturating_sub(limit);
    if batch.is_empty() {
        return;
    }
    batch.sort_unstable();
    let is_in_batch = |entry: &Entry| batch.binary_search(entry_hash(entry)).is_ok();
    if commands[..excess].iter().any(is_in_batch) {
        commands.retain(|entry| {
            let forget = excess > 0 && !is_in_batch(entry);
            excess -= usize::from(forget);
            !forget
        });
    } else {
        commands.drain(..excess);
    }
    if commands.capacity() > 2 * (commands.len() + SLACK) {
        // Give back what one large batch has taken.
        commands.shrink_to(commands.len() + SLACK);
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
