//! A clock that tests set, for all functions together.

use std::{fs, path::PathBuf};

use millrace_domain::Timestamp;
use tempfile::TempDir;

/// A file with the current time of functions that are started with `MILLRACE_CLOCK_FILE`. The time
/// changes only when a test sets it. The file is removed when this value is dropped.
#[derive(Debug)]
pub struct ClockFile {
    folder: TempDir,
}

impl ClockFile {
    /// A clock that shows `time`.
    pub fn at(time: Timestamp) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        clock.set(time);
        clock
    }

    /// Sets the time. A function that reads the clock meanwhile gets either the old or the new
    /// time.
    pub fn set(&self, time: Timestamp) {
        let new = self.folder.path().join("new");
        fs::write(&new, time.to_string()).expect("the new time is written");
        // Replaces the file in one step.
        fs::rename(&new, self.path()).expect("the clock is replaced");
    }

    /// The time that was set last.
    pub fn now(&self) -> Timestamp {
        let text = fs::read_to_string(self.path()).expect("the clock is readable");
        Timestamp::parse(&text).expect("a time")
    }

    /// The value for `MILLRACE_CLOCK_FILE`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}
