//! A listing once it is made: what its pages are cut from, what it was made of, and how it was told.

use crate::agora::reply::Listing;
use crate::billing::bill::Unpriced;
use crate::billing::carry::Carry;
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::statement::{Billed, Entry, ListingKind, Statement, TermsKnown, entries};
use crate::store;
use crate::store::snapshot::{MadeOf, Snapshot};
use crate::store::statement::{Answer, Content, Count};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// How many projects without a price one line of the log names.
const NAMED: usize = 20;

/// A listing, and what has to be known of it once it has been told.
pub(super) struct Listed {
    pub listing: Listing,
    pub unpriced: LeftOut,
    /// What a bill was made from; nothing of usage.
    pub billed: Vec<(ProjectId, Billed)>,
    /// The last entry of the usage ledger that it was made from.
    pub knew_seq: i64,
    /// The terms that it was made by.
    pub knew_terms: TermsKnown,
    /// The last statement of its window that was kept as it was made, and the newest of any.
    pub last: Option<Statement>,
    pub after_seq: i64,
    /// Whether it is a bill that looked at what earlier months were not told; and whether of some projects it says what was
    /// told before.
    pub carried: bool,
    pub closed: bool,
    pub tellings: Tellings,
    /// About how many bytes of memory it takes, but for what of it is to be kept.
    pub made_bytes: usize,
}

/// The projects that have usage and no price, in the words of the log: the first few, and how many more.
#[derive(Default)]
pub(super) struct LeftOut {
    named: Vec<String>,
    others: usize,
}

impl LeftOut {
    /// Puts the projects into words.
    pub(super) fn new(unpriced: &[Unpriced]) -> Self {
        let (named, others) = unpriced.split_at(unpriced.len().min(NAMED));
        let words = |unpriced: &Unpriced| {
            let (project_id, plan_id) = (&unpriced.usage.project_id, &unpriced.missing_plan);
            format!(
                "project {project_id} with {}, whose plan {plan_id} is not set up",
                unpriced.usage.uncovered()
            )
        };
        Self { named: named.iter().map(words).collect(), others: others.len() }
    }
}

impl Listed {
    /// A listing of which nothing is known yet but how it was made.
    pub(super) fn new(
        mut listing: Listing,
        unpriced: LeftOut,
        mut billed: Vec<(ProjectId, Billed)>,
    ) -> Self {
        listing.shrink();
        billed.shrink_to_fit();
        let billed_bytes = billed.len() * size_of::<(ProjectId, Billed)>()
            + billed
                .iter()
                .map(|(project_id, billed)| {
                    project_id.as_str().len() + billed.carries.capacity() * size_of::<Carry>()
                })
                .sum::<usize>();
        let made_bytes = listing.size_bytes()
            + billed_bytes
            + unpriced.named.iter().map(String::capacity).sum::<usize>();
        Self {
            listing,
            unpriced,
            billed,
            knew_seq: 0,
            knew_terms: TermsKnown::default(),
            last: None,
            after_seq: 0,
            carried: false,
            closed: false,
            tellings: Tellings::default(),
            made_bytes,
        }
    }

    /// It as a snapshot of which page 1 was asked for at `asked_at_s`.
    pub(super) fn snapshot(&self, asked_at_s: i64) -> Snapshot {
        let made_of = MadeOf {
            total_size: self.listing.total_size(),
            knew_seq: self.knew_seq,
            knew_terms: self.knew_terms,
            after_seq: self.after_seq,
            carried: self.carried,
            closed: self.closed,
        };
        Snapshot { asked_at_s, made_of, entries: self.entries() }
    }

    /// The listing that a snapshot was taken of. Which statement says the same is looked up once it
    /// is told.
    pub(super) fn of_snapshot(kind: ListingKind, snapshot: Snapshot) -> Self {
        let MadeOf { total_size, knew_seq, knew_terms, after_seq, carried, closed } =
            snapshot.made_of;
        let mut listing = Listing::new(kind, total_size);
        let mut billed = Vec::new();
        for entry in snapshot.entries {
            if let Some(told) = &entry.told {
                listing.push(&entry.project_id, &told.amount, &told.description);
            }
            billed.extend(entry.billed.map(|billed| (entry.project_id, billed)));
        }
        let listed = Self::new(listing, LeftOut::default(), billed);
        Self { knew_seq, knew_terms, after_seq, carried, closed, ..listed }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.made_bytes + self.tellings.size_bytes()
    }

    /// What it says of each project, and what it says it from.
    fn entries(&self) -> Vec<Entry> {
        entries(self.listing.told(), &self.billed)
    }

    /// Logs which projects are left out.
    pub(super) fn point_out(&self) {
        let others = match self.unpriced.others {
            0 => String::new(),
            count => format!("; and {count} more"),
        };
        if !self.unpriced.named.is_empty() {
            log::error!(
                "left out of the bill for want of a price: {}{others}",
                self.unpriced.named.join("; ")
            );
        }
    }

    /// What of it is kept, where that has been made out.
    pub(super) fn content_if_made(&self) -> Option<&Content> {
        self.tellings.content.get()
    }

    /// What of it is kept.
    ///
    /// # Errors
    /// When it is too long.
    pub(super) fn content(&self) -> store::Result<&Content> {
        if let Some(content) = self.content_if_made() {
            return Ok(content);
        }
        let content = Content::of(self.listing.total_size(), &self.entries())?;
        Ok(self.tellings.content.get_or_init(|| content))
    }

    /// It, as it is kept.
    ///
    /// # Errors
    /// When it is too long.
    pub(super) fn answer(
        &self,
        period: Period,
        first_asked_at_s: i64,
        told: Count,
    ) -> store::Result<Answer<'_>> {
        Ok(Answer {
            kind: self.listing.kind(),
            period,
            first_asked_at_s,
            told,
            knew_terms: self.knew_terms,
            content: self.content()?,
            carried: self.carried,
            closed: self.closed,
            after_seq: self.after_seq,
        })
    }

    /// That its last page goes out.
    pub(super) fn told_at(&self, now_s: i64) -> Count {
        Count { asked: 1, last_asked_at_s: now_s, knew_seq: self.knew_seq }
    }
}

/// How a listing was told: while its window was not over, and after. The one is another statement than the other.
#[derive(Default)]
pub(super) struct Tellings {
    /// Made out when it is needed: most listings are never told to their end.
    content: OnceLock<Content>,
    by_provisional: Mutex<[Telling; 2]>,
}

#[derive(Clone, Copy, Default)]
pub(super) enum Telling {
    /// Its last page has not gone out.
    #[default]
    Untold,
    /// It is going to be kept, as what was told so since `first_asked_at_s`; what has been counted of it meanwhile.
    Waiting { first_asked_at_s: i64, counted: Option<Count> },
    /// It is kept under this number.
    Kept(i64),
}

impl Tellings {
    pub(super) fn lock(&self) -> MutexGuard<'_, [Telling; 2]> {
        self.by_provisional.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// About how many bytes of memory they take.
    pub(super) fn size_bytes(&self) -> usize {
        self.content.get().map_or(0, Content::size_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::amount::Amount;
    use crate::billing::statement::ListingKind;

    #[test]
    fn what_a_bill_carries_takes_room_too() {
        let carry = Carry { month_s: 0, amount: Amount::default(), whole: true };
        let [without, with] = [0, 24].map(|months| {
            let (usage, covered) = (Amount::default(), Amount::default());
            let billed =
                Billed { usage, covered, unpriced: false, carries: vec![carry.clone(); months] };
            let listing = Listing::new(ListingKind::Bill, 1);
            Listed::new(listing, LeftOut::default(), vec![("p".parse().expect("an id"), billed)])
                .size_bytes()
        });
        assert_eq!(with - without, 24 * size_of::<Carry>());
    }
}
