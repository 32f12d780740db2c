//! `import`: usage records by the million, out of a file or a pipe.
//!
//! One thread reads rows, the other writes them: in slices that commit within some 50 ms and let others have the lock
//! in between. What a slice holds is on disk when it has committed, and an import that was cut short is run again.

use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::record::NewRecord;
use crate::cli::failure::{Exit, Failure};
use crate::cli::lines::Broken;
use crate::cli::record;
use crate::cli::rows::{BadRow, Format, Row, Rows, csv_columns, csv_io};
use crate::cli::shell::Shell;
use crate::cli::statement::{Late, ToldAlready};
use crate::store::scratch::{self, Scratch};
use crate::store::usage::{Recorded, Slice};
use crate::store::{self, ReadTx, Store, project};
use indicatif::{ProgressBar, ProgressStyle};
use ring::digest;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a slice takes rows at most; its sums and its way to the disk come on top.
const SLICE: Duration = Duration::from_millis(35);
/// How long a slice may hold the lock in all: where it has been longer, the next one takes rows for less time.
const HELD: Duration = Duration::from_millis(48);
/// How long the first slice takes rows, since nothing is known yet of what theirs cost.
const FIRST: Duration = Duration::from_millis(6);
/// How long others have the lock to themselves between two slices: those who wait for it ask every few milliseconds.
const PAUSE: Duration = Duration::from_millis(4);
/// How far an import steps back behind all else on the processors (`nice`): Agora waits for the server, and nobody for
/// the last row of a million.
const STEPS_BACK: i32 = 10;
/// Rows that are passed on at a time, fewer where they are long, and how many such batches may wait.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 64 << 10;
const BATCHES: usize = 16;
/// How long more rows are waited for, without the lock, where a pipe has fewer at hand than are passed on at a time.
const GATHER: Duration = Duration::from_millis(200);
/// How often a line is said where nobody sees a bar.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// How many names a note lists.
const NAMED: usize = 5;
/// How many bad rows are listed where they have no file to go to.
const LISTED: u64 = 20;
/// Of how many projects is kept when they were disabled: a file may have one a row.
const MAX_KNOWN: usize = 10_000;

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

/// What came of the rows so far.
#[derive(Default, Serialize)]
struct Tally {
    read: u64,
    recorded: u64,
    duplicates: u64,
    rejected: u64,
    /// Records that were taken back, where any were.
    #[serde(skip_serializing_if = "is_zero")]
    voided: u64,
    #[serde(skip)]
    new_projects: Names,
    #[serde(skip)]
    new_customers: Names,
    /// Of those that the books had; counted once each.
    #[serde(skip)]
    disabled: BTreeSet<ProjectId>,
    #[serde(skip)]
    late: Late,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Names of which a note lists the first few.
#[derive(Default)]
struct Names {
    count: u64,
    first: Vec<String>,
}

impl Names {
    fn add(&mut self, name: &impl ToString) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(name.to_string());
        }
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED);
    }

    /// How many there are, and the first few; `None` where there are none.
    fn words(&self) -> Option<String> {
        let more = if self.count > u64::try_from(NAMED).unwrap_or_default() { ", …" } else { "" };
        (self.count > 0).then(|| format!("{} ({}{more})", self.count, self.first.join(", ")))
    }
}

/// What the reading thread passes on.
struct Batch {
    rows: Vec<Result<Row, BadRow>>,
    /// Whether these are all there are, until the file gives more: a pipe may be slow.
    is_all: bool,
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let is_stdin = args.file.as_os_str() == "-";
    if args.file.is_dir() {
        return Err(unreadable(args, &io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let format = args.format.or_else(|| Format::guess(&args.file)).ok_or_else(|| {
        Failure::words(format!("{} does not tell its format: --format csv or --format jsonl is wanted", name(args)))
    })?;
    // Before anything is read: a wrong path to the books must not cost a pipe its content.
    let store = shell.open()?;
    if let Err(error) = rustix::process::nice(STEPS_BACK) {
        log::debug!("the import does not step back behind others: {error}");
    }
    let (file, size): (Box<dyn Read + Send>, Option<u64>) = match is_stdin {
        true => (Box::new(io::stdin()), None),
        false => {
            let (file, size) = open(&args.file).map_err(|error| unreadable(args, &error))?;
            (Box::new(file), size)
        }
    };
    let (file, id_prefix): (Box<dyn Read + Send>, _) = match (args.ids_from_file, size) {
        (false, _) => (file, None),
        (true, None) => {
            return Err(Failure::words(format!("{} cannot be read twice: --ids-from-file needs a file", name(args))));
        }
        (true, Some(_)) => {
            let (prefix, hashed) = hash(&args.file).map_err(|error| unreadable(args, &error))?;
            if args.rejects.is_none() && !args.dry_run {
                check_rows(args, format, &prefix, hashed)?;
            }
            // What is added to the file meanwhile is none of the one whose hash it is.
            (Box::new(file.take(hashed)), Some(prefix))
        }
    };
    let progress = Progress::new(args.quiet, size);
    let file = progress.bar.wrap_read(file);
    let (sender, batches) = sync_channel(BATCHES);
    let (headers, header) = sync_channel(1);
    let reading = thread::spawn(move || read(file, format, id_prefix, &headers, sender));
    let scratch = args.dry_run.then(Scratch::new).transpose()?;
    let mut import = Import {
        store,
        scratch,
        shell,
        rejects: None,
        takes: FIRST,
        progress,
        tally: Tally::default(),
        known: Known::default(),
    };
    let imported = import.take_all(args, &header, &batches);
    // Only the reader knows whether the rows ended or broke off. Where the import was stopped it is not waited for: a
    // pipe may be silent for long.
    let read = match imported {
        Ok(None) => reading.join().map_err(|_| Failure::failed("reading the rows panicked"))?,
        Ok(Some(_)) | Err(_) => Ok(MayBeCut(false)),
    };
    import.end(args, imported, read)
}

fn name(args: &Args) -> String {
    match args.file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => args.file.display().to_string(),
    }
}

fn unreadable(args: &Args, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be read: {error}", name(args)))
}

fn open(path: &Path) -> io::Result<(File, Option<u64>)> {
    let metadata = path.metadata()?;
    let size = metadata.is_file().then_some(metadata.len());
    Ok((File::open(path)?, size))
}

/// The first 16 hexadecimal digits of a file's SHA-256, and how many bytes of it that is.
fn hash(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, _) = open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 128 << 10];
    let mut hashed = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => {
                context.update(&buffer[..count]);
                hashed += u64::try_from(count).unwrap_or(u64::MAX);
            }
        }
    }
    Ok((context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect(), hashed))
}

/// Reads all rows before any is recorded: a file whose rows are known by its hash cannot be mended halfway, since
/// then it is another file.
fn check_rows(args: &Args, format: Format, prefix: &str, bytes: u64) -> Result<(), Failure> {
    let broken = |broken: Broken| {
        Failure::failed(format!("{} cannot be read to its end: {broken}; nothing was recorded", name(args)))
    };
    let (file, _) = open(&args.file).map_err(|error| unreadable(args, &error))?;
    let mut rows = Rows::read(file.take(bytes), format, Some(prefix.to_owned())).map_err(broken)?;
    while let Some(row) = rows.next().map_err(broken)? {
        if let Err(BadRow { line, reason, .. }) = row {
            let mend = "nothing was recorded: mend it, or let the import go on with --rejects FILE";
            return Err(Failure::failed(format!("{}, line {line}: {reason}; {mend}", name(args))));
        }
    }
    Ok(())
}

/// Reads rows and passes them on, until the end or until nobody wants more.
fn read(
    file: impl Read,
    format: Format,
    id_prefix: Option<String>,
    headers: &SyncSender<(Vec<String>, Option<csv::ByteRecord>)>,
    batches: SyncSender<Batch>,
) -> Result<MayBeCut, Broken> {
    let outbox = RefCell::new(Outbox { rows: Vec::new(), bytes: 0, batches, is_wanted: true });
    let mut rows = Rows::read(Passing { inner: file, outbox: &outbox }, format, id_prefix)?;
    // Whoever does not listen any more wants no rows either.
    let _told = headers.send((rows.other_columns().to_vec(), rows.header()));
    let ended = loop {
        match rows.next() {
            Ok(Some(row)) => {
                let mut outbox = outbox.borrow_mut();
                outbox.put(row);
                if !outbox.is_wanted {
                    return Ok(MayBeCut(false));
                }
            }
            Ok(None) => break Ok(MayBeCut(rows.may_be_cut())),
            Err(broken) => break Err(broken),
        }
    };
    outbox.borrow_mut().pass_on(false);
    ended
}

/// Whether the last row may have been cut short although it was taken.
struct MayBeCut(bool);

/// Rows that have been read and not yet been passed on.
struct Outbox {
    rows: Vec<Result<Row, BadRow>>,
    bytes: usize,
    batches: SyncSender<Batch>,
    /// Whether anybody still takes them.
    is_wanted: bool,
}

impl Outbox {
    fn put(&mut self, row: Result<Row, BadRow>) {
        self.bytes += size(&row);
        if self.rows.capacity() == 0 {
            self.rows.reserve_exact(BATCH);
        }
        self.rows.push(row);
        if self.rows.len() == BATCH || self.bytes > BATCH_BYTES {
            self.pass_on(false);
        }
    }

    fn pass_on(&mut self, is_all: bool) {
        if !self.rows.is_empty() {
            let rows = std::mem::take(&mut self.rows);
            self.is_wanted &= self.batches.send(Batch { rows, is_all }).is_ok();
            self.bytes = 0;
        }
    }
}

/// A file that passes on what has been read of it before it is waited for.
struct Passing<'o, R> {
    inner: R,
    outbox: &'o RefCell<Outbox>,
}

impl<R: Read> Read for Passing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.outbox.borrow_mut().pass_on(true);
        self.inner.read(buffer)
    }
}

/// How many bytes a row had in the file.
fn size(row: &Result<Row, BadRow>) -> usize {
    match row {
        Ok(Row { text, .. }) | Err(BadRow { text, .. }) => text.len(),
    }
}

/// An import under way.
struct Import<'s, 'a> {
    store: Store,
    shell: &'s mut Shell<'a>,
    rejects: Option<Rejects>,
    /// What is written to where nothing is to be changed.
    scratch: Option<Scratch>,
    /// How long the next slice takes rows.
    takes: Duration,
    progress: Progress,
    tally: Tally,
    known: Known,
}

/// What the books say of usage that is recorded.
#[derive(Default)]
struct Known {
    /// When projects were disabled, of those that rows were recorded for.
    disabled_in: HashMap<ProjectId, Vec<Period>>,
    /// What Agora has been told already.
    told: ToldAlready,
}

/// How a slice ended.
enum SliceEnd {
    /// It was time to commit, or there were no more rows at hand.
    Due,
    /// A row was bad, and there is nowhere to put it.
    Stopped(String),
}

/// What a slice took.
struct Taken {
    end: SliceEnd,
    bad: Vec<BadRow>,
    news: Tally,
}

impl Import<'_, '_> {
    /// Takes rows until there are no more, or one stops it; tells why it was stopped.
    fn take_all(
        &mut self,
        args: &Args,
        header: &Receiver<(Vec<String>, Option<csv::ByteRecord>)>,
        batches: &Receiver<Batch>,
    ) -> Result<Option<String>, Failure> {
        // Without a header the reader has failed, and says why when it is joined.
        if let Ok((others, columns)) = header.recv() {
            if !others.is_empty() {
                self.shell.note(&format!("columns that say nothing here are passed over: {}", others.join(", ")));
            }
            self.rejects = args.rejects.as_deref().map(|path| Rejects::create(path, columns)).transpose()?;
        }
        let mut queue = VecDeque::new();
        loop {
            // Waited for without the lock: a pipe may be slow.
            if queue.is_empty() && !gather(&mut queue, batches) {
                return Ok(None);
            }
            if let SliceEnd::Stopped(reason) = self.take_slice(&mut queue, batches)? {
                return Ok(Some(reason));
            }
            self.progress.tell(&self.tally, self.shell);
            thread::sleep(PAUSE);
        }
    }

    /// Takes as many rows as fit a slice, and commits them.
    fn take_slice(
        &mut self,
        queue: &mut VecDeque<Result<Row, BadRow>>,
        batches: &Receiver<Batch>,
    ) -> Result<SliceEnd, Failure> {
        let Self { store, scratch, shell, rejects, takes, progress, tally, known } = self;
        let goes_on = rejects.is_some() || scratch.is_some();
        let mut began = Instant::now();
        let rows = std::iter::from_fn(|| next(queue, batches));
        let Taken { end, bad, news } = match scratch {
            None => store.write(|tx| {
                // Only now is the lock had.
                began = Instant::now();
                known.told.refresh(tx)?;
                Slice::write(tx, &shell.stamp(), |slice| {
                    fill(tx, slice, rows, began + *takes, goes_on, known, |_| Ok(()))
                })
            }),
            Some(scratch) => scratch.write(store, |books, tx| {
                known.told.refresh(books)?;
                let stamp = shell.stamp();
                Slice::write(tx, &stamp, |slice| {
                    let bring = |new: &NewRecord| scratch::bring(books, tx, new, &stamp);
                    fill(books, slice, rows, began + *takes, goes_on, known, bring)
                })
            }),
        }?;
        // Many different sums take longer to write than their rows to take. What the commit moves into the file itself
        // counts too, although others have the lock by then.
        *takes = match began.elapsed() > HELD {
            true => (*takes / 2).max(Duration::from_millis(2)),
            false => (*takes * 9 / 8).min(SLICE),
        };
        if scratch.is_none() {
            progress.bar.suspend(|| news.late.point_out_first(&tally.late, shell));
        }
        let listed = LISTED.saturating_sub(tally.rejected);
        tally.join(news);
        if let Some(rejects) = rejects {
            bad.iter().try_for_each(|row| rejects.add(row))?;
            rejects.flush()?;
        } else if goes_on {
            for BadRow { line, reason, .. } in bad.iter().take(usize::try_from(listed).unwrap_or(usize::MAX)) {
                progress.bar.suspend(|| shell.note(&format!("line {line}: {reason}")));
            }
        }
        Ok(end)
    }

    /// Says what came of it.
    fn end(
        self,
        args: &Args,
        imported: Result<Option<String>, Failure>,
        read: Result<MayBeCut, Broken>,
    ) -> Result<Exit, Failure> {
        let Self { shell, tally, progress, scratch, .. } = self;
        let dry_run = scratch.is_some();
        progress.bar.finish_and_clear();
        if let Some(more) = tally.rejected.checked_sub(LISTED).filter(|more| *more > 0 && args.rejects.is_none()) {
            shell.note(&format!("{more} more rows are bad: --rejects FILE takes all of them"));
        }
        let registered =
            if dry_run { "are not known and would be registered" } else { "were not known and are registered" };
        let mut disabled = Names::default();
        tally.disabled.iter().for_each(|name| disabled.add(name));
        for (names, kind, what) in [
            (&tally.new_projects, "projects", registered),
            (&tally.new_customers, "customers", registered),
            (
                &disabled,
                "projects",
                "are disabled since before some of their usage; it is reported and billed like any other",
            ),
        ] {
            if let Some(names) = names.words() {
                shell.note(&format!("{kind} that {what}: {names}"));
            }
        }
        if let Ok(MayBeCut(true)) = read {
            shell.note(&format!(
                "{}: its last line has no end; if the file was cut short there, so was the last field",
                name(args)
            ));
        }
        let voided = if tally.voided > 0 { format!(", taken back {}", tally.voided) } else { String::new() };
        if !dry_run {
            tally.late.point_out(shell);
        }
        shell.print(&tally, |out| {
            let recorded = if dry_run { "to record" } else { "recorded" };
            writeln!(
                out,
                "rows {}: {recorded} {}, there already {}, rejected {}{voided}",
                tally.read, tally.recorded, tally.duplicates, tally.rejected
            )
        })?;
        let before = if dry_run { "nothing was changed" } else { "everything before it is recorded" };
        let again = match args.ids_from_file {
            true => "a mended file is another file, whose rows would all count again: let it go on with --rejects FILE",
            false => "mend it and run the import again, or let it go on with --rejects FILE",
        };
        match (imported, read) {
            (Err(failure), _) if !dry_run && tally.read > 0 => Err(failure
                .with(&format!("the {} rows before that are taken, and the import can be run again", tally.read))),
            (Err(failure), _) => Err(failure),
            (Ok(Some(reason)), _) => Err(Failure::failed(format!("{}, {reason}; {before}: {again}", name(args)))),
            // Its start already: there is nothing before it.
            (Ok(None), Err(broken)) if tally.read == 0 => {
                Err(Failure::failed(format!("{} cannot be read: {broken}", name(args))))
            }
            (Ok(None), Err(broken)) => Err(Failure::failed(format!(
                "{} cannot be read any further: {broken}; {before}, and the import can be run again",
                name(args)
            ))),
            (Ok(None), Ok(_)) => Ok(if tally.rejected == 0 { Exit::Done } else { Exit::Failed }),
        }
    }
}

/// Waits for rows; tells whether there are any more. Where a pipe is slow, some more are waited for too: a commit for
/// each would keep the disk busy with little.
fn gather(queue: &mut VecDeque<Result<Row, BadRow>>, batches: &Receiver<Batch>) -> bool {
    let Ok(mut batch) = batches.recv() else {
        return false;
    };
    let until = Instant::now() + GATHER;
    loop {
        queue.extend(batch.rows);
        if !batch.is_all || queue.len() >= BATCH {
            return true;
        }
        match batches.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(more) => batch = more,
            // If there are no more, the next one who asks hears of it.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return true,
        }
    }
}

/// The next row that is at hand, without waiting for one.
fn next(queue: &mut VecDeque<Result<Row, BadRow>>, batches: &Receiver<Batch>) -> Option<Result<Row, BadRow>> {
    if queue.is_empty() {
        queue.extend(batches.try_recv().ok()?.rows);
    }
    queue.pop_front()
}

/// Takes rows, those that are at hand until `until`, or until one is bad where the import does not go on. What decides
/// about a record is brought by `bring`.
fn fill(
    books: &ReadTx<'_>,
    slice: &mut Slice<'_, '_>,
    rows: impl Iterator<Item = Result<Row, BadRow>>,
    until: Instant,
    goes_on: bool,
    known: &mut Known,
    bring: impl Fn(&NewRecord) -> store::Result<()>,
) -> store::Result<Taken> {
    let mut taken = Taken { end: SliceEnd::Due, bad: Vec::new(), news: Tally::default() };
    for row in rows {
        taken.news.read += 1;
        let bad = match row {
            Ok(row) => {
                bring(&row.record)?;
                take_row(books, slice, row, &mut taken.news, known)?
            }
            Err(bad) => Some(bad),
        };
        if let Some(bad) = bad {
            taken.news.rejected += 1;
            if !goes_on {
                taken.end = SliceEnd::Stopped(format!("line {}: {}", bad.line, bad.reason));
                break;
            }
            taken.bad.push(bad);
        }
        if Instant::now() >= until {
            break;
        }
    }
    Ok(taken)
}

/// Records a row; gives it back with the reason where it cannot be.
fn take_row(
    books: &ReadTx<'_>,
    slice: &mut Slice<'_, '_>,
    row: Row,
    news: &mut Tally,
    Known { disabled_in, told }: &mut Known,
) -> store::Result<Option<BadRow>> {
    let Row { line, record: new, void, text } = row;
    match slice.record(&new)? {
        Err(refusal) => {
            let reason = record::refused(&refusal, &new).to_string();
            return Ok(Some(BadRow { line, reason, text }));
        }
        Ok(Recorded::Already(_)) => news.duplicates += 1,
        Ok(Recorded::Written { record, registered }) => {
            news.recorded += 1;
            if registered.project {
                news.new_projects.add(&record.project_id);
            }
            if let (true, Some(customer_id)) = (registered.customer, &record.customer_id) {
                news.new_customers.add(customer_id);
            }
            if !disabled_in.contains_key(&record.project_id) {
                if disabled_in.len() >= MAX_KNOWN {
                    disabled_in.clear();
                }
                disabled_in.insert(record.project_id.clone(), project::disabled_in(books, &record.project_id)?);
            }
            let windows = &disabled_in[&record.project_id];
            let is_disabled = windows.iter().any(|window| (window.first_s()..=window.last_s()).contains(&record.at_s));
            if is_disabled && !news.disabled.contains(&record.project_id) {
                news.disabled.insert(record.project_id);
            }
            told.tally(record.at_s, &mut news.late);
        }
    }
    if let Some(reason) = &void {
        let voided = slice.void(&new.id, reason)?;
        news.voided += u64::from(matches!(voided, Some(store::usage::Voided::Done(_))));
    }
    Ok(None)
}

impl Tally {
    fn join(&mut self, other: Self) {
        self.read += other.read;
        self.recorded += other.recorded;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.voided += other.voided;
        self.new_projects.join(other.new_projects);
        self.new_customers.join(other.new_customers);
        self.disabled.extend(other.disabled);
        self.late.join(other.late);
    }
}

/// A row's columns behind two others.
fn behind(first: [&[u8]; 2], columns: &csv::ByteRecord) -> csv::ByteRecord {
    first.into_iter().chain(columns).collect()
}

/// The file that bad rows go to: CSV as they were, behind line and reason; or an object a line, with the row as a text.
struct Rejects {
    out: RejectsOut,
    path: PathBuf,
}

enum RejectsOut {
    Csv(Box<csv::Writer<File>>),
    Jsonl(io::BufWriter<File>),
}

impl Rejects {
    fn create(path: &Path, columns: Option<csv::ByteRecord>) -> Result<Self, Failure> {
        // Never what is there already: it may be the file that is imported, or the books.
        let file = File::create_new(path).map_err(|error| {
            let wanted = if error.kind() == io::ErrorKind::AlreadyExists { ": a new file is wanted" } else { "" };
            Failure::failed(format!("the file {} cannot be created for rejects: {error}{wanted}", path.display()))
        })?;
        let problem = |error| Failure::failed(format!("the file {} cannot be written: {error}", path.display()));
        let out = match columns {
            None => RejectsOut::Jsonl(io::BufWriter::new(file)),
            Some(columns) => {
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                writer
                    .write_byte_record(&behind([b"line", b"reason"], &columns))
                    .map_err(|error| problem(csv_io(error)))?;
                RejectsOut::Csv(Box::new(writer))
            }
        };
        Ok(Self { out, path: path.to_owned() })
    }

    fn add(&mut self, bad: &BadRow) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Rejected<'a> {
            line: u64,
            reason: &'a str,
            row: &'a str,
        }

        let added = match &mut self.out {
            RejectsOut::Csv(writer) => {
                let line = bad.line.to_string();
                let columns = behind([line.as_bytes(), bad.reason.as_bytes()], &csv_columns(&bad.text));
                writer.write_byte_record(&columns).map_err(csv_io)
            }
            RejectsOut::Jsonl(out) => {
                let text = String::from_utf8_lossy(&bad.text);
                let row = text.trim_end_matches(['\n', '\r']);
                let rejected = Rejected { line: bad.line, reason: &bad.reason, row };
                serde_json::to_writer(&mut *out, &rejected).map_err(io::Error::from).and_then(|()| writeln!(out))
            }
        };
        added.map_err(|error| self.problem(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let flushed = match &mut self.out {
            RejectsOut::Csv(writer) => writer.flush(),
            RejectsOut::Jsonl(out) => out.flush(),
        };
        flushed.map_err(|error| self.problem(&error))
    }

    fn problem(&self, error: &io::Error) -> Failure {
        Failure::failed(format!("the file {} cannot be written: {error}", self.path.display()))
    }
}

/// How far an import is, as it is told: by a bar on a terminal, by a line every few seconds elsewhere.
struct Progress {
    /// At what has been read of the file, as it lies there. Hidden, it shows nothing; what is said while it is shown is
    /// said while it is suspended.
    bar: ProgressBar,
    began: Instant,
    told: Instant,
    is_quiet: bool,
}

impl Progress {
    fn new(is_quiet: bool, size: Option<u64>) -> Self {
        // By itself it is hidden where stderr is no terminal.
        let (bar, form) = match (is_quiet, size) {
            (true, _) => (ProgressBar::hidden(), ""),
            (false, Some(size)) => (ProgressBar::new(size), "{wide_bar} {percent}%  {msg}  {eta} left"),
            (false, None) => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        let style = ProgressStyle::with_template(form).expect("a template of the names that there are");
        let now = Instant::now();
        Self { bar: bar.with_style(style), began: now, told: now, is_quiet }
    }

    fn tell(&mut self, tally: &Tally, shell: &mut Shell<'_>) {
        let tenths = u64::try_from(self.began.elapsed().as_millis() / 100).unwrap_or(u64::MAX).max(1);
        let words = format!("{} records, {}/s", tally.read, tally.read.saturating_mul(10) / tenths);
        if !self.bar.is_hidden() {
            self.bar.set_message(words);
        } else if !self.is_quiet && self.told.elapsed() >= REPORT_EVERY {
            shell.note(&words);
            self.told = Instant::now();
        }
    }
}
