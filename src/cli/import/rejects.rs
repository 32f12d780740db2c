//! What becomes of the bad rows of an import: the first one stops it, or they are listed, or they
//! go to a file.

use crate::cli::command::Shell;
use crate::cli::failure::Failure;
use crate::cli::import::csv_rows::{Header, csv_io};
use crate::cli::import::progress::Progress;
use crate::cli::import::row::BadRow;
use crate::cli::import::source::ImportSource;
use crate::cli::named;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many bad rows are listed where they have no file to go to.
const LISTED: usize = 20;

/// Where bad rows go.
pub(super) struct Rejects {
    to: RejectsTarget,
    /// Whether rows of several files come, so that each row needs the name of its own.
    of_several: bool,
    /// The file that is read, and what its first line says where it names columns.
    file: String,
    csv: Option<Header>,
}

enum RejectsTarget {
    /// Nowhere: the import stops at the first.
    Nowhere,
    /// To whoever runs the import, the first of them; `count` is that of all.
    List { count: usize },
    /// To a file that is made when the first rows are read.
    NewFile(PathBuf),
    /// To a file, all of them.
    File(RejectsFile),
}

impl Rejects {
    /// Where they go: to the new file `path` if there is one; else they are listed in a dry run.
    pub(super) fn new(path: Option<&Path>, dry_run: bool, of_several: bool) -> Self {
        let to = match path {
            Some(path) => RejectsTarget::NewFile(path.to_owned()),
            None if dry_run => RejectsTarget::List { count: 0 },
            None => RejectsTarget::Nowhere,
        };
        Self { to, of_several, file: String::new(), csv: None }
    }

    /// Begins with the rows of another file.
    ///
    /// # Errors
    /// When the file for rejects is there already, cannot be written, or has other columns.
    pub(super) fn begin(
        &mut self,
        source: ImportSource<'_>,
        csv: Option<&Header>,
    ) -> Result<(), Failure> {
        match &self.to {
            RejectsTarget::NewFile(path) => {
                self.to = RejectsTarget::File(RejectsFile::create(path, csv, self.of_several)?);
            }
            RejectsTarget::File(_) if !have_same_columns(self.csv.as_ref(), csv) => {
                return Err(other_columns(source));
            }
            RejectsTarget::Nowhere | RejectsTarget::List { .. } | RejectsTarget::File(_) => {}
        }
        self.file = source.to_string();
        self.csv = csv.cloned();
        Ok(())
    }

    /// Whether the import goes on where a row is bad.
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self.to, RejectsTarget::Nowhere)
    }

    /// Takes the bad rows of a slice.
    ///
    /// # Errors
    /// When their file cannot be written.
    pub(super) fn take(
        &mut self,
        bad: &[BadRow],
        progress: &Progress,
        shell: &mut Shell<'_>,
    ) -> Result<(), Failure> {
        let Self { to, of_several, file, csv } = self;
        match to {
            RejectsTarget::Nowhere | RejectsTarget::NewFile(_) => {}
            RejectsTarget::List { count } => {
                let file = if *of_several { format!("{file}, ") } else { String::new() };
                for BadRow { line, reason, .. } in bad.iter().take(LISTED.saturating_sub(*count)) {
                    progress.suspend(|| shell.note(&format!("{file}line {line}: {reason}")));
                }
                *count += bad.len();
            }
            RejectsTarget::File(rejects) => {
                let file = of_several.then_some(file.as_str());
                rejects.add(bad, file, csv.as_ref())?;
            }
        }
        Ok(())
    }

    /// Says how many were not listed.
    pub(super) fn point_out_more(&self, shell: &mut Shell<'_>) {
        if let RejectsTarget::List { count } = &self.to
            && *count > LISTED
        {
            shell.note(&format!(
                "{} more rows are bad: --rejects FILE takes all of them",
                count - LISTED
            ));
        }
    }
}

/// Whether rows of two files can go to the same file for rejects.
pub(super) fn have_same_columns(one: Option<&Header>, other: Option<&Header>) -> bool {
    one.map(|header| &header.names) == other.map(|header| &header.names)
}

/// Says that the rows of a file cannot go where those of the files before it go.
pub(super) fn other_columns(source: ImportSource<'_>) -> Failure {
    Failure::words(format!(
        "{source} has other columns than the file before it, and --rejects takes rows of the same \
         columns: import {source} by itself"
    ))
}

/// The file that bad rows go to: CSV as they were, behind line and reason; or an object a line,
/// with the row as a text.
pub(super) struct RejectsFile {
    out: RejectsOut,
    path: PathBuf,
}

enum RejectsOut {
    Csv(Box<csv::Writer<File>>),
    Jsonl(io::BufWriter<File>),
}

impl RejectsFile {
    fn create(path: &Path, csv: Option<&Header>, of_several: bool) -> Result<Self, Failure> {
        // What is in it is its owner's alone to read, as the books are.
        let file = named::make(path).map_err(|error| {
            let wanted =
                if error.kind() == io::ErrorKind::AlreadyExists { ": name a new file" } else { "" };
            Failure::failed(format!(
                "the file {} cannot be created for rejects: {error}{wanted}",
                path.display()
            ))
        })?;
        let out = match csv {
            None => RejectsOut::Jsonl(io::BufWriter::new(file)),
            Some(csv) => {
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                let file_name = of_several.then_some(&b"file"[..]);
                let header = behind(file_name, [b"line", b"reason"], &csv.names);
                // Handed over now: where no row follows, nobody would hear that it cannot be.
                let written = writer.write_byte_record(&header).map_err(csv_io);
                written.and_then(|()| writer.flush()).map_err(|error| unwritable(path, &error))?;
                RejectsOut::Csv(Box::new(writer))
            }
        };
        Ok(Self { out, path: path.to_owned() })
    }

    /// Writes rows, to the file itself: an import that is cut short has those of its slices there.
    fn add(
        &mut self,
        bad: &[BadRow],
        file: Option<&str>,
        csv: Option<&Header>,
    ) -> Result<(), Failure> {
        let put = |row| self.out.put(row, file, csv);
        let added = bad.iter().try_for_each(put).and_then(|()| self.out.flush());
        added.map_err(|error| unwritable(&self.path, &error))
    }
}

impl RejectsOut {
    fn put(
        &mut self,
        BadRow { line, reason, text }: &BadRow,
        file: Option<&str>,
        csv: Option<&Header>,
    ) -> io::Result<()> {
        #[derive(Serialize)]
        struct Rejected<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            file: Option<&'a str>,
            line: u64,
            reason: &'a str,
            row: &'a str,
        }

        match self {
            Self::Csv(writer) => {
                let columns = csv.map(|csv| csv.split(text)).unwrap_or_default();
                let line = line.to_string();
                let first = [line.as_bytes(), reason.as_bytes()];
                let record = behind(file.map(str::as_bytes), first, &columns);
                writer.write_byte_record(&record).map_err(csv_io)
            }
            Self::Jsonl(out) => {
                let text = String::from_utf8_lossy(text);
                let row = text.trim_end_matches(['\n', '\r']);
                let rejected = Rejected { file, line: *line, reason, row };
                serde_json::to_writer(&mut *out, &rejected)?;
                writeln!(out)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.flush(),
            Self::Jsonl(out) => out.flush(),
        }
    }
}

/// A row's columns behind those that say where it stands and why it is bad.
fn behind(
    file: Option<&[u8]>,
    line_and_reason: [&[u8]; 2],
    columns: &csv::ByteRecord,
) -> csv::ByteRecord {
    file.into_iter().chain(line_and_reason).chain(columns).collect()
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("the file {} cannot be written: {error}", path.display()))
}
