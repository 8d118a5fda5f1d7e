//! Every setting: its default, the limits, values that are refused.

mod access;
mod back_ends;
mod environment;
mod events;
mod numbers;
mod traces;

use super::{Settings, SettingsError};

/// Reads the settings from these variables. The store is set unless they set it.
pub(crate) fn read(vars: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let mut all = vec![("MILLRACE_STORE", "sqlite:x.db")];
    all.retain(|(name, _)| !vars.iter().any(|(other, _)| other == name));
    all.extend(vars);
    Settings::from_vars(all.into_iter().map(|(name, value)| (name.into(), value.into())))
}

fn error(name: &str, value: &str) -> String {
    let error = read(&[(name, value)]).expect_err(&format!("{name}={value} should be refused")).to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}
