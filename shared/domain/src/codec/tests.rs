//! Encoding and decoding, and what is refused.

use super::*;
use crate::{Command, Event, EventData, MAX_AMOUNT, Record, Timestamp, task::TaskSpec, testing::*};

/// A queue with a value in every field.
fn queue() -> Queue {
    let mut test = TestQueue::new();
    test.apply(0, grant(amounts([("gold", 9), ("wood", MAX_AMOUNT)])));
    test.enqueue(0, [TaskSpec { rewards: gold(3), ..timed("done", 1) }, reported("open", 100)]);
    let after =
        TaskSpec { prerequisites: ids(["open"]), costs: gold(4), not_before: Some(at(99)), ..timed("after", 5) };
    test.enqueue(2, [after]);
    test.apply(3, report("open", 30));
    test.apply(4, Command::PauseQueue);
    test.queue.version = 7;
    test.queue
}

/// Corrects the checksum after a change, so that only the content can be wrong.
fn sign(bytes: &mut [u8]) {
    let checksum = checksum(bytes).to_le_bytes();
    bytes[2..HEADER].copy_from_slice(&checksum);
}

#[test]
fn decoding_restores_the_value() {
    let queue = queue();
    let bytes = encode(&queue);
    assert_eq!(bytes[..2], [b'Q', FORMAT_VERSION]);
    assert_eq!(decode::<Queue>(&bytes), Ok(queue.clone()));
    let cached = CachedQueue { queue, progress_known: true };
    assert_eq!(decode::<CachedQueue>(&encode(&cached)), Ok(cached.clone()));
    let event = Event::new(7, Timestamp::from_millis(5), EventData::QueuePaused);
    let outbox = Outbox { records: vec![Record::Stats(cached.queue.stats())], events: vec![event] };
    assert_eq!(decode::<Outbox>(&encode(&outbox)), Ok(outbox));
}

#[test]
fn a_prefix_does_not_change_the_encoding() {
    let queue = queue();
    let bytes = encode_after(b"prefix", &queue);
    assert_eq!(bytes[..6], *b"prefix");
    assert_eq!(bytes[6..], encode(&queue));
}

#[test]
fn decoded_queues_reserve_no_memory_beyond_their_tasks() {
    let decoded: Queue = decode(&encode(&queue())).unwrap();
    assert_eq!((decoded.tasks.len(), decoded.tasks.capacity()), (2, 2));
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
fn truncated_bytes_are_refused() {
    let bytes = encode(&queue());
    for length in 0..HEADER {
        assert_eq!(decode::<Queue>(&bytes[..length]), Err(CodecError::TooShort(length)));
    }
    for length in HEADER..bytes.len() {
        assert!(matches!(decode::<Queue>(&bytes[..length]), Err(CodecError::Checksum { .. })), "{length}");
        let mut signed = bytes[..length].to_vec();
        sign(&mut signed);
        assert!(matches!(decode::<Queue>(&signed), Err(CodecError::UnknownValue(_))), "{length}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let mut bytes = encode(&queue());
    bytes[1] = FORMAT_VERSION + 1;
    sign(&mut bytes);
    assert_eq!(decode::<Queue>(&bytes), Err(CodecError::NewerFormat { found: FORMAT_VERSION + 1 }));
}

#[test]
fn bytes_after_the_value_are_refused() {
    let mut bytes = encode(&queue());
    bytes.extend_from_slice(&[0, 0]);
    assert!(matches!(decode::<Queue>(&bytes), Err(CodecError::Checksum { .. })));
    sign(&mut bytes);
    assert_eq!(decode::<Queue>(&bytes), Err(CodecError::UnknownValue("2 bytes follow the value".to_owned())));
}

#[test]
fn a_long_list_of_few_bytes_reserves_little_memory() {
    // A map of field 0 to a list of 2^63 records, of which there is none.
    let mut bytes = b"O\x01\0\0\0\0\xa1\0\x9b\x80\0\0\0\0\0\0\0".to_vec();
    sign(&mut bytes);
    assert!(matches!(decode::<Outbox>(&bytes), Err(CodecError::UnknownValue(_))));
}

#[test]
fn one_kind_is_not_decoded_as_another() {
    let queue = queue();
    let wrong = |found, expected| CodecError::WrongKind { found, expected };
    let cached = encode(&CachedQueue { queue: queue.clone(), progress_known: false });
    let outbox = encode(&Outbox::default());
    assert_eq!(decode::<Queue>(&cached), Err(wrong(b'C', b'Q')));
    assert_eq!(decode::<Queue>(&outbox), Err(wrong(b'O', b'Q')));
    assert_eq!(decode::<CachedQueue>(&encode(&queue)), Err(wrong(b'Q', b'C')));
    assert_eq!(decode::<Outbox>(&cached), Err(wrong(b'C', b'O')));
    let mut renamed = cached;
    renamed[0] = b'Q';
    assert!(matches!(decode::<Queue>(&renamed), Err(CodecError::Checksum { .. })), "the checksum covers the kind");
}
