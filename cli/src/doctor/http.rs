//! The HTTP API, and the clock of this machine.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::{Method, header::DATE};
use millrace_domain::Timestamp;
use serde_json::Value;

use crate::{
    api::{Api, ApiError},
    doctor::findings::Findings,
    failure::Failure,
    fields::text,
};

const CHECK: &str = "HTTP API";
const CLOCK: &str = "clock";
/// A difference of clocks that signatures do not survive: AWS allows five minutes.
const MAX_SKEW_SECONDS: i64 = 60;

/// Asks the API for its health, and compares the clocks.
pub async fn check(api: &Api<'_>, findings: &mut Findings) {
    let target = api.target(&["health"], &[]);
    let response = match api.request(Method::GET, &target, "".into(), &[]).await {
        Ok(response) => response,
        Err(error) => {
            let Failure { message, next_step, .. } = Failure::from(error);
            findings.error(CHECK, message, next_step.unwrap_or_default());
            return;
        }
    };
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let part = |name: &str| match text(&body[name], "errorType") {
        error if error.is_empty() => text(&body[name], "state"),
        error => format!("{}: {error}", text(&body[name], "state")),
    };
    let detail = format!("{}: store {}, cache {}", text(&body, "status"), part("store"), part("cache"));
    match text(&body, "status").as_str() {
        "ok" => findings.ok(CHECK, detail),
        "degraded" => findings.warning(CHECK, detail, "the shared cache does not answer: see the checks of Redis"),
        "down" => findings.error(CHECK, detail, "the store does not answer: see the checks of the tables"),
        _ => {
            let ApiError::Problem { failure, .. } = api.problem(response.status(), response.body()) else { return };
            findings.error(CHECK, failure.message, failure.next_step.unwrap_or_default());
        }
    }
    if let Some(server) = date.as_deref().and_then(seconds_of) {
        compare_clocks(server, findings);
    }
}

fn compare_clocks(server: i64, findings: &mut Findings) {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let skew = here - server;
    let detail = match skew {
        0 => "the clocks of this machine and of the API agree".to_owned(),
        1.. => format!("the clock of this machine is {skew} s ahead of the clock of the API"),
        _ => format!("the clock of this machine is {} s behind the clock of the API", -skew),
    };
    if skew.abs() > MAX_SKEW_SECONDS {
        findings.error(CLOCK, detail, "synchronize the clock with NTP: signed requests and tokens are refused");
    } else {
        findings.ok(CLOCK, detail);
    }
}

/// The seconds since the Unix epoch of a date in a header, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = date.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    let time: Timestamp = serde_json::from_value(format!("{year}-{month:02}-{day}T{time}.000Z").into()).ok()?;
    i64::try_from(time.as_millis() / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_header_is_read() {
        assert_eq!(seconds_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of("yesterday"), None);
    }
}
