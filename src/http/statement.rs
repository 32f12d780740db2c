//! What was told is kept: a bill before its last page goes out, usage right after it, and by one thread.
//!
//! Each commit makes the next request look at the books anew, so that a statement that is told again and again is
//! counted in memory and written down every other second.

use crate::billing::period::Period;
use crate::billing::statement::{ListingKind, Statement, is_provisional};
use crate::http::Failure;
use crate::http::listed::{Listed, Telling};
use crate::http::listing::Sequence;
use crate::store::statement::{Count, count, keep};
use crate::store::{self, WriteTx, Writer};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long counts may wait to be written down.
const COUNTS_WAIT: Duration = Duration::from_secs(2);
/// How many statements of usage may wait to be kept, and how much memory they may take together, but for the first.
const WAITING: usize = 256;
const WAITING_BYTES: usize = 16 << 20;
/// How long the keeper waits before it asks for the lock again.
const AGAIN: Duration = Duration::from_millis(2);
/// How long it waits where the books failed.
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long a stop waits for the lock, for what is still to be written.
const STOP_WITHIN: Duration = Duration::from_millis(1_000);

/// What has to be done before a last page may go out.
pub(super) enum Need {
    /// Nothing: it is counted, or will be kept.
    Nothing,
    /// What of it is kept has to be made out, which may take longer than an answer at once.
    Content,
    /// It has to be kept.
    Keeping,
    /// Too many others wait to be kept.
    Full,
}

/// A statement of usage that waits to be kept.
#[derive(Clone)]
struct Job {
    listed: Arc<Listed>,
    period: Period,
    provisional: bool,
}

/// Keeps what was told, on a thread of its own.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    writer: Arc<Writer>,
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The first of them is being kept.
    jobs: VecDeque<Job>,
    /// By the numbers of statements.
    counts: HashMap<i64, Count>,
    /// When a stop ends, once there is one.
    stop_by: Option<Instant>,
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(writer: Arc<Writer>) -> Self {
        let shared = Arc::new(Shared { writer, waiting: Mutex::default(), news: Condvar::new() });
        let works = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("keeper".to_owned()).spawn(move || works.work());
        // Without it nothing is ever kept: bills are, and of usage the last pages are refused once the queue is full.
        let thread =
            thread.inspect_err(|error| log::error!("no thread to keep statements: {error}")).ok();
        Self { shared, thread: Mutex::new(thread) }
    }

    /// Sees to what a last page that goes out at `now_s` leaves behind, as far as that needs no write.
    pub(super) fn tell(&self, sequence: &Sequence, now_s: i64, may_take_long: bool) -> Need {
        let listed = &sequence.listed;
        let provisional = sequence.is_provisional();
        let told = listed.told_at(now_s);
        if may_take_long {
            sequence.make_ready();
        }
        let mut tellings = listed.tellings.lock();
        let telling = &mut tellings[usize::from(provisional)];
        match telling {
            Telling::Kept(seq) => self.shared.count(*seq, told.known_unless(listed.closed)),
            Telling::Waiting { counted, .. } => {
                counted.get_or_insert(Count { asked: 0, ..told }).add(told);
            }
            Telling::Untold => {
                let Some(content) = listed.content_if_made() else {
                    return Need::Content;
                };
                let same = |last: &&Statement| {
                    last.digest == content.digest() && last.provisional == provisional
                };
                if let Some(last) = listed.last.as_ref().filter(same) {
                    *telling = Telling::Kept(last.seq);
                    self.shared.count(last.seq, told.known_unless(listed.closed));
                    return Need::Nothing;
                }
                match listed.listing.kind() {
                    ListingKind::Bill => return Need::Keeping,
                    ListingKind::Usage => {
                        let job = Job {
                            listed: Arc::clone(listed),
                            period: sequence.period,
                            provisional,
                        };
                        if !self.shared.queue(job) {
                            return Need::Full;
                        }
                        let first_asked_at_s = sequence.asked_at_s;
                        *telling = Telling::Waiting { first_asked_at_s, counted: Some(told) };
                    }
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
    fn is_provisional(&self) -> bool {
        is_provisional(self.listed.listing.kind(), self.period, self.asked_at_s)
    }

    /// Makes out what of it is to be kept, unless it has been.
    pub(super) fn make_ready(&self) {
        let provisional = self.is_provisional();
        let telling = self.listed.tellings.lock()[usize::from(provisional)];
        if matches!(telling, Telling::Untold) {
            self.listed.content();
        }
    }

    /// Keeps it as told at `now_s`; `None` where it must not be told.
    pub(super) fn keep(&self, tx: &WriteTx<'_>, now_s: i64) -> Result<Option<i64>, Failure> {
        let told = self.listed.told_at(now_s);
        Ok(keep(tx, &self.listed.answer(self.period, self.asked_at_s, told))?)
    }

    /// Takes note of its number, once that has been committed.
    pub(super) fn was_kept(&self, seq: i64) {
        let provisional = self.is_provisional();
        self.listed.tellings.lock()[usize::from(provisional)] = Telling::Kept(seq);
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

    fn queue(&self, job: Job) -> bool {
        let mut waiting = self.lock();
        let bytes: usize =
            waiting.jobs.iter().chain([&job]).map(|job| job.listed.size_bytes()).sum();
        if waiting.jobs.len() >= WAITING || (bytes > WAITING_BYTES && !waiting.jobs.is_empty()) {
            return false;
        }
        waiting.jobs.push_back(job);
        self.news.notify_all();
        true
    }

    /// Writes down what comes in until it is told to stop.
    fn work(&self) {
        let mut wrote = Instant::now();
        while let Some((job, counts)) = self.next(wrote) {
            self.write(job.as_ref(), &counts);
            wrote = Instant::now();
        }
    }

    /// Waits for something to write down: a statement at once, counts after a while; `None` where there is nothing left
    /// and no more to come.
    fn next(&self, wrote: Instant) -> Option<(Option<Job>, HashMap<i64, Count>)> {
        let mut waiting = self.lock();
        loop {
            let job = waiting.jobs.front().cloned();
            let left = COUNTS_WAIT.saturating_sub(wrote.elapsed());
            let is_stopping = waiting.stop_by.is_some();
            let counts_are_due = !waiting.counts.is_empty() && (left.is_zero() || is_stopping);
            if job.is_some() || counts_are_due {
                return Some((job, std::mem::take(&mut waiting.counts)));
            }
            if is_stopping {
                return None;
            }
            waiting = match waiting.counts.is_empty() {
                true => self.news.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                false => {
                    self.news.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Writes a statement and counts down, however long that takes; after a stop, while there is time.
    fn write(&self, job: Option<&Job>, counts: &HashMap<i64, Count>) {
        let answer = job.map(|job| {
            let (first_asked_at_s, told) = job.take();
            job.listed.answer(job.period, first_asked_at_s, told)
        });
        let mut has_told = false;
        let kept = loop {
            let written = self.writer.write(Instant::now(), |tx| {
                counts.iter().try_for_each(|(seq, told)| count(tx, *seq, *told))?;
                answer.as_ref().map(|answer| keep(tx, answer)).transpose().map(Option::flatten)
            });
            let error: store::Error = match written {
                Ok(kept) => break kept,
                Err(error) => error,
            };
            if !error.is_passing() && !has_told {
                log::error!(
                    "what was told cannot be kept, and is tried again every second: {error}"
                );
                has_told = true;
            }
            let pause = if error.is_passing() { AGAIN } else { AGAIN_AFTER_FAILURE };
            let stop_by = self.lock().stop_by;
            if stop_by.is_some_and(|stop_by| Instant::now() + pause.min(AGAIN) > stop_by) {
                match job {
                    Some(Job { period, .. }) => log::error!(
                        "the usage told from fromTs {} to toTs {} could not be kept before the stop: {error}",
                        period.first_s(),
                        period.last_s()
                    ),
                    None => log::error!(
                        "how often statements were told could not be kept before the stop: {error}"
                    ),
                }
                break None;
            }
            let waiting = self.lock();
            match stop_by.is_none() && pause > AGAIN {
                // A stop is heard at once.
                true => drop(self.news.wait_timeout(waiting, pause)),
                false => {
                    drop(waiting);
                    std::thread::sleep(AGAIN);
                }
            }
        };
        if let Some(job) = job {
            if let Some((seq, counted)) =
                kept.and_then(|seq| job.was_kept(seq).map(|counted| (seq, counted)))
            {
                self.count(seq, counted);
            }
            self.lock().jobs.pop_front();
        }
    }
}

impl Job {
    /// When it was first asked for, and what has been counted so far.
    fn take(&self) -> (i64, Count) {
        let mut tellings = self.listed.tellings.lock();
        let nothing = Count { asked: 0, last_asked_at_s: 0, knew_seq: self.listed.knew_seq };
        match &mut tellings[usize::from(self.provisional)] {
            Telling::Waiting { first_asked_at_s, counted } => {
                (*first_asked_at_s, counted.take().unwrap_or(nothing))
            }
            Telling::Untold | Telling::Kept(_) => {
                unreachable!("it waits until it has been kept here")
            }
        }
    }

    /// Takes note of its number; gives what has been counted since it was taken.
    fn was_kept(&self, seq: i64) -> Option<Count> {
        let mut tellings = self.listed.tellings.lock();
        match std::mem::replace(&mut tellings[usize::from(self.provisional)], Telling::Kept(seq)) {
            Telling::Waiting { counted, .. } => counted,
            Telling::Untold | Telling::Kept(_) => None,
        }
    }
}
