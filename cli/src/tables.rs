//! Tables and bars.

use comfy_table::{ContentArrangement, Table, presets};

use crate::output::Output;

/// The width of a progress bar in characters.
const BAR_WIDTH: usize = 20;

/// A table with these headings, as wide as the terminal at most.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(Output::width())
        .set_header(headings.iter().map(|heading| heading.to_uppercase()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table as text, without spaces at the ends of lines.
pub fn render(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A progress bar for a part from 0 to 1.
pub fn bar(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * BAR_WIDTH as f64).floor() as usize;
    format!("{}{} {:3.0} %", "█".repeat(full), "░".repeat(BAR_WIDTH - full), (part * 100.0).floor())
}

/// A line of small bars, the highest one for the largest value. A space is a step without a value.
pub fn sparkline(values: &[Option<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = values.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if largest > 0.0 => BARS[((value / largest * 7.0).round() as usize).min(7)],
        Some(_) => BARS[0],
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        assert_eq!(bar(0.0), format!("{}   0 %", "░".repeat(20)));
        assert_eq!(bar(0.999), format!("{}░  99 %", "█".repeat(19)));
        assert_eq!(bar(1.0), format!("{} 100 %", "█".repeat(20)));
    }

    #[test]
    fn a_sparkline_has_a_bar_for_each_value() {
        assert_eq!(sparkline(&[Some(0.0), Some(4.0), None, Some(8.0)]), "▁▅ █");
        assert_eq!(sparkline(&[Some(0.0), None]), "▁ ");
    }
}
