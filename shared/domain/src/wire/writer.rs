//! Writes postcard's wire format, with room ahead.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer, ser};

/// Longest number: 128 bits, seven to a byte.
const MAX_VARINT: usize = 19;

/// Bytes under way. Those behind `at` are room.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    at: usize,
}

/// A value that the format has no form for: a list whose length is not known ahead, or one that
/// refuses to be written.
#[derive(Debug)]
pub(crate) struct Unwritable;

impl Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value cannot be written")
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl Writer {
    /// Room for `capacity` bytes, and more where that is not enough.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], at: 0 }
    }

    /// What was written.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.truncate(self.at);
        self.bytes
    }

    /// Bytes as they are, without their number.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let room = self.room(bytes.len());
        copy(bytes, &mut room[..bytes.len()]);
        self.at += bytes.len();
    }

    /// At least `count` bytes of room.
    #[inline]
    fn room(&mut self, count: usize) -> &mut [u8] {
        if self.bytes.len() - self.at < count {
            self.grow(count);
        }
        &mut self.bytes[self.at..]
    }

    #[cold]
    fn grow(&mut self, count: usize) {
        self.bytes.resize((self.at + count).max(2 * self.bytes.len()), 0);
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.room(1)[0] = byte;
        self.at += 1;
    }

    /// A number, seven bits to a byte, the lowest first; every byte but the last has its top bit set.
    #[inline(always)]
    fn varint(&mut self, value: u64) {
        match value < 1 << 7 {
            true => self.byte(value as u8),
            false => self.wide_varint(value),
        }
    }

    #[inline(never)]
    fn wide_varint(&mut self, value: u64) {
        if value >= 1 << 56 {
            return self.long_varint(value.into());
        }
        // All groups of seven bits move to their bytes at once: 28 bits to 32, 14 to 16, 7 to 8.
        let mut spread = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
        spread = (spread & 0x0000_3fff_0000_3fff) | (spread & 0x0fff_c000_0fff_c000) << 2;
        spread = (spread & 0x007f_007f_007f_007f) | (spread & 0x3f80_3f80_3f80_3f80) << 1;
        let length = value.ilog2() as usize / 7 + 1;
        let all_but_last = (1 << (8 * (length - 1))) - 1;
        let bytes = spread | (0x8080_8080_8080_8080 & all_but_last);
        self.room(8)[..8].copy_from_slice(&bytes.to_le_bytes());
        self.at += length;
    }

    fn long_varint(&mut self, mut value: u128) {
        let room = self.room(MAX_VARINT);
        let mut length = 1;
        while value >= 1 << 7 {
            room[length - 1] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        room[length - 1] = value as u8;
        self.at += length;
    }

    #[inline]
    fn text(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }
}

/// Copies short texts in pieces of a fixed size that may overlap, which is a few instructions; the
/// library's copy of an unknown length is a call.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    let length = from.len();
    if length > 16 {
        to.copy_from_slice(from);
    } else if length >= 8 {
        to[..8].copy_from_slice(&from[..8]);
        to[length - 8..].copy_from_slice(&from[length - 8..]);
    } else if length >= 4 {
        to[..4].copy_from_slice(&from[..4]);
        to[length - 4..].copy_from_slice(&from[length - 4..]);
    } else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// Signed numbers alternate with positive ones, so that small ones are short: 0, -1, 1, -2, ...
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

type Written = Result<(), Unwritable>;

impl Serializer for &mut Writer {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Written {
        self.serialize_u8(value.into())
    }
    fn serialize_i8(self, value: i8) -> Written {
        self.serialize_u8(value as u8)
    }
    fn serialize_i16(self, value: i16) -> Written {
        self.serialize_i64(value.into())
    }
    fn serialize_i32(self, value: i32) -> Written {
        self.serialize_i64(value.into())
    }
    fn serialize_i64(self, value: i64) -> Written {
        self.serialize_u64(zigzag(value))
    }
    fn serialize_i128(self, value: i128) -> Written {
        self.serialize_u128(((value << 1) ^ (value >> 127)) as u128)
    }
    #[inline]
    fn serialize_u8(self, value: u8) -> Written {
        self.byte(value);
        Ok(())
    }
    #[inline]
    fn serialize_u16(self, value: u16) -> Written {
        self.serialize_u64(value.into())
    }
    #[inline]
    fn serialize_u32(self, value: u32) -> Written {
        self.serialize_u64(value.into())
    }
    #[inline]
    fn serialize_u64(self, value: u64) -> Written {
        self.varint(value);
        Ok(())
    }
    fn serialize_u128(self, value: u128) -> Written {
        self.long_varint(value);
        Ok(())
    }
    fn serialize_f32(self, value: f32) -> Written {
        self.raw(&value.to_le_bytes());
        Ok(())
    }
    fn serialize_f64(self, value: f64) -> Written {
        self.raw(&value.to_le_bytes());
        Ok(())
    }
    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    #[inline]
    fn serialize_str(self, value: &str) -> Written {
        self.text(value.as_bytes());
        Ok(())
    }
    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.text(value);
        Ok(())
    }
    #[inline]
    fn serialize_none(self) -> Written {
        self.serialize_u8(0)
    }
    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        self.byte(1);
        value.serialize(self)
    }
    fn serialize_unit(self) -> Written {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Ok(())
    }
    #[inline]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Written {
        self.serialize_u32(index)
    }
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }
    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Written {
        self.varint(index.into());
        value.serialize(self)
    }
    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Unwritable> {
        self.varint(length.ok_or(Unwritable)? as u64);
        Ok(self)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unwritable> {
        self.varint(index.into());
        Ok(self)
    }
    fn serialize_map(self, length: Option<usize>) -> Result<Self, Unwritable> {
        self.serialize_seq(length)
    }
    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }
    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unwritable> {
        self.varint(index.into());
        Ok(self)
    }
}

/// Elements and fields follow each other, and nothing ends them.
macro_rules! one_after_the_other {
    ($($kind:ident: $method:ident($($name:ty)?),)*) => {$(
        impl ser::$kind for &mut Writer {
            type Ok = ();
            type Error = Unwritable;
            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Written {
                value.serialize(&mut **self)
            }
            #[inline]
            fn end(self) -> Written {
                Ok(())
            }
        }
    )*};
}

one_after_the_other! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(&'static str),
    SerializeStructVariant: serialize_field(&'static str),
}

impl ser::SerializeMap for &mut Writer {
    type Ok = ();
    type Error = Unwritable;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        key.serialize(&mut **self)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(&mut **self)
    }
    fn end(self) -> Written {
        Ok(())
    }
}
