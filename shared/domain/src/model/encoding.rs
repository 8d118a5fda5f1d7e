//! Helpers for the encoding of stored values, where minicbor's own implementations do not fit.

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};

/// Whether a field has its default value. Such a field is left out of the row.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Decodes a value, and fails if it has an unknown enum variant.
///
/// The derived code for a field with a default (`Option`, `skip_if`) would skip an unknown variant
/// and take the default. A field that has a default and holds an enum must be decoded with this
/// function.
pub(crate) fn strict<'b, C, T: Decode<'b, C>>(decoder: &mut Decoder<'b>, context: &mut C) -> Result<T, DecodeError> {
    T::decode(decoder, context).map_err(DecodeError::message)
}

/// Lists, decoded into a vector of exactly their length. Decoded queues stay in memory for long,
/// and minicbor's own implementation grows the vector by doubling it. Elements are decoded with
/// [`strict`].
pub(crate) mod list {
    use super::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Write, strict};

    /// The most elements that memory is reserved for ahead. A damaged length claims no more than
    /// that.
    const MAX_RESERVED: u64 = 256;

    pub(crate) fn encode<C, T: Encode<C>, W: Write>(
        values: &[T],
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        encoder.array(values.len() as u64)?;
        values.iter().try_for_each(|value| value.encode(encoder, context))
    }

    pub(crate) fn decode<'b, C, T: Decode<'b, C>>(
        decoder: &mut Decoder<'b>,
        context: &mut C,
    ) -> Result<Vec<T>, DecodeError> {
        let length = decoder.array()?.ok_or_else(|| DecodeError::message("a list has no length"))?;
        let mut values = Vec::with_capacity(length.min(MAX_RESERVED) as usize);
        for _ in 0..length {
            values.push(strict(decoder, context)?);
        }
        Ok(values)
    }
}
