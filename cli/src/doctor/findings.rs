//! The results of checks.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It was not checked.
    Skipped,
    /// It works, and may fail later.
    Warning,
    /// It does not work.
    Error,
}

/// The result of a check.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub check: String,
    pub level: Level,
    pub detail: String,
    /// How to correct it; empty if nothing is wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub correction: String,
}

/// The results of all checks, in their order.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn ok(&mut self, check: impl Into<String>, detail: impl Into<String>) {
        self.add(check, Level::Ok, detail, "");
    }

    pub fn skipped(&mut self, check: impl Into<String>, detail: impl Into<String>, correction: impl Into<String>) {
        self.add(check, Level::Skipped, detail, correction);
    }

    pub fn warning(&mut self, check: impl Into<String>, detail: impl Into<String>, correction: impl Into<String>) {
        self.add(check, Level::Warning, detail, correction);
    }

    pub fn error(&mut self, check: impl Into<String>, detail: impl Into<String>, correction: impl Into<String>) {
        self.add(check, Level::Error, detail, correction);
    }

    fn add(
        &mut self,
        check: impl Into<String>,
        level: Level,
        detail: impl Into<String>,
        correction: impl Into<String>,
    ) {
        let finding = Finding { check: check.into(), level, detail: detail.into(), correction: correction.into() };
        self.0.push(finding);
    }

    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// How many have this level.
    pub fn count(&self, level: Level) -> u64 {
        self.0.iter().filter(|finding| finding.level == level).count() as u64
    }
}
