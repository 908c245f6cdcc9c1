//! The stream of a store that is listened to: a JSON object a line, and white space or `{"Records":null}` as signs of life.

use bytes::Bytes;

/// The longest line that is kept, in bytes. An event has 1 to 2 KB; a key 1 KB at most.
const LONGEST: usize = 1 << 20;

/// Cuts the stream into lines, however it arrives.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// The rest of a line that is too long.
    skipping: bool,
    /// Something other than white space has come.
    begun: bool,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Whole lines; none is a sign of life.
    Lines(Vec<String>),
    /// No stream of events: an XML document, which is how stores answer that do not know what they were asked for.
    AnotherAnswer,
}

impl Lines {
    /// Takes in the next bytes.
    pub(super) fn push(&mut self, bytes: &Bytes) -> Came {
        let mut lines = Vec::new();
        for &byte in bytes {
            if !self.begun && !byte.is_ascii_whitespace() {
                if byte == b'<' {
                    return Came::AnotherAnswer;
                }
                self.begun = true;
            }
            match byte {
                b'\n' => lines.extend(self.end_line()),
                // White space between lines is a sign of life and not part of the next one.
                _ if self.line.is_empty() && byte.is_ascii_whitespace() => {}
                _ if self.line.len() == LONGEST => self.skipping = true,
                _ => self.line.push(byte),
            }
        }
        Came::Lines(lines)
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        // One that was cut off cannot be understood, which is as good as a change.
        let skipped = std::mem::take(&mut self.skipping);
        let line = if skipped { String::new() } else { String::from_utf8_lossy(&line).into_owned() };
        (skipped || !line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(of: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        of.iter()
            .flat_map(|bytes| match lines.push(&Bytes::copy_from_slice(bytes)) {
                Came::Lines(lines) => lines,
                Came::AnotherAnswer => panic!("a stream of events"),
            })
            .collect()
    }

    #[test]
    fn white_space_is_a_sign_of_life_and_no_line() {
        assert_eq!(lines(&[b" ", b"  ", b"\n\r\n"]), [] as [&str; 0]);
        assert_eq!(lines(&[b"  {\"a\":1}\n  ", b"{\"b\": 2}\r\n"]), ["{\"a\":1}", "{\"b\": 2}\r"]);
    }

    #[test]
    fn a_document_is_no_stream_of_events() {
        for document in [&b"<?xml version=\"1.0\"?><ListBucketResult/>"[..], b"\n <Error/>"] {
            assert_eq!(Lines::default().push(&Bytes::copy_from_slice(document)), Came::AnotherAnswer);
        }
        let mut begun = Lines::default();
        assert_eq!(
            begun.push(&Bytes::from_static(b"{\"a\":\"<\"}\n<\n")),
            Came::Lines(vec!["{\"a\":\"<\"}".into(), "<".into()])
        );
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_it_may() {
        let mut lines = Lines::default();
        for _ in 0..40 {
            assert_eq!(lines.push(&Bytes::from(vec![b'x'; 100_000])), Came::Lines(vec![]));
        }
        assert!(lines.line.len() <= LONGEST);
        assert_eq!(lines.push(&Bytes::from_static(b"\n{}\n")), Came::Lines(vec![String::new(), "{}".into()]));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_lines_are_the_same(cuts in proptest::collection::vec(1_usize..9, 0..40)) {
            let stream = b" {\"Records\":[{\"k\":\"a b\"}]}\n   \n{\"Records\":null}\n {\"x\":1}\n";
            let (mut pieces, mut rest) = (Vec::new(), &stream[..]);
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(lines(&pieces), ["{\"Records\":[{\"k\":\"a b\"}]}", "{\"Records\":null}", "{\"x\":1}"]);
        }
    }
}
