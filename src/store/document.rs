//! What a statement says, as it is kept: one JSON object a line and project, in the order of
//! project ids, compressed with zstd. It is written and read whole, and so is one value and not a
//! row for each project: a bill of many is on disk in the time of one small write. Balances are
//! kept in such documents too.

use crate::billing::adjustment::Adjustment;
use crate::billing::amount::{self, Amount};
use crate::billing::id;
use crate::billing::statement::{Figure, Origin, StatementEntry};
use crate::store::{Error, Result};
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{Read as _, Write as _};

/// The lowest level: a fifth of the bytes in a millisecond; higher ones save little more.
const LEVEL: i32 = 1;
/// The longest text that is written and read back, in bytes: a million projects.
const MAX_BYTES: u64 = 1 << 28;

/// Lines as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CompressedLines(Vec<u8>);

/// An entry of a statement as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntryLine<'a> {
    #[serde(borrow)]
    project_id: Cow<'a, str>,
    /// As sent: usage, or money; `None` where a bill left it out.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    amount: Option<Cow<'a, str>>,
    /// As sent.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
    /// Of a bill, and so on: the project's usage in the window.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    usage: Option<Cow<'a, str>>,
    /// The part of it that licenses covered; `None` where that is zero.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    covered: Option<Cow<'a, str>>,
    /// Whether it is left out for want of a price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unpriced: bool,
    /// What of the own part waits; `None` where that is zero.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    rest: Option<Cow<'a, str>>,
    /// What it tells of earlier months.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    adjustments: Vec<AdjustmentLine<'a>>,
}

/// The month's first second, what is told of it, and what waits: `0`, or null for more. Earlier
/// versions wrote how much waits.
#[derive(Debug, Serialize, Deserialize)]
struct AdjustmentLine<'a>(
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Option<Cow<'a, str>>,
);

/// What waits of a month that is told in whole.
const NOTHING: &str = "0";
impl CompressedLines {
    /// Writes entries down.
    pub(super) fn of_entries(entries: &[StatementEntry]) -> Result<Self> {
        let mut lines = DocumentWriter::new()?;
        for entry in entries {
            lines.push(|line| {
                serde_json::to_writer(line, &EntryLine::of(entry))
                    .expect("writing into memory does not fail");
            })?;
        }
        lines.finish()
    }

    /// What is written in it, as of a statement.
    pub(super) fn text(&self, seq: i64) -> Result<Text> {
        Text::read(seq, &self.0)
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.0.capacity()
    }
}

/// Lines as they are compressed: one after another, so that the text is never in memory as a whole.
pub(super) struct DocumentWriter {
    encoder: zstd::stream::write::Encoder<'static, Vec<u8>>,
    line: Vec<u8>,
    bytes: u64,
    max_bytes: u64,
}

impl DocumentWriter {
    pub(super) fn new() -> Result<Self> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(failed)?;
        encoder.include_checksum(true).map_err(failed)?;
        Ok(Self { encoder, line: Vec::new(), bytes: 0, max_bytes: MAX_BYTES })
    }

    /// Adds the line that `write` writes.
    ///
    /// # Errors
    /// [`Error::TooLong`] where the text would be longer than what is read back.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.line.clear();
        write(&mut self.line);
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        if self.bytes > self.max_bytes {
            return Err(Error::TooLong { max_bytes: self.max_bytes });
        }
        self.encoder.write_all(&self.line).map_err(failed)
    }

    pub(super) fn finish(self) -> Result<CompressedLines> {
        let mut compressed = self.encoder.finish().map_err(failed)?;
        compressed.shrink_to_fit();
        Ok(CompressedLines(compressed))
    }
}

/// zstd compresses whatever there is memory for.
fn failed(error: std::io::Error) -> Error {
    Error::Disk(format!("compressing failed: {error}"))
}

impl FromSql for CompressedLines {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Vec::column_result(value).map(Self)
    }
}

impl ToSql for CompressedLines {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_slice().into())
    }
}

/// The text of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// The statement that it is of.
    seq: i64,
    text: String,
}

impl Text {
    /// Reads the document of a statement.
    pub(super) fn read(seq: i64, compressed: &[u8]) -> Result<Self> {
        let mut text = String::new();
        let read = |text: &mut String| {
            let decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
            decoder.take(MAX_BYTES + 1).read_to_string(text)
        };
        match read(&mut text) {
            Err(error) => Err(unreadable(seq, &error)),
            Ok(_) if text.len() as u64 > MAX_BYTES => Err(unreadable(seq, &"it is too long")),
            Ok(_) => Ok(Self { seq, text }),
        }
    }

    /// A text that is not compressed.
    pub(super) fn of(seq: i64, text: String) -> Self {
        Self { seq, text }
    }

    /// The entries that it says.
    pub(super) fn entries(&self) -> Result<Vec<StatementEntry>> {
        self.lines().map(|line| self.entry(line)).collect()
    }

    /// The open entries of a bill; the others are not even read.
    pub(super) fn open_entries(&self) -> Result<Vec<StatementEntry>> {
        // Within a text quotes are escaped, so that no other line holds these.
        const SAID: [&str; 3] = [r#""adjustments":"#, r#""rest":"#, r#""unpriced":"#];
        let is_open = |line: &&str| SAID.iter().any(|said| line.contains(said));
        self.lines().filter(is_open).map(|line| self.entry(line)).collect()
    }

    /// The entries of those projects that `is_asked` accepts, one after another.
    pub(super) fn entries_of(
        &self,
        is_asked: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = Result<StatementEntry>> {
        let lines = self.lines().filter(move |line| {
            let id = line.strip_prefix(r#"{"projectId":""#).and_then(|rest| rest.split('"').next());
            id.is_none_or(&is_asked)
        });
        lines.map(|line| self.entry(line))
    }

    fn entry(&self, line: &str) -> Result<StatementEntry> {
        let line: EntryLine<'_> = self.checked(serde_json::from_str(line))?;
        self.checked(line.entry())
    }

    /// Its lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// The same, with what it is of where it cannot be read.
    pub(super) fn checked<T, E: Display>(&self, read: Result<T, E>) -> Result<T> {
        read.map_err(|error| unreadable(self.seq, &error))
    }
}

fn unreadable(seq: i64, reason: &dyn Display) -> Error {
    Error::Unreadable { seq, reason: reason.to_string() }
}

/// Why a line is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLine {
    #[error(transparent)]
    Amount(#[from] amount::Error),
    #[error(transparent)]
    Id(#[from] id::Error),
    #[error("a line tells no amount with a description, and no usage")]
    Empty,
    #[error("a line of balances has three words")]
    Words,
}

impl<'e> EntryLine<'e> {
    fn of(entry: &'e StatementEntry) -> Self {
        let StatementEntry { project_id, figure, origin } = entry;
        let number = |amount: &Amount| Cow::Owned(amount.to_string());
        let (figure, origin) = (figure.as_ref(), origin.as_ref());
        let unless_zero = |amount: fn(&Origin) -> &Amount| {
            origin.map(amount).filter(|amount| !amount.is_zero()).map(number)
        };
        let adjustment = |one: &'e Adjustment| {
            let rest = one.whole.then(|| NOTHING.into());
            AdjustmentLine(one.month_s, number(&one.amount), rest)
        };
        Self {
            project_id: project_id.as_str().into(),
            amount: figure.map(|figure| number(&figure.amount)),
            description: figure.map(|figure| figure.description.as_str().into()),
            usage: origin.map(|origin| number(&origin.usage)),
            covered: unless_zero(|origin| &origin.covered),
            unpriced: origin.is_some_and(|origin| origin.unpriced),
            rest: unless_zero(|origin| &origin.rest),
            adjustments: entry.adjustments().iter().map(adjustment).collect(),
        }
    }

    fn entry(self) -> Result<StatementEntry, NoLine> {
        let number = |text: Option<Cow<'_, str>>| {
            text.map_or_else(|| Ok(Amount::default()), |text| Amount::from_canonical(&text))
        };
        let figure = match (self.amount, self.description) {
            (Some(amount), Some(description)) => Some(Figure {
                amount: number(Some(amount))?,
                description: description.into_owned(),
            }),
            (None, None) if self.usage.is_some() => None,
            _ => return Err(NoLine::Empty),
        };
        let adjustment = |AdjustmentLine(month_s, amount, rest)| {
            let whole = rest.is_some_and(|rest| rest == NOTHING);
            Ok(Adjustment { month_s, amount: Amount::from_canonical(&amount)?, whole })
        };
        let adjustments: Result<Vec<_>, NoLine> =
            self.adjustments.into_iter().map(adjustment).collect();
        let origin = match self.usage {
            Some(usage) => Some(Origin {
                usage: number(Some(usage))?,
                covered: number(self.covered)?,
                unpriced: self.unpriced,
                rest: number(self.rest)?,
                adjustments: adjustments?,
            }),
            None => None,
        };
        Ok(StatementEntry { project_id: self.project_id.parse()?, figure, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_back_as_it_was_written_and_takes_the_room_that_it_has() {
        let entry = |n: u32, unpriced: bool| StatementEntry {
            project_id: format!("p{n:05}").parse().expect("an id"),
            figure: (!unpriced).then(|| Figure {
                amount: Amount::from(n + 1),
                description: format!("{n} \"Call\" × S"),
            }),
            origin: Some(Origin { usage: Amount::from(n), unpriced, ..Origin::default() }),
        };
        let entries: Vec<StatementEntry> = (0..5_000).map(|n| entry(n, n % 7 == 0)).collect();
        let document = CompressedLines::of_entries(&entries).expect("a document");
        let text = document.text(1).expect("a text");
        assert_eq!(text.entries().expect("entries"), entries);
        assert!(
            document.size_bytes() < text.text.len() / 5,
            "{} of {}",
            document.size_bytes(),
            text.text.len()
        );
    }

    #[test]
    fn what_is_too_long_to_be_read_back_is_not_written() {
        let mut lines = DocumentWriter { max_bytes: 5, ..DocumentWriter::new().expect("memory") };
        lines.push(|line| line.extend(b"12")).expect("three bytes");
        let error = lines.push(|line| line.extend(b"34")).expect_err("six bytes");
        assert!(matches!(error, Error::TooLong { max_bytes: 5 }), "{error}");
        assert!(!error.is_passing());
    }

    #[test]
    fn what_is_no_document_says_of_which_statement_it_is_and_why() {
        let compressed = |text: &[u8]| zstd::encode_all(text, 1).expect("compressed");
        for (bytes, reason) in [
            (vec![0], "Unknown frame descriptor"),
            (compressed(&[0xff]), "UTF-8"),
            (compressed(&vec![b' '; (1 << 28) + 1]), "it is too long"),
            (compressed(b"x\n"), "expected value"),
            (compressed(br#"{"projectId":"","amount":"1","description":"x"}"#), "1 to 64 letters"),
            (compressed(br#"{"projectId":"a","amount":"-x","description":"x"}"#), "plain decimal"),
            (compressed(br#"{"projectId":"a","amount":"1"}"#), "no amount with a description"),
            (compressed(br#"{"projectId":"a"}"#), "no amount with a description"),
        ] {
            let read = Text::read(7, &bytes).and_then(|text| text.entries());
            let said = read.expect_err("it is none").to_string();
            assert!(
                said.starts_with("what statement 7 said cannot be read: ") && said.contains(reason),
                "{said}"
            );
        }
    }
}
