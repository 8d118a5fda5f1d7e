//! Turns numbers and texts into bytes, with room ahead.

/// Longest number: 128 bits, seven to a byte.
const MAX_VARINT: usize = 19;

/// Bytes under way. Those behind `at` are room.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    at: usize,
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
    pub(crate) fn byte(&mut self, byte: u8) {
        self.room(1)[0] = byte;
        self.at += 1;
    }

    /// A number, seven bits to a byte, the lowest first; every byte but the last has its top bit set.
    #[inline(always)]
    pub(crate) fn varint(&mut self, value: u64) {
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

    pub(crate) fn long_varint(&mut self, mut value: u128) {
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
    pub(crate) fn text(&mut self, bytes: &[u8]) {
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
