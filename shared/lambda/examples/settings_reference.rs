//! Prints the table of all settings, as the documentation shows it.

fn main() {
    print!("{}", millrace_lambda::settings::markdown());
}
