//! What makes ids of the rows of a file without ids: its content, whatever it is packed in.
//!
//! The content is the text: without its compression and its byte order mark, each line ended by LF,
//! blank lines at its end left out. Its SHA-256 is, of a plain file of such lines, that of the
//! file. Earlier versions took the SHA-256 of the file as it lay there; books that hold such ids
//! keep them.

use crate::cli::import::container::{BUFFER_BYTES, Broken, Held, text};
use ring::digest::{Context, SHA256};
use std::cell::RefCell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

/// As many bytes of a digest stand in an id.
const DIGEST_BYTES: usize = 8;

/// The beginnings that the ids of a file's rows may have; the row's line follows behind a colon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// By the content.
    pub(super) content: String,
    /// By the file as earlier versions may have met it: as it lies there, and in every plain form.
    pub(super) earlier: Vec<String>,
}

/// A file that is read to its end to learn who it is.
pub(super) struct IdentityReading {
    file: Rc<RefCell<Context>>,
    text: Rc<RefCell<Digests>>,
}

impl IdentityReading {
    /// Starts to read `file`; gives its text, which is to be read to its end.
    ///
    /// # Errors
    /// When it cannot be read, or is not UTF-8 by its first bytes.
    pub(super) fn start<'f>(file: impl Read + 'f) -> Result<(Self, Held<'f>), Broken> {
        let this = Self {
            file: Rc::new(RefCell::new(Context::new(&SHA256))),
            text: Rc::new(RefCell::new(Digests::default())),
        };
        let file = Tap { inner: file, to: Rc::clone(&this.file) };
        let text = Tap { inner: text(file)?, to: Rc::clone(&this.text) };
        Ok((this, Held::new(BufReader::with_capacity(BUFFER_BYTES, text))))
    }

    /// Who the file is, once its text is read.
    pub(super) fn end(self) -> Identity {
        let content = self.text.borrow().content();
        let mut earlier = vec![prefix(self.file.borrow().clone())];
        earlier.extend(self.text.borrow().plain_forms());
        earlier.retain(|form| *form != content);
        Identity { content, earlier }
    }
}

/// A reader of which each byte also goes to a digest.
struct Tap<R, D> {
    inner: R,
    to: Rc<RefCell<D>>,
}

impl<R: Read, D: DigestSink> Read for Tap<R, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.to.borrow_mut().take(&buffer[..read]);
        Ok(read)
    }
}

trait DigestSink {
    fn take(&mut self, part: &[u8]);
}

impl DigestSink for Context {
    fn take(&mut self, part: &[u8]) {
        self.update(part);
    }
}

/// The digests of a text in its plain forms: lines that end in LF or in CRLF, and for each of them
/// without a byte order mark and with one. The end of the last line is still owed.
#[derive(Clone)]
struct Forms {
    lf: [Context; 2],
    crlf: [Context; 2],
}

impl Default for Forms {
    fn default() -> Self {
        let both = || {
            let mut marked = Context::new(&SHA256);
            marked.update(b"\xef\xbb\xbf");
            [Context::new(&SHA256), marked]
        };
        Self { lf: both(), crlf: both() }
    }
}

/// Digests of a text that comes in parts.
#[derive(Default)]
struct Digests {
    forms: Forms,
    /// The forms as they were before the blank lines that may be the last.
    before_blank: Option<Forms>,
    /// What the forms have not taken yet: lines that end in LF, and the same that end in CRLF.
    lf: Vec<u8>,
    crlf: Vec<u8>,
    /// Whether the line that has begun has a part already.
    in_line: bool,
    /// Whether there was a line before it, whose end comes with it.
    owes_end: bool,
    /// Whether a CR came last, which belongs to the end of a line if LF follows.
    holds_cr: bool,
}

impl DigestSink for Digests {
    fn take(&mut self, part: &[u8]) {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            let (inside, ends) = match piece.strip_suffix(b"\n") {
                Some(inside) => (inside, true),
                None => (piece, false),
            };
            self.take_inside(inside, ends);
            if ends {
                self.begin_line(true);
                (self.in_line, self.owes_end) = (false, true);
            }
        }
        self.flush();
    }
}

impl Digests {
    /// Takes a part of a line, without its LF; tells whether that follows.
    fn take_inside(&mut self, mut inside: &[u8], ends: bool) {
        if inside.is_empty() {
            self.holds_cr &= !ends;
            return;
        }
        self.begin_line(inside.iter().all(|byte| is_blank(*byte)));
        if std::mem::take(&mut self.holds_cr) {
            self.put(b"\r");
        }
        if let Some(before) = inside.strip_suffix(b"\r") {
            inside = before;
            self.holds_cr = !ends;
        }
        self.put(inside);
    }

    /// Begins a line with its first part, or goes on with it.
    fn begin_line(&mut self, is_blank: bool) {
        if !is_blank {
            self.before_blank = None;
        } else if !self.in_line && self.before_blank.is_none() {
            self.flush();
            self.before_blank = Some(self.forms.clone());
        }
        if !self.in_line && self.owes_end {
            self.lf.push(b'\n');
            self.crlf.extend_from_slice(b"\r\n");
        }
        self.in_line = true;
    }

    fn put(&mut self, bytes: &[u8]) {
        self.lf.extend_from_slice(bytes);
        self.crlf.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        let Self { forms: Forms { lf, crlf }, .. } = self;
        lf.iter_mut().for_each(|context| context.update(&self.lf));
        crlf.iter_mut().for_each(|context| context.update(&self.crlf));
        self.lf.clear();
        self.crlf.clear();
    }

    /// The forms at the end of the text, the end of its last line still owed.
    fn at_end(&self) -> &Forms {
        self.before_blank.as_ref().unwrap_or(&self.forms)
    }

    /// The digest of the text as it is with LF, its last line ended. A CR at the very end is the
    /// rest of a CRLF.
    fn content(&self) -> String {
        ended(&self.at_end().lf[0], b"\n")
    }

    /// The digests of all plain forms, with the end of the last line and without.
    fn plain_forms(&self) -> Vec<String> {
        let Forms { lf, crlf } = self.at_end();
        let of = |contexts: &[Context; 2], ends: &[&[u8]]| -> Vec<String> {
            contexts.iter().flat_map(|form| ends.iter().map(|end| ended(form, end))).collect()
        };
        let (lf, crlf) = (of(lf, &[b"\n", b""]), of(crlf, &[b"\r\n", b"\r", b""]));
        lf.into_iter().chain(crlf).collect()
    }
}

/// Whether a byte may stand in a line that says nothing: a row of a table without a value, say.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'|')
}

/// A digest of what was taken and of `end`.
fn ended(form: &Context, end: &[u8]) -> String {
    let mut form = form.clone();
    form.update(end);
    prefix(form)
}

fn prefix(context: Context) -> String {
    let digest = context.finish();
    digest.as_ref().iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sha256(bytes: &[u8]) -> String {
        let mut context = Context::new(&SHA256);
        context.update(bytes);
        prefix(context)
    }

    /// Reads a file in parts of so many bytes.
    fn identity(file: &[u8], part_bytes: usize) -> Identity {
        struct InParts<'f>(&'f [u8], usize);
        impl Read for InParts<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let bytes = buffer.len().min(self.1);
                self.0.read(&mut buffer[..bytes])
            }
        }
        let (reading, mut text) =
            IdentityReading::start(InParts(file, part_bytes)).expect("a text");
        io::copy(&mut text, &mut io::sink()).expect("read");
        reading.end()
    }

    #[test]
    fn a_plain_file_is_known_by_its_own_digest_and_every_other_form_by_the_same() {
        let plain = "projectId,amount,at,note\n\np,1,2026-10-10,\"a\nb\"\n , \np,1,2026-10-10,\n";
        let crlf = plain.replace('\n', "\r\n");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(crlf.as_bytes()).expect("compressed");
        let forms = [
            plain.into(),
            plain.trim_end().into(),
            format!("\u{feff}{plain}").into_bytes(),
            crlf.clone().into_bytes(),
            crlf.trim_end_matches('\n').into(),
            format!("\u{feff}{}", crlf.trim_end()).into_bytes(),
            format!("\u{feff}\u{feff}{plain}").into_bytes(),
            format!("{plain}\n\n").into_bytes(),
            format!("{crlf},,,\r\n ; \r\n").into_bytes(),
            zstd::encode_all(plain.as_bytes(), 19).expect("compressed"),
            gz.finish().expect("compressed"),
        ];
        for form in &forms {
            for part_bytes in [1, 2, 7, 1 << 20] {
                let Identity { content, earlier } = identity(form, part_bytes);
                assert_eq!(content, sha256(plain.as_bytes()), "{part_bytes} {form:?}");
                // As it lies there, as earlier versions took it.
                let own = sha256(form);
                assert!(own == content || earlier.contains(&own), "{form:?}");
                for other in &forms[..6] {
                    let own = sha256(other);
                    assert!(own == content || earlier.contains(&own), "{form:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_another_text_is_another_content() {
        let texts = ["", "a", "a\rb", "a\r\r", "ab", "a\n\nb", "a\nb", " a", "a,"];
        let contents: std::collections::BTreeSet<String> =
            texts.iter().map(|text| identity(text.as_bytes(), 1).content).collect();
        assert_eq!(contents.len(), texts.len());
    }
}
