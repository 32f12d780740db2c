//! `import`: usage records by the million, out of files or a pipe.
//!
//! One thread reads rows (`batches`), the other writes them (`slices`) and tells what came of them
//! (`rejects`, `progress`, `tally`). What a slice holds is on disk when it has committed, and an
//! import that was cut short is run again.

mod batches;
mod container;
pub(super) mod csv_rows;
pub(super) mod field;
mod identity;
mod inputs;
mod json_rows;
#[cfg(any(test, fuzzing))]
pub(super) mod law;
mod lines;
mod progress;
mod rejects;
pub(super) mod row;
mod rows;
mod slices;
mod source;
mod stop;
mod tally;
mod zone;

use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::license::uncovered_words;
use crate::cli::named::NamedFile;
use crate::store::scratch::Scratch;
use crate::store::{self, Store};
use batches::{Batches, FileHeader, MayBeCut};
use container::Broken;
use inputs::Input;
use progress::Progress;
use rejects::Rejects;
use row::Format;
use slices::{PAUSE, Slices, Taken};
use source::ImportSource;
use std::path::PathBuf;
use std::thread;
use stop::Stop;
use tally::Tally;
use zone::Zone;

/// How far an import steps back behind all else on the processors (`nice`): Agora waits for the
/// server, and nobody for the last row of a million.
pub(super) const STEPS_BACK: i32 = 10;

/// As many columns that say nothing are listed.
const LISTED_COLUMNS: usize = 20;

/// Record usage by the million, out of CSV or JSON-lines files
///
/// The fields are id, projectId, amount and at, and where known customerId and note: columns in any
/// order (separated by commas, semicolons, tabs or |), or members of an object a line. Files
/// compressed by gzip or zstd are read as they are. Each row is recorded as `record` would, once
/// for its id: an import that was interrupted is simply run again. A row with a voidReason, as
/// `export` writes it, is a record that is taken back. It ends with what was recorded, and with the
/// earliest and the latest date of it.
#[derive(clap::Args)]
#[command(after_help = "Examples: agora-vendor import usage.csv.gz\n          \
                  ssh vps agora-vendor import - --format jsonl < usage.jsonl")]
pub(super) struct Args {
    /// The files, read one after the other; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,

    /// How their rows are written; guessed from a file's name where that tells
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Put bad rows into this file, with the reason, and go on; without it the first one stops the
    /// import
    ///
    /// A new file. Mended, it is imported like any other where it is CSV; of JSON lines `jq -r .row
    /// rejects.jsonl > mended.jsonl` takes the rows out. Of a row that is too long it has the start
    /// alone. Several files need the same columns.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Give each row an id made of the file's content and the row's line, for files without ids
    ///
    /// The same content again is the same records: compressed or not, with LF or CRLF, with or
    /// without a byte order mark, the last line's end or blank lines at the end. A file that has
    /// grown has another content: all of its rows would count again. A row that has an id is a bad
    /// row here.
    #[arg(long)]
    ids_from_file: bool,

    /// Read times without a zone in this one, such as Europe/Berlin
    ///
    /// A time that a change of the clocks leaves out, or makes twice, is a bad row. Times that have
    /// a zone, Unix seconds and days are read as ever.
    #[arg(long, value_name = "ZONE")]
    zone: Option<Zone>,

    /// Check every row against the books and against the rows before it, and change nothing
    ///
    /// Bad rows are listed, the first of them, and the check goes on. What the import would write
    /// is written to a temporary file (in $SQLITE_TMPDIR, $TMPDIR, /var/tmp or /tmp), which needs
    /// as much room as the records would.
    #[arg(long)]
    dry_run: bool,

    /// Projects and customers that are not in the books are meant
    ///
    /// They are registered on the spot, also where the setting `unknown-projects` is `refuse`;
    /// without it such a row is then a bad row.
    #[arg(long)]
    new: bool,

    /// Say nothing of the progress
    #[arg(long)]
    quiet: bool,
}

impl Args {
    /// The files that are named.
    pub(in crate::cli) fn files(&self) -> Vec<NamedFile> {
        let inputs = self.files.iter().cloned().map(NamedFile::Input);
        inputs.chain(self.rejects.iter().cloned().map(NamedFile::New)).collect()
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let mut inputs = inputs_of(args)?;
    // Before anything is read: a wrong path to the books must not cost a pipe its content.
    let mut store = shell.open()?;
    if let Err(error) = rustix::process::nice(STEPS_BACK) {
        log::debug!("the import does not step back behind others: {error}");
    }
    if inputs.len() > 1 {
        inputs::look_at_all(&inputs, args.rejects.is_some())?;
    }
    let stop = Stop::listen()?;
    if args.ids_from_file {
        let stops_at_bad = args.rejects.is_none() && !args.dry_run;
        for input in &mut inputs {
            input.identify(stops_at_bad, &mut store, &stop)?;
        }
    }
    if inputs.iter().any(|input| input.source.is_terminal()) {
        shell.note(
            "standard input is a terminal: type rows, then Ctrl-D, or name a file: \
             agora-vendor import usage.csv",
        );
    }
    let mut import = Import::new(args, &inputs, store, stop, shell)?;
    let cut = import.take_files(&inputs);
    import.end(cut)
}

/// The files that are named.
fn inputs_of(args: &Args) -> Result<Vec<Input<'_>>, Failure> {
    let Args { files, format, ids_from_file, zone, .. } = args;
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|file| Input::new(file, *format, *ids_from_file, zone.as_ref()))
        .collect::<Result<_, _>>()?;
    if inputs.iter().filter(|input| input.source.is_stdin()).count() > 1 {
        return Err(Failure::words("- stands twice, and standard input can be read once"));
    }
    Ok(inputs)
}

/// Why an import ended before it had all rows.
enum Cut {
    /// A bad row stopped it; where, and why.
    Bad(String),
    /// The file cannot be read; whether that is so from its start on.
    Broken { broken: Broken, at_start: bool },
    /// Somebody stopped it.
    Stopped,
}

/// An import under way.
struct Import<'s, 'a> {
    args: &'s Args,
    shell: &'s mut Shell<'a>,
    slices: Slices,
    rejects: Rejects,
    progress: Progress,
    tally: Tally,
    stop: Stop,
}

impl<'s, 'a> Import<'s, 'a> {
    fn new(
        args: &'s Args,
        inputs: &[Input<'_>],
        store: Store,
        stop: Stop,
        shell: &'s mut Shell<'a>,
    ) -> Result<Self, Failure> {
        let scratch = args.dry_run.then(Scratch::new).transpose()?;
        let bytes = inputs.iter().map(|input| input.source.size()).sum();
        Ok(Self {
            args,
            slices: Slices::new(store, scratch, shell.now_s, args.new),
            shell,
            rejects: Rejects::new(args.rejects.as_deref(), args.dry_run, inputs.len() > 1),
            progress: Progress::new(args.quiet, bytes),
            tally: Tally::default(),
            stop,
        })
    }

    /// Takes the rows of one file after the other; tells in which it was cut short, and how.
    fn take_files<'p>(
        &mut self,
        inputs: &[Input<'p>],
    ) -> Result<Option<(ImportSource<'p>, Cut)>, Failure> {
        for input in inputs {
            if let Some(cut) = self.take_file(input)? {
                return Ok(Some((input.source, cut)));
            }
        }
        Ok(None)
    }

    fn take_file(&mut self, input: &Input<'_>) -> Result<Option<Cut>, Failure> {
        let read_before = self.tally.read;
        let file = self.progress.wrap_read(input.open()?);
        let mut batches = Batches::read(file, input.read_as.clone(), self.stop.clone())?;
        if let Some(header) = batches.header() {
            self.begin(input.source, &header)?;
        }
        // Waited for without the lock: a pipe may be slow.
        while batches.gather() {
            let stopped = self.take_slice(&mut batches)?;
            if let Some(reason) = stopped {
                return Ok(Some(Cut::Bad(reason)));
            }
            self.progress.tell(self.tally.read, self.shell);
            if self.stop.is_asked() {
                break;
            }
            thread::sleep(PAUSE);
        }
        if self.stop.is_asked() {
            return Ok(Some(Cut::Stopped));
        }
        // Only the reader knows whether the rows ended or broke off. Where the import was stopped
        // it is not waited for: a pipe may be silent for long.
        match batches.end()? {
            Err(broken) => {
                let at_start = self.tally.read == read_before;
                return Ok(Some(Cut::Broken { broken, at_start }));
            }
            Ok(MayBeCut(true)) => self.progress.suspend(|| {
                self.shell.note(&format!(
                    "{}: its last line has no end; if the file was cut short there, so was the \
                     last field",
                    input.source
                ));
            }),
            Ok(MayBeCut(false)) => {}
        }
        // CSV without a line is refused, since it does not even name its columns.
        if self.tally.read == read_before && input.read_as.format == Format::Jsonl {
            self.progress.suspend(|| self.shell.note(&format!("{} is empty", input.source)));
        }
        Ok(None)
    }

    /// Begins with the rows of a file.
    fn begin(
        &mut self,
        source: ImportSource<'_>,
        FileHeader { others, csv }: &FileHeader,
    ) -> Result<(), Failure> {
        if !others.is_empty() {
            let listed = others.iter().take(LISTED_COLUMNS).map(|name| row::start(name));
            let listed = listed.collect::<Vec<_>>().join(", ");
            let more = if others.len() > LISTED_COLUMNS { ", …" } else { "" };
            let of = if self.args.files.len() > 1 { format!("{source}: ") } else { String::new() };
            self.progress.suspend(|| {
                self.shell.note(&format!(
                    "{of}columns that say nothing here are passed over: {listed}{more}"
                ));
            });
        }
        self.rejects.begin(source, csv.as_ref())
    }

    /// Takes as many rows as fit a slice; tells why it was stopped, if it was.
    fn take_slice(&mut self, batches: &mut Batches) -> Result<Option<String>, Failure> {
        let Self { args, shell, slices, rejects, progress, tally, .. } = self;
        let taken = slices.take(batches, rejects.goes_on(), shell);
        let Taken { stopped, bad, news } = taken.map_err(|error| {
            // Slices before this one are written.
            let is_part = tally.read > 0;
            if is_part && matches!(error, store::Error::Disk(_) | store::Error::Full) {
                return Failure::failed(error.of_read());
            }
            error.into()
        })?;
        if !args.dry_run {
            progress.suspend(|| news.late.point_out_first(&tally.late, shell));
        }
        tally.join(news);
        rejects.take(&bad, progress, shell)?;
        Ok(stopped)
    }

    /// Says what came of it.
    fn end(self, cut: Result<Option<(ImportSource<'_>, Cut)>, Failure>) -> Result<Exit, Failure> {
        self.progress.clear();
        let Self { args, shell, rejects, tally, mut slices, .. } = self;
        rejects.point_out_more(shell);
        tally.point_out_rows(shell);
        tally.point_out_names(args.dry_run, shell);
        if !args.dry_run {
            // The rows are in: where this cannot be read, it is not said.
            let uncovered = slices.uncovered(&tally.bound, shell.now_s).unwrap_or_default();
            for (id, customer_id, uncovered) in uncovered {
                let words = uncovered_words(id, customer_id, &uncovered);
                words.into_iter().for_each(|words| shell.note(&words));
            }
            tally.late.point_out(shell);
        }
        tally.print(args.dry_run, shell)?;
        match cut {
            Ok(None) => Ok(if tally.rejected == 0 { Exit::Done } else { Exit::Failed }),
            Ok(Some((source, cut))) => Err(cut.explain(source, args, &tally)),
            Err(failure) if !args.dry_run && tally.read > 0 => Err(failure.with(&format!(
                "the {} rows before that are taken: mend it, then run the import again",
                tally.read
            ))),
            Err(failure) => Err(failure),
        }
    }
}

impl Cut {
    fn explain(self, source: ImportSource<'_>, args: &Args, tally: &Tally) -> Failure {
        let before =
            if args.dry_run { "nothing was changed" } else { "everything before it is recorded" };
        Failure::failed(match self {
            Self::Bad(reason) => {
                let again = if args.ids_from_file {
                    "a mended file is another content, whose rows would all count again: \
                     let the import go on with --rejects FILE"
                } else {
                    "mend it and run the import again, or let it go on with --rejects FILE"
                };
                format!("{source}, {reason}; {before}: {again}")
            }
            // There is nothing before it.
            Self::Broken { broken, .. } if tally.read == 0 => {
                format!("{source} cannot be read: {broken}")
            }
            Self::Broken { broken, at_start } => {
                let further = if at_start { "" } else { " any further" };
                format!(
                    "{source} cannot be read{further}: {broken}; {before}: mend the file, and run \
                     the import again"
                )
            }
            Self::Stopped if args.dry_run => "stopped: nothing was changed".to_owned(),
            Self::Stopped => format!(
                "stopped: {} rows are in; the same command goes on with the rest",
                tally.recorded + tally.duplicates
            ),
        })
    }
}
