//! Decides which of two copies of a queue is newer.

use millrace_domain::{Task, codec::CachedQueue};

/// How new a copy is; greater is newer. Stamps are compared by version, which grows with each
/// commit, then by units done and times of reports, which only grow between two commits. At the end
/// a copy that knows its progress is above one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    version: u64,
    progress: u64,
    progress_known: bool,
}

impl Stamp {
    /// The number of bytes of [`Stamp::digits`].
    pub const LENGTH: usize = Self::VERSION + Self::PROGRESS + 1;
    /// The number of bytes of the version, which comes first.
    pub const VERSION: usize = 20;
    const PROGRESS: usize = 12;
    const MAX_PROGRESS: u64 = 10_u64.pow(Self::PROGRESS as u32) - 1;

    /// The stamp of a copy.
    pub fn of(cached: &CachedQueue) -> Self {
        let reported = |task: &Task| task.units_done.saturating_add(task.reported_ms());
        let progress = cached.queue.tasks.iter().fold(0_u64, |sum, task| sum.saturating_add(reported(task)));
        Self {
            version: cached.queue.version,
            // Enough for all units of 200 tasks, and for years of reports of the active ones.
            // Beyond that, the copy that is written last counts as newer.
            progress: progress.min(Self::MAX_PROGRESS),
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
        write_digits(&mut digits[Self::VERSION..Self::LENGTH - 1], self.progress);
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
        (numbers, 0..=Stamp::MAX_PROGRESS, any::<bool>()).prop_map(|(version, progress, progress_known)| Stamp {
            version,
            progress,
            progress_known,
        })
    }

    proptest! {
        #[test]
        fn digits_sort_like_the_stamps(one in stamps(), other in stamps(), less in 0..3_u64) {
            prop_assert_eq!(one.digits().cmp(&other.digits()), one.cmp(&other));
            let near = Stamp { progress: one.progress.saturating_sub(less), ..one };
            prop_assert_eq!(one.digits().cmp(&near.digits()), one.cmp(&near));
        }
    }

    #[test]
    fn the_largest_version_fits_into_the_digits() {
        let digits = Stamp { version: u64::MAX, progress: Stamp::MAX_PROGRESS, progress_known: true }.digits();
        assert_eq!(std::str::from_utf8(&digits).unwrap(), "184467440737095516159999999999991");
    }

    #[test]
    fn all_units_of_the_largest_queue_fit_into_the_digits() {
        let most = 200 * millrace_domain::work::MAX_UNITS;
        assert!(most <= Stamp::MAX_PROGRESS, "{most}");
    }
}
