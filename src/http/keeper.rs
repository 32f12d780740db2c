//! What was told is kept: a bill before its last page goes out, usage right after it, and by one
//! thread, which also leaves on the disk what later pages are cut from.
//!
//! Each commit makes the next request look at the books anew, so that a statement that is told
//! again and again is counted in memory and written down every other second.

use crate::billing::statement::{ListingKind, Statement};
use crate::http::books::Books;
use crate::http::error::Error;
use crate::http::listing::Telling;
use crate::http::sequence::{KEPT, KEPT_BYTES, Sequence};
use crate::store::balance::SettledMonth;
use crate::store::newest::NewestSnapshots;
use crate::store::snapshot::{self, SnapshotKey};
use crate::store::statement::{Count, count};
use crate::store::statement_draft::StatementConflict;
use crate::store::{self, WriteTx};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long counts may wait to be written down.
const COUNTS_WAIT: Duration = Duration::from_secs(2);
/// How many statements of usage may wait to be kept, and how much memory they may take together,
/// but for the first.
const WAITING: usize = 256;
const WAITING_BYTES: usize = 16 << 20;
/// How many bytes of snapshots are written in one transaction, but for the last, as they are in
/// memory.
const AT_ONCE_BYTES: usize = 1 << 20;
/// How long the keeper waits before it asks for the lock again.
const AGAIN: Duration = Duration::from_millis(2);
/// How long it waits where the books failed.
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How often snapshots that are a day old are looked for, and months that are not priced anew.
const DROP_EVERY: Duration = Duration::from_secs(3_600);
/// How long the lock is waited for, to drop them.
const DROP_WITHIN: Duration = Duration::from_millis(100);
/// How long a month may take to be priced, and how long the lock is waited for to write that down.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// How long it waits between two months, so that others have their turn.
const SETTLE_PAUSE: Duration = Duration::from_millis(20);
/// How long a stop waits for the lock, for what is still to be written.
const STOP_WITHIN: Duration = Duration::from_millis(1_000);

/// What has to be done before a last page may go out.
pub(super) enum Need {
    /// Nothing: it is counted, or will be kept.
    Nothing,
    /// It has to be kept.
    Keeping,
    /// Too many others wait to be kept.
    Full,
}

/// Keeps what was told, on a thread of its own.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    books: Arc<Books>,
    newest: Option<Arc<NewestSnapshots>>,
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The first of them is being kept.
    jobs: VecDeque<Arc<Sequence>>,
    /// By the numbers of statements.
    counts: HashMap<i64, Count>,
    /// The sequences that are to be left on the disk, of each window, kind and key the newest.
    snapshots: VecDeque<Arc<Sequence>>,
    /// Those that are being written there.
    leaving: Vec<Arc<Sequence>>,
    /// When counts may be written down again, where they were.
    counts_at: Option<Instant>,
    /// When marks are to be worked out, if any are, and after which month, where some have been.
    settle_at: Option<Instant>,
    settle_after_s: Option<i64>,
    /// When snapshots that are a day old are looked for again, where they were.
    drop_at: Option<Instant>,
    /// Whether one was given up since one was left there, and that was said.
    gave_up: bool,
    /// When a stop ends, once there is one.
    stop_by: Option<Instant>,
}

/// What is to be done by now; the first three in one transaction.
struct Work {
    job: Option<Arc<Sequence>>,
    counts: HashMap<i64, Count>,
    snapshots: Vec<Arc<Sequence>>,
    /// Whether snapshots that are a day old are dropped.
    drops_old: bool,
    /// Whether marks of a month are worked out.
    settles: bool,
}

impl Waiting {
    /// Takes what is to be done by now. A stop waits for nothing but old snapshots.
    fn take_work(&mut self, now: Instant) -> Option<Work> {
        let is_stopping = self.stop_by.is_some();
        let has_time = self.stop_by.is_none_or(|stop_by| now < stop_by);
        let is_over = |at: Instant| at <= now || is_stopping;
        let drops_old = !is_stopping && self.drop_at.is_none_or(is_over);
        let settles = has_time && (drops_old || self.settle_at.is_some_and(is_over));
        let (job, snapshots) = (self.jobs.front().cloned(), self.take_snapshots());
        let mut work = Work { job, counts: HashMap::new(), snapshots, drops_old, settles };
        if drops_old {
            self.drop_at = Some(now + DROP_EVERY);
        }
        if settles {
            self.settle_at = None;
        }
        let counts_are_due = !self.counts.is_empty() && self.counts_at.is_none_or(is_over);
        if work.job.is_some() || counts_are_due {
            work.counts = std::mem::take(&mut self.counts);
            self.counts_at = Some(now + COUNTS_WAIT);
        }
        (work.has_something() || drops_old || settles).then_some(work)
    }

    /// When there will be something to do, unless something comes in before.
    fn next_at(&self) -> Option<Instant> {
        let counts_at = self.counts_at.filter(|_| !self.counts.is_empty());
        [counts_at, self.settle_at, self.drop_at].into_iter().flatten().min()
    }

    /// Has marks worked out, at a moment or before.
    fn settle_by(&mut self, at: Instant) {
        self.settle_at = Some(self.settle_at.map_or(at, |before| before.min(at)));
    }

    /// Takes the first snapshots, as many as are written in a moment.
    fn take_snapshots(&mut self) -> Vec<Arc<Sequence>> {
        let mut bytes = 0;
        let mut taken = Vec::new();
        while bytes < AT_ONCE_BYTES
            && let Some(sequence) = self.snapshots.pop_front()
        {
            bytes += sequence.listed.size_bytes();
            taken.push(sequence);
        }
        self.leaving.clone_from(&taken);
        taken
    }

    /// Tells whether another sequence may wait to be left on the disk: one always may.
    fn has_room_for(&self, sequence: &Sequence) -> bool {
        let size = |sequence: &Arc<Sequence>| sequence.listed.size_bytes();
        let bytes: usize = self.snapshots.iter().map(size).sum();
        let is_small = bytes + sequence.listed.size_bytes() <= KEPT_BYTES;
        self.snapshots.is_empty() || (self.snapshots.len() < KEPT && is_small)
    }
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(books: Arc<Books>, newest: Option<Arc<NewestSnapshots>>) -> Self {
        let (waiting, news) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { books, newest, waiting, news });
        let works = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("keeper".to_owned()).spawn(move || works.work());
        // Without it bills alone are kept. Of usage the last pages are refused once the queue is
        // full. So is page 1 of what has several.
        let thread =
            thread.inspect_err(|error| log::error!("no thread to keep statements: {error}")).ok();
        Self { shared, thread: Mutex::new(thread) }
    }

    /// Leaves on the disk, soon, what the later pages of a sequence are cut from. Waits for
    /// nothing. Tells whether it is there or will be: not while too many others wait.
    pub(super) fn leave(&self, sequence: &Arc<Sequence>) -> bool {
        self.shared.leave(sequence)
    }

    /// The sequence of a window, a kind and a key that is on its way to the disk. It may have been
    /// forgotten otherwise.
    pub(super) fn leaving(&self, key: &SnapshotKey) -> Option<Arc<Sequence>> {
        let waiting = self.shared.lock();
        let on_their_way = waiting.leaving.iter().chain(&waiting.snapshots);
        on_their_way.rev().find(|sequence| sequence.key == *key).map(Arc::clone)
    }

    /// Prices what has marks, `after` a while: a bill was kept, or ran out of time over it.
    pub(super) fn settle(&self, after: Duration) {
        let mut waiting = self.shared.lock();
        waiting.settle_after_s = None;
        waiting.settle_by(Instant::now() + after);
        self.shared.news.notify_all();
    }

    /// Sees to what a last page that goes out at `now_s` leaves behind, as far as that needs no
    /// write. Its draft is made already. `newest` is the newest statement that there is.
    pub(super) fn tell(&self, sequence: &Arc<Sequence>, newest: i64, now_s: i64) -> Need {
        let listed = &sequence.listed;
        let told = listed.told_at(now_s);
        let mut telling = listed.telling();
        match &mut *telling {
            Telling::Kept(seq) => self.shared.count(*seq, told),
            Telling::Waiting { counted, .. } => {
                counted.get_or_insert(Count { asked: 0, ..told }).add(told);
            }
            Telling::Untold => {
                let digest = listed.draft_if_made().map(|draft| draft.digest());
                // Another may have been kept since.
                let last = listed.last.as_ref().filter(|_| newest == listed.made_of.statement_seq);
                let is_same = |last: &Statement| {
                    Some(last.digest) == digest && last.provisional == sequence.is_provisional()
                };
                if let Some(last) = last.filter(|last| is_same(last)) {
                    *telling = Telling::Kept(last.seq);
                    self.shared.count(last.seq, told);
                } else if listed.listing.kind() == ListingKind::Bill {
                    return Need::Keeping;
                } else if self.shared.queue(sequence) {
                    let first_asked_at_s = sequence.asked_at_s;
                    *telling = Telling::Waiting { first_asked_at_s, counted: Some(told) };
                } else {
                    return Need::Full;
                }
            }
        }
        Need::Nothing
    }

    /// Writes down what is left, and ends the thread.
    pub(super) fn finish(&self) {
        self.shared.lock().stop_by.get_or_insert_with(|| Instant::now() + STOP_WITHIN);
        self.shared.news.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread that keeps statements panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Sequence {
    /// Tells whether its last page has not gone out.
    pub(super) fn is_untold(&self) -> bool {
        matches!(*self.listed.telling(), Telling::Untold)
    }

    /// Keeps it as told at `now_s`.
    pub(super) fn keep(
        &self,
        tx: &WriteTx<'_>,
        now_s: i64,
    ) -> Result<Result<i64, StatementConflict>, Error> {
        let listed = &self.listed;
        Ok(listed.draft()?.keep(tx, self.asked_at_s, listed.told_at(now_s))?)
    }

    /// Takes note of its number, once that has been committed.
    pub(super) fn was_kept(&self, seq: i64) {
        *self.listed.telling() = Telling::Kept(seq);
    }

    /// When it was first asked for, and what has been counted of it since that was last asked;
    /// nothing unless it waits.
    fn take_counted(&self) -> Option<(i64, Count)> {
        let nothing = Count { asked: 0, ..self.listed.told_at(0) };
        match &mut *self.listed.telling() {
            Telling::Waiting { first_asked_at_s, counted } => {
                Some((*first_asked_at_s, counted.take().unwrap_or(nothing)))
            }
            Telling::Untold | Telling::Kept(_) => None,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, seq: i64, told: Count) {
        let mut waiting = self.lock();
        let is_first = waiting.counts.is_empty();
        waiting.counts.entry(seq).or_insert(Count { asked: 0, ..told }).add(told);
        if is_first {
            self.news.notify_all();
        }
    }

    fn queue(&self, job: &Arc<Sequence>) -> bool {
        let mut waiting = self.lock();
        let bytes: usize =
            waiting.jobs.iter().chain([job]).map(|job| job.listed.size_bytes()).sum();
        if waiting.jobs.len() >= WAITING || (bytes > WAITING_BYTES && !waiting.jobs.is_empty()) {
            return false;
        }
        waiting.jobs.push_back(Arc::clone(job));
        self.news.notify_all();
        true
    }

    fn leave(&self, sequence: &Arc<Sequence>) -> bool {
        if !sequence.is_to_be_left() {
            return true;
        }
        let mut waiting = self.lock();
        // Another request may have left it meanwhile. Where a newer one has begun, that one is
        // left, and may be waiting already.
        if !sequence.is_to_be_left() || !self.is_newest(sequence) {
            return true;
        }
        waiting.snapshots.retain(|other| other.key != sequence.key);
        if !waiting.has_room_for(sequence) {
            return false;
        }
        sequence.leave();
        waiting.snapshots.push_back(Arc::clone(sequence));
        self.news.notify_all();
        true
    }

    /// Says, once until one is left there again, that a sequence is not left on the disk.
    fn give_up(&self, error: &store::Error) {
        if !std::mem::replace(&mut self.lock().gave_up, true) {
            log::error!(
                "a snapshot is not on the disk, and later pages come from memory alone: {error}"
            );
        }
    }

    /// Drops the snapshots that are a day old; where that fails, it is tried again with the next
    /// ones.
    fn drop_old(&self) {
        let now_s = jiff::Timestamp::now().as_second();
        let within = Instant::now() + DROP_WITHIN;
        let dropped = self.books.writer().write(within, |tx| snapshot::drop_old(tx, now_s));
        // While others write there is time.
        if let Some(error) = dropped.err().filter(|error| !error.is_passing()) {
            log::warn!("snapshots that are a day old are not dropped yet: {error}");
        }
    }

    /// Prices the projects of one month that have marks; where there is one, another may follow.
    fn settle(&self) {
        let books = &self.books;
        let until = || {
            let until = Instant::now() + SETTLE_WITHIN;
            self.lock().stop_by.map_or(until, |stop_by| stop_by.min(until))
        };
        let after_s = self.lock().settle_after_s.take().unwrap_or(-1);
        let month = books.read(until(), |tx| SettledMonth::read(tx, after_s));
        let settled = month.and_then(|month| {
            let write = |month: SettledMonth| books.writer().write(until(), |tx| month.write(tx));
            month.map(write).transpose()
        });
        match settled {
            Ok(None) => {}
            Ok(after_s) => {
                let mut waiting = self.lock();
                // A bill that was kept meanwhile begins anew.
                if waiting.settle_at.is_none() {
                    waiting.settle_after_s = after_s;
                }
                waiting.settle_by(Instant::now() + SETTLE_PAUSE);
            }
            Err(error) => log::warn!("a month is not priced yet: {error}"),
        }
    }

    /// Does what comes in until it is told to stop.
    fn work(&self) {
        while let Some(work) = self.next() {
            let (drops_old, settles) = (work.drops_old, work.settles);
            if work.has_something() {
                self.write(work);
                // They are on the disk, or given up.
                self.lock().leaving.clear();
            }
            if drops_old {
                self.drop_old();
            }
            if settles {
                self.settle();
            }
        }
    }

    /// Waits for something to do: a snapshot and a statement are written at once, all else after a
    /// while; `None` where there is nothing left and no more to come.
    fn next(&self) -> Option<Work> {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            if let Some(work) = waiting.take_work(now) {
                return Some(work);
            }
            if waiting.stop_by.is_some() {
                return None;
            }
            let next_at = waiting.next_at().unwrap_or(now);
            let news = self.news.wait_timeout(waiting, next_at.saturating_duration_since(now));
            waiting = news.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes down what has come in, however long that takes; after a stop, while there is time.
    fn write(&self, mut work: Work) {
        let told = work.job.as_ref().and_then(|job| job.take_counted());
        // Made ready before the lock is had; not where another page 1 went out meanwhile.
        work.snapshots.retain(|sequence| {
            let made = || sequence.listed.draft().inspect_err(|error| self.give_up(error));
            self.is_newest(sequence) && made().is_ok()
        });
        let mut has_said = false;
        let kept = loop {
            let write = |tx: &WriteTx<'_>| self.write_down(tx, &work, told);
            let error: store::Error = match self.books.writer().write(Instant::now(), write) {
                Ok(kept) => break kept,
                Err(error) => error,
            };
            // What is told comes first: later pages come from memory.
            if !error.is_passing() && !std::mem::take(&mut work.snapshots).is_empty() {
                self.give_up(&error);
                continue;
            }
            if !error.is_passing() && !has_said {
                log::error!(
                    "what was told cannot be kept, and is tried again every second: {error}"
                );
                has_said = true;
            }
            let pause = if error.is_passing() { AGAIN } else { AGAIN_AFTER_FAILURE };
            if !self.pause(pause) {
                work.say_lost(&error);
                break None;
            }
        };
        if !work.snapshots.is_empty() {
            self.lock().gave_up = false;
        }
        if let Some(job) = work.job {
            if let Some(seq) = kept {
                let counted = job.take_counted();
                job.was_kept(seq);
                counted.into_iter().for_each(|(_, counted)| self.count(seq, counted));
            }
            self.lock().jobs.pop_front();
        }
    }

    /// Waits before the next try, whatever comes in meanwhile; a stop is heard at once. Tells
    /// whether there is time for one.
    fn pause(&self, pause: Duration) -> bool {
        let again_at = Instant::now() + pause;
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            if let Some(stop_by) = waiting.stop_by {
                drop(waiting);
                std::thread::sleep(AGAIN.min(pause));
                return now + AGAIN <= stop_by;
            }
            if now >= again_at {
                return true;
            }
            let news = self.news.wait_timeout(waiting, again_at - now);
            waiting = news.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells whether no newer page 1 has begun a sequence in the place of this one.
    fn is_newest(&self, sequence: &Sequence) -> bool {
        let number = |newest: &Arc<NewestSnapshots>| {
            let number = newest.number(&sequence.key);
            number.inspect_err(|error| log::warn!("a snapshot is not left on the disk: {error}"))
        };
        let newest = self.newest.as_ref().and_then(|newest| number(newest).ok());
        newest == Some(sequence.number)
    }

    /// Writes down in one transaction all that is to be; tells the number of the statement.
    fn write_down(
        &self,
        tx: &WriteTx<'_>,
        work: &Work,
        told: Option<(i64, Count)>,
    ) -> store::Result<Option<i64>> {
        work.counts.iter().try_for_each(|(seq, told)| count(tx, *seq, *told))?;
        for sequence in &work.snapshots {
            let Sequence { key, number, asked_at_s, listed, .. } = &**sequence;
            // Asked with the lock had: whoever began a newer one has not left it yet.
            if self.is_newest(sequence) {
                listed.draft()?.leave(tx, key, *number, *asked_at_s)?;
            }
        }
        let (Some(job), Some((first_asked_at_s, told))) = (&work.job, told) else {
            return Ok(None);
        };
        let kept = job.listed.draft()?.keep(tx, first_asked_at_s, told)?;
        Ok(Some(kept.expect("usage is kept whatever was told since")))
    }
}

impl Work {
    fn has_something(&self) -> bool {
        self.job.is_some() || !self.snapshots.is_empty() || !self.counts.is_empty()
    }

    /// Says what is lost by a stop.
    fn say_lost(&self, error: &store::Error) {
        if let Some(job) = &self.job {
            let period = job.key.period;
            log::error!(
                "the usage told from fromTs {} to toTs {} could not be kept \
                 before the stop: {error}",
                period.first_s(),
                period.last_s()
            );
        }
        if !self.counts.is_empty() {
            log::error!(
                "how often statements were told could not be kept before the stop: {error}"
            );
        }
        if !self.snapshots.is_empty() {
            log::warn!("a snapshot could not be left on the disk before the stop: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agora::reply::Listing;
    use crate::billing::period::Period;
    use crate::http::listing::PreparedListing;
    use crate::http::sequence::Sequences;
    use crate::store::snapshot::ListingOrigin;
    use crate::store::{Readers, Store, Writer};
    use std::path::Path;

    /// What a keeper works with, without its thread, on fresh books in a folder.
    fn shared(folder: &Path) -> Shared {
        let path = folder.join("books.db");
        Store::create(&path, |_| Ok::<_, store::Error>(())).expect("books");
        let readers = Readers::open(&path, 1).expect("readers");
        let books = Books::new(readers, Writer::open(&path).expect("a writer"));
        let newest = Some(Arc::new(NewestSnapshots::open(&path).expect("a file")));
        let (books, waiting, news) = (Arc::new(books), Mutex::default(), Condvar::new());
        Shared { books, newest, waiting, news }
    }

    #[test]
    fn of_two_page_1s_at_once_the_one_that_began_last_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let shared = shared(folder.path());
        let sequences = Sequences::default();
        let begin = || {
            let period = Period::new(1, 2).expect("a window");
            let api_key = "k".parse().expect("a key");
            let (kind, parameters) = (ListingKind::Usage, String::new());
            let key = SnapshotKey { kind, period, api_key, parameters };
            let listing = Listing::new(kind, 0);
            let listed =
                Arc::new(PreparedListing::of_usage(listing, period, ListingOrigin::default()));
            let sequence = Sequence::new(key, None, 0, listed);
            sequences.begin(sequence, shared.newest.as_deref())
        };
        let [older, newer] = [begin(), begin()];
        // The one that began first comes last to be left.
        assert!(shared.leave(&newer) && shared.leave(&older));
        let waiting = shared.lock();
        assert_eq!(waiting.snapshots.len(), 1);
        assert!(Arc::ptr_eq(&waiting.snapshots[0], &newer));
    }

    #[test]
    fn what_comes_in_does_not_cut_the_pause_after_a_failure_short_and_a_stop_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let shared = shared(folder.path());
        let pause = Duration::from_millis(100);
        std::thread::scope(|scope| {
            let began = Instant::now();
            let paused = scope.spawn(|| shared.pause(pause));
            while !paused.is_finished() {
                shared.news.notify_all();
                std::thread::yield_now();
            }
            assert!(paused.join().expect("no panic") && began.elapsed() >= pause);
            let began = Instant::now();
            let paused = scope.spawn(|| shared.pause(Duration::from_secs(60)));
            shared.lock().stop_by = Some(began);
            shared.news.notify_all();
            assert!(!paused.join().expect("no panic"));
            assert!(began.elapsed() < Duration::from_secs(30));
        });
    }
}
