//! What the calls to a store cost, added up.

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

impl StoreUnits {
    /// What was added since these earlier units.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            half_reads: self.half_reads.saturating_sub(earlier.half_reads),
            writes: self.writes.saturating_sub(earlier.writes),
        }
    }
}
