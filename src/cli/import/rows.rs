//! Usage records as rows of a file: CSV by header name, or a JSON object a line.
//!
//! A row is taken by its text, exactly: no number goes through a float. A row that is bad says which field, and
//! what is wanted. A quote that is not closed takes no more than its own line with it.

use crate::billing::id::{RecordId, Words};
use crate::billing::record::NewRecord;
use crate::cli::import::lines::{Broken, Line, Lines};
use crate::cli::moment::Moment;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

/// The longest row: what is longer is no usage record, and must not fill the memory.
const MAX_ROW_BYTES: usize = 1 << 20;
/// How much is kept of a row that is longer.
const KEPT_BYTES: usize = 1_000;

const COLUMNS: &str = "a first line with id,projectId,amount,at is wanted, in any order, and customerId and note where known";

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
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// A field of a row. Its name is that of the column, or of the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Field {
    Id,
    ProjectId,
    Amount,
    At,
    CustomerId,
    Note,
    VoidReason,
}

impl Field {
    pub(in crate::cli) const ALL: [Self; 7] = [
        Self::Id,
        Self::ProjectId,
        Self::Amount,
        Self::At,
        Self::CustomerId,
        Self::Note,
        Self::VoidReason,
    ];

    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::ProjectId => "projectId",
            Self::Amount => "amount",
            Self::At => "at",
            Self::CustomerId => "customerId",
            Self::Note => "note",
            Self::VoidReason => "voidReason",
        }
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|field| *field == self).expect("it is one of all")
    }
}

/// A row that says something.
pub(super) struct Row {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    pub(super) record: NewRecord,
    /// Why the record is taken back, if it is.
    pub(super) void: Option<Words>,
    /// As it stands in the file.
    pub(super) text: Vec<u8>,
}

/// A row that says nothing that can be recorded.
pub(super) struct BadRow {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    /// Which field is wrong, and what is wanted.
    pub(super) reason: String,
    /// As it stands in the file, or its first line where its quotes are wrong.
    pub(super) text: Vec<u8>,
}

/// The rows of a file, one after the other.
pub(super) struct Rows<'f> {
    lines: Lines<'f>,
    form: Form,
    /// Stands before the line in the ids of rows that have none, where they are made.
    id_prefix: Option<String>,
}

enum Form {
    Csv { columns: Columns, splitter: Box<Splitter> },
    Jsonl,
}

/// Which column each field stands in.
struct Columns {
    of: [Option<usize>; Field::ALL.len()],
    header: csv::ByteRecord,
    /// Those that say nothing here.
    others: Vec<String>,
}

impl<'f> Rows<'f> {
    /// Starts to read rows. With `id_prefix` each row gets an id of that and its line.
    ///
    /// # Errors
    /// When it cannot be read, or is CSV without the columns that are needed.
    pub(super) fn read(
        file: impl Read + 'f,
        format: Format,
        id_prefix: Option<String>,
    ) -> Result<Self, Broken> {
        let mut lines = Lines::read(file)?;
        let form = match format {
            Format::Jsonl => Form::Jsonl,
            Format::Csv => {
                let mut text = Vec::new();
                match read_csv(&mut lines, &mut text)? {
                    None => return Err(Broken(format!("it is empty: {COLUMNS}"))),
                    Some((_, Err(reason))) => {
                        return Err(Broken(format!(
                            "its first line, which names the columns, is no row: {reason}"
                        )));
                    }
                    Some((_, Ok(()))) => {}
                }
                Form::Csv {
                    columns: Columns::new(csv_columns(&text), id_prefix.is_some())?,
                    splitter: Box::default(),
                }
            }
        };
        Ok(Self { lines, form, id_prefix })
    }

    /// The columns that say nothing here.
    pub(super) fn other_columns(&self) -> &[String] {
        match &self.form {
            Form::Csv { columns, .. } => &columns.others,
            Form::Jsonl => &[],
        }
    }

    /// The names of the columns, where the file has them.
    pub(super) fn header(&self) -> Option<csv::ByteRecord> {
        match &self.form {
            Form::Csv { columns, .. } => Some(columns.header.clone()),
            Form::Jsonl => None,
        }
    }

    /// Whether a row that is whole may yet have been cut short, in its last field: of CSV whose last line has no end. An
    /// object has one.
    pub(super) fn may_be_cut(&self) -> bool {
        matches!(self.form, Form::Csv { .. }) && self.lines.is_open()
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, BadRow>>, Broken> {
        let Self { lines, form, id_prefix } = self;
        let mut text = Vec::new();
        let next = match form {
            Form::Csv { .. } => read_csv(lines, &mut text)?,
            Form::Jsonl => read_jsonl(lines, &mut text)?,
        };
        let Some((line, whole)) = next else {
            return Ok(None);
        };
        let said = whole.and_then(|()| match form {
            Form::Csv { columns, splitter } => {
                columns.read(splitter, &text, line, id_prefix.as_deref())
            }
            Form::Jsonl => read_json(&text, line, id_prefix.as_deref()),
        });
        Ok(Some(match said {
            Ok((record, void)) => Ok(Row { line, record, void, text }),
            Err(reason) => Err(BadRow { line, reason, text }),
        }))
    }
}

/// The line on which a row starts, and why it is no row where it is none; nothing at the end.
type Found = Option<(u64, Result<(), String>)>;

/// Reads a row of JSON: a line that is not blank.
fn read_jsonl(lines: &mut Lines<'_>, text: &mut Vec<u8>) -> io::Result<Found> {
    loop {
        text.clear();
        let whole = match lines.next(text, MAX_ROW_BYTES + 1)? {
            Line::None => return Ok(None),
            Line::Whole if text.trim_ascii().is_empty() => continue,
            Line::Whole => Ok(()),
            Line::TooLong => {
                lines.pass_over()?;
                text.truncate(KEPT_BYTES);
                Err(format!(
                    "the row is longer than {} MiB: one object a line is wanted",
                    MAX_ROW_BYTES >> 20
                ))
            }
        };
        return Ok(Some((lines.count(), whole)));
    }
}

/// Reads a row of CSV: a line that is not empty, and those that follow while a quote is open. Where the quotes are
/// wrong its first line is no row, and what follows that line is read by itself.
fn read_csv(lines: &mut Lines<'_>, text: &mut Vec<u8>) -> io::Result<Found> {
    let whole = loop {
        text.clear();
        match lines.next(text, MAX_ROW_BYTES + 1)? {
            Line::None => return Ok(None),
            Line::Whole if matches!(text.as_slice(), b"\n" | b"\r\n") => {}
            whole @ (Line::Whole | Line::TooLong) => break whole,
        }
    };
    let first = lines.count();
    if whole == Line::TooLong {
        lines.pass_over()?;
        text.truncate(KEPT_BYTES);
        return Ok(Some((
            first,
            Err(format!("the row is longer than {} MiB", MAX_ROW_BYTES >> 20)),
        )));
    }
    let first_bytes = text.len();
    let mut place = Place::FieldStart;
    let mut from = 0;
    let reason = loop {
        match place.go_on(&text[from..]) {
            Ok(false) => return Ok(Some((first, Ok(())))),
            Ok(true) => {}
            Err(reason) => break reason.to_owned(),
        }
        from = text.len();
        match lines.next(text, (MAX_ROW_BYTES + 1).saturating_sub(from))? {
            Line::Whole if text.len() <= MAX_ROW_BYTES => {}
            Line::None => break "a quote is opened and never closed".to_owned(),
            Line::Whole | Line::TooLong => {
                break format!(
                    "the row is longer than {} MiB: is a quote not closed?",
                    MAX_ROW_BYTES >> 20
                );
            }
        }
    };
    lines.give_back(&text[first_bytes..], first + 1);
    text.truncate(first_bytes);
    Ok(Some((first, Err(reason))))
}

const BEHIND_A_QUOTE: &str = "a quoted field goes on behind its closing quote: is a quote not closed, or one inside a field not doubled?";

/// Where in a row of CSV a byte stands.
#[derive(Clone, Copy)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted field: the field ends, unless another quote follows.
    Quote,
}

impl Place {
    /// Goes on to the end of a line; tells whether a quote is still open there. A reader of CSV makes a row of anything;
    /// this finds what would make one row of several.
    fn go_on(&mut self, line: &[u8]) -> Result<bool, &'static str> {
        let inside = line.strip_suffix(b"\n").unwrap_or(line);
        let inside = inside.strip_suffix(b"\r").unwrap_or(inside);
        let is_simple =
            matches!(self, Self::FieldStart) && !inside.contains(&b'"') && !inside.contains(&b'\r');
        if is_simple {
            return Ok(false);
        }
        for byte in inside {
            *self = match (*self, byte) {
                (Self::Quoted, b'"') => Self::Quote,
                (Self::Quoted, _) | (Self::FieldStart | Self::Quote, b'"') => Self::Quoted,
                (Self::FieldStart | Self::Plain | Self::Quote, b',') => Self::FieldStart,
                (_, b'\r') => {
                    return Err("it holds a bare CR: lines that end in LF or CRLF are wanted");
                }
                (Self::FieldStart | Self::Plain, _) => Self::Plain,
                (Self::Quote, _) => return Err(BEHIND_A_QUOTE),
            };
        }
        Ok(matches!(self, Self::Quoted))
    }
}

/// A row of CSV taken apart: the fields of the last one, one behind the other, and where each ends.
struct Splitter {
    reader: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            reader: csv_core::Reader::new(),
            fields: Vec::new(),
            ends: vec![0; Field::ALL.len()],
            count: 0,
        }
    }
}

impl Splitter {
    /// Takes a row apart; tells how many fields it has.
    fn split(&mut self, row: &[u8]) -> usize {
        // A byte more than the row: without room left, the reader asks for room even where nothing more comes.
        if self.fields.len() <= row.len() {
            self.fields.resize(row.len() + 1, 0);
        }
        self.reader.reset();
        self.count = 0;
        let (mut read, mut written) = (0, 0);
        loop {
            let (ended, taken, put, ends) = self.reader.read_record(
                &row[read..],
                &mut self.fields[written..],
                &mut self.ends[self.count..],
            );
            read += taken;
            written += put;
            self.count += ends;
            match ended {
                csv_core::ReadRecordResult::Record | csv_core::ReadRecordResult::End => {
                    return self.count;
                }
                csv_core::ReadRecordResult::OutputEndsFull => {
                    self.ends.resize(self.ends.len() * 2, 0)
                }
                // The row's end is told by nothing more to read.
                csv_core::ReadRecordResult::InputEmpty | csv_core::ReadRecordResult::OutputFull => {
                }
            }
        }
    }

    /// A field of the row that was taken apart.
    fn field(&self, place: usize) -> Option<&[u8]> {
        let ends = self.ends.get(..self.count)?;
        let start = if place == 0 { 0 } else { *ends.get(place - 1)? };
        self.fields.get(start..*ends.get(place)?)
    }
}

/// The columns of a row of CSV, whatever it looks like.
pub(super) fn csv_columns(text: &[u8]) -> csv::ByteRecord {
    let mut splitter = Splitter::default();
    let count = splitter.split(text);
    (0..count).filter_map(|place| splitter.field(place)).collect()
}

type Said = (NewRecord, Option<Words>);

/// What went wrong with writing CSV: rows of bytes and of any length have no other problem.
pub(in crate::cli) fn csv_io(error: csv::Error) -> io::Error {
    let said = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        csv::ErrorKind::Utf8 { .. }
        | csv::ErrorKind::UnequalLengths { .. }
        | csv::ErrorKind::Seek
        | csv::ErrorKind::Serialize(_)
        | csv::ErrorKind::Deserialize { .. }
        | _ => io::Error::other(said),
    }
}

impl Columns {
    fn new(header: csv::ByteRecord, ids_are_made: bool) -> Result<Self, Broken> {
        let mut columns = Self { of: [None; Field::ALL.len()], header, others: Vec::new() };
        for (place, name) in columns.header.iter().enumerate() {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            match Field::ALL.into_iter().find(|field| field.as_str() == name) {
                None => columns.others.push(name),
                Some(field) if columns.of[field.place()].is_some() => {
                    return Err(Broken(format!("its first line names the column {name} twice")));
                }
                Some(field) => columns.of[field.place()] = Some(place),
            }
        }
        let needed = [Field::Id, Field::ProjectId, Field::Amount, Field::At];
        let missing: Vec<&str> = needed
            .into_iter()
            .filter(|field| {
                columns.of[field.place()].is_none() && !(ids_are_made && *field == Field::Id)
            })
            .map(Field::as_str)
            .collect();
        match missing.is_empty() {
            true => Ok(columns),
            false => Err(Broken(format!(
                "its first line does not name the columns {}: {COLUMNS}",
                missing.join(", ")
            ))),
        }
    }

    fn read(
        &self,
        splitter: &mut Splitter,
        row: &[u8],
        line: u64,
        id_prefix: Option<&str>,
    ) -> Result<Said, String> {
        let count = splitter.split(row);
        if count != self.header.len() {
            return Err(format!(
                "the row has {count} columns, and the first line names {}",
                self.header.len()
            ));
        }
        let field = |field: Field| {
            let Some(bytes) = self.of[field.place()].and_then(|place| splitter.field(place)) else {
                return Ok(None);
            };
            let text =
                str::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", field.as_str()))?;
            Ok(Some(Cow::Borrowed(text)).filter(|text| !text.is_empty()))
        };
        read_fields(field, line, id_prefix)
    }
}

/// A line of JSON. What it has beside these members says nothing here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    project_id: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    at: Option<&'a RawValue>,
    #[serde(borrow)]
    customer_id: Option<&'a RawValue>,
    #[serde(borrow)]
    note: Option<&'a RawValue>,
    #[serde(borrow)]
    void_reason: Option<&'a RawValue>,
}

fn read_json(text: &[u8], line: u64, id_prefix: Option<&str>) -> Result<Said, String> {
    let text = str::from_utf8(text).map_err(|_| "the row is not UTF-8".to_owned())?;
    if !text.trim_start().starts_with('{') {
        return Err("the row is not a JSON object: one a line is wanted".to_owned());
    }
    let members: Members<'_> = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        // Of a line the position in the line is enough.
        let said = said.split(" at line ").next().unwrap_or_default();
        format!(
            "the row is not a JSON object that can be read ({said}, at column {})",
            error.column()
        )
    })?;
    let field = |field: Field| {
        let raw = match field {
            Field::Id => members.id,
            Field::ProjectId => members.project_id,
            Field::Amount => members.amount,
            Field::At => members.at,
            Field::CustomerId => members.customer_id,
            Field::Note => members.note,
            Field::VoidReason => members.void_reason,
        };
        raw.map_or(Ok(None), |raw| plain(raw.get(), field))
    };
    read_fields(field, line, id_prefix)
}

/// The text of a string, or of a number as written; `None` where it is null or empty.
fn plain(raw: &str, field: Field) -> Result<Option<Cow<'_, str>>, String> {
    let text = match raw.as_bytes() {
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
            Cow::Borrowed(&raw[1..raw.len() - 1])
        }
        [b'"', ..] => {
            let text: String = serde_json::from_str(raw)
                .map_err(|_| format!("{} has a broken escape", field.as_str()))?;
            text.into()
        }
        [b'-' | b'0'..=b'9', ..] => raw.into(),
        b"null" => return Ok(None),
        _ => return Err(format!("{} is {raw:.40}: a text or a number is wanted", field.as_str())),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Makes a record of a row's fields.
fn read_fields<'a>(
    text: impl Fn(Field) -> Result<Option<Cow<'a, str>>, String>,
    line: u64,
    id_prefix: Option<&str>,
) -> Result<Said, String> {
    let id: RecordId = match id_prefix {
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
        None => required(&text, Field::Id)?,
    };
    let at: Moment = required(&text, Field::At)?;
    let record = NewRecord {
        id,
        project_id: required(&text, Field::ProjectId)?,
        amount: required(&text, Field::Amount)?,
        at_s: Some(at.of_record()),
        customer_id: optional(&text, Field::CustomerId)?,
        note: optional(&text, Field::Note)?,
    };
    Ok((record, optional(&text, Field::VoidReason)?))
}

fn required<'a, T: FromStr<Err: fmt::Display>>(
    text: &impl Fn(Field) -> Result<Option<Cow<'a, str>>, String>,
    field: Field,
) -> Result<T, String> {
    optional(text, field)?.ok_or_else(|| format!("{} is missing", field.as_str()))
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

/// As much of a text as is shown.
fn start(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line and the id of each row, or why it is none.
    fn told(text: &[u8]) -> Vec<(u64, String)> {
        let mut rows = Rows::read(text, Format::Csv, None).expect("a header");
        std::iter::from_fn(|| rows.next().expect("text"))
            .map(|row| match row {
                Ok(row) => (row.line, row.record.id.to_string()),
                Err(bad) => (bad.line, bad.reason),
            })
            .collect()
    }

    fn of(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|(line, said)| (*line, (*said).to_owned())).collect()
    }

    const HEADER: &str = "id,projectId,amount,at,more";

    #[test]
    fn a_row_is_on_the_line_on_which_an_editor_shows_its_start() {
        let row = |id: &str, more: &str| format!("{id},p,1,2026-10-10,{more}");
        for end in ["\n", "\r\n"] {
            let (several, last) = (format!("\"x{end}{end}\"\"y\""), row("d", ""));
            let rows = [
                HEADER,
                "",
                &row("a", ""),
                "",
                "",
                &row("b", &several),
                &row("c", "\"\""),
                "",
                &last,
            ];
            let wanted = of(&[(3, "a"), (6, "b"), (9, "c"), (11, "d")]);
            assert_eq!(told(rows.join(end).as_bytes()), wanted, "{end:?}");
            assert_eq!(
                told((end.to_owned() + &rows.join(end) + end + end).as_bytes()).first(),
                Some(&(4, "a".into()))
            );
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_and_takes_no_other_row_with_it() {
        let rows = |second: &str, last: &str| {
            format!(
                "{HEADER}\na,p,1,2026-10-10,x\n{second}\nc,p,1,2026-10-10,y\nd,p,1,2026-10-10,{last}\n"
            )
        };
        let open = "a quote is opened and never closed";
        for (second, last, reason) in [
            // To the end of the file; up to another quote; one that is not doubled.
            ("b,p,1,2026-10-10,\"x", "z", open),
            ("b,p,1,2026-10-10,\"", "\"\"", open),
            ("b,p,1,2026-10-10,\"x", "\"z\"", BEHIND_A_QUOTE),
            ("b,p,1,2026-10-10,\"x\" y", "z", BEHIND_A_QUOTE),
            (
                "b,p,1,2026-10-10,\"x\"\r",
                "z",
                "it holds a bare CR: lines that end in LF or CRLF are wanted",
            ),
        ] {
            let second = second.replace('\r', "\r,");
            let wanted = of(&[(2, "a"), (3, reason), (4, "c"), (5, "d")]);
            assert_eq!(told(rows(&second, last).as_bytes()), wanted, "{second} {last}");
        }
        // A quote inside a field that has none around it is a letter like any other.
        let wanted = of(&[(2, "a"), (3, "b"), (4, "c"), (5, "d")]);
        assert_eq!(told(rows("b,p,1,2026-10-10,5\" wide", "\"\"\"z\"\"\"").as_bytes()), wanted);
    }

    #[test]
    fn a_file_that_is_cut_short_in_its_last_row_says_so() {
        let whole = format!("{HEADER}\na,p,1,2026-10-10,x\nb,p,1,2026-10-10,\"y,\nz\"");
        assert_eq!(told(whole.as_bytes()), of(&[(2, "a"), (3, "b")]));
        for end in whole.rfind("b,").expect("a row") + 1..whole.len() {
            let rows = told(&whole.as_bytes()[..end]);
            let (line, said) = &rows[1];
            // All columns are there with the last comma: an empty last one cannot be told from one that was cut off.
            let is_whole = whole[..end].ends_with("10,");
            assert_eq!((*line, said == "b"), (3, is_whole), "{} {said}", &whole[..end]);
        }
    }

    #[test]
    fn a_row_that_is_too_long_is_bad_and_no_other() {
        let long = "x".repeat(2 << 20);
        let plain = format!("b,p,1,2026-10-10,{long}");
        let quoted = format!("b,p,1,2026-10-10,\"{}\"", "x\r\n".repeat(400_000));
        for (row, lines, word) in [
            (&plain, 1, "the row is longer than 1 MiB"),
            (&quoted, 400_001, "is a quote not closed?"),
        ] {
            let rows = told(
                format!("{HEADER}\na,p,1,2026-10-10,x\n{row}\nc,p,1,2026-10-10,y\n").as_bytes(),
            );
            assert_eq!(rows.len(), lines + 2);
            assert_eq!((rows[1].0, rows[1].1.contains(word)), (3, true), "{}", rows[1].1);
            assert_eq!(
                rows[lines + 1],
                (u64::try_from(lines).expect("a line") + 3, "c".to_owned())
            );
        }
    }
}
