//! The clock: the system clock, or a clock that a file moves.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use millrace_domain::{Timestamp, ids::clip};
use millrace_pipeline::Clock;

/// The clock of this machine, in UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The time of the system clock.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A clock that a file moves, for tests and local use.
///
/// The file is read at each call. It holds the milliseconds to add to the system clock (`90000`,
/// `+90000`, `-500`), or a fixed time (`2026-11-20T12:00:00.000Z`).
///
/// This clock decides what is due. Deadlines, time-outs, expiry and the times in logs follow the
/// system clock.
#[derive(Debug)]
pub struct FileClock {
    path: PathBuf,
    /// The last valid content. The file is empty while it is being written.
    last: Mutex<Setting>,
}

/// The content of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Offset(i64),
    Time(Timestamp),
}

/// A clock file without a valid time.
#[derive(Debug, thiserror::Error)]
pub enum ClockFileError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}; allowed: {allowed}", allowed = ALLOWED)]
    Unreadable(#[from] io::Error),
    /// The file holds something else.
    #[error("the file holds `{text}`; allowed: {allowed}", text = clip(.0, 60), allowed = ALLOWED)]
    NoTime(String),
}

const ALLOWED: &str = "a number of milliseconds, or a time such as 2026-11-20T12:00:00.000Z";

impl FileClock {
    /// The clock that the file at `path` moves.
    ///
    /// # Errors
    /// [`ClockFileError`] if the file cannot be read or holds no time.
    pub fn open(path: &Path) -> Result<Self, ClockFileError> {
        let last = Mutex::new(read(path)?);
        Ok(Self { path: path.to_owned(), last })
    }
}

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(setting) = read(&self.path) {
            *last = setting;
        }
        match *last {
            Setting::Time(time) => time,
            Setting::Offset(millis) => Timestamp::from_millis(now().as_millis().saturating_add_signed(millis)),
        }
    }
}

fn read(path: &Path) -> Result<Setting, ClockFileError> {
    let text = fs::read_to_string(path)?;
    match (text.trim().parse(), Timestamp::parse(text.trim())) {
        (Ok(millis), _) => Ok(Setting::Offset(millis)),
        (_, Ok(time)) => Ok(Setting::Time(time)),
        _ => Err(ClockFileError::NoTime(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_tells_the_time() {
        let before = SystemTime::now();
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(SystemClock.now().as_millis() + 1);
        assert!(now >= before, "the clock is behind");
        assert!(SystemClock.now().as_millis() > 1_700_000_000_000);
    }

    #[test]
    fn a_file_moves_the_clock_and_invalid_content_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        for (text, millis) in [("90000", 90_000_i64), (" +90000\n", 90_000), ("-3600000", -3_600_000), ("0", 0)] {
            fs::write(&path, text).unwrap();
            let clock = FileClock::open(&path).unwrap();
            let moved = clock.now().as_millis().cast_signed() - now().as_millis().cast_signed();
            assert!((moved - millis).abs() < 5_000, "{text}: {moved}");
        }
        let clock = FileClock::open(&path).unwrap();
        let time = "2026-11-20T12:00:00.042Z";
        fs::write(&path, time).unwrap();
        for text in [time, "", "soon"] {
            fs::write(&path, text).unwrap();
            assert_eq!(clock.now().to_string(), time, "{text}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(clock.now().to_string(), time);
    }

    #[test]
    fn a_file_without_a_time_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        let missing = FileClock::open(&path).unwrap_err().to_string();
        assert!(missing.starts_with("the file cannot be read: "), "{missing}");
        fs::write(&path, "tomorrow").unwrap();
        let bad = FileClock::open(&path).unwrap_err().to_string();
        assert!(bad.starts_with("the file holds `tomorrow`; allowed: "), "{bad}");
    }
}
