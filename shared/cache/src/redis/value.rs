//! A copy of a queue as Redis holds it.
//!
//! ```text
//! bytes 0-32   the stamp: decimal digits, compared byte by byte by the scripts
//! byte 33      'p' plain, 'z' compressed, 't' forgotten: nothing follows
//! 'p':         the bytes of the copy ([`codec`])
//! 'z':         their number as four bytes, little-endian, then the same bytes as an LZ4 block
//! ```

use millrace_domain::codec::{self, CachedQueue, CodecError};

use crate::stamp::Stamp;

/// From how many bytes on a copy is compressed. A queue of ten tasks has 3.3 KB and would keep four fifths of
/// them, for what it remembers of commands is as good as random; writing it would cost twice as much. From
/// some 25 tasks on a quarter is saved, of 200 tasks two fifths (`examples/redis_costs.rs`).
pub const COMPRESS_FROM: usize = 4_096;
/// Most bytes of a copy: a row of the table ends at 400 KB. A damaged length takes no more memory than this.
pub const MAX_BYTES: usize = 1 << 20;

/// Where the body begins.
pub(super) const HEADER: usize = Stamp::LENGTH + 1;

const PLAIN: u8 = b'p';
const COMPRESSED: u8 = b'z';
const FORGOTTEN: u8 = b't';

/// A value that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Shorter than any.
    #[error("the value has {0} bytes, too few for any")]
    TooShort(usize),
    /// Of a layout that this version does not know.
    #[error("the value's layout is {0:#04x}, which this version does not know")]
    Layout(u8),
    /// Longer than any.
    #[error("the value would have {0} bytes, more than any")]
    TooLong(usize),
    /// The compressed bytes are damaged.
    #[error("the value is damaged: {0}")]
    Compression(String),
    /// The copy is damaged, or of a newer format.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The value of a copy.
pub fn encode(cached: &CachedQueue) -> Vec<u8> {
    encode_from(cached, COMPRESS_FROM)
}

/// The same, compressed from another size on.
#[doc(hidden)]
pub fn encode_from(cached: &CachedQueue, compress_from: usize) -> Vec<u8> {
    let mut head = [PLAIN; HEADER];
    let stamp = Stamp::of(cached).digits();
    head[..Stamp::LENGTH].copy_from_slice(&stamp);
    let value = codec::encode_after(&head, cached);
    let body = &value[HEADER..];
    if body.len() < compress_from {
        return value;
    }
    compressed(&stamp, body).unwrap_or(value)
}

/// The value with its body compressed, where that makes it smaller.
fn compressed(stamp: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    const LENGTH: usize = 4;
    let length = u32::try_from(body.len()).ok()?.to_le_bytes();
    let mut value = Vec::with_capacity(HEADER + LENGTH + lz4_flex::block::get_maximum_output_size(body.len()));
    value.extend_from_slice(stamp);
    value.push(COMPRESSED);
    value.extend_from_slice(&length);
    value.resize(value.capacity(), 0);
    let written = lz4_flex::block::compress_into(body, &mut value[HEADER + LENGTH..]).ok()?;
    value.truncate(HEADER + LENGTH + written);
    (LENGTH + written < body.len()).then_some(value)
}

/// The copy of a value; none where the player was forgotten.
///
/// # Errors
/// [`ValueError`] where it is damaged or written by a newer version.
pub fn decode(value: &[u8]) -> Result<Option<CachedQueue>, ValueError> {
    let (Some(layout), Some(body)) = (value.get(Stamp::LENGTH), value.get(HEADER..)) else {
        return Err(ValueError::TooShort(value.len()));
    };
    match *layout {
        PLAIN => Ok(Some(codec::decode(body)?)),
        COMPRESSED => {
            let Some((length, block)) = body.split_first_chunk::<4>() else {
                return Err(ValueError::TooShort(value.len()));
            };
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_BYTES {
                return Err(ValueError::TooLong(length));
            }
            let mut bytes = vec![0; length];
            let written = lz4_flex::block::decompress_into(block, &mut bytes)
                .map_err(|error| ValueError::Compression(error.to_string()))?;
            Ok(Some(codec::decode(&bytes[..written])?))
        }
        FORGOTTEN => Ok(None),
        other => Err(ValueError::Layout(other)),
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::{
        PlayerId, Queue, TaskId, Timestamp,
        task::{FinishedTask, Outcome},
    };

    use super::*;

    /// A copy of more than `COMPRESS_FROM` bytes where `finished` is 64.
    fn copy(finished: usize) -> CachedQueue {
        let mut queue = Queue::new(PlayerId::new("p-1").unwrap(), Timestamp::from_millis(1_000));
        queue.version = 7;
        for n in 0..finished {
            let task_id = TaskId::new(&format!("{}-{n}", "a-long-task-id".repeat(5))).unwrap();
            let finished_at = Timestamp::from_millis(n as u64);
            queue.finished_tasks.push(&FinishedTask { task_id, outcome: Outcome::Completed, finished_at });
        }
        CachedQueue { queue, progress_known: true }
    }

    #[test]
    fn what_was_encoded_is_decoded_plain_and_compressed() {
        for (finished, layout) in [(0, PLAIN), (10, PLAIN), (64, COMPRESSED)] {
            let copy = copy(finished);
            let value = encode(&copy);
            assert_eq!(&value[..Stamp::VERSION], b"00000000000000000007");
            assert_eq!(value[Stamp::LENGTH], layout);
            assert_eq!(decode(&value), Ok(Some(copy.clone())));
            assert_eq!(decode(&encode_from(&copy, 0)), Ok(Some(copy)));
        }
    }

    #[test]
    fn a_tombstone_is_no_copy() {
        let mut value = Stamp::of_version(9).digits().to_vec();
        value.push(FORGOTTEN);
        assert_eq!(decode(&value), Ok(None));
    }

    #[test]
    fn damage_in_any_byte_of_the_body_is_detected() {
        for finished in [0, 64] {
            let copy = copy(finished);
            let value = encode(&copy);
            for at in Stamp::LENGTH..value.len() {
                for damage in [0x01, 0x80, 0xff] {
                    let mut value = value.clone();
                    value[at] ^= damage;
                    let decoded = decode(&value);
                    // Bits of an LZ4 block may be without meaning; what is read is never another queue.
                    assert!(
                        decoded.is_err() || decoded == Ok(Some(copy.clone())) && at >= HEADER,
                        "byte {at} with {damage:#04x}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_cut_is_detected() {
        for finished in [0, 64] {
            let value = encode(&copy(finished));
            for length in 0..value.len() {
                assert!(decode(&value[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn a_damaged_length_takes_no_memory() {
        let mut value = encode(&copy(64));
        value[HEADER..HEADER + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&value), Err(ValueError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn a_layout_of_a_newer_version_is_refused_as_such() {
        let mut value = encode(&copy(0));
        value[Stamp::LENGTH] = b'q';
        assert_eq!(decode(&value), Err(ValueError::Layout(b'q')));
    }
}
