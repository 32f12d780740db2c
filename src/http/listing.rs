//! A listing once it is made: what its pages are cut from, what is kept of it, and whether it was
//! told.

use crate::agora::reply::Listing;
use crate::billing::bill::UnpricedProject;
use crate::billing::period::Period;
use crate::billing::setting::Settings;
use crate::billing::statement::{ListingKind, Statement, StatementEntry};
use crate::http::journal::{self, Kind, rfc3339};
use crate::store::snapshot::{ListingOrigin, Snapshot, SnapshotKey};
use crate::store::statement::Count;
use crate::store::statement_draft::StatementDraft;
use crate::store::{self, ReadTx, setting, statement};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How many projects without a price one line of the log names.
const NAMED: usize = 20;

/// All that a listing follows from beside what is asked: the last of each kind of row that was
/// written, and the settings. Rows of these kinds are only added, so that two states that say the
/// same hold the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The last entry of the usage ledger.
    pub knew_seq: i64,
    /// The last of all else that prices months.
    pub terms_seq: i64,
    /// The newest statement.
    pub newest_statement: i64,
    pub settings: Settings,
}

impl State {
    pub(super) fn read(tx: &ReadTx<'_>) -> store::Result<Self> {
        Ok(Self {
            knew_seq: statement::last_known_seq(tx)?,
            terms_seq: statement::terms_seq(tx)?,
            newest_statement: statement::newest(tx)?,
            settings: setting::read(tx)?,
        })
    }
}

/// Lists a window as the books are, and reads what has to be known of the listing.
pub(super) fn list(
    tx: &ReadTx<'_>,
    key: &SnapshotKey,
    list: impl FnOnce(&ReadTx<'_>, ListingOrigin) -> store::Result<PreparedListing>,
) -> store::Result<PreparedListing> {
    let began = Instant::now();
    let state = State::read(tx)?;
    let made_of = ListingOrigin {
        knew_seq: state.knew_seq,
        terms_seq: state.terms_seq,
        statement_seq: state.newest_statement,
        ..ListingOrigin::default()
    };
    let listed = list(tx, made_of)?;
    let last = statement::last(tx, key.kind, key.period)?;
    Ok(listed.out_of(state, last, began.elapsed()))
}

/// A listing, and what has to be known of it once it has been told.
pub(super) struct PreparedListing {
    pub listing: Listing,
    pub unpriced: LeftOut,
    pub period: Period,
    /// From which state of the books it was made.
    pub made_of: ListingOrigin,
    /// All that it follows from; `None` where it was read from the disk.
    pub state: Option<State>,
    /// The last statement of its window that was kept as it was made.
    pub last: Option<Statement>,
    /// How long it took to be made.
    pub took: Duration,
    /// What is kept of it. That of usage is made when it is needed: most listings of usage are
    /// never told to their end.
    draft: OnceLock<StatementDraft>,
    telling: Mutex<Telling>,
    /// About how many bytes of memory it takes, but for what of it is to be kept.
    made_bytes: usize,
}

/// How far a listing was told.
#[derive(Clone, Copy, Default)]
pub(super) enum Telling {
    /// Its last page has not gone out.
    #[default]
    Untold,
    /// It is going to be kept, as what was told since `first_asked_at_s`; what has been counted of
    /// it meanwhile.
    Waiting { first_asked_at_s: i64, counted: Option<Count> },
    /// It is kept under this number.
    Kept(i64),
}

/// The projects that have usage and no price, in the words of the log: the first few, and how many
/// more.
#[derive(Default)]
pub(super) struct LeftOut {
    named: Vec<String>,
    others: usize,
}

impl LeftOut {
    /// Puts the projects into words.
    pub(super) fn new(unpriced: &[UnpricedProject]) -> Self {
        let (named, others) = unpriced.split_at(unpriced.len().min(NAMED));
        let words = |unpriced: &UnpricedProject| {
            let (project_id, plan_id) = (&unpriced.usage.project_id, &unpriced.missing_plan);
            format!(
                "project {project_id} with {}, whose plan {plan_id} is not set up",
                unpriced.usage.uncovered()
            )
        };
        Self { named: named.iter().map(words).collect(), others: others.len() }
    }
}

impl PreparedListing {
    fn new(
        mut listing: Listing,
        unpriced: LeftOut,
        period: Period,
        made_of: ListingOrigin,
    ) -> Self {
        listing.shrink();
        let named: usize = unpriced.named.iter().map(String::capacity).sum();
        let made_bytes = listing.size_bytes() + named;
        let (state, last, took) = (None, None, Duration::ZERO);
        let (draft, telling) = (OnceLock::new(), Mutex::default());
        Self { listing, unpriced, period, made_of, state, last, took, draft, telling, made_bytes }
    }

    /// A listing of usage.
    pub(super) fn of_usage(listing: Listing, period: Period, made_of: ListingOrigin) -> Self {
        Self::new(listing, LeftOut::default(), period, made_of)
    }

    /// A listing of charges: of entries in the order of project ids.
    ///
    /// # Errors
    /// When what is kept of it would be too long.
    pub(super) fn of_bill(
        entries: &[StatementEntry],
        unpriced: LeftOut,
        period: Period,
        made_of: ListingOrigin,
    ) -> store::Result<Self> {
        let listing = Listing::of(ListingKind::Bill, made_of.total_size, entries);
        let draft = StatementDraft::of(ListingKind::Bill, period, made_of.clone(), entries)?;
        Ok(Self { draft: draft.into(), ..Self::new(listing, unpriced, period, made_of) })
    }

    /// The listing that a snapshot was taken of. Which statement says the same is looked up once it
    /// is told.
    ///
    /// # Errors
    /// When what is kept of it would be too long.
    pub(super) fn of_snapshot(key: &SnapshotKey, snapshot: Snapshot) -> store::Result<Self> {
        let Snapshot { made_of, entries, .. } = snapshot;
        match key.kind {
            ListingKind::Bill => Self::of_bill(&entries, LeftOut::default(), key.period, made_of),
            ListingKind::Usage => {
                let listing = Listing::of(key.kind, made_of.total_size, &entries);
                Ok(Self::of_usage(listing, key.period, made_of))
            }
        }
    }

    /// It, made in this time out of a state of the books with this last statement of its window.
    pub(super) fn out_of(self, state: State, last: Option<Statement>, took: Duration) -> Self {
        Self { state: Some(state), last, took, ..self }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.made_bytes + self.draft.get().map_or(0, StatementDraft::size_bytes)
    }

    /// Logs which projects are left out.
    pub(super) fn point_out(&self) {
        let others = match self.unpriced.others {
            0 => String::new(),
            count => format!("; and {count} more"),
        };
        if !self.unpriced.named.is_empty() {
            journal::tell(Kind::Unpriced, || {
                log::warn!(
                    from = rfc3339(self.period.first_s()),
                    to = rfc3339(self.period.last_s()),
                    unpriced = self.unpriced.named.len() + self.unpriced.others;
                    "left out of the bill for want of a price: {}{others}",
                    self.unpriced.named.join("; ")
                );
            });
        }
    }

    /// What of it is kept, where that has been made.
    pub(super) fn draft_if_made(&self) -> Option<&StatementDraft> {
        self.draft.get()
    }

    /// What of it is kept.
    ///
    /// # Errors
    /// When it would be too long.
    pub(super) fn draft(&self) -> store::Result<&StatementDraft> {
        if let Some(draft) = self.draft.get() {
            return Ok(draft);
        }
        let entry = |(project_id, figure)| StatementEntry {
            project_id,
            figure: Some(figure),
            origin: None,
        };
        let entries: Vec<StatementEntry> = self.listing.figures().into_iter().map(entry).collect();
        let (kind, made_of) = (self.listing.kind(), self.made_of.clone());
        let draft = StatementDraft::of(kind, self.period, made_of, &entries)?;
        Ok(self.draft.get_or_init(|| draft))
    }

    /// How far it was told.
    pub(super) fn telling(&self) -> MutexGuard<'_, Telling> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That its last page goes out.
    pub(super) fn told_at(&self, now_s: i64) -> Count {
        Count { asked: 1, last_asked_at_s: now_s, knew_seq: self.made_of.knew_seq }
    }
}
