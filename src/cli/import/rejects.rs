//! What becomes of the bad rows of an import: the first one stops it, or they are listed, or they go to a file.

use crate::cli::failure::Failure;
use crate::cli::import::progress::Progress;
use crate::cli::import::rows::{BadRow, csv_columns, csv_io};
use crate::cli::shell::Shell;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many bad rows are listed where they have no file to go to.
const LISTED: usize = 20;

/// Where bad rows go.
pub(super) enum Rejects {
    /// Nowhere: the import stops at the first.
    Nowhere,
    /// To whoever runs the import, the first of them; `count` is that of all.
    List { count: usize },
    /// To a file, all of them.
    File(RejectsFile),
}

impl Rejects {
    /// Where they go: to the new file `path` if there is one, with `columns` where the imported file has them; else
    /// they are listed in a dry run.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub(super) fn new(
        path: Option<&Path>,
        dry_run: bool,
        columns: Option<&csv::ByteRecord>,
    ) -> Result<Self, Failure> {
        match path {
            Some(path) => RejectsFile::create(path, columns).map(Self::File),
            None if dry_run => Ok(Self::List { count: 0 }),
            None => Ok(Self::Nowhere),
        }
    }

    /// Whether the import goes on where a row is bad.
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self, Self::Nowhere)
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
        match self {
            Self::Nowhere => {}
            Self::List { count } => {
                for BadRow { line, reason, .. } in bad.iter().take(LISTED.saturating_sub(*count)) {
                    progress.suspend(|| shell.note(&format!("line {line}: {reason}")));
                }
                *count += bad.len();
            }
            Self::File(file) => file.add(bad)?,
        }
        Ok(())
    }

    /// Says how many were not listed.
    pub(super) fn point_out_more(&self, shell: &mut Shell<'_>) {
        if let Self::List { count } = self
            && *count > LISTED
        {
            shell.note(&format!(
                "{} more rows are bad: --rejects FILE takes all of them",
                count - LISTED
            ));
        }
    }
}

/// The file that bad rows go to: CSV as they were, behind line and reason; or an object a line, with the row as a text.
pub(super) struct RejectsFile {
    out: Out,
    path: PathBuf,
}

enum Out {
    Csv(Box<csv::Writer<File>>),
    Jsonl(io::BufWriter<File>),
}

impl RejectsFile {
    fn create(path: &Path, columns: Option<&csv::ByteRecord>) -> Result<Self, Failure> {
        // Never what is there already: it may be the file that is imported, or the books.
        let file = File::create_new(path).map_err(|error| {
            let wanted = if error.kind() == io::ErrorKind::AlreadyExists {
                ": a new file is wanted"
            } else {
                ""
            };
            Failure::failed(format!(
                "the file {} cannot be created for rejects: {error}{wanted}",
                path.display()
            ))
        })?;
        let out = match columns {
            None => Out::Jsonl(io::BufWriter::new(file)),
            Some(columns) => {
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                let header = behind([b"line", b"reason"], columns);
                writer
                    .write_byte_record(&header)
                    .map_err(|error| unwritable(path, &csv_io(error)))?;
                Out::Csv(Box::new(writer))
            }
        };
        Ok(Self { out, path: path.to_owned() })
    }

    /// Writes rows, to the file itself: an import that is cut short has those of its slices there.
    fn add(&mut self, bad: &[BadRow]) -> Result<(), Failure> {
        let added =
            bad.iter().try_for_each(|row| self.out.put(row)).and_then(|()| self.out.flush());
        added.map_err(|error| unwritable(&self.path, &error))
    }
}

impl Out {
    fn put(&mut self, BadRow { line, reason, text }: &BadRow) -> io::Result<()> {
        #[derive(Serialize)]
        struct Rejected<'a> {
            line: u64,
            reason: &'a str,
            row: &'a str,
        }

        match self {
            Self::Csv(writer) => {
                let columns =
                    behind([line.to_string().as_bytes(), reason.as_bytes()], &csv_columns(text));
                writer.write_byte_record(&columns).map_err(csv_io)
            }
            Self::Jsonl(out) => {
                let text = String::from_utf8_lossy(text);
                let rejected =
                    Rejected { line: *line, reason, row: text.trim_end_matches(['\n', '\r']) };
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

/// A row's columns behind two others.
fn behind(first: [&[u8]; 2], columns: &csv::ByteRecord) -> csv::ByteRecord {
    first.into_iter().chain(columns).collect()
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("the file {} cannot be written: {error}", path.display()))
}
