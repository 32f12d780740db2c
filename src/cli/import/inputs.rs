//! The files that an import is given: what can be known of them before a row is recorded.

use crate::cli::failure::Failure;
use crate::cli::import::container::Broken;
use crate::cli::import::identity::{Identity, IdentityReading};
use crate::cli::import::lines::TextLines;
use crate::cli::import::rejects::{have_same_columns, other_columns};
use crate::cli::import::row::{BadRow, Format, NoRow, ReadAs};
use crate::cli::import::rows::Rows;
use crate::cli::import::source::ImportSource;
use crate::cli::import::stop::Stop;
use crate::cli::import::zone::Zone;
use crate::store::{self, Store, usage};
use std::io::{self, Read};
use std::path::Path;

/// The ids of a first reading, which nobody sees.
const NO_PREFIX: &str = "0000000000000000";

/// A file, and how it is read.
pub(super) struct Input<'p> {
    pub(super) source: ImportSource<'p>,
    pub(super) read_as: ReadAs,
    /// How much of it is read, where that is less than all there may be by then.
    bytes: Option<u64>,
}

impl<'p> Input<'p> {
    /// A file by its path.
    ///
    /// # Errors
    /// When it does not tell how its rows are written, or `makes_ids` and it cannot be read twice.
    pub(super) fn new(
        path: &'p Path,
        format: Option<Format>,
        makes_ids: bool,
        zone: Option<&Zone>,
    ) -> Result<Self, Failure> {
        let source = ImportSource::new(path)?;
        let Some(format) = format.or_else(|| Format::guess(path)) else {
            return Err(without_format(source));
        };
        if makes_ids && !source.is_stdin() && source.size().is_none() {
            // So that a name that is mistyped is told as such.
            source.open()?;
        }
        if makes_ids && source.size().is_none() {
            return Err(Failure::words(format!(
                "{source} cannot be read twice: --ids-from-file needs a file"
            )));
        }
        let id_prefix = makes_ids.then(|| NO_PREFIX.to_owned());
        let read_as = ReadAs { format, id_prefix, zone: zone.cloned() };
        Ok(Self { source, read_as, bytes: None })
    }

    /// Opens it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>, Failure> {
        let file = self.source.open()?;
        Ok(match self.bytes {
            None => file,
            // What is added meanwhile is none of the content that its ids go by.
            Some(bytes) => Box::new(file.take(bytes)),
        })
    }

    /// Reads it to its end to learn the ids of its rows, and where `stops_at_bad` also each row:
    /// what is mended halfway is another content.
    ///
    /// # Errors
    /// When it cannot be read to its end, has a bad row, or the import is to stop.
    pub(super) fn identify(
        &mut self,
        stops_at_bad: bool,
        store: &mut Store,
        stop: &Stop,
    ) -> Result<(), Failure> {
        let source = self.source;
        let broken = |broken: Broken| {
            Failure::failed(format!(
                "{source} cannot be read to its end: {broken}; nothing was recorded"
            ))
        };
        self.bytes = source.size();
        let (reading, mut text) = IdentityReading::start(self.open()?).map_err(broken)?;
        if stops_at_bad {
            let mut rows = Rows::of(TextLines::of(text), self.read_as.clone()).map_err(broken)?;
            while let Some(row) = rows.next().map_err(broken)? {
                if stop.is_asked() {
                    return Err(stopped());
                }
                if let Err(NoRow::Bad(BadRow { line, reason, .. })) = row {
                    return Err(Failure::failed(format!(
                        "{source}, line {line}: {reason}; nothing was recorded: mend it, or let \
                         the import go on with --rejects FILE"
                    )));
                }
            }
        } else {
            let mut sink = Listening { stop };
            io::copy(&mut text, &mut sink)
                .map_err(|error| if stop.is_asked() { stopped() } else { broken(error.into()) })?;
        }
        self.read_as.id_prefix = Some(store.read(|books| prefix(books, reading.end()))?);
        Ok(())
    }
}

/// Looks at the start of each file that can be read again, before any is read: the last of them may
/// be none that can be imported.
///
/// # Errors
/// When one cannot, or its rows cannot go to the file for rejects that those of others go to.
pub(super) fn look_at_all(inputs: &[Input<'_>], to_rejects: bool) -> Result<(), Failure> {
    let mut before = None;
    for Input { source, read_as, .. } in inputs {
        if source.size().is_none() {
            source.check()?;
            continue;
        }
        let rows = Rows::read(source.open()?, read_as.clone()).map_err(|broken| {
            Failure::failed(format!("{source} cannot be read: {broken}; nothing was recorded"))
        })?;
        let csv = rows.header().cloned();
        if let Some(before) = before.replace(csv.clone())
            && to_rejects
            && !have_same_columns(before.as_ref(), csv.as_ref())
        {
            return Err(other_columns(*source));
        }
    }
    Ok(())
}

/// The beginning of the ids of a file: what the books have of it already, else that of its content.
fn prefix(books: &store::ReadTx<'_>, identity: Identity) -> store::Result<String> {
    let Identity { content, earlier } = identity;
    if !usage::has_ids_of(books, &content)? {
        for earlier in earlier {
            if usage::has_ids_of(books, &earlier)? {
                return Ok(earlier);
            }
        }
    }
    Ok(content)
}

fn without_format(source: ImportSource<'_>) -> Failure {
    // What is no text has no rows in any format.
    let looked = source.size().is_some().then(|| source.open().map(TextLines::read));
    match looked {
        Some(Err(failure)) => failure,
        Some(Ok(Err(broken))) => Failure::failed(format!("{source} cannot be read: {broken}")),
        Some(Ok(Ok(_))) | None => {
            let or = if source.is_stdin() { ", or name a file" } else { "" };
            Failure::words(format!(
                "{source} does not tell its format: add --format csv or --format jsonl{or}"
            ))
        }
    }
}

fn stopped() -> Failure {
    Failure::failed("stopped: nothing was recorded")
}

/// Passes over all that it is given, until the import is to stop.
struct Listening<'s> {
    stop: &'s Stop,
}

impl io::Write for Listening<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.is_asked() {
            return Err(io::Error::other("stopped"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
