//! Compact, versioned bytes of a queue, checked for damage.
//!
//! ```text
//! byte 0     what it is: 'Q' a queue, 'O' an outbox, 'C' a cached queue
//! byte 1     format version
//! bytes 2-5  CRC-32 (ISO-HDLC) of byte 0, byte 1 and all that follows byte 5, little-endian
//! bytes 6-   the value in postcard's wire format
//! ```
//!
//! Whoever reads bytes of a newer format, or damaged ones, gets an error and writes nothing: an old
//! process must not destroy what a new one has written.

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::{
    queue::Queue,
    record::Record,
    wire::{Reader, Wire, Writer, fields},
};

/// The format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u8 = 1;

const HEADER: usize = 6;

/// Bytes that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Shorter than any value.
    #[error("the row has {0} bytes, too few for any")]
    TooShort(usize),
    /// Another kind of value, or none of Millrace.
    #[error("the row starts with byte {found:#04x} instead of {wanted:#04x}")]
    WrongKind {
        /// The first byte.
        found: u8,
        /// What it should have been.
        wanted: u8,
    },
    /// WriteResponse by a newer version of Millrace.
    #[error(
        "the row has format {found}, and this version reads formats up to {FORMAT_VERSION}: deploy the newer version again"
    )]
    NewerFormat {
        /// The row's format.
        found: u8,
    },
    /// Damaged: the checksum does not fit.
    #[error("the row is damaged: its checksum is {found:08x} instead of {wanted:08x}")]
    Checksum {
        /// The checksum of the bytes as they are.
        found: u32,
        /// The checksum that the row carries.
        wanted: u32,
    },
    /// The checksum fits, and still it is no value.
    #[error("the row is damaged: {0}")]
    Body(String),
}

/// A value that [`encode`] writes and [`decode`] reads.
pub trait Coded: Wire {
    /// The first byte of the value's bytes.
    const KIND: u8;
    /// Room for the bytes of most values, so that writing one seldom has to make more.
    const CAPACITY: usize;
}

impl Coded for Queue {
    const KIND: u8 = b'Q';
    // Ten tasks, and all that is remembered.
    const CAPACITY: usize = 2048;
}

/// The records of a queue's last commit, kept in its row until the next one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Encode, Decode)]
#[cbor(map)]
pub struct Outbox(#[cbor(n(0), with = "crate::encoding::list")] pub Vec<Record>);

impl Coded for Outbox {
    const KIND: u8 = b'O';
    const CAPACITY: usize = 256;
}

/// A queue as the cache keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Encode, Decode)]
#[cbor(map)]
pub struct CachedQueue {
    /// The queue, progress between milestones included as far as it is known.
    #[n(0)]
    pub queue: Queue,
    /// Whether progress between milestones is known: false after a load that did not read it.
    #[n(1)]
    pub progress_known: bool,
}

impl Coded for CachedQueue {
    const KIND: u8 = b'C';
    const CAPACITY: usize = Queue::CAPACITY;
}

impl Wire for Outbox {
    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        Self(Wire::read(reader))
    }
}

fields! {
    CachedQueue { queue, progress_known }
}

/// The bytes of `value`.
pub fn encode<T: Coded>(value: &T) -> Vec<u8> {
    encode_behind(&[], value)
}

/// Some other bytes, and behind them those of `value`.
pub fn encode_behind<T: Coded>(head: &[u8], value: &T) -> Vec<u8> {
    let mut writer = Writer::new(head.len() + T::CAPACITY);
    writer.raw(head);
    writer.raw(&[T::KIND, FORMAT_VERSION, 0, 0, 0, 0]);
    value.write(&mut writer);
    let mut bytes = writer.finish();
    let own = &mut bytes[head.len()..];
    let checksum = checksum(own);
    own[2..HEADER].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The value of `bytes`.
///
/// # Errors
/// [`CodecError`] where they are damaged, of another kind, or of a newer format.
pub fn decode<T: Coded>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() < HEADER {
        return Err(CodecError::TooShort(bytes.len()));
    }
    if bytes[0] != T::KIND {
        return Err(CodecError::WrongKind { found: bytes[0], wanted: T::KIND });
    }
    if bytes[1] > FORMAT_VERSION {
        return Err(CodecError::NewerFormat { found: bytes[1] });
    }
    let found = checksum(bytes);
    let wanted = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    if found != wanted {
        return Err(CodecError::Checksum { found, wanted });
    }
    let mut reader = Reader::new(&bytes[HEADER..]);
    let value = T::read(&mut reader);
    match (reader.failed(), reader.rest()) {
        (None, []) => Ok(value),
        (None, rest) => Err(CodecError::Body(format!("{} bytes too many", rest.len()))),
        (Some(why), _) => Err(CodecError::Body(why.to_string())),
    }
}

/// The bytes of `value` by minicbor, with the same header.
pub fn encode_cbor<T: Coded + Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(T::CAPACITY);
    bytes.extend_from_slice(&[T::KIND, FORMAT_VERSION, 0, 0, 0, 0]);
    minicbor::encode(value, &mut bytes).expect("writing into a vector cannot fail");
    let checksum = checksum(&bytes);
    bytes[2..HEADER].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The value of such bytes.
///
/// # Errors
/// [`CodecError`] where they are damaged.
pub fn decode_cbor<'b, T: Coded + Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, CodecError> {
    let found = checksum(bytes);
    let wanted = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    if found != wanted {
        return Err(CodecError::Checksum { found, wanted });
    }
    minicbor::decode(&bytes[HEADER..]).map_err(|error| CodecError::Body(error.to_string()))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..2]);
    hasher.update(&bytes[HEADER..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Command,
        scenario::{Scenario, amounts, at, gold, grant, ids, report, reported, timed},
        task::TaskSpec,
    };

    /// A queue with something in every field.
    fn queue() -> Queue {
        let mut s = Scenario::new();
        s.apply(0, grant(amounts([("gold", 9), ("wood", crate::MAX_AMOUNT)])));
        s.enqueue(0, [TaskSpec { rewards: gold(3), ..timed("done", 1) }, reported("open", 100)]);
        let after =
            TaskSpec { prerequisites: ids(["open"]), costs: gold(4), not_before: Some(at(99)), ..timed("after", 5) };
        s.enqueue(2, [after]);
        s.apply(3, report("open", 30));
        s.apply(4, Command::PauseQueue);
        s.queue.version = 7;
        s.queue
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let queue = queue();
        let bytes = encode(&queue);
        assert_eq!(bytes[..2], [b'Q', FORMAT_VERSION]);
        assert_eq!(decode::<Queue>(&bytes), Ok(queue.clone()));
        let cached = CachedQueue { queue, progress_known: true };
        assert_eq!(decode::<CachedQueue>(&encode(&cached)), Ok(cached.clone()));
        let outbox = Outbox(vec![Record::Stats(cached.queue.stats())]);
        assert_eq!(decode::<Outbox>(&encode(&outbox)), Ok(outbox));
    }

    #[test]
    fn what_is_written_is_postcards_wire_format() {
        let queue = queue();
        assert_eq!(encode(&queue)[HEADER..], postcard::to_allocvec(&queue).unwrap());
        let outbox = Outbox(vec![Record::Stats(queue.stats()), Record::Progress(queue.progress())]);
        assert_eq!(encode(&outbox)[HEADER..], postcard::to_allocvec(&outbox).unwrap());
    }

    #[test]
    fn damage_in_any_byte_is_detected() {
        let bytes = encode(&queue());
        for at in 0..bytes.len() {
            for damage in [0x01, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= damage;
                assert!(decode::<Queue>(&bytes).is_err(), "byte {at} with {damage:#04x}");
            }
        }
    }

    #[test]
    fn every_cut_is_detected() {
        let bytes = encode(&queue());
        for length in 0..HEADER {
            assert_eq!(decode::<Queue>(&bytes[..length]), Err(CodecError::TooShort(length)));
        }
        for length in HEADER..bytes.len() {
            assert!(matches!(decode::<Queue>(&bytes[..length]), Err(CodecError::Checksum { .. })), "{length}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_as_such_and_no_older_one_is_made_up() {
        let mut bytes = encode(&queue());
        bytes[1] = FORMAT_VERSION + 1;
        sign(&mut bytes);
        assert_eq!(decode::<Queue>(&bytes), Err(CodecError::NewerFormat { found: FORMAT_VERSION + 1 }));
    }

    #[test]
    fn bytes_that_follow_the_value_are_refused() {
        let mut bytes = encode(&queue());
        bytes.extend_from_slice(&[0, 0]);
        assert!(matches!(decode::<Queue>(&bytes), Err(CodecError::Checksum { .. })));
        sign(&mut bytes);
        assert_eq!(decode::<Queue>(&bytes), Err(CodecError::Body("2 bytes too many".to_owned())));
    }

    #[test]
    fn a_body_that_is_no_value_is_refused() {
        let mut bytes = encode(&queue());
        bytes.truncate(HEADER + 3);
        sign(&mut bytes);
        assert!(matches!(decode::<Queue>(&bytes), Err(CodecError::Body(_))));
    }

    #[test]
    fn the_kinds_are_not_interchangeable() {
        let queue = queue();
        let wrong = |found, wanted| CodecError::WrongKind { found, wanted };
        let cached = encode(&CachedQueue { queue: queue.clone(), progress_known: false });
        let outbox = encode(&Outbox::default());
        assert_eq!(decode::<Queue>(&cached), Err(wrong(b'C', b'Q')));
        assert_eq!(decode::<Queue>(&outbox), Err(wrong(b'O', b'Q')));
        assert_eq!(decode::<CachedQueue>(&encode(&queue)), Err(wrong(b'Q', b'C')));
        assert_eq!(decode::<Outbox>(&cached), Err(wrong(b'C', b'O')));
        let mut renamed = cached;
        renamed[0] = b'Q';
        assert!(matches!(decode::<Queue>(&renamed), Err(CodecError::Checksum { .. })), "the kind is checked as well");
    }

    /// Makes the checksum fit again, so that only what lies behind it can tell.
    fn sign(bytes: &mut [u8]) {
        let checksum = checksum(bytes).to_le_bytes();
        bytes[2..HEADER].copy_from_slice(&checksum);
    }
}
