//! What a statement says, as it is kept: one JSON object a line and project, in the order of project ids, compressed with
//! zstd. It is written once and read whole, and so is one value and not a row for each project: a bill of many is on
//! disk in the time of one small write.

use crate::billing::amount::{self, Amount};
use crate::billing::carry::Carry;
use crate::billing::id::{self, ProjectId};
use crate::billing::statement::{Billed, Entry, Told};
use crate::store::{Error, Result};
use rusqlite::types::{ToSql, ToSqlOutput};
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
pub(super) struct Document(Vec<u8>);

/// What a statement says of a project.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryLine<'a> {
    /// The project.
    #[serde(borrow)]
    pub project_id: Cow<'a, str>,
    /// As told: usage, or money; `None` where a bill left it out.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Cow<'a, str>>,
    /// As told.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    /// Of a bill: the part of the amount that is carried from earlier months; `None` where that is zero.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Cow<'a, str>>,
    /// Of a bill: the project's usage in the window.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Cow<'a, str>>,
    /// Of a bill: the part of the usage that licenses covered; `None` where that is zero.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub covered: Option<Cow<'a, str>>,
    /// Of a bill: whether it left the project out for want of a price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
}

/// What a bill carried of an earlier month of a project.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CarryLine<'a> {
    #[serde(borrow)]
    project_id: Cow<'a, str>,
    #[serde(borrow)]
    amount: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    waits: bool,
}

/// A project's line of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SnapshotLine<'a> {
    #[serde(borrow)]
    entry: EntryLine<'a>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    carries: Vec<SnapshotCarry<'a>>,
}

/// What a bill in a snapshot carries of an earlier month.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SnapshotCarry<'a> {
    month_s: i64,
    #[serde(borrow)]
    amount: Cow<'a, str>,
    whole: bool,
}

impl Document {
    /// Writes entries down, without the single months that they carry from.
    pub(super) fn of_entries(entries: &[Entry]) -> Result<Self> {
        Self::of(entries.iter().map(EntryLine::of))
    }

    /// Writes down all that a snapshot is: a line about the whole, then a line an entry, with the
    /// single months that it carries from.
    pub(super) fn of_snapshot(head: &impl Serialize, entries: &[Entry]) -> Result<Self> {
        let mut writer = Lines::new()?;
        writer.push(head)?;
        entries.iter().try_for_each(|entry| writer.push(&SnapshotLine::of(entry)))?;
        writer.finish()
    }

    /// Writes down what was carried of one month.
    pub(super) fn of_carries<'c>(
        carries: impl IntoIterator<Item = &'c (&'c ProjectId, &'c Carry)>,
    ) -> Result<Self> {
        Self::of(carries.into_iter().map(|(project_id, carry)| CarryLine {
            project_id: project_id.as_str().into(),
            amount: carry.amount.to_string().into(),
            waits: !carry.whole,
        }))
    }

    fn of(mut lines: impl Iterator<Item = impl Serialize>) -> Result<Self> {
        let mut writer = Lines::new()?;
        lines.try_for_each(|line| writer.push(&line))?;
        writer.finish()
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
struct Lines {
    encoder: zstd::stream::write::Encoder<'static, Vec<u8>>,
    line: Vec<u8>,
    bytes: u64,
    max_bytes: u64,
}

impl Lines {
    fn new() -> Result<Self> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(failed)?;
        encoder.include_checksum(true).map_err(failed)?;
        Ok(Self { encoder, line: Vec::new(), bytes: 0, max_bytes: MAX_BYTES })
    }

    /// # Errors
    /// [`Error::TooLong`] where the text would be longer than what is read back.
    fn push(&mut self, line: &impl Serialize) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).expect("writing into memory does not fail");
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        if self.bytes > self.max_bytes {
            return Err(Error::TooLong { max_bytes: self.max_bytes });
        }
        self.encoder.write_all(&self.line).map_err(failed)
    }

    fn finish(self) -> Result<Document> {
        let mut compressed = self.encoder.finish().map_err(failed)?;
        compressed.shrink_to_fit();
        Ok(Document(compressed))
    }
}

/// zstd compresses whatever there is memory for.
fn failed(error: std::io::Error) -> Error {
    Error::Disk(format!("compressing failed: {error}"))
}

impl ToSql for Document {
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

    /// The lines of a document of entries.
    pub(super) fn entry_lines(&self) -> impl Iterator<Item = Result<EntryLine<'_>>> {
        self.lines()
    }

    /// The entries of a document of them, without the single months that they carry from.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        self.lines().map(|line| self.checked(EntryLine::entry(line?))).collect()
    }

    /// What a document says that was carried of a month.
    pub(super) fn carries(&self, month_s: i64) -> impl Iterator<Item = Result<(ProjectId, Carry)>> {
        self.lines().map(move |line| self.checked(CarryLine::carry(&line?, month_s)))
    }

    /// What a snapshot says of the whole, and its entries.
    pub(super) fn snapshot<'t, H: Deserialize<'t>>(&'t self) -> Result<(H, Vec<Entry>)> {
        let (head, rest) = self.text.split_once('\n').unwrap_or((&self.text, ""));
        let entry = |line| {
            let line: SnapshotLine<'_> = self.checked(serde_json::from_str(line))?;
            self.checked(line.entry())
        };
        let entries = rest.lines().map(entry).collect::<Result<_>>()?;
        Ok((self.checked(serde_json::from_str(head))?, entries))
    }

    fn lines<'t, T: Deserialize<'t>>(&'t self) -> impl Iterator<Item = Result<T>> {
        self.text.lines().map(|line| self.checked(serde_json::from_str(line)))
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
}

impl<'e> SnapshotLine<'e> {
    fn of(entry: &'e Entry) -> Self {
        let carries = entry.carries().iter().map(|Carry { month_s, amount, whole }| {
            SnapshotCarry { month_s: *month_s, amount: amount.to_string().into(), whole: *whole }
        });
        Self { entry: EntryLine::of(entry), carries: carries.collect() }
    }
}

impl SnapshotLine<'_> {
    fn entry(self) -> Result<Entry, NoLine> {
        let mut entry = self.entry.entry()?;
        for SnapshotCarry { month_s, amount, whole } in self.carries {
            let carry = Carry { month_s, amount: Amount::from_canonical(&amount)?, whole };
            entry.billed.as_mut().ok_or(NoLine::Empty)?.carries.push(carry);
        }
        Ok(entry)
    }
}

impl CarryLine<'_> {
    fn carry(&self, month_s: i64) -> Result<(ProjectId, Carry), NoLine> {
        let carry =
            Carry { month_s, amount: Amount::from_canonical(&self.amount)?, whole: !self.waits };
        Ok((self.project_id.parse()?, carry))
    }
}

impl<'e> EntryLine<'e> {
    fn of(entry: &'e Entry) -> Self {
        let number = |amount: &Amount| Cow::Owned(amount.to_string());
        let unless_zero = |amount: &Amount| (!amount.is_zero()).then(|| number(amount));
        let Entry { project_id, told, billed } = entry;
        Self {
            project_id: project_id.as_str().into(),
            amount: told.as_ref().map(|told| number(&told.amount)),
            description: told.as_ref().map(|told| told.description.as_str().into()),
            carried: unless_zero(&entry.carried()),
            usage: billed.as_ref().map(|billed| number(&billed.usage)),
            covered: billed.as_ref().and_then(|billed| unless_zero(&billed.covered)),
            unpriced: billed.as_ref().is_some_and(|billed| billed.unpriced),
        }
    }
}

/// The decimal that a line tells; zero where it tells none.
pub(super) fn decimal(field: Option<&str>) -> Result<Amount, amount::Error> {
    field.map_or(Ok(Amount::default()), Amount::from_canonical)
}

impl EntryLine<'_> {
    /// What a bill told of the window itself: the charge less what it carried from earlier months.
    pub(super) fn own(&self) -> Result<Amount, amount::Error> {
        Ok(&decimal(self.amount.as_deref())? - &decimal(self.carried.as_deref())?)
    }

    fn entry(self) -> Result<Entry, NoLine> {
        let told = match (self.amount, self.description) {
            (Some(told), Some(description)) => {
                Some(Told { amount: decimal(Some(&told))?, description: description.into_owned() })
            }
            (None, None) if self.usage.is_some() => None,
            _ => return Err(NoLine::Empty),
        };
        let billed = match self.usage {
            Some(usage) => Some(Billed {
                usage: decimal(Some(&usage))?,
                covered: decimal(self.covered.as_deref())?,
                unpriced: self.unpriced,
                carries: Vec::new(),
            }),
            None => None,
        };
        Ok(Entry { project_id: self.project_id.parse()?, told, billed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_back_as_it_was_written_and_takes_the_room_that_it_has() {
        let entry = |n: u32, unpriced: bool| Entry {
            project_id: format!("p{n:05}").parse().expect("an id"),
            told: (!unpriced).then(|| Told {
                amount: Amount::from(n + 1),
                description: format!("{n} \"Call\" × S"),
            }),
            billed: Some(Billed {
                usage: Amount::from(n),
                covered: Amount::default(),
                unpriced,
                carries: Vec::new(),
            }),
        };
        let entries: Vec<Entry> = (0..5_000).map(|n| entry(n, n % 7 == 0)).collect();
        let document = Document::of_entries(&entries).expect("a document");
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
        let mut lines = Lines { max_bytes: 5, ..Lines::new().expect("memory") };
        lines.push(&12).expect("three bytes");
        let error = lines.push(&34).expect_err("six bytes");
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
