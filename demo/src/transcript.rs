//! What happened in a scene, line by line, and what was not as expected.

use crate::text::table;

/// The lines of a scene.
#[derive(Debug, Default)]
pub struct Transcript {
    rows: Vec<[String; 3]>,
    /// What was not as expected.
    pub problems: Vec<String>,
}

impl Transcript {
    /// Adds a line: who does what, and what comes of it.
    pub fn add(&mut self, who: &str, what: &str, outcome: String) {
        self.rows.push([who.to_owned(), what.to_owned(), outcome]);
    }

    /// Adds a problem unless the expectation holds.
    pub fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// The lines, aligned.
    pub fn lines(&self) -> Vec<String> {
        table(2, &self.rows)
    }
}
