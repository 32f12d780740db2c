//! `import`: usage records by the million, out of a file or a pipe.
//!
//! One thread reads rows (`batches`), the other writes them (`slices`) and tells what came of them (`rejects`,
//! `progress`, `tally`). What a slice holds is on disk when it has committed, and an import that was cut short is run
//! again.

mod batches;
mod lines;
mod progress;
mod rejects;
pub(super) mod rows;
mod slices;
mod source;
mod tally;

use crate::cli::failure::{Exit, Failure};
use crate::cli::import::batches::{Batches, MayBeCut};
use crate::cli::import::lines::Broken;
use crate::cli::import::progress::Progress;
use crate::cli::import::rejects::Rejects;
use crate::cli::import::rows::{BadRow, Format, Rows};
use crate::cli::import::slices::{PAUSE, Slices, Taken};
use crate::cli::import::source::Source;
use crate::cli::import::tally::Tally;
use crate::cli::shell::Shell;
use crate::store::scratch::Scratch;
use std::io::Read;
use std::path::PathBuf;
use std::thread;

/// How far an import steps back behind all else on the processors (`nice`): Agora waits for the server, and nobody for
/// the last row of a million.
const STEPS_BACK: i32 = 10;

/// Record usage by the million, out of a CSV or JSON-lines file
///
/// The fields are id, projectId, amount and at, and where known customerId and note: columns in any order, or
/// members of an object a line. Files compressed by gzip or zstd are read as they are. Each row is recorded
/// as `record` would, once for its id: an import that was interrupted is simply run again. A row with a
/// voidReason, as `export` writes it, is a record that is taken back.
#[derive(clap::Args)]
#[command(
    after_help = "Examples: agora-vendor import usage.csv.gz\n          ssh vps agora-vendor import - --format jsonl < usage.jsonl"
)]
pub(super) struct Args {
    /// The file; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,

    /// How its rows are written; guessed from its name where that tells
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Put bad rows into this file, with the reason, and go on; without it the first one stops the import
    ///
    /// A new file. Mended, it is imported like any other where it is CSV; of JSON lines
    /// `jq -r .row rejects.jsonl > mended.jsonl` takes the rows out. Of a row that is too long it has the start alone.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Give each row an id made of the file's SHA-256 and the row's line, for files without ids
    ///
    /// The same file again is the same records. A file that has grown is another file: all of its rows would count
    /// again. A row that has an id is a bad row here.
    #[arg(long)]
    ids_from_file: bool,

    /// Check every row against the books and against the rows before it, and change nothing
    ///
    /// Bad rows are listed, the first of them, and the check goes on. What the import would write is written to a
    /// temporary file (in $SQLITE_TMPDIR, $TMPDIR, /var/tmp or /tmp), which needs as much room as the records would.
    #[arg(long)]
    dry_run: bool,

    /// Say nothing of the progress
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let source = Source::new(&args.file)?;
    let format = args.format.or_else(|| Format::guess(&args.file)).ok_or_else(|| {
        Failure::words(format!(
            "{source} does not tell its format: --format csv or --format jsonl is wanted"
        ))
    })?;
    // Before anything is read: a wrong path to the books must not cost a pipe its content.
    let store = shell.open()?;
    if let Err(error) = rustix::process::nice(STEPS_BACK) {
        log::debug!("the import does not step back behind others: {error}");
    }
    let (file, size) = source.open()?;
    let (file, id_prefix): (Box<dyn Read + Send>, _) = match (args.ids_from_file, size) {
        (false, _) => (file, None),
        (true, None) => {
            return Err(Failure::words(format!(
                "{source} cannot be read twice: --ids-from-file needs a file"
            )));
        }
        (true, Some(_)) => {
            let (prefix, hashed) = source.hash()?;
            if args.rejects.is_none() && !args.dry_run {
                check_rows(source, format, &prefix, hashed)?;
            }
            // What is added to the file meanwhile is none of the one whose hash it is.
            (Box::new(file.take(hashed)), Some(prefix))
        }
    };
    let progress = Progress::new(args.quiet, size);
    let mut batches = Batches::read(progress.wrap_read(file), format, id_prefix);
    let scratch = args.dry_run.then(Scratch::new).transpose()?;
    let slices = Slices::new(store, scratch);
    let mut import = Import {
        args,
        source,
        shell,
        slices,
        rejects: Rejects::Nowhere,
        progress,
        tally: Tally::default(),
    };
    let imported = import.take_all(&mut batches);
    // Only the reader knows whether the rows ended or broke off. Where the import was stopped it is not waited for: a
    // pipe may be silent for long.
    let read = match imported {
        Ok(None) => batches.end()?,
        Ok(Some(_)) | Err(_) => Ok(MayBeCut(false)),
    };
    import.end(imported, read)
}

/// Reads all rows before any is recorded: a file whose rows are known by its hash cannot be mended halfway, since
/// then it is another file.
fn check_rows(source: Source<'_>, format: Format, prefix: &str, bytes: u64) -> Result<(), Failure> {
    let broken = |broken: Broken| {
        Failure::failed(format!(
            "{source} cannot be read to its end: {broken}; nothing was recorded"
        ))
    };
    let (file, _) = source.open()?;
    let mut rows = Rows::read(file.take(bytes), format, Some(prefix.to_owned())).map_err(broken)?;
    while let Some(row) = rows.next().map_err(broken)? {
        if let Err(BadRow { line, reason, .. }) = row {
            let mend = "nothing was recorded: mend it, or let the import go on with --rejects FILE";
            return Err(Failure::failed(format!("{source}, line {line}: {reason}; {mend}")));
        }
    }
    Ok(())
}

/// An import under way.
struct Import<'s, 'a> {
    args: &'s Args,
    source: Source<'s>,
    shell: &'s mut Shell<'a>,
    slices: Slices,
    rejects: Rejects,
    progress: Progress,
    tally: Tally,
}

impl Import<'_, '_> {
    /// Takes rows until there are no more, or one stops it; tells why it was stopped.
    fn take_all(&mut self, batches: &mut Batches) -> Result<Option<String>, Failure> {
        if let Some(header) = batches.header() {
            if !header.others.is_empty() {
                let others = header.others.join(", ");
                self.shell
                    .note(&format!("columns that say nothing here are passed over: {others}"));
            }
            let Args { rejects, dry_run, .. } = self.args;
            self.rejects = Rejects::new(rejects.as_deref(), *dry_run, header.columns.as_ref())?;
        }
        // Waited for without the lock: a pipe may be slow.
        while batches.gather() {
            if let Some(reason) = self.take_slice(batches)? {
                return Ok(Some(reason));
            }
            self.progress.tell(self.tally.read, self.shell);
            thread::sleep(PAUSE);
        }
        Ok(None)
    }

    /// Takes as many rows as fit a slice; tells why it was stopped, if it was.
    fn take_slice(&mut self, batches: &mut Batches) -> Result<Option<String>, Failure> {
        let Self { args, shell, slices, rejects, progress, tally, .. } = self;
        let Taken { stopped, bad, news } = slices.take(batches, rejects.goes_on(), shell)?;
        if !args.dry_run {
            progress.suspend(|| news.late.point_out_first(&tally.late, shell));
        }
        tally.join(news);
        rejects.take(&bad, progress, shell)?;
        Ok(stopped)
    }

    /// Says what came of it.
    fn end(
        self,
        imported: Result<Option<String>, Failure>,
        read: Result<MayBeCut, Broken>,
    ) -> Result<Exit, Failure> {
        self.progress.clear();
        self.rejects.point_out_more(self.shell);
        let Self { args: Args { dry_run, ids_from_file, .. }, source, shell, tally, .. } = self;
        tally.point_out_names(*dry_run, shell);
        if let Ok(MayBeCut(true)) = read {
            shell.note(&format!(
                "{source}: its last line has no end; if the file was cut short there, so was the last field"
            ));
        }
        if !dry_run {
            tally.late.point_out(shell);
        }
        tally.print(*dry_run, shell)?;
        let before =
            if *dry_run { "nothing was changed" } else { "everything before it is recorded" };
        let again = match ids_from_file {
            true => {
                "a mended file is another file, whose rows would all count again: let it go on with --rejects FILE"
            }
            false => "mend it and run the import again, or let it go on with --rejects FILE",
        };
        match (imported, read) {
            (Err(failure), _) if !dry_run && tally.read > 0 => Err(failure.with(&format!(
                "the {} rows before that are taken, and the import can be run again",
                tally.read
            ))),
            (Err(failure), _) => Err(failure),
            (Ok(Some(reason)), _) => {
                Err(Failure::failed(format!("{source}, {reason}; {before}: {again}")))
            }
            // Its start already: there is nothing before it.
            (Ok(None), Err(broken)) if tally.read == 0 => {
                Err(Failure::failed(format!("{source} cannot be read: {broken}")))
            }
            (Ok(None), Err(broken)) => Err(Failure::failed(format!(
                "{source} cannot be read any further: {broken}; {before}, and the import can be run again"
            ))),
            (Ok(None), Ok(_)) => Ok(if tally.rejected == 0 { Exit::Done } else { Exit::Failed }),
        }
    }
}
