//! Figures of the performance history: their layout in Redis, and those that are not sent yet.
//!
//! The figures of a minute are one string of fixed length: a signed 64-bit number for each counter,
//! then an unsigned 32-bit number for each bucket of the distributions. `BITFIELD` adds to them.

use std::{collections::BTreeMap, time::Duration};

use millrace_performance::{
    Figures, Minute,
    figures::{COUNTERS, SLOTS, Slot},
};
use redis::{Cmd, cmd};

use super::scripts::millis;
use crate::breaker::Moment;

/// How long the figures of a minute are kept after the last addition.
const KEPT_FOR: Duration = Duration::from_secs(25 * 3_600);
/// How long the figures of the present minute wait for more.
const INTERVAL: Duration = Duration::from_secs(1);
/// After this time without an answer, the call has ended without one.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// The most minutes that wait, such as during an outage. The oldest are dropped.
const MAX_WAITING: usize = 60;
/// The bytes of a counter.
const COUNTER_BYTES: usize = 8;
/// The bytes of a bucket.
const BUCKET_BYTES: usize = 4;

/// The key of the figures of a minute.
pub(super) fn key(prefix: &str, minute: Minute) -> String {
    format!("{prefix}performance:{}", minute.0)
}

/// The commands that add figures to a minute.
pub(super) fn add(prefix: &str, minute: Minute, figures: &Figures) -> [Cmd; 2] {
    let key = key(prefix, minute);
    let mut add = Cmd::with_capacity(4 + 4 * figures.slots().count(), 512);
    add.arg("BITFIELD").arg(&key).arg("OVERFLOW").arg("SAT");
    // The string has its full length from the beginning. Redis would double its memory to let it
    // grow.
    add_to_slot(&mut add, SLOTS - 1, 0);
    for (slot, amount) in figures.slots() {
        add_to_slot(&mut add, slot, amount);
    }
    let mut expire = cmd("PEXPIRE");
    expire.arg(key).arg(millis(KEPT_FOR));
    [add, expire]
}

fn add_to_slot(command: &mut Cmd, slot: Slot, amount: u64) {
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    let (kind, position) = match slot < COUNTERS {
        true => ("i64", usize::from(slot)),
        false => ("u32", usize::from(slot - COUNTERS) + usize::from(COUNTERS) * COUNTER_BYTES / BUCKET_BYTES),
    };
    command.arg("INCRBY").arg(kind).arg(format!("#{position}")).arg(amount);
}

/// The figures of a minute. A shorter string misses the last ones, and a longer one has some of
/// another version.
pub(super) fn decode(bytes: &[u8]) -> Figures {
    let mut figures = Figures::default();
    let (counters, buckets) = bytes.split_at(bytes.len().min(usize::from(COUNTERS) * COUNTER_BYTES));
    let counters = counters.as_chunks::<COUNTER_BYTES>().0.iter().map(|bytes| i64::from_be_bytes(*bytes));
    let buckets = buckets.as_chunks::<BUCKET_BYTES>().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    for (slot, amount) in (0..).zip(counters) {
        figures.add_to_slot(slot, u64::try_from(amount).unwrap_or_default());
    }
    for (slot, amount) in (COUNTERS..SLOTS).zip(buckets) {
        figures.add_to_slot(slot, amount.into());
    }
    figures
}

/// Figures that are not known to be in Redis.
#[derive(Debug, Default)]
pub(super) struct UnsentFigures {
    waiting: BTreeMap<Minute, Figures>,
    /// Sent, and not answered yet.
    sent: Option<(Minute, Figures, Moment)>,
    last_sent: Option<Moment>,
}

impl UnsentFigures {
    pub(super) fn add(&mut self, minute: Minute, figures: &Figures) {
        self.waiting.entry(minute).or_default().merge(figures);
        while self.waiting.len() > MAX_WAITING {
            self.waiting.pop_first();
        }
    }

    /// The figures of one minute that are due now, the oldest. They count as sent.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<(Minute, &Figures)> {
        if self.sent.as_ref().is_some_and(|(.., sent)| now.since(*sent) < ANSWERED_WITHIN) {
            return None;
        }
        // An earlier minute gets no more figures.
        let waits = self.waiting.len() == 1 && self.last_sent.is_some_and(|sent| now.since(sent) < INTERVAL);
        let (minute, figures) = if waits { None } else { self.waiting.pop_first() }?;
        self.last_sent = Some(now);
        let (minute, figures, _) = self.sent.insert((minute, figures, now));
        Some((*minute, figures))
    }

    /// All figures that wait. They count as answered.
    pub(super) fn take_all(&mut self) -> BTreeMap<Minute, Figures> {
        std::mem::take(&mut self.waiting)
    }

    /// Redis has added what was sent, or it is unknown whether it has.
    pub(super) fn settle(&mut self) {
        self.sent = None;
    }

    /// Redis has not added what was sent: it is sent again.
    pub(super) fn put_back(&mut self) {
        if let Some((minute, figures, _)) = self.sent.take() {
            self.add(minute, &figures);
            self.last_sent = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_performance::{Counter, Measurement};

    use super::*;

    /// The bytes of the figures of a minute.
    const BYTES: usize = COUNTERS as usize * COUNTER_BYTES + (SLOTS - COUNTERS) as usize * BUCKET_BYTES;

    fn moment(millis: u64) -> Moment {
        Moment { monotonic: Duration::from_millis(millis), wall: Duration::from_secs(1_000_000) }
    }

    fn applied(count: u64) -> Figures {
        let mut figures = Figures::default();
        figures.add(Counter::Applied, count);
        figures
    }

    #[test]
    fn a_minute_has_eleven_kilobytes() {
        assert_eq!(BYTES, 11_352);
    }

    #[test]
    fn the_layout_of_a_minute_never_changes() {
        let mut figures = applied(7);
        figures.measure(Measurement::MemoryKib, 1);
        let [add, _] = add("t-", Minute(5), &figures);
        let words: Vec<_> = add
            .args_iter()
            .map(|word| match word {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => "?".to_owned(),
            })
            .collect();
        let expected = "BITFIELD t-performance:5 OVERFLOW SAT INCRBY u32 #2837 0 INCRBY i64 #2 7 INCRBY u32 #129 1";
        assert_eq!(words.join(" "), expected);
        let mut bytes = vec![0; BYTES];
        bytes[23] = 7;
        bytes[4 * 129 + 3] = 1;
        assert_eq!(decode(&bytes), figures);
        assert_eq!(decode(&bytes[..24]), applied(7), "a short string");
        bytes.extend([1; 8]);
        assert_eq!(decode(&bytes), figures, "the figures of a later version");
    }

    #[test]
    fn figures_of_one_minute_wait_a_second_for_more() {
        let mut unsent = UnsentFigures::default();
        unsent.add(Minute(1), &applied(1));
        assert_eq!(unsent.take_due(moment(0)), Some((Minute(1), &applied(1))));
        unsent.settle();
        unsent.add(Minute(1), &applied(2));
        unsent.add(Minute(1), &applied(3));
        assert_eq!(unsent.take_due(moment(999)), None);
        assert_eq!(unsent.take_due(moment(1_000)), Some((Minute(1), &applied(5))));
        unsent.settle();
        unsent.add(Minute(1), &applied(1));
        unsent.add(Minute(2), &applied(1));
        assert_eq!(unsent.take_due(moment(1_001)).map(|(minute, _)| minute), Some(Minute(1)), "it is over");
    }

    #[test]
    fn figures_are_sent_again_only_if_redis_has_not_got_them() {
        let mut unsent = UnsentFigures::default();
        unsent.add(Minute(1), &applied(1));
        assert!(unsent.take_due(moment(0)).is_some());
        unsent.add(Minute(1), &applied(1));
        assert_eq!(unsent.take_due(moment(5_000)), None, "the answer may come");
        unsent.put_back();
        assert_eq!(unsent.take_due(moment(5_001)), Some((Minute(1), &applied(2))));
        unsent.add(Minute(1), &applied(4));
        assert_eq!(unsent.take_due(moment(16_000)), Some((Minute(1), &applied(4))), "the call ended without an answer");
        unsent.settle();
        assert_eq!(unsent.take_due(moment(99_000)), None);
        assert!(unsent.take_all().is_empty());
    }

    #[test]
    fn a_long_outage_keeps_the_last_hour() {
        let mut unsent = UnsentFigures::default();
        (0..100).for_each(|minute| unsent.add(Minute(minute), &applied(1)));
        assert_eq!(unsent.take_all().keys().copied().collect::<Vec<_>>(), (40..100).map(Minute).collect::<Vec<_>>());
    }
}
