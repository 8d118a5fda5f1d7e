//! The last position of a player's group in each FIFO queue that commands came from.
//!
//! Every load decodes the positions and every commit writes them. So they have the same layout in
//! memory as in the row: one byte string. Most players have one queue, which needs no allocation.

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use smallvec::SmallVec;

use crate::model::command::FifoPlace;

/// For how many FIFO queues a player's last position is remembered.
pub const REMEMBERED_FIFO_QUEUES: usize = 4;

/// The bytes of a queue's id in an entry.
const ID: usize = size_of::<u64>();
/// The bytes of a sequence number in an entry.
const SEQUENCE: usize = size_of::<u128>();
/// The bytes of an entry: the queue's id, the sequence number and the index, all big-endian.
const ENTRY: usize = ID + SEQUENCE + size_of::<u16>();

type Entry = [u8; ENTRY];

/// The last position in each FIFO queue, the least recently used queue first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FifoPositions(SmallVec<[Entry; 1]>);

fn entry_of(place: FifoPlace) -> Entry {
    let mut entry = [0; ENTRY];
    entry[..ID].copy_from_slice(&place.queue.to_be_bytes());
    entry[ID..ID + SEQUENCE].copy_from_slice(&place.position.sequence.to_be_bytes());
    entry[ID + SEQUENCE..].copy_from_slice(&place.position.index.to_be_bytes());
    entry
}

impl FifoPositions {
    /// Whether no position is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the group of this queue has reached the position, so that a command there is no new
    /// one.
    pub fn has_reached(&self, place: FifoPlace) -> bool {
        // Entries are big-endian: those of one queue have the order of their positions.
        let entry = entry_of(place);
        self.find(&entry).is_some_and(|at| entry <= self.0[at])
    }

    /// Remembers a position, which never goes back. The least recently used queue is forgotten if
    /// there are too many.
    pub fn remember(&mut self, place: FifoPlace) {
        let entry = entry_of(place);
        match self.find(&entry) {
            Some(at) => {
                self.0[at] = self.0[at].max(entry);
                self.0[at..].rotate_left(1);
            }
            None => {
                if self.0.len() >= REMEMBERED_FIFO_QUEUES {
                    self.0.remove(0);
                }
                self.0.push(entry);
            }
        }
    }

    /// How many bytes of memory the positions take outside of this value.
    pub fn allocated_bytes(&self) -> usize {
        if self.0.spilled() { self.0.capacity() * ENTRY } else { 0 }
    }

    /// The entry of the same queue.
    fn find(&self, entry: &Entry) -> Option<usize> {
        self.0.iter().rposition(|known| known[..ID] == entry[..ID])
    }
}

impl<C> Encode<C> for FifoPositions {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        encoder.bytes(self.0.as_flattened())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for FifoPositions {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        match decoder.bytes()?.as_chunks() {
            (entries, []) => Ok(Self(SmallVec::from_slice(entries))),
            (_, rest) => Err(DecodeError::message(format_args!("{} bytes follow the FIFO positions", rest.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::command::{FifoPosition, FifoQueueId};

    fn place(queue: u64, sequence: u128, index: u16) -> FifoPlace {
        FifoPlace { queue: FifoQueueId::of(&queue.to_string()), position: FifoPosition { sequence, index } }
    }

    proptest! {
        #[test]
        fn the_last_position_of_the_last_four_queues_is_remembered(
            places in prop::collection::vec((0..6_u64, prop_oneof![0..9_u128, Just(u128::MAX)], 0..3_u16), 0..30),
        ) {
            let mut positions = FifoPositions::default();
            // The queues with their last positions, the least recently used one first.
            let mut expected: Vec<(u64, (u128, u16))> = Vec::new();
            for (queue, sequence, index) in places {
                positions.remember(place(queue, sequence, index));
                let last = match expected.iter().position(|(known, _)| *known == queue) {
                    Some(at) => expected.remove(at).1.max((sequence, index)),
                    None => (sequence, index),
                };
                expected.push((queue, last));
                let forgotten = expected.len().saturating_sub(REMEMBERED_FIFO_QUEUES);
                expected.drain(..forgotten);
                for queue in 0..6 {
                    let last = expected.iter().find(|(known, _)| *known == queue).map(|(_, last)| *last);
                    for (sequence, index) in [(0, 0), (4, 1), (8, 2), (u128::MAX, 2)] {
                        let reached = last.is_some_and(|last| (sequence, index) <= last);
                        prop_assert_eq!(positions.has_reached(place(queue, sequence, index)), reached);
                    }
                }
            }
            let decoded: FifoPositions = minicbor::decode(&minicbor::to_vec(&positions).unwrap()).unwrap();
            prop_assert_eq!(decoded, positions);
        }
    }

    #[test]
    fn one_queue_needs_no_allocation() {
        let mut positions = FifoPositions::default();
        assert!(positions.is_empty());
        positions.remember(place(1, 1, 0));
        positions.remember(place(1, 2, 0));
        assert_eq!((positions.is_empty(), positions.allocated_bytes()), (false, 0));
        positions.remember(place(2, 2, 0));
        assert!(positions.allocated_bytes() >= 2 * ENTRY);
    }

    #[test]
    fn queues_with_different_arns_have_different_ids() {
        let arn = |name: &str| FifoQueueId::of(&format!("arn:aws:sqs:eu-central-1:123456789012:{name}.fifo"));
        assert_eq!(arn("commands"), arn("commands"));
        assert_ne!(arn("commands"), arn("commands-2"));
        assert_eq!(FifoQueueId::of(""), FifoQueueId::of(""));
    }
}
