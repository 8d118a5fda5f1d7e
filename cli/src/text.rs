//! Texts that several commands print.

use std::collections::BTreeMap;

/// The text, or its first `max` characters.
pub fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text without characters that control a terminal. Ids and details may come from anywhere.
pub fn printable(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect()
}

/// `3 tasks`, `1 task`.
pub fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// `gold 5, wood 10`; `none` if there are no amounts.
pub fn amounts(amounts: &BTreeMap<String, u64>) -> String {
    let texts: Vec<String> = amounts.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

/// A duration in its two largest units.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, _) if seconds < 10 => format!("{:.1} s", millis as f64 / 1000.0),
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let texts = [0, 1_250, 59_999, 60_000, 3_723_000, 90_000_000].map(duration);
        assert_eq!(texts, ["0.0 s", "1.2 s", "59 s", "1 min 0 s", "1 h 2 min", "1 d 1 h"]);
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!((clip("äöü", 2), clip("äöü", 3)), ("äö...".to_owned(), "äöü".to_owned()));
    }
}
