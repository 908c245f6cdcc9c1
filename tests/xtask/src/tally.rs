//! Counts tests from what their runners print: libtest, vitest and node's own.

/// Tests of all runners so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
}

impl Tally {
    /// Reads one line of a runner's output.
    pub(crate) fn read(&mut self, line: &str) {
        let plain = without_colour(line);
        let line = plain.trim();
        if let Some(result) = line.strip_prefix("test result: ") {
            // libtest: "test result: ok. 3 passed; 0 failed; 0 ignored; …"
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some(result) = line.strip_prefix("Tests ") {
            // vitest: "Tests  1 failed | 12 passed (13)"
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some((mark, rest)) = line.split_once(' ') {
            // node --test: "ℹ pass 3" on a terminal, "# pass 3" elsewhere
            if mark == "ℹ" || mark == "#" {
                self.passed += rest.strip_prefix("pass ").and_then(|count| count.parse().ok()).unwrap_or(0);
                let failed = rest.strip_prefix("fail ").or_else(|| rest.strip_prefix("cancelled "));
                self.failed += failed.and_then(|count| count.parse().ok()).unwrap_or(0);
            }
        }
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let digits = text.find(word).map(|end| text[..end].rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Drops terminal colours: escape, bracket, up to the letter that ends the sequence (ECMA-48, CSI).
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.find(|c: char| c.is_ascii_alphabetic()).map_or("", |end| &after[end + 1..]);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &str) -> (u64, u64) {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.read(line));
        (tally.passed, tally.failed)
    }

    #[test]
    fn every_runner_is_counted() {
        assert_eq!(
            tally("running 5 tests\ntest a ... ok\ntest result: FAILED. 4 passed; 1 failed; 0 ignored;"),
            (4, 1)
        );
        assert_eq!(tally(" Test Files  2 passed (2)\n      Tests  1 failed | 12 passed (13)"), (12, 1));
        assert_eq!(
            tally("\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m7 passed\u{1b}[39m\u{1b}[22m (7)"),
            (7, 0)
        );
        assert_eq!(tally("ℹ tests 3\nℹ pass 2\nℹ fail 1\nℹ cancelled 0"), (2, 1));
        assert_eq!(tally("# pass 2\n# fail 0\n# cancelled 1"), (2, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(tally("12 passed\n# hello\nTests are good\nwarning: 3 failed"), (0, 0));
    }
}
