//! A listing once it is made: what its pages are cut from, what is kept of it, and whether it was
//! told.

use crate::agora::reply::Listing;
use crate::billing::bill::UnpricedProject;
use crate::billing::period::Period;
use crate::billing::statement::{ListingKind, Statement, StatementEntry};
use crate::http::journal::{self, Kind, rfc3339};
use crate::store::balance::Costs;
use crate::store::snapshot::{ListingOrigin, Snapshot, SnapshotKey};
use crate::store::statement::Count;
use crate::store::statement_draft::StatementDraft;
use crate::store::{self, ReadTx};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How many projects without a price one line of the log names.
const NAMED: usize = 20;

/// A listing, and what has to be known of it once it has been told.
pub(super) struct PreparedListing {
    pub listing: Listing,
    pub unpriced: LeftOut,
    pub period: Period,
    /// From which state of the books it was made.
    pub made_of: ListingOrigin,
    /// The last statement of its window that was kept as it was made.
    pub last: Option<Statement>,
    /// How long it took to be made.
    pub took: Duration,
    /// What is kept of it. It is made out of the entries when it is needed: most listings of
    /// usage are never told to their end, and a bill of many adjustments takes longer than its
    /// page 1 may.
    answer: OnceLock<StatementDraft>,
    /// Of a bill, until the draft is made.
    made: Mutex<BillContent>,
    telling: Mutex<Telling>,
    /// About how many bytes of memory it takes, but for what of it is to be kept.
    made_bytes: usize,
}

/// Of what the draft of a bill is made.
#[derive(Default)]
pub(super) struct BillContent {
    /// In the order of project ids.
    pub entries: Vec<StatementEntry>,
    /// What it found earlier months to cost.
    pub costs: Costs,
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
        let made = Mutex::default();
        let (last, telling, took) = (None, Mutex::default(), Duration::ZERO);
        let answer = OnceLock::new();
        Self { listing, unpriced, period, made_of, last, took, answer, made, telling, made_bytes }
    }

    /// A listing of usage.
    pub(super) fn of_usage(listing: Listing, period: Period, made_of: ListingOrigin) -> Self {
        Self::new(listing, LeftOut::default(), period, made_of)
    }

    /// A listing of charges.
    pub(super) fn of_bill(
        made: BillContent,
        unpriced: LeftOut,
        period: Period,
        made_of: ListingOrigin,
    ) -> Self {
        let listing = Listing::of(ListingKind::Bill, made_of.total_size, &made.entries);
        Self { made: made.into(), ..Self::new(listing, unpriced, period, made_of) }
    }

    /// The listing that a snapshot was taken of. Which statement says the same is looked up once it
    /// is told.
    pub(super) fn of_snapshot(key: &SnapshotKey, snapshot: Snapshot) -> Self {
        let Snapshot { made_of, entries, .. } = snapshot;
        match key.kind {
            ListingKind::Bill => {
                let made = BillContent { entries, costs: Costs::new() };
                Self::of_bill(made, LeftOut::default(), key.period, made_of)
            }
            ListingKind::Usage => {
                let listing = Listing::of(key.kind, made_of.total_size, &entries);
                Self::of_usage(listing, key.period, made_of)
            }
        }
    }

    /// It, made in this time after this last statement of its window.
    pub(super) fn after(self, last: Option<Statement>, took: Duration) -> Self {
        Self { last, took, ..self }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.made_bytes + self.answer.get().map_or(0, StatementDraft::size_bytes)
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

    /// What of it is kept, where that has been made out.
    pub(super) fn answer_if_made(&self) -> Option<&StatementDraft> {
        self.answer.get()
    }

    /// What of it is kept.
    ///
    /// # Errors
    /// When it is too long; when SQLite fails.
    pub(super) fn answer(&self, tx: &ReadTx<'_>) -> store::Result<&StatementDraft> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = self.answer.get() {
            return Ok(answer);
        }
        if self.listing.kind() == ListingKind::Usage {
            let entry = |(project_id, figure)| StatementEntry {
                project_id,
                figure: Some(figure),
                origin: None,
            };
            made.entries = self.listing.figures().into_iter().map(entry).collect();
        }
        let (kind, made_of) = (self.listing.kind(), self.made_of.clone());
        let BillContent { entries, costs } = &*made;
        let answer = StatementDraft::of(tx, kind, self.period, made_of, entries, costs)?;
        *made = BillContent::default();
        Ok(self.answer.get_or_init(|| answer))
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
