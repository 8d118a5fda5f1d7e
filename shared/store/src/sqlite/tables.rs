//! The names of the tables.

use millrace_domain::record::Table;

/// The tables of one deployment.
///
/// SQL statements quote the names, and `schema::check_prefix` allows harmless characters only.
/// Statements are written out where they run; each connection keeps them prepared by their text.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    prefix: String,
}

impl Tables {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The name of the table with the figures of the performance history.
    pub(super) fn performance(&self) -> String {
        format!("{}performance", self.prefix)
    }

    /// The name of the table with the states of thresholds.
    pub(super) fn thresholds(&self) -> String {
        format!("{}thresholds", self.prefix)
    }

    /// The name of a table with its prefix.
    pub(super) fn name(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.as_str())
    }
}
