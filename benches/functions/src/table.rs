//! Medians and quartiles, targets, and tables in Markdown.

use std::fmt::{self, Write as _};

/// Quartiles of what was measured.
#[derive(Debug, Clone, Copy)]
pub struct Quartiles {
    /// A quarter lies below.
    pub lower: f64,
    /// Half lies below.
    pub median: f64,
    /// Three quarters lie below.
    pub upper: f64,
}

impl Quartiles {
    /// Of these values, between neighbours by proportion.
    ///
    /// # Panics
    /// Where there are none.
    pub fn of(values: &[f64]) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let position = share * (sorted.len() - 1) as f64;
            let below = sorted[position.floor() as usize];
            below + (sorted[position.ceil() as usize] - below) * position.fract()
        };
        Self { lower: at(0.25), median: at(0.5), upper: at(0.75) }
    }
}

/// What a figure is to be at most.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// In words.
    pub text: &'a str,
    /// Whether it is so.
    pub met: bool,
}

impl<'a> Target<'a> {
    /// A figure that is to be at most `limit`.
    pub fn at_most(text: &'a str, found: f64, limit: f64) -> Self {
        Self { text, met: found <= limit }
    }
}

/// A table. The last two columns are the target and whether it is met.
#[derive(Debug)]
pub struct Table {
    text: String,
}

impl Table {
    /// A table under a heading; the first column says what a row is, the others hold figures.
    pub fn new(heading: &str, columns: &[&str]) -> Self {
        let mut text = format!("### {heading}\n\n|");
        for column in columns.iter().chain(&["target", "met"]) {
            let _ = write!(text, " {column} |");
        }
        let figures = columns.len() - 1;
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(figures));
        text.push_str("---|---|\n");
        Self { text }
    }

    /// A row without a target.
    pub fn row(&mut self, what: &str, figures: &[String]) {
        self.line(what, figures, "", "");
    }

    /// A row with one.
    pub fn aimed(&mut self, what: &str, figures: &[String], target: Target<'_>) {
        self.line(what, figures, target.text, if target.met { "yes" } else { "**no**" });
    }

    fn line(&mut self, what: &str, figures: &[String], target: &str, met: &str) {
        let _ = writeln!(self.text, "| {what} | {} | {target} | {met} |", figures.join(" | "));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_neighbours() {
        let Quartiles { lower, median, upper } = Quartiles::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((lower, median, upper), (1.75, 2.5, 3.25));
        assert_eq!(Quartiles::of(&[7.0]).median, 7.0);
    }

    #[test]
    fn a_table_says_what_is_met() {
        let mut table = Table::new("Size", &["file", "bytes"]);
        table.row("one", &["1".to_owned()]);
        table.aimed("two", &["2".to_owned()], Target::at_most("at most 1", 2.0, 1.0));
        let expected = "### Size\n\n| file | bytes | target | met |\n|---|---:|---|---|\n| one | 1 |  |  |\n\
                        | two | 2 | at most 1 | **no** |";
        assert_eq!(table.to_string(), expected);
    }
}
