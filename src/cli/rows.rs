//! Usage records as rows of a file: CSV by header name, or a JSON object a line; also compressed by gzip or zstd.
//!
//! A row is taken by its text, exactly: no number goes through a float. A row that is bad says which field, and
//! what is wanted.

use crate::billing::id::{RecordId, Words};
use crate::billing::record::NewRecord;
use crate::cli::moment::Moment;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use std::str::FromStr;

/// The longest row: what is longer is no usage record, and must not fill the memory.
const MAX_ROW_BYTES: usize = 1 << 20;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Comma-separated values; the first line names the columns
    Csv,
    /// A JSON object a line
    Jsonl,
}

impl Format {
    /// Guesses from a file's name, a compression's ending left aside.
    pub(super) fn guess(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// A field of a row. Its name is that of the column, or of the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    ProjectId,
    Amount,
    At,
    CustomerId,
    Note,
    VoidReason,
}

impl Field {
    pub(super) const ALL: [Self; 7] =
        [Self::Id, Self::ProjectId, Self::Amount, Self::At, Self::CustomerId, Self::Note, Self::VoidReason];

    pub(super) fn as_str(self) -> &'static str {
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

/// A row as it stands in the file, for a file of rows that were not taken.
#[derive(Clone, Debug)]
pub(super) enum Original {
    Line(String),
    Columns(csv::ByteRecord),
}

/// A row that says something.
pub(super) struct Row {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    pub(super) record: NewRecord,
    /// Why the record is taken back, if it is.
    pub(super) void: Option<Words>,
    pub(super) original: Original,
}

/// A row that says nothing that can be recorded.
pub(super) struct BadRow {
    /// The line on which it starts, from 1.
    pub(super) line: u64,
    /// Which field is wrong, and what is wanted.
    pub(super) reason: String,
    pub(super) original: Original,
}

/// The rows of a file, one after the other.
pub(super) struct Rows<'f> {
    rows: Kind<'f>,
    /// Stands before the line in the ids of rows that have none, where they are made.
    id_prefix: Option<String>,
}

enum Kind<'f> {
    Csv { reader: Box<csv::Reader<Fuse<'f>>>, columns: Columns, fuse: Rc<Cell<usize>>, line: u64 },
    Jsonl { reader: Box<dyn BufRead + 'f>, line: u64 },
}

/// Which column each field stands in.
struct Columns {
    of: [Option<usize>; Field::ALL.len()],
    count: usize,
    header: csv::ByteRecord,
    /// Those that say nothing here.
    others: Vec<String>,
}

/// Why a file cannot be read any further.
#[derive(Debug)]
pub(super) struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() == io::ErrorKind::UnexpectedEof {
            true => Self("it breaks off in the middle of its compressed data".to_owned()),
            false => Self(error.to_string()),
        }
    }
}

impl<'f> Rows<'f> {
    /// Starts to read rows. With `id_prefix` each row gets an id of that and its line.
    ///
    /// # Errors
    /// When it cannot be read, or is CSV without the columns that are needed.
    pub(super) fn read(file: impl Read + 'f, format: Format, id_prefix: Option<String>) -> Result<Self, Broken> {
        let mut reader = decompressed(file)?;
        // A byte order mark says nothing about UTF-8.
        if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        let rows = match format {
            Format::Jsonl => Kind::Jsonl { reader, line: 0 },
            Format::Csv => {
                let fuse = Rc::new(Cell::new(MAX_ROW_BYTES));
                let fused = Fuse { inner: reader, left: Rc::clone(&fuse) };
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(fused);
                let header = reader.byte_headers().map_err(csv_problem)?.clone();
                Kind::Csv {
                    reader: Box::new(reader),
                    columns: Columns::new(header, id_prefix.is_some())?,
                    fuse,
                    line: 0,
                }
            }
        };
        Ok(Self { rows, id_prefix })
    }

    /// The columns that say nothing here.
    pub(super) fn other_columns(&self) -> &[String] {
        match &self.rows {
            Kind::Csv { columns, .. } => &columns.others,
            Kind::Jsonl { .. } => &[],
        }
    }

    /// The names of the columns, where the file has them.
    pub(super) fn header(&self) -> Option<csv::ByteRecord> {
        match &self.rows {
            Kind::Csv { columns, .. } => Some(columns.header.clone()),
            Kind::Jsonl { .. } => None,
        }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, BadRow>>, Broken> {
        match &mut self.rows {
            Kind::Csv { reader, columns, fuse, line: before } => {
                let mut record = csv::ByteRecord::new();
                fuse.set(MAX_ROW_BYTES);
                if !reader.read_byte_record(&mut record).map_err(csv_problem)? {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                // Two rows of one line, as where lines end in a bare CR, would get one id.
                let read = match self.id_prefix.is_some() && line <= *before {
                    true => {
                        Err("the row is on the line of the one before it: lines that end in LF or CRLF are wanted"
                            .into())
                    }
                    false => columns.read(&record, line, self.id_prefix.as_deref()),
                };
                *before = line;
                Ok(Some(finish(read, line, Original::Columns(record))))
            }
            Kind::Jsonl { reader, line } => loop {
                let mut text = Vec::new();
                let end = read_line(reader, &mut text)?;
                *line += 1;
                match end {
                    Line::None => return Ok(None),
                    Line::Whole if text.trim_ascii().is_empty() => {}
                    Line::Whole => {
                        let read = read_json(&text, *line, self.id_prefix.as_deref());
                        let original = Original::Line(String::from_utf8_lossy(&text).into_owned());
                        return Ok(Some(finish(read, *line, original)));
                    }
                    Line::TooLong => {
                        let original = Original::Line(String::from_utf8_lossy(&text[..1_000]).into_owned());
                        let reason =
                            format!("the row is longer than {} MiB: one object a line is wanted", MAX_ROW_BYTES >> 20);
                        return Ok(Some(Err(BadRow { line: *line, reason, original })));
                    }
                }
            },
        }
    }
}

type Said = (NewRecord, Option<Words>);

fn finish(read: Result<Said, String>, line: u64, original: Original) -> Result<Row, BadRow> {
    match read {
        Ok((record, void)) => Ok(Row { line, record, void, original }),
        Err(reason) => Err(BadRow { line, reason, original }),
    }
}

fn csv_problem(error: csv::Error) -> Broken {
    csv_io(error).into()
}

/// What went wrong with reading or writing CSV: rows of bytes and of any length have no other problem.
pub(super) fn csv_io(error: csv::Error) -> io::Error {
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

/// A file as it was before it was compressed, if it was.
fn decompressed<'f>(file: impl Read + 'f) -> io::Result<Box<dyn BufRead + 'f>> {
    const BUFFER_BYTES: usize = 128 << 10;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let start = reader.fill_buf()?;
    Ok(if start.starts_with(b"\x1f\x8b") {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, flate2::bufread::MultiGzDecoder::new(reader)))
    } else if start.starts_with(b"\x28\xb5\x2f\xfd") {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(reader)?))
    } else {
        Box::new(reader)
    })
}

/// A reader that fails when too much is read of it between two rows: a quote that is never closed would take the whole
/// file for one row.
struct Fuse<'f> {
    inner: Box<dyn BufRead + 'f>,
    left: Rc<Cell<usize>>,
}

impl Read for Fuse<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.get().checked_sub(read) {
            Some(left) => self.left.set(left),
            None => {
                let problem = format!("a row is longer than {} MiB: is a quote not closed?", MAX_ROW_BYTES >> 20);
                return Err(io::Error::other(problem));
            }
        }
        Ok(read)
    }
}

/// How a line ended.
enum Line {
    /// There is none.
    None,
    Whole,
    /// It is longer than a row may be; the rest of it was passed over.
    TooLong,
}

/// Reads a line, its end left out.
fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    let mut any = false;
    let mut too_long = false;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        any = true;
        let end = chunk.iter().position(|b| *b == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        too_long |= line.len() + part.len() > MAX_ROW_BYTES;
        if !too_long {
            line.extend_from_slice(part);
        } else if line.len() < 1_000 {
            line.extend_from_slice(&part[..part.len().min(1_000)]);
        }
        let used = end.map_or(chunk.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(match (any, too_long) {
        (false, _) => Line::None,
        (true, true) => Line::TooLong,
        (true, false) => Line::Whole,
    })
}

impl Columns {
    fn new(header: csv::ByteRecord, ids_are_made: bool) -> Result<Self, Broken> {
        let mut columns = Self { of: [None; Field::ALL.len()], count: header.len(), header, others: Vec::new() };
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
            .filter(|field| columns.of[field.place()].is_none() && !(ids_are_made && *field == Field::Id))
            .map(Field::as_str)
            .collect();
        match missing.is_empty() {
            true => Ok(columns),
            false => Err(Broken(format!(
                "its first line does not name the columns {}: id,projectId,amount,at are wanted, in any order, and customerId and note where known",
                missing.join(", ")
            ))),
        }
    }

    fn read(&self, record: &csv::ByteRecord, line: u64, id_prefix: Option<&str>) -> Result<Said, String> {
        if record.len() != self.count {
            return Err(format!("the row has {} columns, and the first line names {}", record.len(), self.count));
        }
        let field = |field: Field| {
            let Some(bytes) = self.of[field.place()].and_then(|place| record.get(place)) else {
                return Ok(None);
            };
            let text = str::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", field.as_str()))?;
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
        format!("the row is not a JSON object that can be read ({said}, at column {})", error.column())
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
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => Cow::Borrowed(&raw[1..raw.len() - 1]),
        [b'"', ..] => {
            let text: String =
                serde_json::from_str(raw).map_err(|_| format!("{} has a broken escape", field.as_str()))?;
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
        Some(prefix) => parsed(Field::Id, &format!("{prefix}:{line}"))?,
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
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(40).collect();
        format!("{} is {shown:?}: {error}", field.as_str())
    })
}
