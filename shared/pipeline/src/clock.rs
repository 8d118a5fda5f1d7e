//! The clock of the server.

use millrace_domain::Timestamp;

/// Tells the time. Production uses the clock of the system; tests and simulations move their own.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
