//! The lines of a file, as it was before it was compressed, if it was; counted as an editor counts
//! them.

use crate::cli::import::container::{self, Broken, Held};
use std::io::{self, BufRead, Read};

/// The lines of a file, one after the other.
pub(super) struct TextLines<'f> {
    reader: Held<'f>,
    /// How many have been read.
    count: u64,
    /// Whether the last one had no end.
    is_open: bool,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// There is none.
    None,
    Whole,
    /// It is longer than it may be, and was read as far as that.
    TooLong,
}

impl<'f> TextLines<'f> {
    /// Starts to read lines: of a file compressed by gzip or zstd those that were compressed. A
    /// byte order mark is passed over.
    ///
    /// # Errors
    /// When it cannot be read, or is not UTF-8 by its first bytes.
    pub(super) fn read(file: impl Read + 'f) -> Result<Self, Broken> {
        Ok(Self::of(container::text(file)?))
    }

    /// Starts to read the lines of a text.
    pub(super) fn of(reader: Held<'f>) -> Self {
        Self { reader, count: 0, is_open: false }
    }

    /// How many lines have been read: the number of the last one, from 1.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether the last line that was read had no end, as where a file was cut short.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Puts the next line behind `text`, its end included, and no more than `max_bytes` of it.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn next(&mut self, text: &mut Vec<u8>, max_bytes: usize) -> io::Result<LineEnd> {
        let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(limit).read_until(b'\n', text)?;
        if read == 0 && max_bytes > 0 {
            return Ok(LineEnd::None);
        }
        self.count += 1;
        self.is_open = text.last() != Some(&b'\n');
        Ok(if read == max_bytes && self.is_open { LineEnd::TooLong } else { LineEnd::Whole })
    }

    /// Passes over what is left of a line that was too long.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn pass_over(&mut self) -> io::Result<()> {
        self.reader.skip_until(b'\n').map(|_| ())
    }

    /// Gives back the text of the last lines that were read, the first of which had the number
    /// `first`, so that they are read again.
    pub(super) fn give_back(&mut self, text: &[u8], first: u64) {
        self.reader.give_back(text);
        self.count = first - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_read_again() {
        let mut lines = TextLines::read(&b"a\nbb\nccc"[..]).expect("text");
        let mut text = Vec::new();
        for _ in 0..2 {
            assert_eq!(lines.next(&mut text, 9).expect("a line"), LineEnd::Whole);
        }
        lines.give_back(b"bb\n", 2);
        lines.give_back(b"a\n", 1);
        text.clear();
        assert_eq!(lines.next(&mut text, 9).expect("a line"), LineEnd::Whole);
        assert_eq!((text.as_slice(), lines.count()), (&b"a\n"[..], 1));
        lines.give_back(b"a\n", 1);
        text.clear();
        while lines.next(&mut text, 9).expect("a line") != LineEnd::None {}
        assert_eq!((text.as_slice(), lines.count()), (&b"a\nbb\nccc"[..], 3));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_passed_over() {
        let mut lines = TextLines::read(&b"abcd\nabcde\nx"[..]).expect("text");
        let mut next = || {
            let mut text = Vec::new();
            let line = lines.next(&mut text, 5).expect("a line");
            if line == LineEnd::TooLong {
                lines.pass_over().expect("a rest");
            }
            (line, text)
        };
        assert_eq!(next(), (LineEnd::Whole, b"abcd\n".to_vec()));
        assert_eq!(next(), (LineEnd::TooLong, b"abcde".to_vec()));
        assert_eq!(next(), (LineEnd::Whole, b"x".to_vec()));
        assert_eq!(next(), (LineEnd::None, Vec::new()));
    }
}
