//! The pages of a listing, as `/usage` and `/bill` answer with them: page 1 begins a sequence, and
//! all later pages are cut from what page 1 was. A last page that goes out to Agora is kept.

use crate::agora::reply::{Envelope, Refusal, Reply};
use crate::agora::request::{ListingRequest, PageSelection};
use crate::billing::statement::{ListingKind, is_provisional};
use crate::http::answer::{Answer, Head, Outcome};
use crate::http::books::{Books, Fresh};
use crate::http::error::Error;
use crate::http::journal::{self, Kind, ms, rfc3339};
use crate::http::keeper::{Keeper, Need};
use crate::http::listing::{self, PreparedListing};
use crate::http::sequence::{Sequence, Sequences, is_newest};
use crate::http::verify::Verified;
use crate::store::newest::NewestSnapshots;
use crate::store::snapshot::{self, ListingOrigin, SnapshotKey};
use crate::store::statement_draft::StatementConflict;
use crate::store::{self, ReadTx};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How long a bill's last page waits for the lock, under which it is kept before it goes out.
const KEEP_WITHIN: Duration = Duration::from_millis(150);
/// How long it waits at least, where what is kept took all the time: the keeper may just be writing
/// the snapshot of the same sequence, which was made ready at the same moment.
const KEEP_WITHIN_LEAST: Duration = Duration::from_millis(50);
/// How long after a bill the marks are worked out that it went by: the next one may be asked for
/// just then.
const SETTLE_AFTER: Duration = Duration::from_secs(1);
/// How long a later page waits for the snapshot of page 1, which another server may be about to
/// leave on the disk; and how often it looks.
const SNAPSHOT_WITHIN: Duration = Duration::from_millis(200);
const SNAPSHOT_POLL: Duration = Duration::from_millis(4);

/// What the endpoints that answer in pages differ in.
pub(super) trait Lister: Send + 'static {
    /// What the listing follows from beside the window, in a canonical form; empty where that is
    /// all. A listing with more is cut from memory alone, and no statement is kept of it.
    fn parameters(&self) -> String;

    /// Lists what is asked for; `made_of` tells the state of the books.
    fn list(&self, tx: &ReadTx<'_>, made_of: ListingOrigin) -> store::Result<PreparedListing>;

    /// Sees to what is to be done as page 1 goes out.
    fn begins(&self, _: &PreparedListing) {}
}

/// What pages are cut from, and what keeps it.
pub(super) struct Pages {
    books: Arc<Books>,
    envelope: Envelope,
    sequences: Sequences,
    /// Which sequences are the newest, of all servers; `None` where the file for that cannot be
    /// had: then later pages come from what this server holds in memory alone.
    newest: Option<Arc<NewestSnapshots>>,
    keeper: Keeper,
}

/// A page that is asked for.
struct PageRequest<L> {
    head: Head,
    key: SnapshotKey,
    page: PageSelection,
    /// Whether a statement is kept of what is answered: Agora itself asks, for the whole listing.
    leaves_statement: bool,
    lister: L,
}

impl Pages {
    pub(super) fn new(books: Arc<Books>, envelope: Envelope) -> Self {
        let newest = NewestSnapshots::open(books.path()).inspect_err(|error| {
            log::error!("later pages end with this process: {error}");
        });
        let newest = newest.ok().map(Arc::new);
        let keeper = Keeper::start(Arc::clone(&books), newest.clone());
        Self { books, envelope, sequences: Sequences::default(), newest, keeper }
    }

    /// Writes down what has been told and is not kept yet; takes a second at most.
    pub(super) fn finish(&self) {
        self.keeper.finish();
    }

    /// Answers with a page of the listing that `lister` makes.
    pub(super) fn answer(
        self: &Arc<Self>,
        verified: &Verified<'_>,
        kind: ListingKind,
        request: ListingRequest,
        lister: impl Lister,
    ) -> Outcome {
        let ListingRequest { period, page } = request;
        let (api_key, parameters) = (verified.pair.api_key.clone(), lister.parameters());
        let leaves_statement = verified.is_by_agora() && parameters.is_empty();
        let key = SnapshotKey { kind, period, api_key, parameters };
        let head = verified.head.clone();
        let asked = PageRequest { head, key, page, leaves_statement, lister };
        let held = match page.page_num {
            1 => self.begin_at_once(&asked, verified.fresh),
            _ => self.held(&asked.key)?,
        };
        if let Some(sequence) = held {
            return self.hand_out_at_once(asked, sequence, verified.fresh);
        }
        let pages = Arc::clone(self);
        Ok(Answer::read(move |until| {
            // Others may have read or changed the books while this one waited for its turn.
            let fresh = pages.books.known_by(until)?;
            let sequence = match page.page_num {
                1 => pages.begin(&asked, &fresh, until)?,
                _ => pages.go_on(&asked, until)?,
            };
            pages.hand_out(asked, sequence, &fresh, until)
        }))
    }

    /// What page 1 is cut from, where it has been listed since the books changed last.
    fn begin_at_once<L>(&self, asked: &PageRequest<L>, fresh: &Fresh) -> Option<Arc<Sequence>> {
        self.begun_since(asked).or_else(|| {
            let asked_at_s = asked.head.now_s();
            let is_provisional = is_provisional(asked.key.kind, asked.key.period, asked_at_s);
            let listed = self.sequences.listed(&asked.key, is_provisional, &fresh.known.state)?;
            Some(self.begin_with(asked, fresh, asked_at_s, listed))
        })
    }

    /// What page 1 is cut from: the books as they are.
    fn begin<L: Lister>(
        &self,
        asked: &PageRequest<L>,
        fresh: &Fresh,
        until: Instant,
    ) -> Result<Arc<Sequence>, Error> {
        let turn = self.sequences.turn(&asked.key);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had it before may have begun what is asked for.
        if let Some(begun) = self.begin_at_once(asked, fresh) {
            return Ok(begun);
        }
        let asked_at_s = asked.head.now_s();
        let list = |tx: &ReadTx<'_>, made_of: ListingOrigin| asked.lister.list(tx, made_of);
        let listed = self.books.read(until, |tx| listing::list(tx, &asked.key, list));
        if let (ListingKind::Bill, Err(store::Error::Deadline)) = (asked.key.kind, &listed) {
            self.keeper.settle(Duration::ZERO);
        }
        Ok(self.begin_with(asked, fresh, asked_at_s, Arc::new(listed?)))
    }

    /// The sequence that another request for the same has begun since this one arrived.
    fn begun_since<L>(&self, asked: &PageRequest<L>) -> Option<Arc<Sequence>> {
        self.sequences.find(&asked.key).filter(|begun| begun.is_fresh(asked.head.arrived))
    }

    fn begin_with<L>(
        &self,
        asked: &PageRequest<L>,
        fresh: &Fresh,
        asked_at_s: i64,
        listed: Arc<PreparedListing>,
    ) -> Arc<Sequence> {
        let sequence = Sequence::new(asked.key.clone(), Some(fresh.as_of), asked_at_s, listed);
        match asked.head.method.as_str() {
            "GET" => self.sequences.begin(sequence, self.newest.as_deref()),
            _ => Arc::new(sequence),
        }
    }

    /// What a later page is cut from, where it is in memory.
    fn held(&self, key: &SnapshotKey) -> store::Result<Option<Arc<Sequence>>> {
        let Some(begun) = self.sequences.find(key).or_else(|| self.keeper.leaving(key)) else {
            return Ok(None);
        };
        Ok(is_newest(&begun, self.newest.as_deref())?.then_some(begun))
    }

    /// What a later page is cut from: what the newest page 1 was, whichever server answered that.
    /// It is in memory, or else on the disk.
    fn go_on<L>(&self, asked: &PageRequest<L>, until: Instant) -> Result<Arc<Sequence>, Error> {
        let PageRequest { head, key, .. } = asked;
        let newest = self.newest.as_deref();
        let wait_until = head.arrived + SNAPSHOT_WITHIN;
        loop {
            if let Some(begun) = self.held(key)? {
                return Ok(begun);
            }
            let number = newest.map_or(Ok(0), |newest| newest.number(key))?;
            if number != 0 {
                let find = |tx: &ReadTx<'_>| snapshot::find(tx, key, number, head.now_s());
                match self.books.read(until, find) {
                    Ok(Some(snapshot)) => {
                        let sequence = Sequence::of_snapshot(key.clone(), number, snapshot)?;
                        return Ok(self.sequences.hold(sequence, newest)?);
                    }
                    Ok(None) => {}
                    Err(store::Error::Unreadable { reason, .. }) => {
                        log::error!("the snapshot of page 1 cannot be read: {reason}");
                        return Err(Refusal::SnapshotGone.into());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if number == 0 || Instant::now() >= wait_until {
                return Err(Refusal::SnapshotGone.into());
            }
            std::thread::sleep(SNAPSHOT_POLL);
        }
    }

    /// Hands out a page, unless that takes more than a few rows of the books.
    fn hand_out_at_once<L: Lister>(
        self: &Arc<Self>,
        asked: PageRequest<L>,
        sequence: Arc<Sequence>,
        fresh: &Fresh,
    ) -> Outcome {
        if !asked.tells_the_end_of(&sequence) {
            return Ok(Answer::Done(self.hand_out_more(&asked, &sequence)?));
        }
        let (listed, newest) = (&sequence.listed, fresh.known.state.newest_statement);
        let is_outdone = match listed.draft_if_made() {
            _ if !sequence.is_untold() => Some(false),
            None => None,
            Some(_) if listed.made_of.statement_seq == newest => Some(false),
            Some(_) => self.books.read_at_once(asked.is_outdone(&sequence))?,
        };
        match is_outdone {
            Some(false) => self.hand_out_end(asked, sequence, newest),
            Some(true) => Err(outdone(StatementConflict::ByNewerAnswer)),
            None => {
                let pages = Arc::clone(self);
                Ok(Answer::read(move |until| {
                    let fresh = pages.books.known_by(until)?;
                    pages.hand_out(asked, sequence, &fresh, until)
                }))
            }
        }
    }

    /// Hands out a page.
    fn hand_out<L: Lister>(
        self: &Arc<Self>,
        asked: PageRequest<L>,
        sequence: Arc<Sequence>,
        fresh: &Fresh,
        until: Instant,
    ) -> Outcome {
        let newest = fresh.known.state.newest_statement;
        if !asked.tells_the_end_of(&sequence) {
            return Ok(Answer::Done(self.hand_out_more(&asked, &sequence)?));
        }
        if sequence.is_untold() && self.books.read(until, asked.is_outdone(&sequence))? {
            return Err(outdone(StatementConflict::ByNewerAnswer));
        }
        self.hand_out_end(asked, sequence, newest)
    }

    /// Hands out a page that others follow, or that nothing is kept of. Page 1 goes out to Agora
    /// if its later pages will be there, even once other sequences have been begun.
    fn hand_out_more<L: Lister>(
        &self,
        asked: &PageRequest<L>,
        sequence: &Arc<Sequence>,
    ) -> Result<Reply, Error> {
        let begins = asked.leaves_statement && asked.page.page_num == 1;
        if begins && !self.keeper.leave(sequence) {
            return Err(asked.too_many_waiting("too many snapshots wait to be left on the disk"));
        }
        Ok(self.cut(asked, sequence))
    }

    /// Hands out a last page, once it is kept where it is a bill.
    fn hand_out_end<L: Lister>(
        self: &Arc<Self>,
        asked: PageRequest<L>,
        sequence: Arc<Sequence>,
        newest: i64,
    ) -> Outcome {
        let is_first = sequence.is_untold();
        if self.tell(&asked, &sequence, newest)? {
            asked.say_told(&sequence, is_first);
            return Ok(Answer::Done(self.cut(&asked, &sequence)));
        }
        let pages = Arc::clone(self);
        Ok(Answer::write(move |lock_until| {
            // Another request may have had it kept while this one waited for its turn.
            if !pages.tell(&asked, &sequence, newest)? {
                pages.keep(&asked, &sequence, lock_until)?;
            }
            asked.say_told(&sequence, is_first);
            Ok(pages.cut(&asked, &sequence))
        }))
    }

    /// Sees to what a last page leaves behind, and tells whether it may go out: a bill has to be
    /// kept first.
    fn tell<L>(
        &self,
        asked: &PageRequest<L>,
        sequence: &Arc<Sequence>,
        newest: i64,
    ) -> Result<bool, Error> {
        match self.keeper.tell(sequence, newest, asked.head.now_s()) {
            Need::Nothing => Ok(true),
            Need::Keeping => Ok(false),
            Need::Full => Err(asked.too_many_waiting("too many answers wait to be kept")),
        }
    }

    /// Keeps a bill.
    fn keep<L: Lister>(
        &self,
        asked: &PageRequest<L>,
        sequence: &Sequence,
        lock_until: Instant,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let lock_until = lock_until.min(now + KEEP_WITHIN).max(now + KEEP_WITHIN_LEAST);
        let now_s = asked.head.now_s();
        match self.books.write(lock_until, |tx| sequence.keep(tx, now_s))? {
            Ok(seq) => {
                sequence.was_kept(seq);
                self.keeper.settle(SETTLE_AFTER);
                Ok(())
            }
            // Nor is it forgotten: its end must not come from another state of the books than its
            // beginning.
            Err(by) => Err(outdone(by)),
        }
    }

    /// Cuts a page out of what it is cut from.
    fn cut<L: Lister>(&self, asked: &PageRequest<L>, sequence: &Sequence) -> Reply {
        let listed = &sequence.listed;
        if asked.page.page_num == 1 {
            asked.lister.begins(listed);
        }
        listed.listing.page(asked.page, self.envelope)
    }
}

impl<L> PageRequest<L> {
    /// Whether it ends what a statement is kept of.
    fn tells_the_end_of(&self, sequence: &Sequence) -> bool {
        self.leaves_statement && sequence.listed.listing.ends_with(self.page)
    }

    /// Logs that a statement is told: its last page goes out.
    fn say_told(&self, sequence: &Sequence, is_first: bool) {
        let (listed, took) = (&sequence.listed, self.head.arrived.elapsed());
        journal::tell(Kind::Told, || {
            let total = listed.draft_if_made().map(|answer| answer.total().to_string());
            let total = total.unwrap_or_default();
            let (from, to) =
                (rfc3339(self.key.period.first_s()), rfc3339(self.key.period.last_s()));
            let (entries, pages) = (listed.listing.len(), self.page.page_num);
            let kind = match self.key.kind {
                ListingKind::Usage => "usage",
                ListingKind::Bill => "bill",
            };
            let again = if is_first { "" } else { " again" };
            let open = if sequence.is_provisional() { ", a window that was not over" } else { "" };
            log::info!(
                kind, from, to, entries, total, pages,
                again = !is_first, provisional = sequence.is_provisional(),
                listedMicros = listed.took.as_micros(), tookMicros = took.as_micros();
                "told {kind}{again} from {from} to {to}{open}: entries {entries}, total {total}, \
                 pages {pages}; listed in {}, the last page in {}",
                ms(listed.took),
                ms(took)
            );
        });
    }

    /// Refuses the page for now.
    fn too_many_waiting(&self, reason: &str) -> Error {
        Error::busy(Refusal::TooManyWaiting, &self.head.path, reason)
    }

    /// Reads whether a newer statement has outdone a sequence.
    fn is_outdone(&self, sequence: &Sequence) -> impl FnOnce(&ReadTx<'_>) -> store::Result<bool> {
        move |tx| sequence.listed.draft()?.is_outdone(tx, sequence.asked_at_s)
    }
}

/// Why an answer is not told to its end.
fn outdone(by: StatementConflict) -> Error {
    match by {
        StatementConflict::ByOtherBill => Refusal::OtherBill.into(),
        StatementConflict::ByNewerAnswer => Refusal::NewerAnswer.into(),
    }
}
