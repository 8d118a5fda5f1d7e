//! Decides which of two copies of a queue is newer.

use millrace_domain::codec::CachedQueue;

/// How new a copy is; greater is newer. Stamps are compared by version, which grows with each
/// commit, then by units done, which only grow between two commits. At the end a copy that knows
/// its progress is above one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    version: u64,
    units: u64,
    progress_known: bool,
}

impl Stamp {
    /// The number of bytes of [`Stamp::digits`].
    pub const LENGTH: usize = Self::VERSION + Self::UNITS + 1;
    /// The number of bytes of the version, which comes first.
    pub const VERSION: usize = 20;
    const UNITS: usize = 12;
    const MAX_UNITS: u64 = 10_u64.pow(Self::UNITS as u32) - 1;

    /// The stamp of a copy.
    pub fn of(cached: &CachedQueue) -> Self {
        let units = cached.queue.tasks.iter().fold(0_u64, |sum, task| sum.saturating_add(task.units_done));
        Self {
            version: cached.queue.version,
            // More units than 200 tasks can have: the limit makes no two stamps equal.
            units: units.min(Self::MAX_UNITS),
            progress_known: cached.progress_known,
        }
    }

    /// The lowest stamp of a version.
    pub fn of_version(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// The version of the queue.
    pub fn version(self) -> u64 {
        self.version
    }

    /// The stamp as decimal digits of fixed width, which sort like the stamps. The scripts compare
    /// text because versions exceed 2^53, the largest exact number of Lua.
    pub fn digits(self) -> [u8; Self::LENGTH] {
        let mut digits = [b'0'; Self::LENGTH];
        write_digits(&mut digits[..Self::VERSION], self.version);
        write_digits(&mut digits[Self::VERSION..Self::LENGTH - 1], self.units);
        digits[Self::LENGTH - 1] += u8::from(self.progress_known);
        digits
    }
}

fn write_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamps() -> impl Strategy<Value = Stamp> {
        let numbers = prop_oneof![0..5_u64, Just(u64::MAX), (1_u64 << 53) - 2..(1 << 53) + 3, any::<u64>()];
        (numbers, 0..=Stamp::MAX_UNITS, any::<bool>()).prop_map(|(version, units, progress_known)| Stamp {
            version,
            units,
            progress_known,
        })
    }

    proptest! {
        #[test]
        fn digits_sort_like_the_stamps(one in stamps(), other in stamps(), units in 0..3_u64) {
            prop_assert_eq!(one.digits().cmp(&other.digits()), one.cmp(&other));
            let near = Stamp { units: one.units.saturating_sub(units), ..one };
            prop_assert_eq!(one.digits().cmp(&near.digits()), one.cmp(&near));
        }
    }

    #[test]
    fn the_largest_version_fits_into_the_digits() {
        let digits = Stamp { version: u64::MAX, units: Stamp::MAX_UNITS, progress_known: true }.digits();
        assert_eq!(std::str::from_utf8(&digits).unwrap(), "184467440737095516159999999999991");
    }

    #[test]
    fn all_units_of_the_largest_queue_fit_into_the_digits() {
        let most = 200 * millrace_domain::task::MAX_UNITS;
        assert!(most <= Stamp::MAX_UNITS, "{most}");
    }
}
