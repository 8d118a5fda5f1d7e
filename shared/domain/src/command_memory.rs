//! What a queue remembers of the commands it has seen, so that a second delivery changes nothing.
//!
//! Ids are kept as 128-bit hashes: 16 bytes instead of the 38 of a message id and its index. Two
//! different ids among the few that are remembered share a hash with a probability below 10^-35.

use minicbor::{Decode, Encode};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use crate::{
    command::{Delivery, FifoPosition},
    ids::CommandId,
    rejection::RejectionReason,
    wire::{Reader, Unreadable, Wire, Writer},
};

/// How many command ids a queue remembers at least.
pub const REMEMBERED_COMMANDS: usize = 64;

/// For how many more commands room is made at a time.
const SLACK: usize = 16;

/// The hash that stands for a command id.
pub type CommandHash = [u8; 16];

/// The hash of `id`.
pub fn hash(id: &CommandId) -> CommandHash {
    xxhash_rust::xxh3::xxh3_128(id.as_str().as_bytes()).to_le_bytes()
}

/// A command that has been decided: 16 bytes of its hash, one of its refusal (0 for none).
pub type Remembered = [u8; size_of::<CommandHash>() + 1];

fn remembered([hash @ .., reason]: &Remembered) -> (&CommandHash, Option<RejectionReason>) {
    (hash, RejectionReason::from_code(*reason))
}

/// The commands that a queue remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Encode, Decode)]
#[cbor(map)]
pub struct CommandMemory {
    /// Oldest first. There are many, and every commit writes them all: they lie in memory as they go
    /// out, as one string of bytes.
    #[serde(serialize_with = "flat")]
    #[cbor(n(0), with = "byte_string")]
    commands: Vec<Remembered>,
    /// The last place seen of the player's FIFO group.
    #[n(1)]
    position: Option<FifoPosition>,
}

/// What the memory knows of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// Nothing: it has yet to be decided.
    New,
    /// It has been decided, with this refusal if it was refused and that is still known.
    Known(Option<RejectionReason>),
}

impl CommandMemory {
    /// What is known of a delivery: by its id, and by its place in the FIFO group.
    pub fn recall(&self, delivery: &Delivery) -> Recall {
        let wanted = hash(&delivery.command_id);
        if let Some((_, reason)) = self.commands.iter().map(remembered).rfind(|(hash, _)| **hash == wanted) {
            return Recall::Known(reason);
        }
        match (delivery.position, self.position) {
            (Some(position), Some(last)) if position <= last => Recall::Known(None),
            _ => Recall::New,
        }
    }

    /// Remembers a delivery with its refusal, if it was refused. Forgets nothing: see [`CommandMemory::trim`].
    pub fn remember(&mut self, delivery: &Delivery, reason: Option<RejectionReason>) {
        let mut command = [reason.map_or(0, RejectionReason::code); size_of::<Remembered>()];
        command[..size_of::<CommandHash>()].copy_from_slice(&hash(&delivery.command_id));
        if self.commands.len() == self.commands.capacity() {
            // Most queues remember as many as they have to, and are held in memory for long.
            self.commands.reserve_exact((self.commands.len() / 4).max(SLACK));
        }
        self.commands.push(command);
        if delivery.position > self.position {
            self.position = delivery.position;
        }
    }

    /// How many commands are remembered.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Forgets the oldest beyond [`REMEMBERED_COMMANDS`], but none of `batch`, the commands that were
    /// delivered together: if they are delivered again, it is together, and there may be more of them.
    pub fn trim<'a>(&mut self, batch: impl Iterator<Item = &'a CommandId> + Clone) {
        let mut excess = self.commands.len().saturating_sub(REMEMBERED_COMMANDS);
        if excess == 0 {
            return;
        }
        let mut keep: SmallVec<[CommandHash; 4]> = batch.map(hash).collect();
        keep.sort_unstable();
        let is_kept = |known: &Remembered| keep.binary_search(remembered(known).0).is_ok();
        if self.commands[..excess].iter().any(is_kept) {
            self.commands.retain(|known| {
                let forget = excess > 0 && !is_kept(known);
                excess -= usize::from(forget);
                !forget
            });
        } else {
            self.commands.drain(..excess);
        }
        if self.commands.capacity() > 2 * (self.commands.len() + SLACK) {
            // What one large batch has taken.
            self.commands.shrink_to(self.commands.len() + SLACK);
        }
    }

    /// How many commands there is room for.
    pub fn capacity(&self) -> usize {
        self.commands.capacity()
    }
}

impl Wire for CommandMemory {
    fn write(&self, writer: &mut Writer) {
        writer.text(self.commands.as_flattened());
        self.position.write(writer);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        let (commands, rest) = reader.bytes().as_chunks();
        if !rest.is_empty() {
            reader.fail(Unreadable::CommandMemory);
        }
        Self { commands: commands.to_vec(), position: Wire::read(reader) }
    }
}

/// The remembered commands as one byte string.
mod byte_string {
    use minicbor::{
        Decoder, Encoder,
        decode::Error as DecodeError,
        encode::{Error as EncodeError, Write},
    };

    use super::Remembered;

    pub(super) fn encode<C, W: Write>(
        commands: &[Remembered],
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        encoder.bytes(commands.as_flattened())?.ok()
    }

    pub(super) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Vec<Remembered>, DecodeError> {
        match decoder.bytes()?.as_chunks() {
            (commands, []) => Ok(commands.to_vec()),
            _ => Err(DecodeError::message("the remembered commands have a wrong length")),
        }
    }
}

/// The remembered commands as one string of bytes, just as they lie in memory.
fn flat<S: Serializer>(commands: &[Remembered], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(commands.as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, scenario::delivery};

    fn named(name: &str) -> Delivery {
        delivery(name, 0, Command::PauseQueue)
    }

    fn placed(name: &str, sequence: u128, index: u16) -> Delivery {
        Delivery { position: Some(FifoPosition { sequence, index }), ..named(name) }
    }

    /// A memory of `c-0` to `c-<count - 1>`.
    fn memory(count: usize) -> CommandMemory {
        let mut memory = CommandMemory::default();
        for n in 0..count {
            memory.remember(&named(&format!("c-{n}")), None);
        }
        memory
    }

    fn ids(from: usize, to: usize) -> Vec<CommandId> {
        (from..to).map(|n| CommandId::new(&format!("c-{n}")).unwrap()).collect()
    }

    fn knows(memory: &CommandMemory, n: usize) -> bool {
        memory.recall(&named(&format!("c-{n}"))) != Recall::New
    }

    #[test]
    fn an_id_is_known_with_its_refusal() {
        let mut memory = CommandMemory::default();
        assert!(memory.is_empty());
        memory.remember(&named("applied"), None);
        memory.remember(&named("refused"), Some(RejectionReason::QueueFull));
        assert_eq!(memory.recall(&named("applied")), Recall::Known(None));
        assert_eq!(memory.recall(&named("refused")), Recall::Known(Some(RejectionReason::QueueFull)));
        assert_eq!(memory.recall(&named("another")), Recall::New);
        assert_eq!(memory.len(), 2);
    }

    #[test]
    fn the_last_64_are_kept() {
        let mut memory = memory(100);
        memory.trim(ids(99, 100).iter());
        assert_eq!(memory.len(), REMEMBERED_COMMANDS);
        assert!(!knows(&memory, 35) && knows(&memory, 36) && knows(&memory, 99));
    }

    #[test]
    fn nothing_is_forgotten_below_the_limit() {
        let mut memory = memory(64);
        memory.trim([].iter());
        assert_eq!(memory.len(), 64);
    }

    #[test]
    fn one_batch_is_kept_whole_however_large_and_only_until_the_next() {
        let mut memory = memory(164);
        memory.trim(ids(64, 164).iter());
        assert_eq!(memory.len(), 100);
        assert!((64..164).all(|n| knows(&memory, n)) && !knows(&memory, 63));
        memory.remember(&named("c-164"), None);
        memory.trim(ids(164, 165).iter());
        assert_eq!(memory.len(), 64);
        assert!(!knows(&memory, 100) && knows(&memory, 101) && knows(&memory, 164));
    }

    #[test]
    fn the_room_of_a_large_batch_is_given_back() {
        let mut memory = memory(1_000);
        memory.trim([].iter());
        assert!(memory.capacity() <= REMEMBERED_COMMANDS + SLACK, "{}", memory.capacity());
        for n in 0..500 {
            memory.remember(&named(&format!("d-{n}")), None);
            memory.trim([].iter());
        }
        assert!(memory.capacity() <= REMEMBERED_COMMANDS + 2 * SLACK, "{}", memory.capacity());
    }

    #[test]
    fn a_batch_that_repeats_old_commands_keeps_them() {
        let mut memory = memory(70);
        memory.trim(ids(0, 3).iter());
        assert_eq!(memory.len(), 64);
        assert!((0..3).all(|n| knows(&memory, n)) && (3..9).all(|n| !knows(&memory, n)) && knows(&memory, 9));
    }

    #[test]
    fn a_place_in_the_fifo_group_outlasts_the_id() {
        let mut memory = CommandMemory::default();
        memory.remember(&placed("first", u128::MAX - 1, 3), Some(RejectionReason::QueueFull));
        for n in 0..64 {
            memory.remember(&named(&format!("c-{n}")), None);
        }
        assert_eq!(memory.recall(&placed("first", u128::MAX - 1, 3)), Recall::Known(Some(RejectionReason::QueueFull)));
        memory.trim(ids(63, 64).iter());
        assert_eq!(memory.recall(&placed("first", u128::MAX - 1, 3)), Recall::Known(None), "why is forgotten");
        assert_eq!(memory.recall(&named("first")), Recall::New, "without a place nothing is known of it");
        assert_eq!(memory.recall(&placed("next", u128::MAX - 1, 4)), Recall::New);
        assert_eq!(memory.recall(&placed("next", u128::MAX, 0)), Recall::New);
        assert_eq!(memory.recall(&placed("older", 7, 9)), Recall::Known(None));
    }

    #[test]
    fn the_last_place_never_goes_back() {
        let mut memory = CommandMemory::default();
        memory.remember(&placed("b", 8, 0), None);
        memory.remember(&placed("a", 7, 0), None);
        memory.remember(&named("c"), None);
        assert_eq!(memory.recall(&placed("d", 8, 0)), Recall::Known(None));
    }
}
