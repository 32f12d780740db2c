//! What a file is by its first bytes: text, text that was compressed, or something that is no text.

use flate2::bufread::GzDecoder;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// How much is read of a file, and taken out of its compressed form, at a time.
pub(super) const BUFFER_BYTES: usize = 128 << 10;
/// The longest window of zstd, as a power of two: 128 MiB, which is what `zstd --long` and the
/// highest of its plain levels take.
const MAX_WINDOW_LOG: u32 = 27;
/// As many first bytes as tell the encoding of a text. A pipe may give no more than that for long.
const START_BYTES: usize = 4;

const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is no text: its first bytes, what it is called, and what makes text of it.
const FOREIGN: [(&[u8], &str, &str); 16] = [
    (b"\xfd7zXZ\0", "compressed by xz", UNPACK_XZ),
    (b"BZh", "compressed by bzip2", "`bzip2 -d` unpacks it; gzip and zstd are read as they are"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "`lz4 -d` unpacks it"),
    (b"PK\x03\x04", "a zip archive (an .xlsx or .ods workbook is one, too)", UNPACK_ZIP),
    (b"PK\x05\x06", "an empty zip archive", UNPACK_ZIP),
    (b"PK\x07\x08", "a zip archive in parts", UNPACK_ZIP),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file", SAVE_AS_CSV),
    (b"PAR1", "a Parquet file", "write its rows as CSV or as JSON lines"),
    (b"Obj\x01", "an Avro file", "write its rows as CSV or as JSON lines"),
    (b"SQLite format 3\0", "an SQLite database", "write its rows as CSV or as JSON lines"),
    (b"%PDF-", "a PDF", "ask for its figures as CSV"),
    (b"{\\rtf", "a text of a word processor (RTF)", SAVE_AS_CSV),
    (b"<!", "an HTML page", "look at it: a download may have been answered with an error"),
    (b"<html", "an HTML page", "look at it: a download may have been answered with an error"),
];
const UNPACK_XZ: &str = "`xz -d` unpacks it; gzip and zstd are read as they are";
const UNPACK_ZIP: &str = "unpack it, or save the workbook as CSV (UTF-8)";
const SAVE_AS_CSV: &str = "save it as CSV (UTF-8)";

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
        if said.contains("requires too much memory") {
            return Self(format!(
                "it is compressed with a window of more than {} MiB: \
                 compress it again with --long={MAX_WINDOW_LOG} or less",
                (1_u64 << MAX_WINDOW_LOG) >> 20
            ));
        }
        if said.contains("Unknown frame descriptor") {
            return Self("what follows its compressed data is no zstd".to_owned());
        }
        Self(said)
    }
}

/// A file's text, as it was before it was compressed, without its byte order marks.
///
/// # Errors
/// When it cannot be read, or is no UTF-8 by its first bytes.
pub(super) fn text<'f>(file: impl Read + 'f) -> Result<Held<'f>, Broken> {
    let mut file = Held::new(BufReader::with_capacity(BUFFER_BYTES, file));
    let start = file.start(START_BYTES)?;
    let mut text = if start.starts_with(GZIP) {
        inside(GzipMembers::new(file), "gzip")?
    } else if is_zstd(start) {
        let mut decoder = zstd::Decoder::with_buffer(file)?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        inside(decoder, "zstd")?
    } else {
        file
    };
    // Further ones are waited for only while they may tell.
    let mut bytes = START_BYTES;
    let goes_on = |start: &[u8], bytes| {
        start.len() == bytes
            && FOREIGN.iter().any(|(magic, ..)| magic.len() > bytes && magic.starts_with(start))
    };
    while goes_on(text.start(bytes)?, bytes) {
        bytes += 1;
    }
    let start = text.start(bytes)?;
    if let Some((_, is, mend)) = FOREIGN.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return Err(Broken(format!("it is {is}: {mend}")));
    }
    if let Some(encoding) = wide_encoding(start) {
        return Err(Broken(format!(
            "it is {encoding}, and not UTF-8: `iconv -f {encoding} -t UTF-8` makes it that"
        )));
    }
    // It says nothing about UTF-8. Programs that put one before whatever they write make two.
    while text.start(BYTE_ORDER_MARK.len())?.starts_with(BYTE_ORDER_MARK) {
        text.consume(BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

/// What was compressed, unless that is compressed again.
fn inside<'f>(decoder: impl Read + 'f, by: &str) -> Result<Held<'f>, Broken> {
    let mut inside = Held::new(BufReader::with_capacity(BUFFER_BYTES, decoder));
    let start = inside.start(START_BYTES)?;
    if start.starts_with(GZIP) || is_zstd(start) {
        return Err(Broken(format!("it is compressed twice: unpack it once, the outer is {by}")));
    }
    Ok(inside)
}

/// Whether a frame of zstd starts so, or what may stand before one.
fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(b"\x28\xb5\x2f\xfd") || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The encoding of more than a byte a letter that a text starts in: by its byte order mark, else by
/// the zeros around its first letters, which are ASCII in every file of rows.
fn wide_encoding(start: &[u8]) -> Option<&'static str> {
    Some(match start {
        [0xff, 0xfe, 0, 0, ..] => "UTF-32LE",
        [0, 0, 0xfe, 0xff, ..] => "UTF-32BE",
        [0xff, 0xfe, ..] => "UTF-16LE",
        [0xfe, 0xff, ..] => "UTF-16BE",
        [1..=255, 0, 0, 0, ..] => "UTF-32LE",
        [0, 0, 0, 1..=255, ..] => "UTF-32BE",
        [1..=255, 0, 1..=255, 0, ..] => "UTF-16LE",
        [0, 1..=255, 0, 1..=255, ..] => "UTF-16BE",
        _ => return None,
    })
}

/// What the members of a gzip file hold, one behind the other. Zeros behind a member are padding,
/// as tapes and block devices add it.
struct GzipMembers<R> {
    /// None once all is read.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> GzipMembers<R> {
    fn new(file: R) -> Self {
        Self { member: Some(GzDecoder::new(file)) }
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let mut file = self.member.take().expect("it is there").into_inner();
            self.member = match first_behind_zeros(&mut file)? {
                None => None,
                Some(0x1f) => Some(GzDecoder::new(file)),
                Some(_) => return Err(io::Error::other("something follows its compressed data")),
            };
        }
        Ok(0)
    }
}

/// Passes over zeros; the byte behind them, which is not read yet.
fn first_behind_zeros(file: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = file.fill_buf()?;
        let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        match (buffer.get(zeros).copied(), zeros) {
            (None, 0) => return Ok(None),
            (next, _) => {
                file.consume(zeros);
                if next.is_some() {
                    return Ok(next);
                }
            }
        }
    }
}

/// A reader of which something was read too early, and is read again.
pub(super) struct Held<'f> {
    inner: Box<dyn BufRead + 'f>,
    held: Vec<u8>,
    /// How much of what is held has been read again.
    at: usize,
}

impl<'f> Held<'f> {
    pub(super) fn new(inner: impl BufRead + 'f) -> Self {
        Self { inner: Box::new(inner), held: Vec::new(), at: 0 }
    }

    /// What is read next: so many bytes, or fewer where there are no more. A pipe may give them one
    /// by one.
    fn start(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let held = self.held.len() - self.at;
        let missing = u64::try_from(bytes.saturating_sub(held)).expect("a few bytes");
        self.inner.by_ref().take(missing).read_to_end(&mut self.held)?;
        let next = &self.held[self.at..];
        Ok(&next[..bytes.min(next.len())])
    }

    pub(super) fn give_back(&mut self, bytes: &[u8]) {
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
        if self.at < self.held.len() {
            return Ok(&self.held[self.at..]);
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        if self.at < self.held.len() {
            self.at += bytes;
        } else {
            self.inner.consume(bytes);
        }
        if self.at == self.held.len() && self.at > 0 {
            self.held = Vec::new();
            self.at = 0;
        }
    }
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
        let mut all = Vec::new();
        text(file)?.read_to_end(&mut all)?;
        Ok(all)
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
        for short in [&b""[..], b"a", b"\n", b"\x28\xb5"] {
            assert_eq!(all(ByteByByte(short)).expect("text"), short);
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text).expect("compressed");
        gz.finish().expect("compressed")
    }

    #[test]
    fn zeros_behind_a_member_are_padding_and_anything_else_is_told() {
        let (one, two) = (gzip(b"one\n"), gzip(b"two\n"));
        let zeros = vec![0; 3 << 17];
        for (file, wanted) in [
            (vec![&one[..], &zeros], "one\n"),
            (vec![&one[..], &zeros, &two, &zeros[..7]], "one\ntwo\n"),
            (vec![&gzip(b"")[..], &zeros], ""),
        ] {
            assert_eq!(all(file.concat().as_slice()).expect("text"), wanted.as_bytes());
        }
        for (rest, word) in [
            (&b"x"[..], "something follows"),
            (b"\0\0two", "something follows"),
            (&two[..5], "breaks off"),
            (&two[..two.len() - 1], "breaks off"),
            (b"\x1f\x00 something else", "gzip"),
        ] {
            let broken = all([&one, rest].concat().as_slice()).expect_err("no end");
            assert!(broken.0.contains(word), "{broken}");
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        let wide = |unit: usize, little: bool, mark: bool| {
            let letters = mark.then_some(0xfeff).into_iter().chain("id,at".bytes().map(u32::from));
            let bytes = letters.flat_map(|letter| {
                if little {
                    letter.to_le_bytes()[..unit].to_vec()
                } else {
                    letter.to_be_bytes()[4 - unit..].to_vec()
                }
            });
            bytes.collect::<Vec<u8>>()
        };
        let mut files = vec![
            (b"\xfd7zXZ\0\0\x04".to_vec(), "compressed by xz"),
            (b"BZh91AY&SY".to_vec(), "compressed by bzip2"),
            (b"PK\x03\x04\x14\0".to_vec(), "a zip archive"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), "an old Excel"),
            (b"PAR1\x15\x04".to_vec(), "a Parquet file"),
            (b"SQLite format 3\0".to_vec(), "an SQLite database"),
            (b"%PDF-1.7\n".to_vec(), "a PDF"),
            (b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), "a 7z archive"),
            (b"<!DOCTYPE html>".to_vec(), "an HTML page"),
            (gzip(&gzip(b"a")), "compressed twice"),
            (gzip(b"PK\x03\x04\x14\0"), "a zip archive"),
        ];
        for mark in [true, false] {
            files.extend([
                (wide(2, true, mark), "UTF-16LE"),
                (wide(2, false, mark), "UTF-16BE"),
                (wide(4, true, mark), "UTF-32LE"),
                (wide(4, false, mark), "UTF-32BE"),
            ]);
        }
        for (file, word) in files {
            let broken = all(ByteByByte(&file)).expect_err("no text");
            assert!(broken.0.contains(word), "{broken}");
        }
    }
}
