//! The error of a bad setting, in one line: its name, its value, the allowed values.
//!
//! Secrets are never shown. A Redis URL shows only its scheme, any other value leaves out what is
//! between `://` and `@`, and the value of an unknown variable is not shown at all.

use std::fmt;

use super::reference::{self, Spec};

/// The most characters of a value that an error quotes.
const MAX_SHOWN: usize = 200;
/// The most names that an error suggests.
const MAX_NEAREST: usize = 3;

/// A setting that stops the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A required setting is not set.
    #[error("{name} is not set; allowed: {allowed}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// The allowed values.
        allowed: String,
    },
    /// A value is not allowed.
    #[error("{name}={value} is not allowed; allowed: {allowed}")]
    NotAllowed {
        /// The setting.
        name: &'static str,
        /// Its value, without secrets.
        value: Shown,
        /// The allowed values.
        allowed: String,
    },
}

/// A variable with the prefix of settings that is not a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not a setting and has no effect; the nearest ones: {}", .nearest.join(", "))]
pub struct UnknownSetting {
    name: Shown,
    nearest: Vec<&'static str>,
}

impl SettingsError {
    pub(super) fn missing(spec: &Spec) -> Self {
        Self::Missing { name: spec.name, allowed: spec.allowed() }
    }

    pub(super) fn not_allowed(spec: &Spec, value: &str, allowed: impl Into<String>) -> Self {
        let value = if spec.name == reference::table::REDIS_URL.name { Shown::url(value) } else { Shown::text(value) };
        Self::NotAllowed { name: spec.name, value, allowed: allowed.into() }
    }
}

impl UnknownSetting {
    pub(super) fn new(name: &str) -> Self {
        let mut nearest: Vec<(usize, &'static str)> = reference::table::ALL
            .iter()
            .map(|spec| (strsim::damerau_levenshtein(name, spec.name), spec.name))
            .collect();
        nearest.sort_by_key(|(distance, _)| *distance);
        let nearest = nearest.into_iter().take(MAX_NEAREST).map(|(_, name)| name).collect();
        Self { name: Shown::text(name), nearest }
    }
}

/// A value as an error may show it: one line, clipped, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// A value that is not a secret. Credentials of a URL in it are left out all the same.
    pub(super) fn text(value: &str) -> Self {
        let masked = match (value.find("://"), value.rfind('@')) {
            (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}***{}", &value[..scheme + 3], &value[at..]),
            _ => value.to_owned(),
        };
        let line: String = masked.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        Self(millrace_domain::ids::clip(&line, MAX_SHOWN))
    }

    /// A URL that contains a secret. In a malformed one any part may be the secret, so that only a
    /// known scheme is shown.
    pub(super) fn url(value: &str) -> Self {
        let schemes = ["redis", "rediss", "redis+unix", "unix", "valkey", "valkeys", "http", "https", "tcp"];
        match value.split_once("://") {
            Some((scheme, _)) if schemes.contains(&scheme) => Self(format!("{scheme}://***")),
            _ => Self("***".to_owned()),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
