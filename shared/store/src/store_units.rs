//! What the calls to a store cost, added up.

use std::ops::AddAssign;

/// What the calls to a store cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreUnits {
    /// Round trips.
    pub calls: u64,
    /// Halves of read units.
    pub half_reads: u64,
    /// Write units.
    pub writes: u64,
}

impl AddAssign for StoreUnits {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.half_reads += other.half_reads;
        self.writes += other.writes;
    }
}
