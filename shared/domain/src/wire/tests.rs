use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    New(u64),
    Tuple(i16, String),
    Struct { a: Option<i64>, b: Vec<u16> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    unsigned: (u8, u16, u32, u64, u128),
    signed: (i8, i16, i32, i64, i128),
    floats: (f32, f64),
    other: (bool, char, (), Option<()>),
    text: String,
    list: Vec<Choice>,
    map: BTreeMap<String, u64>,
}

/// Numbers of every length, not only the longest ones.
fn number() -> impl Strategy<Value = u128> {
    (any::<u128>(), 0..128_u32).prop_map(|(value, shift)| value >> shift)
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Unit),
        number().prop_map(|n| Choice::New(n as u64)),
        (any::<i16>(), ".{0,40}").prop_map(|(n, text)| Choice::Tuple(n, text)),
        (any::<Option<i64>>(), prop::collection::vec(any::<u16>(), 0..4)).prop_map(|(a, b)| Choice::Struct { a, b }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (number(), any::<(i8, i16, i32, i64, i128)>(), any::<(f32, f64)>());
    let other = any::<(bool, char, (), Option<()>)>();
    let map = prop::collection::btree_map("[a-z]{0,20}", any::<u64>(), 0..4);
    (numbers, other, ".{0,40}", prop::collection::vec(choice(), 0..4), map).prop_map(
        |((n, signed, floats), other, text, list, map)| Everything {
            unsigned: (n as u8, n as u16, n as u32, n as u64, n),
            signed,
            floats,
            other,
            text,
            list,
            map,
        },
    )
}

/// The value of all of `bytes`.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = Reader::new(bytes);
    match (T::deserialize(&mut reader), reader.rest()) {
        (Ok(value), []) => Ok(value),
        (Ok(_), rest) => Err(format!("{} bytes too many", rest.len())),
        (Err(error), _) => Err(error.to_string()),
    }
}

proptest! {
    #[test]
    fn what_postcard_writes_is_read(value in everything()) {
        let bytes = postcard::to_allocvec(&value).unwrap();
        // Floats that are no number are not equal to themselves: their bytes are.
        let back: Everything = read(&bytes).unwrap();
        prop_assert_eq!(postcard::to_allocvec(&back).unwrap(), bytes.clone());
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
        let expected = postcard::take_from_bytes::<Everything>(&bytes);
        match (expected, read::<Everything>(&bytes)) {
            (Ok((expected, [])), found) => {
                prop_assert_eq!(postcard::to_allocvec(&found.unwrap()).unwrap(), postcard::to_allocvec(&expected).unwrap());
            }
            (Ok(_), found) => prop_assert!(found.is_err()),
            // Postcard refuses some numbers with zeros in front: they are read as what they say.
            (Err(_), _) => {}
        }
    }

    #[test]
    fn numbers_are_what_postcard_reads(value in number(), behind in prop::collection::vec(any::<u8>(), 0..12)) {
        let numbers = (value, value as u64, value as i64, value as u16, value as i32);
        let mut bytes = postcard::to_allocvec(&numbers).unwrap();
        prop_assert_eq!(read(&bytes), Ok(numbers));
        // Whether there is room behind a number to read eight bytes at once or not.
        let length = bytes.len();
        bytes.extend(&behind);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(Deserialize::deserialize(&mut reader), Ok(numbers));
        prop_assert_eq!(reader.rest(), &bytes[length..]);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<Everything>(&bytes);
    }

    #[test]
    fn it_is_what_postcard_writes(value in everything(), capacity in 0..64_usize) {
        let mut writer = Writer::new(capacity);
        value.serialize(&mut writer).unwrap();
        prop_assert_eq!(writer.finish(), postcard::to_allocvec(&value).unwrap());
    }

    #[test]
    fn numbers_are_what_postcard_writes(value in number()) {
        let mut writer = Writer::new(0);
        (value, value as u64, value as i64).serialize(&mut writer).unwrap();
        prop_assert_eq!(writer.finish(), postcard::to_allocvec(&(value, value as u64, value as i64)).unwrap());
    }
}

#[test]
fn numbers_at_every_boundary_are_what_postcard_writes() {
    for bits in 0..64 {
        for value in [1_u64 << bits, (1 << bits) - 1, u64::MAX >> bits] {
            let mut writer = Writer::new(0);
            value.serialize(&mut writer).unwrap();
            let bytes = writer.finish();
            assert_eq!(bytes, postcard::to_allocvec(&value).unwrap(), "{value}");
            assert_eq!(read(&bytes), Ok(value));
            assert_eq!(read(&[&bytes[..], &[0xff; 8]].concat()), Ok((value, [0xff_u8; 8])), "{value}");
            assert_eq!(read::<u16>(&bytes).ok(), u16::try_from(value).ok(), "{value}");
            assert_eq!(read::<u32>(&bytes).ok(), u32::try_from(value).ok(), "{value}");
        }
    }
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
    assert_eq!(read::<bool>(&[2]), Err("0x02 stands where 0 or 1 has to".to_owned()));
    assert_eq!(read::<Option<u8>>(&[7, 0]), Err("0x07 stands where 0 or 1 has to".to_owned()));
    assert_eq!(read::<u16>(&[0xff, 0xff, 0x04]), Err("a number is longer than its type".to_owned()));
    assert!(read::<serde_json::Value>(&[0]).is_err(), "the format does not say what comes next");
    assert!(read::<Choice>(&[9]).unwrap_err().contains("variant index 0 <= i < 4"));
}

#[test]
fn a_list_that_claims_to_be_long_takes_no_memory() {
    let long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 1, 1];
    assert_eq!(read::<Vec<u64>>(&long), Err("it ends in the middle of a value".to_owned()));
    assert_eq!(read::<String>(&long), Err("it ends in the middle of a value".to_owned()));
}

#[test]
fn texts_of_every_length_are_what_postcard_writes() {
    for length in 0..300 {
        let text: String = ('a'..='z').cycle().take(length).collect();
        let mut writer = Writer::new(16);
        text.serialize(&mut writer).unwrap();
        assert_eq!(writer.finish(), postcard::to_allocvec(&text).unwrap());
    }
}

#[test]
fn a_list_of_unknown_length_is_refused() {
    assert!(Serializer::serialize_seq(&mut Writer::new(0), None).is_err());
}
