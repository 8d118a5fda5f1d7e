//! Numbers, texts, lists, choices and structures.

use smallvec::{Array, SmallVec};

use super::{Reader, Unreadable, Wire, Writer};

/// Structures: their fields follow each other, in the order of the list.
macro_rules! fields {
    ($($type:ty { $($field:ident),* $(,)? })*) => {$(
        impl crate::wire::Wire for $type {
            fn write(&self, writer: &mut crate::wire::Writer) {
                $(self.$field.write(writer);)*
            }
            fn read(reader: &mut crate::wire::Reader<'_>) -> Self {
                Self { $($field: crate::wire::Wire::read(reader)),* }
            }
        }
    )*};
}

/// Choices behind which nothing follows: a number says which of the list it is, from 0. The list has the order
/// of the declaration.
macro_rules! positions {
    ($($type:ty { $($variant:ident),* $(,)? })*) => {$(
        impl crate::wire::Wire for $type {
            fn write(&self, writer: &mut crate::wire::Writer) {
                // WriteResponse as a match, so that a choice that is missing in the list is no program.
                let position = match self {
                    $(Self::$variant)|* => *self as u64,
                };
                writer.varint(position);
            }
            fn read(reader: &mut crate::wire::Reader<'_>) -> Self {
                const POSITIONS: &[$type] = &[$(<$type>::$variant),*];
                let found = usize::try_from(reader.varint()).ok().and_then(|at| POSITIONS.get(at));
                match found {
                    Some(found) => *found,
                    None => {
                        reader.fail(crate::wire::Unreadable::Choice);
                        POSITIONS[0]
                    }
                }
            }
        }
    )*};
}

pub(crate) use {fields, positions};

impl Wire for bool {
    #[inline]
    fn write(&self, writer: &mut Writer) {
        writer.byte((*self).into());
    }
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.flag()
    }
}

impl Wire for u8 {
    #[inline]
    fn write(&self, writer: &mut Writer) {
        writer.byte(*self);
    }
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.byte()
    }
}

macro_rules! short_numbers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            #[inline]
            fn write(&self, writer: &mut Writer) {
                writer.varint((*self).into());
            }
            #[inline]
            fn read(reader: &mut Reader<'_>) -> Self {
                reader.number()
            }
        }
    )*};
}

short_numbers!(u16, u32);

impl Wire for u64 {
    #[inline]
    fn write(&self, writer: &mut Writer) {
        writer.varint(*self);
    }
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.varint()
    }
}

impl Wire for u128 {
    fn write(&self, writer: &mut Writer) {
        writer.long_varint(*self);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.long_varint(u128::MAX)
    }
}

impl Wire for String {
    fn write(&self, writer: &mut Writer) {
        writer.text(self.as_bytes());
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.text().to_owned()
    }
}

impl<T: Wire> Wire for Option<T> {
    #[inline]
    fn write(&self, writer: &mut Writer) {
        match self {
            None => writer.byte(0),
            Some(value) => {
                writer.byte(1);
                value.write(writer);
            }
        }
    }
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.flag().then(|| T::read(reader))
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, writer: &mut Writer) {
        T::write(self, writer);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        Self::new(T::read(reader))
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    #[inline]
    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
        self.1.write(writer);
    }
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Self {
        (A::read(reader), B::read(reader))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, writer: &mut Writer) {
        list(self, writer);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        let count = length(reader);
        // An iterator of known length: every element is made in its place, with no copy and no question.
        let mut values: Self = (0..count.min(MOST_AT_ONCE)).map(|_| T::read(reader)).collect();
        while values.len() < count && reader.failed().is_none() {
            values.push(T::read(reader));
        }
        values
    }
}

impl<T: Wire, A: Array<Item = T>> Wire for SmallVec<A> {
    fn write(&self, writer: &mut Writer) {
        list(self, writer);
    }
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut left = length(reader);
        let mut values = Self::with_capacity(left.min(MOST_AT_ONCE));
        while left > 0 && reader.failed().is_none() {
            values.push(T::read(reader));
            left -= 1;
        }
        values
    }
}

#[inline]
fn list<T: Wire>(values: &[T], writer: &mut Writer) {
    writer.varint(values.len() as u64);
    values.iter().for_each(|value| value.write(writer));
}

/// For how many elements room is made ahead: more than most queues have tasks, and little memory, whatever damaged
/// bytes claim.
const MOST_AT_ONCE: usize = 256;

/// The length of a list. Every element takes a byte at least: what claims more is cut.
#[inline]
fn length(reader: &mut Reader<'_>) -> usize {
    let length = reader.number();
    if length > reader.rest().len() {
        reader.fail(Unreadable::Cut);
        return 0;
    }
    length
}
