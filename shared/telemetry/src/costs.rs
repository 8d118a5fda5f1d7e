//! What an invocation costs, estimated from counted units and `prices.json`.
//!
//! | counted | not counted |
//! |---|---|
//! | time of Lambda by configured memory, and the invocation | the start of a process |
//! | units of DynamoDB, by the sizes of rows | storage, recovery, throttled calls |
//! | calls to SQS, and those that Lambda made to receive and delete the messages | empty receives |
//! | published events, HTTP requests | schedules, logs, traces, Redis, data transfer |

use std::{ops::AddAssign, sync::LazyLock};

use serde::{Deserialize, Serialize};

/// The price table. The cost model of the infrastructure reads it too.
const PRICES: &str = include_str!("../prices.json");

/// Bytes of one request to SQS, or of one event, that are billed as one.
const BILLED_BYTES: u64 = 64 * 1024;

static COSTS: LazyLock<Prices> = LazyLock::new(|| match serde_json::from_str(PRICES) {
    Ok(prices) => prices,
    Err(error) => unreachable!("prices.json is part of the program: {error}"),
});

/// The prices of what an invocation uses, in dollars.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prices {
    lambda_request: f64,
    lambda_gb_second: f64,
    write_unit: f64,
    read_unit: f64,
    fifo_request: f64,
    standard_request: f64,
    published_event: f64,
    http_request: f64,
}

/// What an invocation has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Time of Lambda: milliseconds, begun ones included, times the mebibytes of the function.
    pub lambda_mib_ms: u64,
    /// Invocations.
    pub invocations: u64,
    /// Halves of read units of DynamoDB: an eventually consistent read takes half a unit.
    pub half_read_units: u64,
    /// Write units of DynamoDB.
    pub write_units: u64,
    /// Requests to FIFO queues.
    pub fifo_requests: u64,
    /// Requests to standard queues.
    pub standard_requests: u64,
    /// Events published to event buses.
    pub published_events: u64,
    /// HTTP requests.
    pub http_requests: u64,
}

impl Usage {
    /// An invocation that took this long, in a function with this memory.
    pub fn of_lambda(time: std::time::Duration, memory_mib: u64) -> Self {
        let millis = u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self { lambda_mib_ms: millis.saturating_mul(memory_mib), invocations: 1, ..Self::default() }
    }

    /// The estimated cost in billionths of a dollar.
    pub fn nanodollars(&self) -> u64 {
        const MIB_MS_PER_GB_SECOND: f64 = 1024.0 * 1000.0;
        let prices = &*COSTS;
        let dollars = self.lambda_mib_ms as f64 / MIB_MS_PER_GB_SECOND * prices.lambda_gb_second
            + self.invocations as f64 * prices.lambda_request
            + self.half_read_units as f64 / 2.0 * prices.read_unit
            + self.write_units as f64 * prices.write_unit
            + self.fifo_requests as f64 * prices.fifo_request
            + self.standard_requests as f64 * prices.standard_request
            + self.published_events as f64 * prices.published_event
            + self.http_requests as f64 * prices.http_request;
        (dollars * 1e9).round() as u64
    }

    /// The estimated cost in millionths of a dollar, with three decimals.
    pub fn microdollars(&self) -> f64 {
        self.nanodollars() as f64 / 1000.0
    }
}

/// How often a request or an event with this many bytes is billed.
pub fn billed_requests(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BILLED_BYTES).max(1)
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.lambda_mib_ms += other.lambda_mib_ms;
        self.invocations += other.invocations;
        self.half_read_units += other.half_read_units;
        self.write_units += other.write_units;
        self.fifo_requests += other.fifo_requests;
        self.standard_requests += other.standard_requests;
        self.published_events += other.published_events;
        self.http_requests += other.http_requests;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_unit_has_its_price() {
        let none = Usage::default();
        for (usage, nanodollars) in [
            (none, 0),
            // 1,000 ms of 1,024 MiB are a GB-second.
            (Usage { lambda_mib_ms: 1_024_000, ..none }, 13_333),
            (Usage { invocations: 1, ..none }, 200),
            (Usage { half_read_units: 2, ..none }, 125),
            (Usage { half_read_units: 1, ..none }, 63),
            (Usage { write_units: 8, ..none }, 5_000),
            (Usage { fifo_requests: 1, ..none }, 500),
            (Usage { standard_requests: 1, ..none }, 400),
            (Usage { published_events: 1, ..none }, 1_000),
            (Usage { http_requests: 1, ..none }, 1_000),
        ] {
            assert_eq!(usage.nanodollars(), nanodollars, "{usage:?}");
        }
        let all = Usage { write_units: 3, fifo_requests: 2, ..Usage::of_lambda(Duration::from_millis(15), 512) };
        assert_eq!(all.nanodollars(), 1_875 + 1_000 + 200 + 100);
        assert_eq!(all.microdollars(), 3.175);
    }

    #[test]
    fn begun_milliseconds_are_billed() {
        assert_eq!(Usage::of_lambda(Duration::from_micros(14_001), 128).lambda_mib_ms, 15 * 128);
        assert_eq!(Usage::of_lambda(Duration::from_millis(14), 128).lambda_mib_ms, 14 * 128);
    }

    #[test]
    fn large_requests_are_billed_several_times() {
        assert_eq!([0, 65_536, 65_537].map(billed_requests), [1, 1, 2]);
    }
}
