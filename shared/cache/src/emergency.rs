//! Emergency mode: what all processes are told to do while the table is in trouble.
//!
//! Reads are answered from copies that would be too old otherwise, and copies live until the emergency is
//! over. It is a flag in the shared tier, ends by itself, and decides nothing: whatever is committed is
//! checked by the table as ever.

use std::fmt;

use millrace_domain::Timestamp;
use serde::Serialize;

/// Whether emergency mode is on, as somebody has said at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Emergency {
    /// On or off.
    pub enabled: bool,
    /// When it was said. What was said last counts.
    pub said_at: Timestamp,
    /// When it ends by itself; where it is off, until when everybody has to be told.
    pub until: Timestamp,
}

impl Emergency {
    /// Whether it is on at a time.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.enabled && now < self.until
    }

    /// Reads what [`fmt::Display`] has written; none where it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let enabled = match words.next()? {
            "on" => true,
            "off" => false,
            _ => return None,
        };
        let mut time = || Some(Timestamp::from_millis(words.next()?.parse().ok()?));
        let (said_at, until) = (time()?, time()?);
        words.next().is_none().then_some(Self { enabled, said_at, until })
    }
}

impl fmt::Display for Emergency {
    /// `on <said at> <until>` or `off <said at> <until>`, in milliseconds since 1970.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.enabled { "on" } else { "off" };
        write!(formatter, "{word} {} {}", self.said_at.as_millis(), self.until.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        for enabled in [true, false] {
            let emergency = Emergency { enabled, said_at: at(1_000), until: at(901_000) };
            assert_eq!(Emergency::parse(&emergency.to_string()), Some(emergency));
        }
        assert_eq!(Emergency { enabled: true, said_at: at(1), until: at(2) }.to_string(), "on 1 2");
        for text in ["", "on", "on 1", "on 1 2 3", "On 1 2", "on 1 -2", "on  1 2", "1 2"] {
            assert_eq!(Emergency::parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_on_until_its_end() {
        let emergency = Emergency { enabled: true, said_at: at(1_000), until: at(2_000) };
        assert!(emergency.is_on(at(1_999)) && !emergency.is_on(at(2_000)));
        assert!(!Emergency { enabled: false, ..emergency }.is_on(at(1_500)));
    }
}
