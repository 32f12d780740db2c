//! A row of an import: what it says, as a record; or why it says nothing.

use crate::billing::id::{RecordId, Words};
use crate::billing::record::NewRecord;
use crate::cli::import::field::Field;
use crate::cli::import::zone::{self, Zone};
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// The longest row: what is longer is no usage record, and must not fill the memory.
pub(super) const MAX_ROW_BYTES: usize = 1 << 20;
/// How much is kept of a row that is longer.
pub(super) const KEPT_BYTES: usize = 1_000;
/// As much of a text as is shown.
const SHOWN_CHARACTERS: usize = 40;
/// What to do about rows without ids.
pub(super) const HINT_IDS: &str = "for files without ids there is --ids-from-file";

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// Comma-separated values; the first line names the columns
    Csv,
    /// A JSON object a line
    Jsonl,
}

impl Format {
    /// Guesses from a file's name, a compression's ending left aside.
    pub(super) fn guess(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?.to_ascii_lowercase();
        let name =
            [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// How the rows of a file are read.
#[derive(Clone)]
pub(super) struct ReadAs {
    pub(super) format: Format,
    /// Stands before the line in the ids of rows that have none, where they are made.
    pub(super) id_prefix: Option<String>,
    /// In which times are read that have no zone of their own.
    pub(super) zone: Option<Zone>,
}

impl ReadAs {
    pub(super) fn makes_ids(&self) -> bool {
        self.id_prefix.is_some()
    }
}

/// The names of members that say nothing here.
pub(super) type OtherNames = Arc<Vec<String>>;

/// A row that says something.
pub(super) struct Row {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    pub(super) record: NewRecord,
    /// Why the record is taken back, if it is.
    pub(super) void: Option<Words>,
    /// The members that say nothing here, if it has any.
    pub(super) others: Option<OtherNames>,
    /// As it stands in the file.
    pub(super) text: Vec<u8>,
}

/// What stands in the place of a row and is none.
pub(super) enum NoRow {
    /// A line, or a row of a table, without a value.
    Blank,
    Bad(BadRow),
}

/// A row that says nothing that can be recorded.
pub(super) struct BadRow {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    /// Which field is wrong, and what is needed.
    pub(super) reason: String,
    /// As it stands in the file, or its first line where its quotes are wrong.
    pub(super) text: Vec<u8>,
}

/// Where a row stands in a file.
pub(super) enum RowPlace {
    /// There is no further one.
    End,
    Blank,
    /// From this line on; with the reason where it is no row.
    Row(u64, Result<(), String>),
}

/// What a row says: a record, and the reason where it is taken back.
pub(super) type RowContent = (NewRecord, Option<Words>);

/// Makes a record of a row's fields.
pub(super) fn read_fields<'a>(
    text: impl Fn(Field) -> Result<Option<Cow<'a, str>>, String>,
    line: u64,
    read_as: &ReadAs,
) -> Result<RowContent, String> {
    let id: RecordId = match &read_as.id_prefix {
        Some(prefix) => match text(Field::Id)? {
            None => parsed(Field::Id, &format!("{prefix}:{line}"))?,
            // Under another id it would count again.
            Some(own) => {
                return Err(format!(
                    "id is {:?}: --ids-from-file is for rows without ids",
                    start(&own)
                ));
            }
        },
        None => required(&text, Field::Id).map_err(with_hint)?,
    };
    let at = text(Field::At)?.ok_or_else(|| missing(Field::At))?;
    let at = zone::used_at(&at, read_as.zone.as_ref())
        .map_err(|reason| format!("{} is {:?}: {reason}", Field::At.as_str(), start(&at)))?;
    let record = NewRecord {
        id,
        project_id: required(&text, Field::ProjectId)?,
        amount: required(&text, Field::Amount)?,
        at,
        customer_id: optional(&text, Field::CustomerId)?,
        note: optional(&text, Field::Note)?,
    };
    Ok((record, optional(&text, Field::VoidReason)?))
}

fn required<'a, T: FromStr<Err: fmt::Display>>(
    text: &impl Fn(Field) -> Result<Option<Cow<'a, str>>, String>,
    field: Field,
) -> Result<T, String> {
    optional(text, field)?.ok_or_else(|| missing(field))
}

fn optional<'a, T: FromStr<Err: fmt::Display>>(
    text: &impl Fn(Field) -> Result<Option<Cow<'a, str>>, String>,
    field: Field,
) -> Result<Option<T>, String> {
    text(field)?.map(|text| parsed(field, &text)).transpose()
}

fn parsed<T: FromStr<Err: fmt::Display>>(field: Field, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{} is {:?}: {error}", field.as_str(), start(text)))
}

fn missing(field: Field) -> String {
    format!("{} is missing", field.as_str())
}

/// Adds to what is said of a missing id what there is for whole files of such rows.
fn with_hint(reason: String) -> String {
    if reason == missing(Field::Id) { format!("{reason}; {HINT_IDS}") } else { reason }
}

/// As much of a text as is shown.
pub(super) fn start(text: &str) -> String {
    text.chars().take(SHOWN_CHARACTERS).collect()
}
