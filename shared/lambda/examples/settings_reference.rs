//! Prints the table of all settings in Markdown, for `docs/settings.md`.

fn main() {
    print!("{}", millrace_lambda::settings::markdown());
}
