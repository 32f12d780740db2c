//! `--from` and `--rewrite`: the month from which a price, a plan or a customer holds.

use crate::billing::history::{History, HistoryEntry, NeedsRewrite, month_meant, next_month};
use crate::billing::setting::LatePolicy;
use crate::cli::command::Shell;
use crate::cli::failure::Failure;
use crate::cli::moment::{Month, month, rfc3339};
use crate::cli::sentence::Sentence;
use crate::store::balance::{self, SettledMonth};
use crate::store::{self, ReadTx};
use serde::Serialize;
use std::fmt::Display;
use std::time::Duration;

/// How long the lock is left alone between two months.
const PAUSE: Duration = Duration::from_millis(4);

/// The month from which something new holds.
#[derive(Default, clap::Args)]
pub(super) struct Start {
    /// From this month on; by default from the next one. The first of its kind reaches back to the
    /// month after those that were billed
    #[arg(long, value_name = "MONTH")]
    from: Option<Month>,

    /// Let --from be this month or a past one: what their bills say is changed by it
    #[arg(long, requires = "from")]
    rewrite: bool,
}

impl Start {
    /// The first second of the month that is meant.
    pub(super) fn month_s(&self, now_s: i64) -> i64 {
        month_meant(self.from.map(|month| month.period().first_s()), now_s)
    }

    /// Tells whether months that have begun may change.
    pub(super) fn is_rewrite(&self) -> bool {
        self.rewrite
    }

    /// Tells whether a month was told.
    pub(super) fn is_told(&self) -> bool {
        self.from.is_some()
    }

    /// The second from which a value holds, beside what was said of its kind so far. Where it holds
    /// in the month that is meant already, that is no change, and needs no --rewrite.
    /// `first_seen_at_s` is as for [`store::history::start`].
    pub(super) fn of<T: PartialEq>(
        &self,
        tx: &ReadTx<'_>,
        history: &History<T>,
        value: &T,
        first_seen_at_s: Option<i64>,
        now_s: i64,
    ) -> Result<i64, Failure> {
        let month_s = self.month_s(now_s);
        if history.at(month_s) == Some(value) {
            return Ok(month_s);
        }
        let from_s = self.from.map(|month| month.period().first_s());
        let asked_s = history.asked(from_s, self.rewrite, now_s).map_err(|refused| {
            let NeedsRewrite { from_s, this_month_s } = refused;
            let which = if from_s == this_month_s { "this month" } else { "a past month" };
            Failure::words(format!(
                "--from is {}, {which}: only --rewrite changes a month that has begun; add it if \
                 that is meant, or name {} or a later month",
                month(from_s),
                month(next_month(now_s))
            ))
        })?;
        Ok(store::history::start(tx, history, asked_s, first_seen_at_s, now_s)?)
    }
}

/// The months of a customer or a project in which the first of its kind holds, in words.
pub(super) fn first_months(from_s: i64) -> String {
    match from_month(from_s) {
        None => "all its months, past ones too".to_owned(),
        Some(from) => {
            format!("its months from {from} on; bills of earlier months stay as they are")
        }
    }
}

/// What becomes of the months from `from_s` on that were billed before something new was said to
/// hold in them; `None` where none was.
pub(super) fn billed_words(tx: &ReadTx<'_>, from_s: i64) -> store::Result<Option<Sentence>> {
    changed_words(tx, &balance::billed_from(tx, from_s)?)
}

/// What becomes of months that were billed before something was said that changes them; `None`
/// where there is none.
pub(super) fn changed_words(tx: &ReadTx<'_>, months: &[i64]) -> store::Result<Option<Sentence>> {
    let were_billed = match *months {
        [] => return Ok(None),
        [only] => format!("{} was billed", month(only)),
        [first, .., last] => {
            format!("{} months from {} to {} were billed", months.len(), month(first), month(last))
        }
    };
    let then = |what| Sentence::from(format!("{were_billed} already: {what}"));
    Ok(Some(match store::setting::read(tx)?.late() {
        LatePolicy::Carry => then("the next month's bill carries what changes of it"),
        LatePolicy::Report => then("what changes of it Agora is told only where it asks again")
            .hint("setting set late carry", "has the next month's bill carry it"),
    }))
}

/// Works out what the months cost by now that were billed before something was said that changes
/// them, so that the next bill need not.
pub(super) fn settle(shell: &mut Shell<'_>) -> Result<(), Failure> {
    let mut store = shell.open().map_err(|failure| {
        failure.with("what was asked for is done, and the server prices anew what was billed")
    })?;
    let mut after_s = -1;
    loop {
        let month = store.read(|tx| SettledMonth::read(tx, after_s));
        let settled = month.and_then(|month| {
            let write = |month: SettledMonth| store.write(|tx| month.write(tx));
            month.map(write).transpose()
        });
        match settled {
            Ok(Some(month_s)) => {
                after_s = month_s;
                // Others have their turn.
                std::thread::sleep(PAUSE);
            }
            Ok(None) => return Ok(()),
            Err(error) if error.is_passing() => {
                shell.note(
                    "not all months that were billed are priced anew yet: the server does it",
                );
                return Ok(());
            }
            Err(error) => {
                return Err(Failure::failed(format!(
                    "what was asked for is done, but not all months that were billed are priced \
                     anew: {}; the server does it",
                    error.of_read()
                )));
            }
        }
    }
}

/// The month from which something holds; none where that is all time.
pub(super) fn from_month(from_s: i64) -> Option<String> {
    (from_s > 0).then(|| month(from_s))
}

/// What holds by date, in words: `silver; from 2026-12 gold`. The same, said again of a later
/// month, is no change.
pub(super) fn timeline<T: Display + PartialEq>(history: &History<T>) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for (from_s, value) in history.iter() {
        if before.replace(value) == Some(value) {
            continue;
        }
        words.push(match from_month(from_s) {
            None => value.to_string(),
            Some(month) => format!("from {month} {value}"),
        });
    }
    words.join("; ")
}

/// Something that was said to hold, as it stands in JSON documents.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryEntryView<T> {
    /// Null: for all time.
    pub(super) from: Option<String>,
    #[serde(flatten)]
    pub(super) value: T,
    /// Null: nobody knows, in books of an earlier version.
    pub(super) at: Option<String>,
    pub(super) by: String,
}

impl<T> HistoryEntryView<T> {
    pub(super) fn new<S>(said: &HistoryEntry<S>, show: impl FnOnce(&S) -> T) -> Self {
        Self {
            from: from_month(said.from_s),
            value: show(&said.value),
            at: (said.stamp.at_s > 0).then(|| rfc3339(said.stamp.at_s)),
            by: said.stamp.actor.to_string(),
        }
    }
}
