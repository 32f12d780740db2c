//! The listings made since the books last changed: a page is cut out of one instead of adding up again.

use crate::agora::reply::{Listing, ListingKind};
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

/// A listing, and what the log says when it is asked for.
pub(super) struct Listed {
    pub listing: Listing,
    /// Lines for the log, one for each project that has usage and no price.
    pub unpriced: Vec<String>,
}

impl Listed {
    /// Logs which projects are left out.
    pub(super) fn point_out(&self) {
        let (named, others) = self.unpriced.split_at(self.unpriced.len().min(NAMED));
        let others = match others.len() {
            0 => String::new(),
            count => format!("; and {count} more"),
        };
        if !named.is_empty() {
            log::error!("left out of the bill for want of a price: {}{others}", named.join("; "));
        }
    }
}

type Key = (ListingKind, Period);

/// Listings by what was asked, the newest last.
#[derive(Default)]
pub(super) struct Listings(Mutex<VecDeque<(Key, Arc<Listed>)>>);

impl Listings {
    /// The listing that was made for `key`, or else the one that `list` makes.
    pub(super) fn get_or_list(
        &self,
        key: Key,
        list: impl FnOnce() -> store::Result<Listed>,
    ) -> store::Result<Arc<Listed>> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, listed)) = kept().iter().find(|(k, _)| *k == key) {
            return Ok(Arc::clone(listed));
        }
        let mut listed = list()?;
        listed.listing.shrink();
        let listed = Arc::new(listed);
        let mut kept = kept();
        kept.push_back((key, Arc::clone(&listed)));
        let mut bytes: usize = kept.iter().map(|(_, listed)| listed.listing.size_bytes()).sum();
        while kept.len() > KEPT || (bytes > KEPT_BYTES && kept.len() > 1) {
            bytes -= kept.pop_front().map_or(0, |(_, listed)| listed.listing.size_bytes());
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
