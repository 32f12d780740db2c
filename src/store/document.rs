//! What a statement says, as it is kept: one JSON object a line and project, in the order of project ids, compressed with
//! zstd. It is written once and read whole, and so is one value and not a row for each project: a bill of many is on
//! disk in the time of one small write.

use crate::billing::amount::Amount;
use crate::billing::carry::Carry;
use crate::billing::id::ProjectId;
use crate::billing::statement::{Billed, Entry, Told};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The lowest level: a fifth of the bytes in a millisecond; higher ones save little more.
const LEVEL: i32 = 1;

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

impl Document {
    /// Writes entries down, without the single months that they carry from.
    pub(super) fn of_entries(entries: &[Entry]) -> Self {
        Self::of(entries.iter().map(EntryLine::of))
    }

    /// Writes down what was carried of one month.
    pub(super) fn of_carries<'c>(carries: impl IntoIterator<Item = &'c (&'c ProjectId, &'c Carry)>) -> Self {
        Self::of(carries.into_iter().map(|(project_id, carry)| CarryLine {
            project_id: project_id.as_str().into(),
            amount: carry.amount.to_string().into(),
            waits: !carry.whole,
        }))
    }

    fn of(lines: impl Iterator<Item = impl Serialize>) -> Self {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, &line).expect("writing into memory does not fail");
            text.push(b'\n');
        }
        let compress = |text: &[u8]| {
            let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
            compressor.include_checksum(true)?;
            compressor.compress(text)
        };
        Self(compress(&text).expect("zstd compresses whatever there is memory for"))
    }

    /// What is written in it.
    pub(super) fn text(&self) -> rusqlite::Result<Text> {
        Ok(Text::column_result(self.0.as_slice().into())?)
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.0.capacity()
    }
}

impl ToSql for Document {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_slice().into())
    }
}

/// The text of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text(String);

impl Text {
    /// The lines of a document of entries.
    pub(super) fn entry_lines(&self) -> impl Iterator<Item = rusqlite::Result<EntryLine<'_>>> {
        self.0.lines().map(|line| serde_json::from_str(line).map_err(|error| FromSqlError::other(error).into()))
    }

    /// The entries of a document of them, without the single months that they carry from.
    pub(super) fn entries(&self) -> rusqlite::Result<Vec<Entry>> {
        self.entry_lines().map(|line| line?.entry()).collect()
    }

    /// What a document says that was carried of a month.
    pub(super) fn carries(&self, month_s: i64) -> impl Iterator<Item = rusqlite::Result<(ProjectId, Carry)>> {
        self.0.lines().map(move |line| {
            let line: CarryLine<'_> = serde_json::from_str(line).map_err(FromSqlError::other)?;
            let carry = Carry { month_s, amount: amount(Some(&line.amount))?, whole: !line.waits };
            Ok((line.project_id.parse().map_err(FromSqlError::other)?, carry))
        })
    }
}

impl FromSql for Text {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = zstd::decode_all(value.as_blob()?).map_err(FromSqlError::other)?;
        String::from_utf8(bytes).map(Self).map_err(FromSqlError::other)
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

/// The amount that a line tells; zero where it tells none.
pub(super) fn amount(field: Option<&str>) -> rusqlite::Result<Amount> {
    Ok(field.map_or(Ok(Amount::default()), Amount::from_canonical).map_err(FromSqlError::other)?)
}

impl EntryLine<'_> {
    /// What a bill told of the window itself: the charge less what it carried from earlier months.
    pub(super) fn own(&self) -> rusqlite::Result<Amount> {
        Ok(&amount(self.amount.as_deref())? - &amount(self.carried.as_deref())?)
    }

    fn entry(self) -> rusqlite::Result<Entry> {
        let told = match (self.amount, self.description) {
            (Some(told), Some(description)) => {
                Some(Told { amount: amount(Some(&told))?, description: description.into_owned() })
            }
            _ => None,
        };
        let billed = match self.usage {
            Some(usage) => Some(Billed {
                usage: amount(Some(&usage))?,
                covered: amount(self.covered.as_deref())?,
                unpriced: self.unpriced,
                carries: Vec::new(),
            }),
            None => None,
        };
        Ok(Entry { project_id: self.project_id.parse().map_err(FromSqlError::other)?, told, billed })
    }
}
