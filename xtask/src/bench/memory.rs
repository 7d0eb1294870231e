//! Anonymous memory of a process: what it has taken for itself, without the files that it maps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// Watches a process until it is asked for the peak.
pub(super) struct Peak {
    ended: Arc<AtomicBool>,
    kilobytes: Arc<AtomicU64>,
    watcher: JoinHandle<()>,
}

impl Peak {
    pub(super) fn of(pid: u32) -> Self {
        let (ended, kilobytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (seen, peak) = (Arc::clone(&ended), Arc::clone(&kilobytes));
        let watcher = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_kilobytes(pid), Ordering::Relaxed);
                std::thread::sleep(EVERY);
            }
        });
        Self { ended, kilobytes, watcher }
    }

    /// The peak in megabytes.
    pub(super) fn megabytes(self) -> f64 {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.watcher.join();
        let kilobytes = u32::try_from(self.kilobytes.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        f64::from(kilobytes) / 1024.0
    }
}

/// `RssAnon` of a process; 0 once it is gone.
fn anonymous_kilobytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_takes_memory_is_seen() {
        let before = anonymous_kilobytes(std::process::id());
        let peak = Peak::of(std::process::id());
        let taken = vec![1_u8; 64 << 20];
        std::thread::sleep(EVERY * 5);
        assert_eq!(taken.iter().map(|byte| usize::from(*byte)).sum::<usize>(), 64 << 20);
        assert!(before > 0 && peak.megabytes() > 64.0);
        assert_eq!(anonymous_kilobytes(u32::MAX), 0);
    }
}
