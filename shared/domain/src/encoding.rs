//! How the fields of stored values are encoded, where minicbor's own way does not fit.

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};

/// Whether a field holds its default value. Such fields are left out of the row.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Lists that are decoded into a vector of exactly their length. Queues stay in memory for long, and
/// minicbor's own implementation doubles the capacity as it goes.
pub(crate) mod list {
    use super::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Write};

    /// Up to this length the capacity is reserved at once, so that damaged bytes cannot claim more memory.
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
            values.push(T::decode(decoder, context)?);
        }
        Ok(values)
    }
}
