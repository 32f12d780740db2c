//! What a person who runs the server has to know of the books, read of one state of them: when
//! Agora last asked, what it never asked for, what waits, what ends, what has no price.
//!
//! It is cheap whatever the number of records: it reads sums, statements and indexes, and of the
//! ledger its last entries alone. Each noun is looked at in a file of its own.

mod asked;
mod late;
mod license;
mod price;
mod usage;

use crate::billing::id::{ApiKey, LicenseType, PlanId};
use crate::billing::key::Purpose;
use crate::billing::setting::Settings;
use crate::billing::statement::ListingKind;
use crate::store::backup::{self, BackupMade};
use crate::store::draft::with_suffix;
use crate::store::{ReadTx, Result, key, setting};
use std::path::Path;

pub use asked::ListingAsked;
pub use late::{LateMoney, LateUsage};
pub use license::{LicenseEnding, RunningOut, SOON_DAYS};
pub use price::UnpricedMonth;
pub use usage::Recording;

/// A live key pair, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveKey {
    /// Its public half.
    pub api_key: ApiKey,
    /// When it was added, in Unix seconds.
    pub created_at_s: i64,
}

/// What there is to know. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The settings in force.
    pub settings: Settings,
    /// What was recorded, and when.
    pub recording: Recording,
    /// When Agora asked for usage, and what it never asked for.
    pub usage: ListingAsked,
    /// The same of bills.
    pub bill: ListingAsked,
    /// Late usage that no statement told, of this month and the last one; a month has one row.
    pub late_usage: Vec<LateUsage>,
    /// Money that months cost and no bill told, or that was told too much; a month has one row. A
    /// month whose own bill is still to come has none.
    pub late_money: Vec<LateMoney>,
    /// Licenses that end within [`SOON_DAYS`], the first first.
    pub licenses_ending: Vec<LicenseEnding>,
    /// Customers whose licenses are used up within [`SOON_DAYS`] at the pace of the last days.
    pub licenses_running_out: Vec<RunningOut>,
    /// Plans that are named for active customers and not set up, with how many there are of these.
    pub plans_missing: Vec<(PlanId, i64)>,
    /// Types of licenses that are not set up, with how many licenses of them are in force.
    pub types_missing: Vec<(LicenseType, i64)>,
    /// Whether any plan is set up.
    pub has_plans: bool,
    /// This month and the last one, where usage in them has no price.
    pub unpriced: Vec<UnpricedMonth>,
    /// The live key pairs that are accepted, the oldest first.
    pub live_keys: Vec<LiveKey>,
    /// How many test pairs are accepted.
    pub test_keys: usize,
    /// The newest backup.
    pub backup: Option<BackupMade>,
    /// The length of the database's file.
    pub database_bytes: u64,
    /// The length of its log.
    pub log_bytes: u64,
}

impl Survey {
    /// Looks at one state of the books.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn read(tx: &ReadTx<'_>, now_s: i64) -> Result<Self> {
        let recording = Recording::read(tx, now_s)?;
        let keys = key::accepted(tx)?;
        let (live, test): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|pair| pair.purpose == Purpose::Live);
        let live_key = |pair: crate::billing::key::KeyPair| LiveKey {
            api_key: pair.api_key,
            created_at_s: pair.created_at_s,
        };
        let bytes = |suffix| {
            let file = tx.sql().path().map(|path| with_suffix(Path::new(path), suffix));
            file.and_then(|file| file.metadata().ok()).map_or(0, |found| found.len())
        };
        Ok(Self {
            settings: setting::read(tx)?,
            usage: ListingAsked::read(tx, ListingKind::Usage, &recording, now_s)?,
            bill: ListingAsked::read(tx, ListingKind::Bill, &recording, now_s)?,
            late_usage: late::usage(tx, &recording, now_s)?,
            late_money: late::money(tx, now_s)?,
            licenses_ending: license::ending(tx, now_s)?,
            licenses_running_out: license::running_out(tx, now_s)?,
            plans_missing: price::plans_missing(tx)?,
            types_missing: price::types_missing(tx, now_s)?,
            has_plans: price::has_plans(tx)?,
            unpriced: price::unpriced(tx, now_s)?,
            live_keys: live.into_iter().map(live_key).collect(),
            test_keys: test.len(),
            backup: backup::newest(tx)?,
            database_bytes: bytes(""),
            log_bytes: bytes("-wal"),
            recording,
        })
    }

    /// When Agora asked for a kind of listing, and what it never asked for.
    pub fn asked(&self, kind: ListingKind) -> &ListingAsked {
        match kind {
            ListingKind::Usage => &self.usage,
            ListingKind::Bill => &self.bill,
        }
    }
}
