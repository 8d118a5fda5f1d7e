//! A progress bar on standard error.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// A bar for `total` commands. It is not drawn with `--quiet`, or where standard error is no
/// terminal.
pub fn progress_bar(output: Output, total: u64) -> ProgressBar {
    let is_drawn = !output.quiet && std::io::stderr().is_terminal();
    let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let template = "{bar:30} {pos} of {len} commands, {per_sec}, {eta} left\n{msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(total), target);
    bar.set_style(style.progress_chars("█▓░"));
    bar
}
