//! The figures of a minute: counters and distributions, as sums by slot.
//!
//! Every figure has fixed slots, so that the size of a minute is bounded whatever the traffic, and
//! figures are merged by adding. A slot never changes its meaning: rows of other versions of the
//! software are read and added to. New figures take new slots.

use std::collections::BTreeMap;

use crate::sketch::{Sketch, bucket_of};

/// A position in the figures of a minute.
pub type Slot = u16;

/// The slots of counters; the slots from here on belong to buckets of distributions.
pub const COUNTERS: Slot = 64;

/// A counter. The number is its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Counter {
    /// Invocations that were the first of their process.
    ColdStarts = 0,
    /// Commands and malformed input.
    Received = 1,
    /// Commands that took effect.
    Applied = 2,
    /// Commands that were decided before.
    Duplicate = 3,
    /// Commands that are refused for good.
    Rejected = 4,
    /// Commands that have to be delivered again.
    Failed = 5,
    /// Input that could not be understood.
    Malformed = 6,
    /// HTTP requests.
    Requests = 7,
    /// HTTP requests answered with a status from 400 to 499.
    RequestsRefused = 8,
    /// HTTP requests answered with a status of 500 or above.
    RequestsFailed = 9,
    /// Queues looked up in the caches.
    Lookups = 10,
    /// Queues found in the local cache.
    LocalHits = 11,
    /// Queues found in the shared cache.
    RedisHits = 12,
    /// Calls of the shared cache that failed.
    RedisErrors = 13,
    /// Invocations at whose end the circuit breaker kept the process from the shared cache.
    RedisUnavailable = 14,
    /// Round trips to load rows.
    LoadCalls = 15,
    /// Queues committed.
    Committed = 16,
    /// Version conflicts.
    Conflicts = 17,
    /// Round trips to commit.
    CommitCalls = 18,
    /// Records written.
    Records = 19,
    /// Round trips to write records.
    WriteCalls = 20,
    /// Records sent more than once.
    RecordsRetried = 21,
    /// How many more round trips one write for each record would have taken.
    RoundTripsSaved = 22,
    /// Events that every destination accepted.
    EventsPublished = 23,
    /// Events that some destination did not accept.
    EventsFailed = 24,
    /// Round trips to publish events.
    EventCalls = 25,
    /// Attempts that failed by a lost heartbeat or a time-out.
    AttemptsTimedOut = 26,
    /// What the invocations cost at list prices, in billionths of a dollar.
    CostNanodollars = 27,
    /// Queues, lists and tasks read over HTTP.
    Reads = 28,
}

/// A kind of invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Invocations with commands or ticks.
    Commands,
    /// Reads of queues.
    Reads,
    /// Runs of `advance-queues` and `maintain-cache`.
    Runs,
}

impl Kind {
    /// The distribution of the processing times of this kind.
    pub fn times(self) -> Measurement {
        match self {
            Self::Commands => Measurement::CommandTimes,
            Self::Reads => Measurement::ReadTimes,
            Self::Runs => Measurement::RunTimes,
        }
    }
}

/// A measured value whose distribution is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measurement {
    /// Resident memory at the end of an invocation, in KiB.
    MemoryKib,
    /// Resident memory as a share of the memory of the function, in tenths of a percent.
    MemoryShare,
    /// Processing times of runs of `advance-queues` and `maintain-cache`, in microseconds.
    RunTimes,
    /// Processing times of invocations with commands or ticks, in microseconds.
    CommandTimes,
    /// Processing times of reads, in microseconds.
    ReadTimes,
    /// Lateness of timed completions, in milliseconds.
    LatenessMs,
}

/// Buckets up to 15 minutes in microseconds, for which Lambda lets a function run.
const TIMES: u16 = 528;

impl Measurement {
    /// All measurements, in the order of their slots.
    pub const ALL: [Self; 6] =
        [Self::MemoryKib, Self::MemoryShare, Self::RunTimes, Self::CommandTimes, Self::ReadTimes, Self::LatenessMs];

    /// The number of buckets. A larger value than that of the last bucket counts as that one.
    pub const fn buckets(self) -> u16 {
        match self {
            // 16 GiB.
            Self::MemoryKib => 428,
            // 100 %.
            Self::MemoryShare => 180,
            Self::RunTimes | Self::CommandTimes | Self::ReadTimes => TIMES,
            // 7 days.
            Self::LatenessMs => 518,
        }
    }

    /// The slot of the first bucket.
    pub const fn first_slot(self) -> Slot {
        let (mut slot, mut at) = (COUNTERS, 0);
        while at < self as usize {
            slot += Self::ALL[at].buckets();
            at += 1;
        }
        slot
    }
}

/// One more than the largest slot.
pub const SLOTS: Slot = Measurement::LatenessMs.first_slot() + Measurement::LatenessMs.buckets();

/// Figures: sums by slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures(BTreeMap<Slot, u64>);

impl Figures {
    /// Adds to a counter.
    pub fn add(&mut self, counter: Counter, amount: u64) {
        self.add_to_slot(counter as Slot, amount);
    }

    /// Adds a measured value.
    pub fn measure(&mut self, measurement: Measurement, value: u64) {
        let bucket = bucket_of(value, measurement.buckets() - 1);
        self.add_to_slot(measurement.first_slot() + bucket, 1);
    }

    /// Adds measured values that are in buckets already.
    pub fn measure_all(&mut self, measurement: Measurement, values: &Sketch) {
        for (bucket, count) in values.buckets() {
            self.add_to_slot(measurement.first_slot() + bucket.min(measurement.buckets() - 1), count);
        }
    }

    /// Adds to a slot. Slots that this version does not know are left out.
    pub fn add_to_slot(&mut self, slot: Slot, amount: u64) {
        if amount > 0 && slot < SLOTS {
            let sum = self.0.entry(slot).or_default();
            *sum = sum.saturating_add(amount);
        }
    }

    /// Adds other figures.
    pub fn merge(&mut self, other: &Self) {
        for (slot, amount) in other.slots() {
            self.add_to_slot(slot, amount);
        }
    }

    /// The slots that are not 0, in their order.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, u64)> {
        self.0.iter().map(|(slot, amount)| (*slot, *amount))
    }

    /// Whether all slots are 0.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum of a counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.0.get(&(counter as Slot)).copied().unwrap_or_default()
    }

    /// The distribution of a measured value.
    pub fn sketch(&self, measurement: Measurement) -> Sketch {
        let first = measurement.first_slot();
        let mut sketch = Sketch::default();
        for (slot, count) in self.0.range(first..first + measurement.buckets()) {
            sketch.add(slot - first, *count);
        }
        sketch
    }

    /// The number of invocations of a kind.
    pub fn invocations(&self, kind: Kind) -> u64 {
        self.sketch(kind.times()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout is stored: a change would give other meanings to what is there.
    #[test]
    fn slots_never_change() {
        let firsts = Measurement::ALL.map(Measurement::first_slot);
        assert_eq!(firsts, [64, 492, 672, 1200, 1728, 2256]);
        assert_eq!(SLOTS, 2774);
        assert_eq!((Counter::ColdStarts as u16, Counter::Reads as u16), (0, 28));
    }

    #[test]
    fn the_largest_values_have_buckets_of_their_own_limits() {
        let largest = [
            (Measurement::MemoryKib, 16 << 20),
            (Measurement::MemoryShare, 1_000),
            (Measurement::CommandTimes, 900_000_000),
            (Measurement::LatenessMs, 7 * 86_400_000),
        ];
        for (measurement, value) in largest {
            let mut figures = Figures::default();
            figures.measure(measurement, value);
            let found = figures.sketch(measurement).percentile(1.0).unwrap();
            assert!((found - value as f64).abs() <= value as f64 * 0.02, "{measurement:?}: {found} for {value}");
        }
    }

    #[test]
    fn neighbouring_measurements_do_not_mix() {
        let mut figures = Figures::default();
        figures.measure(Measurement::CommandTimes, u64::MAX);
        figures.measure(Measurement::ReadTimes, 0);
        assert_eq!((figures.invocations(Kind::Commands), figures.invocations(Kind::Reads)), (1, 1));
        assert_eq!(figures.invocations(Kind::Runs), 0);
        figures.add_to_slot(SLOTS, 1);
        assert_eq!(figures.slots().count(), 2, "the slot of another version is left out");
    }
}
