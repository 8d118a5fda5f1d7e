//! Tables, colours, numbers.

use std::io::{self, IsTerminal as _, Write as _};

/// Colours of the output. They are on if it goes to a terminal and `NO_COLOR` is not set.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// The style for standard output.
    pub fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: !refused && std::io::stdout().is_terminal() }
    }

    /// No colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { colour: false }
    }

    fn mark(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.mark("1", text)
    }

    /// An expected result.
    pub fn good(self, text: &str) -> String {
        self.mark("32", text)
    }

    /// A result that deserves attention.
    pub fn notable(self, text: &str) -> String {
        self.mark("33", text)
    }

    /// A problem.
    pub fn bad(self, text: &str) -> String {
        self.mark("31", text)
    }

    /// Details.
    pub fn faint(self, text: &str) -> String {
        self.mark("2", text)
    }
}

/// Prints a line. A closed terminal is an error, not a panic.
pub fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Aligns cells in columns. Lines have no trailing spaces.
pub fn table<const N: usize>(indent: usize, rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter()
        .map(|row| {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// `1 row`, `2 rows`.
pub fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// Milliseconds as `850 ms`, `2.5 s`, `10 min`, `1 h 5 min`, `1 d 2 h`.
pub fn duration(ms: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    };
    let (seconds, minutes, hours) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms.is_multiple_of(1000) => format!("{seconds} s"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => two(minutes, "min", seconds % 60, "s"),
        3_600_000..86_400_000 => two(hours, "h", minutes % 60, "min"),
        _ => two(hours / 24, "d", hours % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_trailing_spaces() {
        let rows = [["a".to_owned(), "long cell".to_owned()], ["wide".to_owned(), String::new()]];
        assert_eq!(table(2, &rows), ["  a     long cell", "  wide"]);
    }

    #[test]
    fn numbers_have_units_and_plurals() {
        assert_eq!([count(1, "call"), count(2, "call"), count(0, "entry")], ["1 call", "2 calls", "0 entries"]);
        let durations = [850, 2_500, 30_000, 600_000, 605_000, 3_900_000, 86_400_000, 97_200_000].map(duration);
        assert_eq!(durations, ["850 ms", "2.5 s", "30 s", "10 min", "10 min 5 s", "1 h 5 min", "1 d", "1 d 3 h"]);
    }

    #[test]
    fn without_colours_the_text_is_unchanged() {
        let style = Style::plain();
        assert_eq!(style.heading("x") + &style.bad("y") + &style.faint("z"), "xyz");
    }
}
