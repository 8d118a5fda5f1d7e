//! The values in Redis: copies of queues, and pages.
//!
//! ```text
//! copy   bytes 0-32  the stamp: decimal digits, which the scripts compare byte by byte
//!        byte 33     the kind: 'q' queue, 'u' progress, 's' stats, '-' tombstone
//!        byte 34-    the body
//! page   bytes 0-19  the version of the queue that the page belongs to: decimal digits
//!        byte 20-    the body
//! body   byte 0      'p' plain, 'z' compressed, 't' tombstone: nothing follows
//!        'p':        the bytes of the copy ([`codec`]) or the page
//!        'z':        their number as four bytes, little-endian, then the bytes as an LZ4 block
//! ```

use std::borrow::Cow;

use millrace_domain::codec::{self, CachedQueue, CodecError};

use crate::{kind::DataKind, stamp::Stamp};

/// The size in bytes from which a copy is compressed. A queue of ten tasks has 3.3 KB and would
/// keep four fifths of them, because its remembered commands are almost random. Writing it would
/// cost twice the CPU time. From 25 tasks on compression saves a quarter, with 200 tasks two fifths
/// (`examples/value_costs.rs`).
pub const COMPRESS_FROM: usize = 4_096;
/// The maximum size of a body in bytes: a row of the table ends at 400 KB. A damaged length cannot
/// allocate more memory than this.
pub const MAX_BYTES: usize = 1 << 20;

/// The length of the head that the scripts read: stamp, kind and the first byte of the body.
pub(super) const HEAD: usize = Stamp::LENGTH + 2;

const TOMBSTONE_KIND: u8 = b'-';
const PLAIN: u8 = b'p';
const COMPRESSED: u8 = b'z';
const TOMBSTONE: u8 = b't';

/// A value that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The value is shorter than any valid one.
    #[error("the value has {0} bytes, fewer than any valid value")]
    TooShort(usize),
    /// The layout or kind is unknown to this version.
    #[error("the value has the layout {0:#04x}, which this version does not know")]
    Layout(u8),
    /// The length exceeds [`MAX_BYTES`].
    #[error("the value would have {0} bytes, more than any valid value")]
    TooLong(usize),
    /// The compressed bytes are damaged.
    #[error("the value is damaged: {0}")]
    Compression(String),
    /// The copy is damaged, or has a newer format.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The value of a copy.
pub fn encode(cached: &CachedQueue) -> Vec<u8> {
    encode_from(cached, COMPRESS_FROM)
}

/// The value of a copy, compressed from the given size on.
#[doc(hidden)]
pub fn encode_from(cached: &CachedQueue, compress_from: usize) -> Vec<u8> {
    let mut head = [PLAIN; HEAD];
    head[..Stamp::LENGTH].copy_from_slice(&Stamp::of(cached).digits());
    head[Stamp::LENGTH] = letter(DataKind::of(cached));
    let value = codec::encode_after(&head, cached);
    let bytes = &value[HEAD..];
    if bytes.len() < compress_from {
        return value;
    }
    compressed(&head[..HEAD - 1], bytes).unwrap_or(value)
}

/// The copy of a value; none for a tombstone.
///
/// # Errors
/// [`ValueError`] where the value is damaged or of a newer version.
pub fn decode(value: &[u8]) -> Result<Option<CachedQueue>, ValueError> {
    let (head, body) = split(value, HEAD - 1)?;
    let kind = head[Stamp::LENGTH];
    if kind == TOMBSTONE_KIND && body[0] == TOMBSTONE {
        return Ok(None);
    }
    let cached: CachedQueue = codec::decode(&plain(body)?)?;
    if letter(DataKind::of(&cached)) != kind {
        return Err(ValueError::Layout(kind));
    }
    Ok(Some(cached))
}

/// The value of a page that belongs to a version of a queue.
pub(super) fn encode_page(version: u64, page: &[u8]) -> Vec<u8> {
    let digits = Stamp::of_version(version).digits();
    let head = &digits[..Stamp::VERSION];
    if page.len() >= COMPRESS_FROM
        && let Some(value) = compressed(head, page)
    {
        return value;
    }
    [head, &[PLAIN], page].concat()
}

/// The page of a value; none where it belongs to another version.
///
/// # Errors
/// [`ValueError`] where the value is damaged or of a newer version.
pub(super) fn decode_page(value: &[u8], version: u64) -> Result<Option<Vec<u8>>, ValueError> {
    let (head, body) = split(value, Stamp::VERSION)?;
    if *head != Stamp::of_version(version).digits()[..Stamp::VERSION] {
        return Ok(None);
    }
    Ok(Some(plain(body)?.into_owned()))
}

/// Splits a value into its head and its body, which has at least one byte.
fn split(value: &[u8], head: usize) -> Result<(&[u8], &[u8]), ValueError> {
    value.split_at_checked(head).filter(|(_, body)| !body.is_empty()).ok_or(ValueError::TooShort(value.len()))
}

/// The bytes of a body.
fn plain(body: &[u8]) -> Result<Cow<'_, [u8]>, ValueError> {
    match body {
        [PLAIN, bytes @ ..] => Ok(Cow::Borrowed(bytes)),
        [COMPRESSED, block @ ..] => decompressed(block).map(Cow::Owned),
        [layout, ..] => Err(ValueError::Layout(*layout)),
        [] => Err(ValueError::TooShort(0)),
    }
}

/// The kind of a copy of which only the first [`HEAD`] bytes are known; none where there is no
/// copy.
pub(super) fn kind_of(head: &[u8]) -> Option<DataKind> {
    let digits = head.get(..Stamp::LENGTH)?;
    if head.len() < HEAD || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    DataKind::ALL.into_iter().find(|kind| *kind != DataKind::Frequent && letter(*kind) == head[Stamp::LENGTH])
}

/// The letter of a kind of copy, as the head of a value has it.
pub(super) fn letter(kind: DataKind) -> u8 {
    match kind {
        DataKind::Queue => b'q',
        DataKind::Progress => b'u',
        DataKind::Stats => b's',
        DataKind::Frequent => b'f',
    }
}

/// A value with compressed bytes, if that is smaller than the plain bytes.
fn compressed(head: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    const LENGTH: usize = 4;
    let start = head.len() + 1 + LENGTH;
    let length = u32::try_from(bytes.len()).ok()?.to_le_bytes();
    let mut value = Vec::with_capacity(start + lz4_flex::block::get_maximum_output_size(bytes.len()));
    value.extend_from_slice(head);
    value.push(COMPRESSED);
    value.extend_from_slice(&length);
    value.resize(value.capacity(), 0);
    let written = lz4_flex::block::compress_into(bytes, &mut value[start..]).ok()?;
    value.truncate(start + written);
    (LENGTH + written < bytes.len()).then_some(value)
}

fn decompressed(block: &[u8]) -> Result<Vec<u8>, ValueError> {
    let Some((length, block)) = block.split_first_chunk::<4>() else {
        return Err(ValueError::TooShort(block.len()));
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > MAX_BYTES {
        return Err(ValueError::TooLong(length));
    }
    let mut bytes = vec![0; length];
    let written = lz4_flex::block::decompress_into(block, &mut bytes)
        .map_err(|error| ValueError::Compression(error.to_string()))?;
    bytes.truncate(written);
    Ok(bytes)
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
    fn copies_are_decoded_from_plain_and_compressed_values() {
        for (finished, layout) in [(0, PLAIN), (10, PLAIN), (64, COMPRESSED)] {
            let copy = copy(finished);
            let value = encode(&copy);
            assert_eq!(&value[..Stamp::VERSION], b"00000000000000000007");
            assert_eq!(value[Stamp::LENGTH..HEAD], [b's', layout]);
            assert_eq!(kind_of(&value[..HEAD]), Some(DataKind::Stats));
            assert_eq!(decode(&value), Ok(Some(copy.clone())));
            assert_eq!(decode(&encode_from(&copy, 0)), Ok(Some(copy)));
        }
    }

    #[test]
    fn a_tombstone_is_not_a_copy() {
        let mut value = Stamp::of_version(9).digits().to_vec();
        value.extend([TOMBSTONE_KIND, TOMBSTONE]);
        assert_eq!((decode(&value), kind_of(&value)), (Ok(None), None));
    }

    #[test]
    fn damage_in_any_byte_after_the_stamp_is_detected() {
        for finished in [0, 64] {
            let copy = copy(finished);
            let value = encode(&copy);
            for at in Stamp::LENGTH..value.len() {
                for damage in [0x01, 0x80, 0xff] {
                    let mut value = value.clone();
                    value[at] ^= damage;
                    let decoded = decode(&value);
                    // Some bits of an LZ4 block have no meaning; the result is never another queue.
                    assert!(
                        decoded.is_err() || decoded == Ok(Some(copy.clone())) && at >= HEAD,
                        "byte {at} with {damage:#04x}"
                    );
                }
            }
        }
    }

    #[test]
    fn truncated_values_are_detected() {
        for finished in [0, 64] {
            let value = encode(&copy(finished));
            for length in 0..value.len() {
                assert!(decode(&value[..length]).is_err(), "{length}");
            }
            assert_eq!(kind_of(&value[..HEAD - 1]), None);
        }
    }

    #[test]
    fn a_damaged_length_allocates_no_memory() {
        let mut value = encode(&copy(64));
        value[HEAD..HEAD + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&value), Err(ValueError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn the_layout_of_a_newer_version_is_refused() {
        let mut value = encode(&copy(0));
        value[Stamp::LENGTH + 1] = b'q';
        assert_eq!(decode(&value), Err(ValueError::Layout(b'q')));
        assert_eq!(kind_of(&[b'x'; HEAD]), None, "a value of another application");
    }

    #[test]
    fn a_page_is_read_for_its_version_only() {
        for page in [&b""[..], b"[]", &[7; COMPRESS_FROM]] {
            let value = encode_page(12, page);
            assert!(value.len() < 100);
            assert_eq!(decode_page(&value, 12), Ok(Some(page.to_vec())));
            assert_eq!((decode_page(&value, 11), decode_page(&value, 13)), (Ok(None), Ok(None)));
            assert!(decode_page(&value[..Stamp::VERSION], 12).is_err());
        }
    }
}
