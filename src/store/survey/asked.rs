//! When Agora asked, and for what it never did.

use crate::billing::asked::{missed_from, never_asked};
use crate::billing::period::{Grain, LAST_SECOND, Period};
use crate::billing::statement::ListingKind;
use crate::store::survey::usage::Recording;
use crate::store::{ReadTx, Result, statement};

/// When Agora asked for a kind of listing, by the statements that are kept. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingAsked {
    /// How many statements are kept.
    pub statements: usize,
    /// When the last page of one last went out to a live key.
    pub last_asked_at_s: Option<i64>,
    /// The window that was kept last.
    pub last_window: Option<Period>,
    /// Whether it asked for any day, or month, no later than in the one after it.
    pub in_time: bool,
    /// The days of usage, or the months of bills, that are over and that Agora never asked for in
    /// whole, by their first seconds: from the first one on that it asked for in time; where there
    /// is none, from when the first record was written.
    pub never: Vec<i64>,
}

impl ListingAsked {
    pub(super) fn read(
        tx: &ReadTx<'_>,
        kind: ListingKind,
        recording: &Recording,
        now_s: i64,
    ) -> Result<Self> {
        let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
        let statements = statement::list(tx, all_time, Some(kind))?;
        let grain = match kind {
            ListingKind::Usage => Grain::Day,
            ListingKind::Bill => Grain::Month,
        };
        let in_time_s = missed_from(grain, &statements);
        let from_s = in_time_s.or(recording.first_recorded_at_s);
        let never = from_s.map(|from_s| never_asked(grain, &statements, from_s, now_s));
        Ok(Self {
            statements: statements.len(),
            last_asked_at_s: statements.iter().map(|one| one.last_asked_at_s).max(),
            last_window: statements.last().map(|one| one.period),
            in_time: in_time_s.is_some(),
            never: never.unwrap_or_default(),
        })
    }
}
