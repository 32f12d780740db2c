//! Rows of CSV by the names of their columns. A quote that is not closed takes no more than its own
//! line with it.

use crate::cli::import::container::Broken;
use crate::cli::import::field::{FIELDS, Field};
use crate::cli::import::lines::{LineEnd, TextLines};
use crate::cli::import::row::{
    HINT_IDS, KEPT_BYTES, MAX_ROW_BYTES, ReadAs, RowContent, RowPlace, read_fields, start,
};
use std::borrow::Cow;
use std::io;

const COLUMNS: &str = "the first line must name the columns id,projectId,amount,at in any order; \
                       customerId and note are optional";
const BEHIND_A_QUOTE: &str = "a quoted field goes on behind its closing quote: is a quote not \
                              closed, or one inside a field not doubled?";
const BARE_CR: &str = "it holds a bare CR: lines must end in LF or CRLF";
const NEVER_CLOSED: &str = "a quote is opened and never closed";

/// What may separate columns, the one that wins where a header does not tell first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// As many names of a header are looked at to find its separator.
const LOOKED_AT: usize = 1_000;
/// As many characters of a header are quoted.
const QUOTED_CHARACTERS: usize = 120;

/// The rows of a file of CSV.
pub(super) struct CsvRows {
    columns: FieldColumns,
    splitter: Box<Splitter>,
    run_over: Option<RunOver>,
}

/// What the first line of a file says: the names of the columns, and what separates them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) names: csv::ByteRecord,
    separator: u8,
}

/// Lines over which an open quote ran without being closed. A row inside of them whose quote is
/// open at the end of its line would run over the same text with the same end: without this, a
/// quote that is opened on every line would have each line read as often as there are lines before
/// it.
struct RunOver {
    /// The line on which it was found that the quote is not closed.
    to_line: u64,
    reason: String,
}

/// Which column each field stands in.
struct FieldColumns {
    of: [Option<usize>; FIELDS],
    header: Header,
    /// Those that say nothing here.
    others: Vec<String>,
}

impl CsvRows {
    /// Reads the first line that is not blank, which names the columns; tells how many were blank.
    ///
    /// # Errors
    /// When it cannot be read, or does not name the columns that are needed.
    pub(super) fn start(lines: &mut TextLines<'_>, makes_ids: bool) -> Result<(Self, u64), Broken> {
        let mut text = Vec::new();
        let mut blanks = 0;
        loop {
            text.clear();
            match lines.next(&mut text, MAX_ROW_BYTES + 1)? {
                LineEnd::None => return Err(Broken(format!("it is empty: {COLUMNS}"))),
                LineEnd::Whole if text.iter().all(|byte| is_blank(*byte)) => blanks += 1,
                LineEnd::Whole | LineEnd::TooLong => break,
            }
        }
        if text.contains(&0) {
            return Err(Broken(no_text(&text).to_owned()));
        }
        let line = lines.count();
        let separator = separator(&text);
        lines.give_back(&text, line);
        let mut rows = Self {
            columns: FieldColumns {
                of: [None; FIELDS],
                header: Header { names: csv::ByteRecord::new(), separator },
                others: Vec::new(),
            },
            splitter: Box::new(Splitter::new(separator)),
            run_over: None,
        };
        let as_it_stands = quoted(&text);
        text.clear();
        if let RowPlace::Row(_, Err(reason)) = rows.find(lines, &mut text)? {
            return Err(Broken(format!(
                "line {line}, which should name the columns, is no row: {reason}; \
                 it is {as_it_stands}"
            )));
        }
        let names = rows.columns.header.split(&text);
        rows.columns =
            FieldColumns::new(Header { names, separator }, makes_ids).map_err(|problem| {
                let separated = match separator {
                    b',' => "",
                    b';' => " (separated by \";\")",
                    b'|' => " (separated by \"|\")",
                    _ => " (separated by tabs)",
                };
                Broken(format!("{problem}; line {line} is {as_it_stands}{separated}; {COLUMNS}"))
            })?;
        Ok((rows, blanks))
    }

    pub(super) fn header(&self) -> &Header {
        &self.columns.header
    }

    /// The columns that say nothing here.
    pub(super) fn others(&self) -> &[String] {
        &self.columns.others
    }

    /// Finds the next row: a line that is not empty, and those that follow while a quote is open.
    /// Where the quotes are wrong its first line is no row, and what follows that line is read by
    /// itself.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn find(
        &mut self,
        lines: &mut TextLines<'_>,
        text: &mut Vec<u8>,
    ) -> io::Result<RowPlace> {
        let whole = lines.next(text, MAX_ROW_BYTES + 1)?;
        let first = lines.count();
        match whole {
            LineEnd::None => return Ok(RowPlace::End),
            LineEnd::Whole if matches!(text.as_slice(), b"\n" | b"\r\n") => {
                return Ok(RowPlace::Blank);
            }
            LineEnd::Whole => {}
            LineEnd::TooLong => {
                lines.pass_over()?;
                text.truncate(KEPT_BYTES);
                let reason = format!("the row is longer than {} MiB", MAX_ROW_BYTES >> 20);
                return Ok(RowPlace::Row(first, Err(reason)));
            }
        }
        let first_bytes = text.len();
        let mut place = CsvState::FieldStart;
        let mut from = 0;
        let reason = loop {
            match place.go_on(&text[from..], self.columns.header.separator) {
                Ok(false) => return Ok(RowPlace::Row(first, Ok(()))),
                Ok(true) => {}
                Err(reason) => break reason.to_owned(),
            }
            if let Some(over) = self.run_over.as_ref().filter(|over| first < over.to_line) {
                return Ok(RowPlace::Row(first, Err(over.reason.clone())));
            }
            from = text.len();
            match lines.next(text, (MAX_ROW_BYTES + 1).saturating_sub(from))? {
                LineEnd::Whole if text.len() <= MAX_ROW_BYTES => {}
                LineEnd::None => break NEVER_CLOSED.to_owned(),
                LineEnd::Whole | LineEnd::TooLong => {
                    break format!(
                        "the row is longer than {} MiB: is a quote not closed?",
                        MAX_ROW_BYTES >> 20
                    );
                }
            }
        };
        // Behind the end of the file there is no line to come to.
        let to_line = if reason == NEVER_CLOSED { u64::MAX } else { lines.count() };
        self.run_over = Some(RunOver { to_line, reason: reason.clone() });
        lines.give_back(&text[first_bytes..], first + 1);
        text.truncate(first_bytes);
        Ok(RowPlace::Row(first, Err(reason)))
    }

    /// What a row says; nothing where it has no value in any column.
    ///
    /// # Errors
    /// When it is a bad row, with the reason.
    pub(super) fn read(
        &mut self,
        row: &[u8],
        line: u64,
        read_as: &ReadAs,
    ) -> Result<Option<RowContent>, String> {
        let Self { columns, splitter, .. } = self;
        let count = splitter.split(row);
        // Only what starts so can be blank, and few rows do.
        if row.first().is_some_and(|byte| is_blank(*byte) || *byte == b'"') && splitter.is_blank() {
            return Ok(None);
        }
        let names = columns.header.names.len();
        if count != names {
            return Err(format!("the row has {count} columns, and the first line names {names}"));
        }
        let field = |field: Field| {
            let place = columns.of[field.place()];
            let Some(bytes) = place.and_then(|place| splitter.field(place)) else {
                return Ok(None);
            };
            let text =
                str::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", field.as_str()))?;
            Ok(Some(Cow::Borrowed(text)).filter(|text| !text.is_empty()))
        };
        read_fields(field, line, read_as).map(Some)
    }
}

impl Header {
    /// The columns of a row, whatever it looks like.
    pub(super) fn split(&self, row: &[u8]) -> csv::ByteRecord {
        let mut splitter = Splitter::new(self.separator);
        let count = splitter.split(row);
        (0..count).filter_map(|place| splitter.field(place)).collect()
    }
}

/// Whether a byte may stand in a row without a value.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || SEPARATORS.contains(&byte)
}

/// What separates the names of a header: whatever leaves the most of them known.
fn separator(header: &[u8]) -> u8 {
    let known = |separator: &u8| {
        let names = header.split(|byte| byte == separator).take(LOOKED_AT);
        names
            .filter(|name| {
                let name = String::from_utf8_lossy(name);
                let name = name.trim().trim_matches('"').trim();
                Field::named(name).or_else(|| Field::meant(name, false)).is_some()
            })
            .count()
    };
    // Of several with as many the last one is taken.
    SEPARATORS.into_iter().rev().max_by_key(known).expect("there are some")
}

/// A line as it stands in a file, in quotes; a long one is cut.
fn quoted(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\n', '\r']);
    let start: String = line.chars().take(QUOTED_CHARACTERS).collect();
    let more = if start.len() < line.len() { "…" } else { "" };
    format!("\"{start}{more}\"")
}

/// What is said of a file whose first line holds zeros.
fn no_text(line: &[u8]) -> &'static str {
    if line.get(257..262) == Some(b"ustar") {
        "it is a tar archive: unpack it"
    } else {
        "it is no text: its first line holds a zero byte"
    }
}

/// Where in a row of CSV a byte stands.
#[derive(Clone, Copy)]
enum CsvState {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted field: the field ends, unless another quote follows.
    Quote,
}

impl CsvState {
    /// Goes on to the end of a line; tells whether a quote is still open there. A reader of CSV
    /// makes a row of anything; this finds what would make one row of several.
    fn go_on(&mut self, line: &[u8], separator: u8) -> Result<bool, &'static str> {
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
                (Self::FieldStart | Self::Plain | Self::Quote, byte) if *byte == separator => {
                    Self::FieldStart
                }
                (_, b'\r') => {
                    return Err(BARE_CR);
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

impl Splitter {
    fn new(separator: u8) -> Self {
        Self {
            reader: csv_core::ReaderBuilder::new().delimiter(separator).build(),
            fields: Vec::new(),
            ends: vec![0; FIELDS],
            count: 0,
        }
    }

    /// Takes a row apart; tells how many fields it has.
    fn split(&mut self, row: &[u8]) -> usize {
        // A byte more than the row: without room left, the reader asks for room even where nothing
        // more comes.
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

    /// Whether no field of the row has a value.
    fn is_blank(&self) -> bool {
        (0..self.count).filter_map(|place| self.field(place)).all(|f| f.trim_ascii().is_empty())
    }

    /// A field of the row that was taken apart.
    fn field(&self, place: usize) -> Option<&[u8]> {
        let ends = self.ends.get(..self.count)?;
        let start = if place == 0 { 0 } else { *ends.get(place - 1)? };
        self.fields.get(start..*ends.get(place)?)
    }
}

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

impl FieldColumns {
    fn new(header: Header, makes_ids: bool) -> Result<Self, String> {
        let mut columns = Self { of: [None; FIELDS], header, others: Vec::new() };
        for (place, name) in columns.header.names.iter().enumerate() {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            match Field::named(&name) {
                None => columns.others.push(name),
                Some(field) if columns.of[field.place()].is_some() => {
                    return Err(format!("its first line names the column {name} twice"));
                }
                Some(field) => columns.of[field.place()] = Some(place),
            }
        }
        let is_there = |field: Field| columns.of[field.place()].is_some();
        for name in &columns.others {
            if let Some(field) = Field::meant(name, makes_ids).filter(|field| !is_there(*field)) {
                let (name, field) = (start(name), field.as_str());
                return Err(format!("the column \"{name}\" is unknown: its name is {field}"));
            }
        }
        let missing: Vec<&str> = Field::ALL
            .into_iter()
            .filter(|field| field.is_needed(makes_ids) && !is_there(*field))
            .map(Field::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(columns);
        }
        let hint =
            if missing == [Field::Id.as_str()] { format!("; {HINT_IDS}") } else { String::new() };
        let columns = if missing.len() == 1 { "column" } else { "columns" };
        Err(format!("its first line does not name the {columns} {}{hint}", missing.join(", ")))
    }
}
