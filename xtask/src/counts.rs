//! How many tests ran, read off what the test programs print.

/// Tests that passed, failed and were skipped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Held. Below zero while a test's skip was read and its harness's count was not.
    pub(crate) passed: i64,
    /// Did not hold.
    pub(crate) failed: i64,
    /// Said by name that something they need is missing.
    pub(crate) skipped: i64,
}

impl Counts {
    /// Takes a line of a test program's output into account.
    ///
    /// `cargo test` closes each program with `test result: ok. 3 passed; 0 failed; 1 ignored; …`; `atoll-slt` with
    /// `3 passed, 0 failed, 1 skipped`; a test that lacks something prints `SKIPPED name: reason` and is counted as passed
    /// by its harness.
    pub(crate) fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let before = |word: &str| -> i64 {
            words
                .iter()
                .position(|found| found.trim_end_matches([';', ',']) == word)
                .and_then(|index| words.get(index.checked_sub(1)?)?.parse().ok())
                .unwrap_or(0)
        };
        if line.starts_with("test result:") {
            self.passed += before("passed");
            self.failed += before("failed");
            self.skipped += before("ignored");
        } else if words.len() == 6 && words[1] == "passed," && words[5] == "skipped" {
            self.passed += before("passed");
            self.failed += before("failed");
            self.skipped += before("skipped");
        } else if line.trim_start().starts_with("SKIPPED ") && !line.contains("no --var") {
            self.passed -= 1;
            self.skipped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_do_not_count_as_passed() {
        let mut counts = Counts::default();
        counts.take("SKIPPED reads_from_s3: ATOLL_TEST_S3_URL is not set");
        counts.take("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        counts.take("5 passed, 2 failed, 1 skipped");
        assert_eq!(counts.failed, 2);
        assert_eq!(counts.skipped, 3);
        assert_eq!(counts.passed, 7);
    }
}
