//! The server's clock, as a value that comes in.

use millrace_domain::Timestamp;

/// Tells the time. The system's clock in production, a moved one in tests and simulations.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
