//! Data as it is printed: no character of a file, an argument or a request reaches a terminal that
//! the terminal would obey, or that misleads the eye. What prints goes through here, so that no
//! caller can forget it.

use crate::billing::escape::{escape, escape_lines, is_hidden};
use crate::cli::screen::Screen;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use std::fmt;
use std::io::{self, Write};

/// The most bytes that a character has in UTF-8.
const CHARACTER_BYTES: usize = 4;

/// A stream for people: what is written to it is escaped, but for line feeds.
pub(super) struct ForPeople<'a> {
    out: &'a mut dyn Write,
    /// The terminal that it goes to, where it does.
    pub(super) screen: Option<Screen>,
    /// The first bytes of a character whose others are not written yet.
    begun: Vec<u8>,
}

impl<'a> ForPeople<'a> {
    pub(super) fn new(out: &'a mut dyn Write, screen: Option<Screen>) -> Self {
        Self { out, screen, begun: Vec::new() }
    }

    /// What `write!` and `writeln!` call, so that who prints need not name the trait.
    pub(super) fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        Write::write_fmt(self, text)
    }

    /// Writes a line that stands above others: in bold where there is color.
    pub(super) fn heading(&mut self, line: &str) -> io::Result<()> {
        let line = escape(line);
        if self.screen.is_some_and(|screen| screen.color) {
            writeln!(self.out, "\u{1b}[1m{line}\u{1b}[0m")
        } else {
            writeln!(self.out, "{line}")
        }
    }
}

impl Write for ForPeople<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        // What ends in the midst of a character waits for its end; what is no character never gets
        // one.
        let ends = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.begun.len(),
        };
        let begun = self.begun.split_off(ends);
        debug_assert!(begun.len() < CHARACTER_BYTES);
        let whole = std::mem::replace(&mut self.begun, begun);
        self.out.write_all(escape_lines(&String::from_utf8_lossy(&whole)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a value as JSON that is safe to show: hidden characters stand in its strings as `\uXXXX`,
/// which means the same.
pub(super) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Escaping))?)
}

/// Makes JSON that is text already safe to show in the same way.
pub(super) fn json_text(json: &str) -> String {
    let mut out = Vec::with_capacity(json.len());
    Escaping.write_raw_fragment(&mut out, json).expect("memory takes everything");
    String::from_utf8(out).expect("text stays text")
}

/// JSON with every hidden character escaped; by itself serde_json escapes those below the space
/// alone.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.write_raw_fragment(out, fragment)
    }

    /// Below the space, JSON as text has blanks between its values, and nothing inside them.
    fn write_raw_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_escaped = |c: char| c >= ' ' && is_hidden(c);
        let mut rest = fragment;
        while let Some(c) = rest.chars().find(|c| *c == '\r' || is_escaped(*c)) {
            let (before, after) = rest.split_once(c).expect("it was found");
            out.write_all(before.as_bytes())?;
            if c == '\r' {
                out.write_all(b" ")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = after;
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_come_in_pieces() {
        let mut out = Vec::new();
        let mut people = ForPeople::new(&mut out, None);
        for byte in "é\u{9b}\u{202e}😀\n".as_bytes() {
            people.write_all(&[*byte]).expect("memory takes everything");
        }
        people.write_all(b"\xff.\n").expect("memory takes everything");
        assert_eq!(String::from_utf8(out).expect("text"), "é\\u{9b}\\u{202e}😀\n\u{fffd}.\n");
    }

    #[test]
    fn json_says_the_same_and_hides_nothing() {
        let text = "a\u{1b}\u{7f}\u{9b}\u{202e}\u{e0041}é\n";
        let mut out = Vec::new();
        write_json(&mut out, &serde_json::json!({ text: text })).expect("memory takes everything");
        let written = String::from_utf8(out).expect("text");
        assert!(!written.contains(is_hidden), "{written:?}");
        let read: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(read, serde_json::json!({ text: text }));
        assert_eq!(json_text("{\r\n\t\"a\": \"\u{9b}\"}"), "{ \n\t\"a\": \"\\u009b\"}");
    }
}
