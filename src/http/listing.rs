//! The listings made since the books last changed: a page is cut out of one instead of adding up again.

use crate::agora::reply::{Listing, ListingKind};
use crate::billing::bill::Unpriced;
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::store::{self, ReadTx, project};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How much memory the kept listings may take, but for the newest, which is kept whatever it takes.
const KEPT_BYTES: usize = 8 << 20;
/// How many listings are kept.
const KEPT: usize = 128;
/// How many projects without a price one line of the log names.
const NAMED: usize = 20;

/// A listing, and which projects are left out of it.
pub(super) struct Listed {
    pub listing: Listing,
    pub unpriced: LeftOut,
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
            format!("project {project_id} with {}, whose plan {plan_id} is not set up", unpriced.usage.uncovered())
        };
        Self { named: named.iter().map(words).collect(), others: others.len() }
    }
}

impl Listed {
    /// Logs which projects are left out.
    pub(super) fn point_out(&self) {
        let others = match self.unpriced.others {
            0 => String::new(),
            count => format!("; and {count} more"),
        };
        if !self.unpriced.named.is_empty() {
            log::error!("left out of the bill for want of a price: {}{others}", self.unpriced.named.join("; "));
        }
    }

    /// About how many bytes of memory it takes.
    fn size_bytes(&self) -> usize {
        self.listing.size_bytes() + self.unpriced.named.iter().map(String::capacity).sum::<usize>()
    }
}

type Key = (ListingKind, Period);

/// Listings by what was asked, the newest last.
#[derive(Default)]
pub(super) struct Listings(Mutex<VecDeque<(Key, Arc<Listed>)>>);

impl Listings {
    /// The listing that was made for `key`, or else the one that `list` makes.
    pub(super) fn get_or_list<E>(&self, key: Key, list: impl FnOnce() -> Result<Listed, E>) -> Result<Arc<Listed>, E> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, listed)) = kept().iter().find(|(k, _)| *k == key) {
            return Ok(Arc::clone(listed));
        }
        let mut listed = list()?;
        listed.listing.shrink();
        let listed = Arc::new(listed);
        let mut kept = kept();
        // Another request may have made the same one meanwhile; the newer one stays.
        kept.retain(|(k, _)| *k != key);
        kept.push_back((key, Arc::clone(&listed)));
        let mut bytes: usize = kept.iter().map(|(_, listed)| listed.size_bytes()).sum();
        while kept.len() > KEPT || (bytes > KEPT_BYTES && kept.len() > 1) {
            bytes -= kept.pop_front().map_or(0, |(_, listed)| listed.size_bytes());
        }
        Ok(listed)
    }
}

/// The number of Agora projects in which the extension is added: those enabled at any moment of the window,
/// and those that have usage in it.
pub(super) fn total_size<'a>(
    tx: &ReadTx<'_>,
    period: Period,
    used: impl Iterator<Item = &'a ProjectId>,
) -> store::Result<usize> {
    let enabled = project::enabled_in(tx, period)?;
    Ok(enabled.len() + used.filter(|id| !enabled.contains(*id)).count())
}
