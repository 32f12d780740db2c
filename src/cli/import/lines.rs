//! The lines of a file, as it was before it was compressed, if it was; counted as an editor counts them.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// How much is read of a file, and taken out of its compressed form, at a time.
const BUFFER_BYTES: usize = 128 << 10;
/// The longest window of zstd, as a power of two: 128 MiB, which is what `zstd --long` and the highest of its plain
/// levels take.
const MAX_WINDOW_LOG: u32 = 27;

/// Why a file cannot be read any further.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self("it breaks off in the middle of its compressed data".to_owned());
        }
        let said = error.to_string();
        // zstd has words for it and no number.
        match said.contains("requires too much memory") {
            true => Self(format!(
                "it is compressed with a window of more than {} MiB: compress it again with --long={MAX_WINDOW_LOG} or less",
                (1_u64 << MAX_WINDOW_LOG) >> 20
            )),
            false => Self(said),
        }
    }
}

/// The lines of a file, one after the other.
pub(super) struct Lines<'f> {
    reader: Held<'f>,
    /// How many have been read.
    count: u64,
    /// Whether the last one had no end.
    is_open: bool,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// There is none.
    None,
    Whole,
    /// It is longer than it may be, and was read as far as that.
    TooLong,
}

impl<'f> Lines<'f> {
    /// Starts to read lines: of a file compressed by gzip or zstd those that were compressed. A byte order mark is
    /// passed over.
    ///
    /// # Errors
    /// When it cannot be read, or is UTF-16.
    pub(super) fn read(file: impl Read + 'f) -> Result<Self, Broken> {
        let mut reader = decompressed(file)?;
        match reader.start(3)? {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Err(Broken(
                    "it is UTF-16, and UTF-8 is wanted: `iconv -f UTF-16 -t UTF-8` makes it that"
                        .into(),
                ));
            }
            // It says nothing about UTF-8.
            b"\xef\xbb\xbf" => reader.consume(3),
            _ => {}
        }
        Ok(Self { reader, count: 0, is_open: false })
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
    pub(super) fn next(&mut self, text: &mut Vec<u8>, max_bytes: usize) -> io::Result<Line> {
        let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(limit).read_until(b'\n', text)?;
        if read == 0 && max_bytes > 0 {
            return Ok(Line::None);
        }
        self.count += 1;
        self.is_open = text.last() != Some(&b'\n');
        Ok(if read == max_bytes && self.is_open { Line::TooLong } else { Line::Whole })
    }

    /// Passes over what is left of a line that was too long.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn pass_over(&mut self) -> io::Result<()> {
        self.reader.skip_until(b'\n').map(|_| ())
    }

    /// Gives back the text of the last lines that were read, the first of which had the number `first`, so that they
    /// are read again.
    pub(super) fn give_back(&mut self, text: &[u8], first: u64) {
        self.reader.give_back(text);
        self.count = first - 1;
    }
}

/// A reader of which something was read too early, and is read again.
struct Held<'f> {
    inner: Box<dyn BufRead + 'f>,
    held: Vec<u8>,
    /// How much of what is held has been read again.
    at: usize,
}

impl<'f> Held<'f> {
    fn new(inner: impl BufRead + 'f) -> Self {
        Self { inner: Box::new(inner), held: Vec::new(), at: 0 }
    }

    /// What it starts with: so many bytes, or fewer where there are no more. A pipe may give them one by one.
    fn start(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let missing = u64::try_from(bytes.saturating_sub(self.held.len())).expect("a few bytes");
        self.inner.by_ref().take(missing).read_to_end(&mut self.held)?;
        Ok(&self.held[..bytes.min(self.held.len())])
    }

    fn give_back(&mut self, bytes: &[u8]) {
        match self.at.checked_sub(bytes.len()) {
            Some(at) => self.at = at,
            None => {
                self.held.splice(..self.at, bytes.iter().copied());
                self.at = 0;
            }
        }
    }
}

impl Read for Held<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Held<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.at < self.held.len() {
            true => Ok(&self.held[self.at..]),
            false => self.inner.fill_buf(),
        }
    }

    fn consume(&mut self, bytes: usize) {
        match self.at < self.held.len() {
            true => self.at += bytes,
            false => self.inner.consume(bytes),
        }
        if self.at == self.held.len() && self.at > 0 {
            self.held = Vec::new();
            self.at = 0;
        }
    }
}

/// A file as it was before it was compressed, if it was.
fn decompressed<'f>(file: impl Read + 'f) -> io::Result<Held<'f>> {
    let mut file = Held::new(BufReader::with_capacity(BUFFER_BYTES, file));
    Ok(match file.start(4)? {
        [0x1f, 0x8b, ..] => Held::new(BufReader::with_capacity(
            BUFFER_BYTES,
            flate2::bufread::MultiGzDecoder::new(file),
        )),
        // A frame, or what may stand before one.
        b"\x28\xb5\x2f\xfd" | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            let mut decoder = zstd::Decoder::with_buffer(file)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Held::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
        _ => file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A pipe of which whoever writes into it is slow.
    struct ByteByByte<'a>(&'a [u8]);

    impl Read for ByteByByte<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = buffer.len().min(1);
            self.0.read(&mut buffer[..bytes])
        }
    }

    fn all(file: impl Read) -> Result<Vec<u8>, Broken> {
        let mut lines = Lines::read(file)?;
        let mut text = Vec::new();
        while lines.next(&mut text, usize::MAX)? != Line::None {}
        Ok(text)
    }

    #[test]
    fn a_file_that_comes_byte_by_byte_is_read_like_any_other() {
        let text = "\u{feff}a\nbb\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).expect("compressed");
        let skippable = b"\x50\x2a\x4d\x18\x01\x00\x00\x00x".to_vec();
        let zst = zstd::encode_all(text.as_bytes(), 1).expect("compressed");
        let files =
            [text.into(), gz.finish().expect("compressed"), zst.clone(), [skippable, zst].concat()];
        for file in &files {
            assert_eq!(all(ByteByByte(file)).expect("text"), b"a\nbb\n");
            assert_eq!(all(file.as_slice()).expect("text"), b"a\nbb\n");
        }
        for utf16 in [b"\xff\xfea\0", b"\xfe\xff\0a"] {
            let broken = all(ByteByByte(utf16)).expect_err("no UTF-8");
            assert!(broken.0.contains("it is UTF-16"), "{broken}");
        }
        for short in [&b""[..], b"a", b"\n", b"\x28\xb5"] {
            assert_eq!(all(ByteByByte(short)).expect("text"), short);
        }
    }

    #[test]
    fn what_is_given_back_is_read_again() {
        let mut lines = Lines::read(&b"a\nbb\nccc"[..]).expect("text");
        let mut text = Vec::new();
        for _ in 0..2 {
            assert_eq!(lines.next(&mut text, 9).expect("a line"), Line::Whole);
        }
        lines.give_back(b"bb\n", 2);
        lines.give_back(b"a\n", 1);
        text.clear();
        assert_eq!(lines.next(&mut text, 9).expect("a line"), Line::Whole);
        assert_eq!((text.as_slice(), lines.count()), (&b"a\n"[..], 1));
        lines.give_back(b"a\n", 1);
        text.clear();
        while lines.next(&mut text, 9).expect("a line") != Line::None {}
        assert_eq!((text.as_slice(), lines.count()), (&b"a\nbb\nccc"[..], 3));
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_passed_over() {
        let mut lines = Lines::read(&b"abcd\nabcde\nx"[..]).expect("text");
        let mut next = || {
            let mut text = Vec::new();
            let line = lines.next(&mut text, 5).expect("a line");
            if line == Line::TooLong {
                lines.pass_over().expect("a rest");
            }
            (line, text)
        };
        assert_eq!(next(), (Line::Whole, b"abcd\n".to_vec()));
        assert_eq!(next(), (Line::TooLong, b"abcde".to_vec()));
        assert_eq!(next(), (Line::Whole, b"x".to_vec()));
        assert_eq!(next(), (Line::None, Vec::new()));
    }
}
