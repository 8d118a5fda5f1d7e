//! The settings of the functions, checked by the code with which the functions read them.

use std::{env, ffi::OsString, fs};

use millrace_lambda::settings::Settings;

use crate::{doctor::findings::Findings, failure::Failure};

const CHECK: &str = "settings";
/// Variables of this program that are no settings of the functions.
const OWN_VARIABLES: [&str; 3] = ["MILLRACE_ENDPOINT", "MILLRACE_STAGE", "MILLRACE_TOKEN"];

/// Reads the settings of a file, or of the environment if it has a store. Returns none if there are
/// none, or they cannot be used.
///
/// # Errors
/// [`Failure`] if the file cannot be read.
pub fn check(file: Option<&str>, findings: &mut Findings) -> Result<Option<Settings>, Failure> {
    let variables: Vec<(OsString, OsString)> = match file {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("cannot read {path}: {error}"))
                    .next("pass a file with a line NAME=VALUE for each setting")
            })?;
            let others = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"));
            lines(&text).chain(others).collect()
        }
        None if env::var_os("MILLRACE_STORE").is_some() => {
            let is_own = |name: &OsString| OWN_VARIABLES.iter().any(|own| name == own);
            env::vars_os().filter(|(name, _)| !is_own(name)).collect()
        }
        None => {
            findings.skipped(CHECK, "no settings are given", "pass the settings of the functions with --settings FILE");
            return Ok(None);
        }
    };
    match Settings::from_vars(variables) {
        Err(error) => {
            findings.error(CHECK, error.to_string(), "correct the setting, see docs/settings.md");
            Ok(None)
        }
        Ok(settings) => {
            for unknown in &settings.unknown {
                findings.warning(CHECK, unknown.to_string(), "correct the name, or remove the variable");
            }
            if settings.unknown.is_empty() {
                findings.ok(CHECK, "all values are allowed");
            }
            Ok(Some(settings))
        }
    }
}

/// Lines of the form `NAME=VALUE`, as files for environments have them.
fn lines(text: &str) -> impl Iterator<Item = (OsString, OsString)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| {
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        Some((name.trim().into(), value.into()))
    })
}
