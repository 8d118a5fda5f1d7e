use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;

use super::*;
use crate::{
    ids::{TaskId, TaskKind},
    rejection::RejectionReason,
    resources::Resources,
    task::{Outcome, Priority, Task, TaskState, Work},
    time::Timestamp,
};

type Everything = (
    (bool, (u8, (u16, (u32, (u64, u128))))),
    (String, (Option<u64>, (Option<Box<String>>, (Vec<(u64, String)>, SmallVec<[u16; 2]>)))),
);

/// Numbers of every length, not only the longest ones.
fn number() -> impl Strategy<Value = u128> {
    (any::<u128>(), 0..128_u32).prop_map(|(value, shift)| value >> shift)
}

fn everything() -> impl Strategy<Value = Everything> {
    let text = ".{0,40}";
    let list = prop::collection::vec((number().prop_map(|n| n as u64), text), 0..4);
    let short = prop::collection::vec(any::<u16>(), 0..6);
    let options = (prop::option::of(number().prop_map(|n| n as u64)), prop::option::of(text.prop_map(Box::new)));
    (any::<bool>(), number(), text, options, list, short).prop_map(|(flag, n, text, (some, boxed), list, short)| {
        ((flag, (n as u8, (n as u16, (n as u32, (n as u64, n))))), (text, (some, (boxed, (list, short.into())))))
    })
}

fn id() -> impl Strategy<Value = TaskId> {
    "[A-Za-z0-9._:-]{1,128}".prop_map(|id| TaskId::new(&id).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..=u64::MAX).prop_map(Timestamp::from_millis)
}

fn amounts() -> impl Strategy<Value = Resources> {
    // A few names that come again, and some that do not.
    let name = prop_oneof![Just("gold".to_owned()), Just("wood".to_owned()), "[a-z]{1,64}"];
    prop::collection::vec((name, 0..=crate::MAX_AMOUNT), 0..5)
        .prop_map(|amounts| amounts.iter().map(|(name, amount)| (name.parse().unwrap(), *amount)).collect())
}

prop_compose! {
    fn task()(
        id in id(),
        kind in prop_oneof![Just("harvest.wood".to_owned()), "[a-z.]{1,64}"],
        priority in prop::sample::select(vec![Priority::Low, Priority::Normal, Priority::High, Priority::Critical]),
        work in prop_oneof![any::<u64>().prop_map(Work::DurationMs), any::<u64>().prop_map(Work::Units)],
        (units_done, retry_delay_ms, max_retries, attempts, paid) in any::<(u64, u32, u8, u8, bool)>(),
        (not_before, enqueued_at) in (prop::option::of(time()), time()),
        waiting_for in prop::collection::vec(id(), 0..3),
        (costs, rewards) in (amounts(), amounts()),
        state in prop_oneof![
            Just(TaskState::Pending),
            (time(), any::<u64>()).prop_map(|(started_at, paused_ms)| TaskState::Active { started_at, paused_ms }),
        ],
    ) -> Task {
        Task {
            id, kind: TaskKind::new(&kind).unwrap(), priority, work, units_done, not_before, waiting_for, costs, rewards,
            max_retries, retry_delay_ms, attempts, paid, enqueued_at, state,
        }
    }
}

fn written<T: Wire>(value: &T, capacity: usize) -> Vec<u8> {
    let mut writer = Writer::new(capacity);
    value.write(&mut writer);
    writer.finish()
}

/// The value of all of `bytes`.
fn read<T: Wire>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader);
    match (reader.failed(), reader.rest()) {
        (None, []) => Ok(value),
        (None, rest) => Err(format!("{} bytes too many", rest.len())),
        (Some(why), _) => Err(why.to_string()),
    }
}

/// What postcard says of them.
fn expected<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

proptest! {
    #[test]
    fn it_is_what_postcard_writes(value in everything(), capacity in 0..64_usize) {
        prop_assert_eq!(written(&value, capacity), postcard::to_allocvec(&value).unwrap());
    }

    #[test]
    fn what_postcard_writes_is_read(value in everything()) {
        let bytes = postcard::to_allocvec(&value).unwrap();
        prop_assert_eq!(read::<Everything>(&bytes), Ok(value));
        for end in 0..bytes.len() {
            prop_assert!(read::<Everything>(&bytes[..end]).is_err(), "cut after {} of {}", end, bytes.len());
        }
    }

    #[test]
    fn damaged_bytes_are_read_as_postcard_reads_them(
        value in everything(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = postcard::to_allocvec(&value).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Postcard refuses some numbers with zeros in front: they are read as what they say.
        if let Some(expected) = expected::<Everything>(&bytes) {
            prop_assert_eq!(read(&bytes), Ok(expected));
        }
    }

    #[test]
    fn tasks_are_what_postcard_writes(tasks in prop::collection::vec(task(), 0..6)) {
        let bytes = written(&tasks, 0);
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&tasks).unwrap());
        prop_assert_eq!(read::<Vec<Task>>(&bytes), Ok(tasks));
    }

    #[test]
    fn numbers_are_what_postcard_reads(value in number(), behind in prop::collection::vec(any::<u8>(), 0..12)) {
        let numbers = (value, (value as u64, (value as u32, value as u16)));
        let mut bytes = postcard::to_allocvec(&numbers).unwrap();
        prop_assert_eq!(written(&numbers, 0), bytes.clone());
        prop_assert_eq!(read(&bytes), Ok(numbers));
        // Whether there is room behind a number to read eight bytes at once or not.
        let length = bytes.len();
        bytes.extend(&behind);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(<(u128, (u64, (u32, u16)))>::read(&mut reader), numbers);
        prop_assert_eq!(reader.rest(), &bytes[length..]);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<Everything>(&bytes);
        let _ = read::<Vec<Task>>(&bytes);
        let _ = read::<Vec<crate::record::Record>>(&bytes);
        let _ = read::<crate::codec::CachedQueue>(&bytes);
    }
}

#[test]
fn numbers_at_every_boundary_are_what_postcard_writes() {
    for bits in 0..64 {
        for value in [1_u64 << bits, (1 << bits) - 1, u64::MAX >> bits] {
            let bytes = written(&value, 0);
            assert_eq!(bytes, postcard::to_allocvec(&value).unwrap(), "{value}");
            assert_eq!(read(&bytes), Ok(value));
            // With room behind it, too.
            assert_eq!(read(&[&bytes[..], &[1; 8]].concat()).map(|(value, Rest(_))| value), Ok(value), "{value}");
            assert_eq!(read::<u16>(&bytes).ok(), u16::try_from(value).ok(), "{value}");
            assert_eq!(read::<u32>(&bytes).ok(), u32::try_from(value).ok(), "{value}");
        }
    }
}

/// Eight bytes, whatever they are.
struct Rest([u8; 8]);

impl Wire for Rest {
    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        Self([(); 8].map(|()| reader.byte()))
    }
}

#[test]
fn choices_stand_where_serde_has_them() {
    fn check<T: Wire + Serialize + PartialEq + std::fmt::Debug>(values: &[T]) {
        for value in values {
            let bytes = written(value, 0);
            assert_eq!(bytes, postcard::to_allocvec(value).unwrap(), "{value:?}");
            assert_eq!(read::<T>(&bytes).as_ref(), Ok(value));
        }
        assert_eq!(read::<T>(&[99, 0]).unwrap_err(), "a number stands for none of the choices there are");
    }
    check(&[Priority::Low, Priority::Normal, Priority::High, Priority::Critical]);
    check(&[Outcome::Completed, Outcome::Failed, Outcome::Cancelled]);
    check(&[Work::DurationMs(7), Work::Units(300)]);
    check(&[TaskState::Pending, TaskState::Active { started_at: Timestamp::from_millis(1 << 40), paused_ms: 3 }]);
    check(&(1..=13).map(|code| RejectionReason::from_code(code).unwrap()).collect::<Vec<_>>());
    assert_eq!(RejectionReason::from_code(14), None);
}

#[test]
fn what_is_no_value_is_refused_and_says_why() {
    for (bytes, why) in [
        (&[][..], "it ends in the middle of a value"),
        (&[5, b'a'], "it ends in the middle of a value"),
        (&[0x80; 8], "it ends in the middle of a value"),
        (&[0xff; 30], "a number is longer than its type"),
        (&[1, 0xff], "a text is no UTF-8"),
    ] {
        assert_eq!(read::<String>(bytes), Err(why.to_owned()), "{bytes:?}");
    }
    assert_eq!(read::<bool>(&[2]), Err("another byte stands where 0 or 1 has to".to_owned()));
    assert_eq!(read::<Option<u8>>(&[7, 0]), Err("another byte stands where 0 or 1 has to".to_owned()));
    assert_eq!(read::<u16>(&[0xff, 0xff, 0x04]), Err("a number is longer than its type".to_owned()));
}

#[test]
fn what_is_no_identifier_is_refused() {
    let refused = "an identifier is empty, too long or has a character that is not allowed";
    let long = |length: u8, prefix: &[u8]| [prefix, &[b'a'].repeat(length.into())].concat();
    assert!(read::<TaskId>(&long(128, &[0x80, 1])).is_ok() && read::<TaskKind>(&long(64, &[64])).is_ok());
    for bytes in [&[0][..], b"\x03a b", b"\x02\xc3\xa4", &long(129, &[0x81, 1])] {
        assert_eq!(read::<TaskId>(bytes).unwrap_err(), refused, "{bytes:?}");
    }
    for bytes in [&[0][..], b"\x03a b", b"\x02\xc3\xa4", &long(65, &[65])] {
        assert_eq!(read::<TaskKind>(bytes).unwrap_err(), refused, "{bytes:?}");
        // A name that was refused is not remembered as one that is allowed.
        assert_eq!(read::<(TaskKind, TaskKind)>(&[bytes, bytes].concat()).unwrap_err(), refused);
    }
}

#[test]
fn names_that_come_again_are_the_same() {
    let names: Vec<TaskKind> =
        ["a", "b", "a", "c", "d", "e", "a", "f", "b", "e", "aa"].map(|name| TaskKind::new(name).unwrap()).into();
    assert_eq!(read::<Vec<TaskKind>>(&written(&names, 0)), Ok(names));
}

#[test]
fn nothing_is_read_after_a_failure() {
    let mut reader = Reader::new(&[9, 1, 2, 3]);
    assert!(!reader.flag());
    assert_eq!((reader.byte(), reader.varint(), reader.text(), reader.rest()), (0, 0, "", &[][..]));
    assert_eq!(reader.failed(), Some(Unreadable::Flag), "the first failure is the cause of all others");
}

#[test]
fn a_list_that_claims_to_be_long_takes_no_memory() {
    let long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 1, 1];
    assert_eq!(read::<Vec<u64>>(&long), Err("it ends in the middle of a value".to_owned()));
    assert_eq!(read::<String>(&long), Err("it ends in the middle of a value".to_owned()));
    // As many as there are bytes, each of which is no task.
    let many = [&[0xe8, 0x07][..], &[0xff; 2_000]].concat();
    assert!(read::<Vec<Task>>(&many).is_err());
}

#[test]
fn texts_of_every_length_are_what_postcard_writes() {
    for length in 0..300 {
        let text: String = ('a'..='z').cycle().take(length).collect();
        assert_eq!(written(&text, 16), postcard::to_allocvec(&text).unwrap());
    }
}
