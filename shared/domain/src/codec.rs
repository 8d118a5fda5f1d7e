//! Queues and outboxes as the bytes of a row or of a cached copy.
//!
//! ```text
//! byte 0     the kind: 'Q' a queue, 'O' an outbox, 'C' a cached queue
//! byte 1     the format, FORMAT_VERSION
//! bytes 2-5  CRC-32 (ISO-HDLC) of bytes 0 and 1 and of all bytes from 6 on, little-endian
//! bytes 6-   the value in CBOR: structs are maps from field numbers to values
//! ```
//!
//! # How rows evolve
//!
//! A release reads the rows of its predecessor and of its successor, so a canary or a rollback
//! never makes a row unreadable. The rules:
//!
//! - **A new field** gets the next free number. It is optional, or has a default that is not
//!   written. Numbers are never used again. The first release with the field reads it and writes
//!   back what it has read, but sets it nowhere. The next release sets it.
//! - **An unknown field** is skipped. It is missing in the row that this release writes, so no
//!   release sets a field that its predecessor does not know.
//! - **A new variant** of an enum also takes two releases: the first one reads it, the next one
//!   writes it. What happens to an unknown variant depends on what could be lost (see below).
//! - **An identifier** may have characters that this release does not allow. Only its length is
//!   checked.
//! - **A byte string** within a field (remembered commands, finished tasks) keeps its layout.
//!   Another layout is another field.
//! - **The format byte** is raised only for a change that these rules do not allow. A release
//!   refuses newer formats, and leaves such a row as it is.
//!
//! | unknown variant | effect | reason |
//! |---|---|---|
//! | priority of a task | counts as normal | the task can still be worked on |
//! | rejection reason of a remembered command | counts as no reason | its number is kept |
//! | outcome of a remembered task | counts as cancelled | its number is kept; no task starts |
//! | work or state of a task | the row is unreadable | a guess could credit rewards twice |
//! | a record, an event, or an enum in one | the outbox is unreadable | a commit would drop or falsify it |
//!
//! A row that is unreadable affects one player. It is left as it is, and its commands are handed
//! back until a release that knows the variant takes them. An unreadable cached copy is a cache
//! miss.
//!
//! `tests/rows` has sample rows of every format, and rows of a newer release.

use minicbor::{Decode, Encode};

pub use crate::events::outbox::Outbox;
use crate::model::queue::Queue;

/// The format that this release writes, and the newest one that it reads.
pub const FORMAT_VERSION: u8 = 1;

const HEADER: usize = 6;

/// Why bytes cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// They are shorter than the header.
    #[error("the row has {0} bytes, fewer than its header")]
    TooShort(usize),
    /// They are of another kind, or not written by Millrace.
    #[error("the row starts with byte {found:#04x} instead of {expected:#04x}")]
    WrongKind {
        /// The first byte.
        found: u8,
        /// The first byte of this kind of value.
        expected: u8,
    },
    /// They are written by a newer release.
    #[error(
        "the row has format {found}, and this release reads formats up to {FORMAT_VERSION}: deploy the newer release again"
    )]
    NewerFormat {
        /// The format of the row.
        found: u8,
    },
    /// They are damaged.
    #[error("the row is damaged: its checksum is {found:08x} instead of {expected:08x}")]
    Checksum {
        /// The checksum of the bytes.
        found: u32,
        /// The checksum in the header.
        expected: u32,
    },
    /// They are intact, but this release cannot decode them.
    #[error("the row has a value that this release does not know: {0}")]
    UnknownValue(String),
}

/// A value that can be stored in a row or cached.
pub trait StoredValue: Encode<()> + for<'b> Decode<'b, ()> {
    /// The first byte of its encoding.
    const KIND: u8;
    /// The capacity reserved for its encoding, in bytes. Most values fit.
    const CAPACITY: usize;
}

impl StoredValue for Queue {
    const KIND: u8 = b'Q';
    // Ten tasks and all that a queue remembers.
    const CAPACITY: usize = 2048;
}

impl StoredValue for Outbox {
    const KIND: u8 = b'O';
    const CAPACITY: usize = 256;
}

/// A queue as it is cached.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct CachedQueue {
    /// The queue, with the progress between milestones as far as it is known.
    #[n(0)]
    pub queue: Queue,
    /// Whether that progress is known. False after a load that did not read the progress row.
    #[n(1)]
    pub progress_known: bool,
}

impl StoredValue for CachedQueue {
    const KIND: u8 = b'C';
    const CAPACITY: usize = Queue::CAPACITY;
}

/// Encodes `value`.
pub fn encode<T: StoredValue>(value: &T) -> Vec<u8> {
    encode_after(&[], value)
}

/// Encodes `value` after the bytes of `prefix`.
pub fn encode_after<T: StoredValue>(prefix: &[u8], value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(prefix.len() + T::CAPACITY);
    bytes.extend_from_slice(prefix);
    bytes.extend_from_slice(&[T::KIND, FORMAT_VERSION, 0, 0, 0, 0]);
    minicbor::encode(value, &mut bytes).expect("writing to a vector cannot fail");
    let row = &mut bytes[prefix.len()..];
    let checksum = checksum(row);
    row[2..HEADER].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Decodes `bytes`.
///
/// # Errors
/// [`CodecError`] if they are damaged, of another kind, or have content of a newer release.
pub fn decode<T: StoredValue>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() < HEADER {
        return Err(CodecError::TooShort(bytes.len()));
    }
    if bytes[0] != T::KIND {
        return Err(CodecError::WrongKind { found: bytes[0], expected: T::KIND });
    }
    if bytes[1] > FORMAT_VERSION {
        return Err(CodecError::NewerFormat { found: bytes[1] });
    }
    let found = checksum(bytes);
    let expected = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    if found != expected {
        return Err(CodecError::Checksum { found, expected });
    }
    let body = &bytes[HEADER..];
    let mut decoder = minicbor::Decoder::new(body);
    let value = decoder.decode().map_err(|error| CodecError::UnknownValue(error.to_string()))?;
    match body.len() - decoder.position() {
        0 => Ok(value),
        excess => Err(CodecError::UnknownValue(format!("{excess} bytes follow the value"))),
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..2]);
    hasher.update(&bytes[HEADER..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
