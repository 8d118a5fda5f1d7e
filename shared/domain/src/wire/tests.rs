use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Serialize)]
enum Choice {
    Unit,
    New(u64),
    Tuple(i16, String),
    Struct { a: Option<i64>, b: Vec<u16> },
}

#[derive(Debug, Serialize)]
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

proptest! {
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
            assert_eq!(writer.finish(), postcard::to_allocvec(&value).unwrap(), "{value}");
        }
    }
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
