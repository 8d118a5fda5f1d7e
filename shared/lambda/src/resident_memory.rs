//! The resident memory of the process.

use std::{fs::File, io::Read};

/// The resident memory of the process in bytes, without swapped pages. None on systems other than
/// Linux.
///
/// A call takes some microseconds: it reads one short file of the kernel.
pub fn resident_bytes() -> Option<u64> {
    // Seven numbers of at most 20 digits. /proc/self/status has the same value, but is slower to
    // read.
    let mut buffer = [0_u8; 256];
    let length = File::open("/proc/self/statm").ok()?.read(&mut buffer).ok()?;
    let pages = resident_pages(std::str::from_utf8(&buffer[..length]).ok()?)?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The second number is the count of resident pages.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn it_grows_with_allocations() {
        let before = resident_bytes().unwrap();
        let held = vec![1_u8; 64 << 20];
        let after = resident_bytes().unwrap();
        assert!(before > 100_000, "{before}");
        assert!(after >= before + (48 << 20), "{before} to {after} while {} bytes are held", held.len());
    }

    #[test]
    fn other_formats_are_refused() {
        assert_eq!(resident_pages("1234 567 89 1 0 2 0\n"), Some(567));
        for other in ["", "1234", "1234 many 89", "1234 -567 89"] {
            assert_eq!(resident_pages(other), None, "{other:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn it_is_cheap() {
        // The best of several rounds, because other processes use the machine too.
        let best = (0..20)
            .map(|_| {
                let start = std::time::Instant::now();
                for _ in 0..50 {
                    assert!(resident_bytes().is_some());
                }
                start.elapsed() / 50
            })
            .min()
            .unwrap();
        assert!(best < std::time::Duration::from_micros(50), "{best:?} a call");
    }
}
