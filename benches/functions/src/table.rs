//! Medians and quartiles, targets, and tables in Markdown.

use std::fmt::{self, Write as _};

/// The quartiles of a series of measurements.
#[derive(Debug, Clone, Copy)]
pub struct Quartiles {
    /// A quarter of the values is below.
    pub lower: f64,
    /// Half of the values is below.
    pub median: f64,
    /// Three quarters of the values are below.
    pub upper: f64,
}

impl Quartiles {
    /// The quartiles of `values`, interpolated between neighbours.
    ///
    /// # Panics
    /// If there are no values.
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

/// A target for a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The target in words.
    pub text: &'a str,
    /// Whether the measurement meets it.
    pub met: bool,
}

impl<'a> Target<'a> {
    /// A target that is met if `value` is at most `limit`.
    pub fn at_most(text: &'a str, value: f64, limit: f64) -> Self {
        Self { text, met: value <= limit }
    }
}

/// A Markdown table. The last two columns are the target and whether it is met.
#[derive(Debug)]
pub struct Table {
    text: String,
}

impl Table {
    /// A table with a heading. The first column has the labels of the rows, the others have
    /// numbers.
    pub fn new(heading: &str, columns: &[&str]) -> Self {
        let mut text = format!("### {heading}\n\n|");
        for column in columns.iter().chain(&["target", "met"]) {
            let _ = write!(text, " {column} |");
        }
        let numbers = columns.len() - 1;
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(numbers));
        text.push_str("---|---|\n");
        Self { text }
    }

    /// Adds a row without a target.
    pub fn row(&mut self, label: &str, cells: &[String]) {
        self.line(label, cells, "", "");
    }

    /// Adds a row with a target.
    pub fn row_with_target(&mut self, label: &str, cells: &[String], target: Target<'_>) {
        self.line(label, cells, target.text, if target.met { "yes" } else { "**no**" });
    }

    /// Adds the medians of the floor and of the function with a target for their ratio, and the
    /// quartiles. `cell` formats a measurement.
    pub fn quartiles(&mut self, durations: [Vec<f64>; 2], cell: fn(f64) -> String, text: &str, limit: f64) {
        let [floor, function] = durations.map(|durations| Quartiles::of(&durations));
        let times = function.median / floor.median;
        let medians = [cell(floor.median), cell(function.median), format!("{times:.2}")];
        self.row_with_target("median", &medians, Target::at_most(text, times, limit));
        self.row("lower quartile", &[cell(floor.lower), cell(function.lower), String::new()]);
        self.row("upper quartile", &[cell(floor.upper), cell(function.upper), String::new()]);
    }

    fn line(&mut self, label: &str, cells: &[String], target: &str, met: &str) {
        let _ = writeln!(self.text, "| {label} | {} | {target} | {met} |", cells.join(" | "));
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
    fn quartiles_are_interpolated_between_neighbours() {
        let Quartiles { lower, median, upper } = Quartiles::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((lower, median, upper), (1.75, 2.5, 3.25));
        assert_eq!(Quartiles::of(&[7.0]).median, 7.0);
    }

    #[test]
    fn a_table_shows_whether_targets_are_met() {
        let mut table = Table::new("Size", &["file", "bytes"]);
        table.row("one", &["1".to_owned()]);
        table.row_with_target("two", &["2".to_owned()], Target::at_most("at most 1", 2.0, 1.0));
        let expected = "### Size\n\n| file | bytes | target | met |\n|---|---:|---|---|\n| one | 1 |  |  |\n\
                        | two | 2 | at most 1 | **no** |";
        assert_eq!(table.to_string(), expected);
    }
}
