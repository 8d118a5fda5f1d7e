//! Reads what [`super::writer`] writes, and what postcard writes.

use std::fmt::{self, Display};

use serde::{Deserializer, de, de::IntoDeserializer};

/// Bytes that are still to be read.
#[derive(Debug)]
pub(crate) struct Reader<'de> {
    rest: &'de [u8],
}

/// Why bytes are no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They end in the middle of it.
    Cut,
    /// A number is longer than its type.
    Number,
    /// A byte that has to be 0 or 1 is neither.
    Flag(u8),
    /// A text is no UTF-8.
    Text,
    /// The format does not say what comes next, and the value does not either.
    Form(&'static str),
    /// The type does not take it.
    Refused(String),
}

impl Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("it ends in the middle of a value"),
            Self::Number => f.write_str("a number is longer than its type"),
            Self::Flag(byte) => write!(f, "{byte:#04x} stands where 0 or 1 has to"),
            Self::Text => f.write_str("a text is no UTF-8"),
            Self::Form(what) => write!(f, "the format has no {what}"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unreadable {}

impl de::Error for Unreadable {
    #[cold]
    fn custom<T: Display>(why: T) -> Self {
        Self::Refused(why.to_string())
    }
}

type Read<T> = Result<T, Unreadable>;

impl<'de> Reader<'de> {
    /// A reader of `bytes`.
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'de [u8] {
        self.rest
    }

    #[inline(always)]
    fn byte(&mut self) -> Read<u8> {
        let (byte, rest) = self.rest.split_first().ok_or(Unreadable::Cut)?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline(always)]
    fn take(&mut self, count: usize) -> Read<&'de [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Unreadable::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of at most 64 bits.
    #[inline(always)]
    fn varint(&mut self) -> Read<u64> {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.wide_varint(),
        }
    }

    #[inline(never)]
    fn wide_varint(&mut self) -> Read<u64> {
        let Some((eight, _)) = self.rest.split_first_chunk::<8>() else {
            return self.long_varint(u64::MAX.into()).map(|value| value as u64);
        };
        let eight = u64::from_le_bytes(*eight);
        // The lowest bit that says "this byte is the last" ends the number.
        let ends = !eight & 0x8080_8080_8080_8080;
        if ends == 0 {
            return self.long_varint(u64::MAX.into()).map(|value| value as u64);
        }
        let length = ends.trailing_zeros() as usize / 8 + 1;
        self.rest = &self.rest[length..];
        // Groups of seven bits move together at once: 8 bits to 7, 16 to 14, 32 to 28.
        let mut value = eight & (u64::MAX >> (64 - 8 * length)) & 0x7f7f_7f7f_7f7f_7f7f;
        value = (value & 0x007f_007f_007f_007f) | (value & 0x7f00_7f00_7f00_7f00) >> 1;
        value = (value & 0x0000_3fff_0000_3fff) | (value & 0x3fff_0000_3fff_0000) >> 2;
        value = (value & 0x0fff_ffff) | (value & 0x0fff_ffff_0000_0000) >> 4;
        Ok(value)
    }

    /// A number of any length up to `max`.
    #[inline(never)]
    fn long_varint(&mut self, max: u128) -> Read<u128> {
        let mut value = 0_u128;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            // Bits beyond the type, or so many bytes that there can be no more of them.
            if shift >= u128::BITS || (bits << shift) >> shift != bits {
                return Err(Unreadable::Number);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return if value <= max { Ok(value) } else { Err(Unreadable::Number) };
            }
            shift += 7;
        }
    }

    #[inline(always)]
    fn number<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.varint()?).map_err(|_| Unreadable::Number)
    }

    #[inline(always)]
    fn length(&mut self) -> Read<usize> {
        self.number()
    }

    #[inline(always)]
    fn text(&mut self) -> Read<&'de [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Undoes the alternation of signs of the writer.
    #[inline(always)]
    fn signed<T: TryFrom<i64>>(&mut self) -> Read<T> {
        let value = self.varint()?;
        T::try_from((value >> 1) as i64 ^ -((value & 1) as i64)).map_err(|_| Unreadable::Number)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(Unreadable::Form("value of any type"))
    }
    fn deserialize_identifier<V: de::Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(Unreadable::Form("names of fields"))
    }
    fn deserialize_ignored_any<V: de::Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(Unreadable::Form("value to be ignored"))
    }
    #[inline]
    fn deserialize_bool<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            other => Err(Unreadable::Flag(other)),
        }
    }
    fn deserialize_i8<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_i8(self.byte()? as i8)
    }
    fn deserialize_i16<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_i16(self.signed()?)
    }
    fn deserialize_i32<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_i32(self.signed()?)
    }
    fn deserialize_i64<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_i64(self.signed()?)
    }
    fn deserialize_i128<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let value = self.long_varint(u128::MAX)?;
        visitor.visit_i128((value >> 1) as i128 ^ -((value & 1) as i128))
    }
    #[inline]
    fn deserialize_u8<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_u8(self.byte()?)
    }
    #[inline]
    fn deserialize_u16<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_u16(self.number()?)
    }
    #[inline]
    fn deserialize_u32<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_u32(self.number()?)
    }
    #[inline]
    fn deserialize_u64<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_u64(self.varint()?)
    }
    fn deserialize_u128<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_u128(self.long_varint(u128::MAX)?)
    }
    fn deserialize_f32<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Unreadable::Cut)?;
        self.rest = rest;
        visitor.visit_f32(f32::from_le_bytes(*bytes))
    }
    fn deserialize_f64<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Unreadable::Cut)?;
        self.rest = rest;
        visitor.visit_f64(f64::from_le_bytes(*bytes))
    }
    fn deserialize_char<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_str(visitor)
    }
    #[inline]
    fn deserialize_str<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_borrowed_str(std::str::from_utf8(self.text()?).map_err(|_| Unreadable::Text)?)
    }
    #[inline]
    fn deserialize_string<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_str(visitor)
    }
    #[inline]
    fn deserialize_bytes<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_borrowed_bytes(self.text()?)
    }
    #[inline]
    fn deserialize_byte_buf<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_bytes(visitor)
    }
    #[inline]
    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            other => Err(Unreadable::Flag(other)),
        }
    }
    fn deserialize_unit<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_unit()
    }
    fn deserialize_unit_struct<V: de::Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_unit()
    }
    #[inline]
    fn deserialize_newtype_struct<V: de::Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }
    #[inline]
    fn deserialize_seq<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let left = self.length()?;
        visitor.visit_seq(Elements { reader: self, left })
    }
    #[inline]
    fn deserialize_tuple<V: de::Visitor<'de>>(self, left: usize, visitor: V) -> Read<V::Value> {
        visitor.visit_seq(Elements { reader: self, left })
    }
    #[inline]
    fn deserialize_tuple_struct<V: de::Visitor<'de>>(self, _: &'static str, left: usize, visitor: V) -> Read<V::Value> {
        visitor.visit_seq(Elements { reader: self, left })
    }
    fn deserialize_map<V: de::Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let left = self.length()?;
        visitor.visit_map(Elements { reader: self, left })
    }
    #[inline]
    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_seq(Elements { reader: self, left: fields.len() })
    }
    #[inline]
    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_enum(self)
    }
}

/// Elements or fields that follow each other.
struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Unreadable;

    #[inline(always)]
    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        // An element takes a byte at least, unless it holds nothing: what claims more is not believed.
        Some(self.left.min(self.reader.rest.len()))
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_, 'de> {
    type Error = Unreadable;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        de::SeqAccess::size_hint(self)
    }
}

impl<'de> de::EnumAccess<'de> for &mut Reader<'de> {
    type Error = Unreadable;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Self)> {
        let index: u32 = self.number()?;
        Ok((seed.deserialize(index.into_deserializer())?, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    #[inline]
    fn unit_variant(self) -> Read<()> {
        Ok(())
    }
    #[inline]
    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Read<T::Value> {
        seed.deserialize(self)
    }
    #[inline]
    fn tuple_variant<V: de::Visitor<'de>>(self, left: usize, visitor: V) -> Read<V::Value> {
        visitor.visit_seq(Elements { reader: self, left })
    }
    #[inline]
    fn struct_variant<V: de::Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Read<V::Value> {
        visitor.visit_seq(Elements { reader: self, left: fields.len() })
    }
}
