//! Rows on their way, in batches, from the thread that reads them to the one that writes them.

use crate::cli::failure::Failure;
use crate::cli::import::container::Broken;
use crate::cli::import::csv_rows;
use crate::cli::import::row::{BadRow, NoRow, ReadAs, Row};
use crate::cli::import::rows::Rows;
use crate::cli::import::stop::Stop;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Rows that are passed on at a time, fewer where they are long, and how many such batches may
/// wait.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 64 << 10;
const BATCHES: usize = 16;
/// How long more rows are waited for where a pipe has fewer at hand than are passed on at a time.
const GATHER: Duration = Duration::from_millis(200);
/// How often it is looked, while a pipe is waited for, whether the import is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What the reading thread passes on. As an iterator it gives the rows that are at hand, without
/// waiting for one.
pub(super) struct Batches {
    reading: JoinHandle<Result<MayBeCut, Broken>>,
    header: Receiver<FileHeader>,
    batches: Receiver<Batch>,
    queue: VecDeque<Result<Row, NoRow>>,
    stop: Stop,
}

/// What a file says of its rows before the first.
pub(super) struct FileHeader {
    /// The columns that say nothing here.
    pub(super) others: Vec<String>,
    /// The first line, where it names columns.
    pub(super) csv: Option<csv_rows::Header>,
}

/// Whether the last row may have been cut short although it was taken.
pub(super) struct MayBeCut(pub(super) bool);

struct Batch {
    rows: Vec<Result<Row, NoRow>>,
    /// Whether these are all there are, until the file gives more: a pipe may be slow.
    is_all: bool,
}

impl Batches {
    /// Starts to read rows, on a thread of its own.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn read(
        file: impl Read + Send + 'static,
        read_as: ReadAs,
        stop: Stop,
    ) -> Result<Self, Failure> {
        let (sender, batches) = sync_channel(BATCHES);
        let (headers, header) = sync_channel(1);
        let reading = thread::Builder::new()
            .spawn(move || read(file, read_as, &headers, sender))
            .map_err(|error| {
            let failure = Failure::failed(format!(
                "there is no thread to read the rows with ({error}): allow more processes \
                     (ulimit -u) and more memory (ulimit -v), or try again once others have ended"
            ));
            failure.into_passing()
        })?;
        Ok(Self { reading, header, batches, queue: VecDeque::new(), stop })
    }

    /// Waits for the header. Without one the import is to stop, or reading has failed, and
    /// [`Batches::end`] says why.
    pub(super) fn header(&self) -> Option<FileHeader> {
        self.wait_for(&self.header)
    }

    /// Waits for what comes next; `None` where nothing does, or the import is to stop.
    fn wait_for<T>(&self, receiver: &Receiver<T>) -> Option<T> {
        loop {
            match receiver.recv_timeout(LOOK) {
                Ok(next) => return Some(next),
                Err(RecvTimeoutError::Timeout) if !self.stop.is_asked() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Waits for rows; tells whether there are any more, and none are wanted by whoever stops the
    /// import. Where a pipe is slow, some more are waited for too: a commit for each would keep the
    /// disk busy with little.
    pub(super) fn gather(&mut self) -> bool {
        if !self.queue.is_empty() {
            return true;
        }
        let Some(mut batch) = self.wait_for(&self.batches) else {
            return false;
        };
        let until = Instant::now() + GATHER;
        loop {
            self.queue.extend(batch.rows);
            if !batch.is_all || self.queue.len() >= BATCH {
                return true;
            }
            match self.batches.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(more) => batch = more,
                // If there are no more, the next one who asks hears of it.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Whether the rows ended or broke off; waits for the thread, which may wait for a pipe.
    ///
    /// # Errors
    /// When the thread panicked.
    pub(super) fn end(self) -> Result<Result<MayBeCut, Broken>, Failure> {
        self.reading.join().map_err(|_| Failure::failed("reading the rows panicked"))
    }
}

impl Iterator for Batches {
    type Item = Result<Row, NoRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.queue.is_empty() {
            self.queue.extend(self.batches.try_recv().ok()?.rows);
        }
        self.queue.pop_front()
    }
}

/// Reads rows and passes them on, until the end or until nobody wants more.
fn read(
    file: impl Read,
    read_as: ReadAs,
    headers: &SyncSender<FileHeader>,
    batches: SyncSender<Batch>,
) -> Result<MayBeCut, Broken> {
    let outbox = RefCell::new(Outbox { rows: Vec::new(), bytes: 0, batches, is_wanted: true });
    let mut rows = Rows::read(Passing { inner: file, outbox: &outbox }, read_as)?;
    // Whoever does not listen any more wants no rows either.
    let _told = headers
        .send(FileHeader { others: rows.other_columns().to_vec(), csv: rows.header().cloned() });
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

/// Rows that have been read and not yet been passed on.
struct Outbox {
    rows: Vec<Result<Row, NoRow>>,
    bytes: usize,
    batches: SyncSender<Batch>,
    /// Whether anybody still takes them.
    is_wanted: bool,
}

impl Outbox {
    fn put(&mut self, row: Result<Row, NoRow>) {
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
fn size(row: &Result<Row, NoRow>) -> usize {
    match row {
        Ok(Row { text, .. }) | Err(NoRow::Bad(BadRow { text, .. })) => text.len(),
        Err(NoRow::Blank) => 0,
    }
}
