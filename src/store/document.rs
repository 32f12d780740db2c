//! What a statement says of each project, as it is kept: one JSON object a line, in the order of project ids, compressed with
//! zstd. It is written once and only ever read whole, and so is one value and not a row for each project: a bill of
//! many is on disk in the time of a single small write.

use crate::billing::amount::Amount;
use crate::billing::statement::{Billed, Entry, Told};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The lowest level: a fifth of the bytes in a millisecond; higher ones save little more.
const LEVEL: i32 = 1;

/// Entries as they are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document(Vec<u8>);

/// A project's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Line<'a> {
    /// Its id.
    #[serde(borrow)]
    pub project_id: Cow<'a, str>,
    /// As told: usage, or money; `None` where a bill left it out.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Cow<'a, str>>,
    /// As told.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    /// Of a bill: the project's usage in the window.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Cow<'a, str>>,
    /// Of a bill: the part of the usage that licenses covered; `None` where they covered nothing.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub covered: Option<Cow<'a, str>>,
    /// Of a bill: whether it left the project out for want of a price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
}

impl Document {
    /// Writes entries down, without what they carry: that has a table of its own, since it is asked for by itself.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, &Line::of(entry)).expect("writing into memory does not fail");
            text.push(b'\n');
        }
        let compress = |text: &[u8]| {
            let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
            compressor.include_checksum(true)?;
            compressor.compress(text)
        };
        Self(compress(&text).expect("zstd compresses whatever there is memory for"))
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
pub(super) struct Text(String);

impl Text {
    /// Its lines, in the order of project ids.
    pub(super) fn lines(&self) -> impl Iterator<Item = rusqlite::Result<Line<'_>>> {
        self.0.lines().map(|line| serde_json::from_str(line).map_err(|error| FromSqlError::other(error).into()))
    }

    /// Its entries, without what they carry.
    pub(super) fn entries(&self) -> rusqlite::Result<Vec<Entry>> {
        self.lines().map(|line| line?.entry()).collect()
    }
}

impl FromSql for Text {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = zstd::decode_all(value.as_blob()?).map_err(FromSqlError::other)?;
        String::from_utf8(bytes).map(Self).map_err(FromSqlError::other)
    }
}

impl<'e> Line<'e> {
    fn of(Entry { project_id, told, billed }: &'e Entry) -> Self {
        let number = |amount: &Amount| Cow::Owned(amount.to_string());
        Self {
            project_id: project_id.as_str().into(),
            amount: told.as_ref().map(|told| number(&told.amount)),
            description: told.as_ref().map(|told| told.description.as_str().into()),
            usage: billed.as_ref().map(|billed| number(&billed.usage)),
            covered: billed.as_ref().filter(|billed| !billed.covered.is_zero()).map(|billed| number(&billed.covered)),
            unpriced: billed.as_ref().is_some_and(|billed| billed.unpriced),
        }
    }
}

impl Line<'_> {
    /// The amount of one of its fields; zero where there is none.
    pub(super) fn amount(field: Option<&str>) -> rusqlite::Result<Amount> {
        Ok(field.map_or(Ok(Amount::default()), Amount::from_canonical).map_err(FromSqlError::other)?)
    }

    fn entry(self) -> rusqlite::Result<Entry> {
        let told = match (self.amount, self.description) {
            (Some(amount), Some(description)) => {
                Some(Told { amount: Self::amount(Some(&amount))?, description: description.into_owned() })
            }
            _ => None,
        };
        let billed = match self.usage {
            Some(usage) => Some(Billed {
                usage: Self::amount(Some(&usage))?,
                covered: Self::amount(self.covered.as_deref())?,
                unpriced: self.unpriced,
                carries: Vec::new(),
            }),
            None => None,
        };
        Ok(Entry { project_id: self.project_id.parse().map_err(FromSqlError::other)?, told, billed })
    }
}
