//! Emergency mode: reads are served from caches while the table is in trouble.
//!
//! Reads then accept local copies that are otherwise too old, and shared copies live until the end
//! of the emergency. The switch is a flag in the shared cache and ends by itself. It decides
//! nothing: every commit is still checked by the table.

use std::fmt;

use millrace_domain::Timestamp;
use serde::Serialize;

/// A switch of emergency mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Emergency {
    /// On or off.
    pub enabled: bool,
    /// When it was switched. The latest switch counts.
    pub switched_at: Timestamp,
    /// When it ends by itself. A switch to off is kept until then, so that all processes learn of
    /// it.
    pub until: Timestamp,
}

impl Emergency {
    /// Whether emergency mode is on at a time.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.enabled && now < self.until
    }

    /// Reads what [`fmt::Display`] has written; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let enabled = match words.next()? {
            "on" => true,
            "off" => false,
            _ => return None,
        };
        let mut time = || Some(Timestamp::from_millis(words.next()?.parse().ok()?));
        let (switched_at, until) = (time()?, time()?);
        words.next().is_none().then_some(Self { enabled, switched_at, until })
    }
}

impl fmt::Display for Emergency {
    /// `on <switched at> <until>` or `off <switched at> <until>`, in milliseconds since 1970.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.enabled { "on" } else { "off" };
        write!(formatter, "{word} {} {}", self.switched_at.as_millis(), self.until.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_written_text_is_read_back_and_other_texts_are_refused() {
        for enabled in [true, false] {
            let emergency = Emergency { enabled, switched_at: at(1_000), until: at(901_000) };
            assert_eq!(Emergency::parse(&emergency.to_string()), Some(emergency));
        }
        assert_eq!(Emergency { enabled: true, switched_at: at(1), until: at(2) }.to_string(), "on 1 2");
        for text in ["", "on", "on 1", "on 1 2 3", "On 1 2", "on 1 -2", "on  1 2", "1 2"] {
            assert_eq!(Emergency::parse(text), None, "{text}");
        }
    }

    #[test]
    fn emergency_mode_is_on_until_its_end() {
        let emergency = Emergency { enabled: true, switched_at: at(1_000), until: at(2_000) };
        assert!(emergency.is_on(at(1_999)) && !emergency.is_on(at(2_000)));
        assert!(!Emergency { enabled: false, ..emergency }.is_on(at(1_500)));
    }
}
