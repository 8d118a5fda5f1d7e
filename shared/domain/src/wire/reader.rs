//! Takes numbers and texts from bytes.

use compact_str::CompactString;

/// How many names are remembered.
const NAMES: usize = 4;

/// Bytes that are still to be read. After a failure there are none.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    failure: Option<Unreadable>,
    /// The last different names, as they stand there and as they were read: most tasks of a queue are of the same
    /// kinds, cost and reward the same.
    names: [(&'a [u8], CompactString); NAMES],
    /// Which of them is forgotten next.
    oldest: usize,
}

/// Why bytes are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// They end in the middle of it.
    #[error("it ends in the middle of a value")]
    Cut,
    /// A number is longer than its type.
    #[error("a number is longer than its type")]
    Number,
    /// A byte that has to be 0 or 1 is neither.
    #[error("another byte stands where 0 or 1 has to")]
    Flag,
    /// A choice that there is not.
    #[error("a number stands for none of the choices there are")]
    Choice,
    /// A text is no UTF-8.
    #[error("a text is no UTF-8")]
    Text,
    /// A text is no identifier.
    #[error("an identifier is empty, too long or has a character that is not allowed")]
    Identifier,
    /// Bytes that are a value as they are, are none.
    #[error("what a queue remembers is of another form")]
    CommandMemory,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, failure: None, names: Default::default(), oldest: 0 }
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Why what was read is no value, if it is none.
    pub(crate) fn failed(&self) -> Option<Unreadable> {
        self.failure
    }

    /// Remembers the first failure, and that nothing is to be read any more.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, why: Unreadable) {
        self.failure.get_or_insert(why);
        self.rest = &[];
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self) -> u8 {
        match self.rest {
            [byte, rest @ ..] => {
                self.rest = rest;
                *byte
            }
            [] => {
                self.fail(Unreadable::Cut);
                0
            }
        }
    }

    #[inline(always)]
    fn take(&mut self, count: usize) -> &'a [u8] {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.fail(Unreadable::Cut);
                &[]
            }
        }
    }

    /// A byte that is 0 or 1.
    #[inline(always)]
    pub(crate) fn flag(&mut self) -> bool {
        match self.byte() {
            0 => false,
            1 => true,
            _ => {
                self.fail(Unreadable::Flag);
                false
            }
        }
    }

    /// A number of at most 64 bits: seven to a byte, the lowest first; every byte but the last has its top
    /// bit set.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> u64 {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                u64::from(*byte)
            }
            _ => self.wide_varint(),
        }
    }

    #[inline(never)]
    fn wide_varint(&mut self) -> u64 {
        if let [low, high @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return u64::from(low & 0x7f) | u64::from(*high) << 7;
        }
        let Some((eight, _)) = self.rest.split_first_chunk::<8>() else {
            return self.long_varint(u64::MAX.into()) as u64;
        };
        let eight = u64::from_le_bytes(*eight);
        // The lowest bit that says "this byte is the last" ends the number.
        let ends = !eight & 0x8080_8080_8080_8080;
        if ends == 0 {
            return self.long_varint(u64::MAX.into()) as u64;
        }
        let length = ends.trailing_zeros() as usize / 8 + 1;
        self.rest = &self.rest[length..];
        // Groups of seven bits move together at once: 8 bits to 7, 16 to 14, 32 to 28.
        let mut value = eight & (u64::MAX >> (64 - 8 * length)) & 0x7f7f_7f7f_7f7f_7f7f;
        value = (value & 0x007f_007f_007f_007f) | (value & 0x7f00_7f00_7f00_7f00) >> 1;
        value = (value & 0x0000_3fff_0000_3fff) | (value & 0x3fff_0000_3fff_0000) >> 2;
        (value & 0x0fff_ffff) | (value & 0x0fff_ffff_0000_0000) >> 4
    }

    /// A number of any length up to `max`.
    #[inline(never)]
    pub(crate) fn long_varint(&mut self, max: u128) -> u128 {
        let mut value = 0_u128;
        let mut shift = 0;
        loop {
            let byte = self.byte();
            let bits = u128::from(byte & 0x7f);
            // Bits beyond the type, or so many bytes that there can be no more of them.
            if shift >= u128::BITS || (bits << shift) >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                if value <= max {
                    return value;
                }
                break;
            }
            shift += 7;
        }
        self.fail(Unreadable::Number);
        0
    }

    /// A number of a shorter type.
    #[inline(always)]
    pub(crate) fn number<T: TryFrom<u64> + Default>(&mut self) -> T {
        match T::try_from(self.varint()) {
            Ok(number) => number,
            Err(_) => {
                self.fail(Unreadable::Number);
                T::default()
            }
        }
    }

    /// Bytes with their number before them.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = self.number();
        self.take(length)
    }

    /// A text.
    #[inline]
    pub(crate) fn text(&mut self) -> &'a str {
        match std::str::from_utf8(self.bytes()) {
            Ok(text) => text,
            Err(_) => {
                self.fail(Unreadable::Text);
                ""
            }
        }
    }

    /// An identifier of at most so many bytes, all of which `allowed` takes.
    #[inline(never)]
    pub(crate) fn identifier(&mut self, max: usize, allowed: fn(&[u8]) -> bool) -> CompactString {
        let bytes = self.bytes();
        match CompactString::from_utf8(bytes) {
            Ok(text) if (1..=max).contains(&bytes.len()) && allowed(bytes) => text,
            _ => {
                self.fail(Unreadable::Identifier);
                CompactString::default()
            }
        }
    }

    /// The same, of which there are few different ones.
    #[inline(never)]
    pub(crate) fn name(&mut self, max: usize, allowed: fn(&[u8]) -> bool) -> CompactString {
        let before = self.rest;
        let bytes = self.bytes();
        if let Some((_, known)) = self.names.iter().find(|(known, _)| *known == bytes)
            && !bytes.is_empty()
        {
            return known.clone();
        }
        self.rest = before;
        let name = self.identifier(max, allowed);
        self.names[self.oldest] = (bytes, name.clone());
        self.oldest = (self.oldest + 1) % NAMES;
        name
    }
}
