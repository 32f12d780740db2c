//! Usage and bill: their pages, followed to the end as Agora does, in two windows, without `limit`
//! and with `limit=2`.

use crate::agora::outgoing::Outgoing;
use crate::billing::period::{Grain, Period};
use crate::billing::statement::ListingKind;
use crate::probe::check::{Asker, Demand, Grade, Worst};
use crate::probe::client::Absence;
use crate::probe::page::{ANSWER, Faults, Leaf};
use crate::probe::session::Session;
use std::collections::HashSet;
use std::time::{Duration, Instant};

const END: Demand = Demand {
    name: "pages end",
    wanted: "hasNext false on the last page: Agora asks on until then",
    asker: Asker::Usage,
};
const ONCE: Demand = Demand {
    name: "projects once",
    wanted: "each project once on the pages of a window, also while usage is recorded",
    asker: Asker::Usage,
};
const COMPLETE: Demand = Demand {
    name: "pages complete",
    wanted: "with limit=2 the same entries as without: no page loses or changes one",
    asker: Asker::Usage,
};
const ORDER: Demand = Demand {
    name: "order",
    wanted: "entries in the order of their projectId",
    asker: Asker::Reading,
};
const FULL: Demand = Demand {
    name: "full pages",
    wanted: "with limit=2 two entries on each page before the last",
    asker: Asker::Reading,
};
const AGAIN: Demand = Demand {
    name: "same page again",
    wanted: "a page that is asked for again has the same entries: Agora sends a request again, and \
             pages that shift lose usage",
    asker: Asker::Reading,
};
const PAST_END: Demand = Demand {
    name: "past the end",
    wanted: "behind the last page HTTP 200, no entries, and hasNext false",
    asker: Asker::Reading,
};

/// Entries on a page where `limit` is given.
const LIMIT: usize = 2;
/// So many pages are followed at most.
const MOST_PAGES: u32 = 2_000;
/// So many with `limit=2`: what is wrong with pages shows on the first.
const MOST_SMALL_PAGES: u32 = 50;
/// So many pages in a row without an entry, each saying that there are more, have no end.
const MOST_EMPTY: usize = 3;
/// Whatever `totalSize` says, so many pages more than twice as many have no end either.
const MOST_BEYOND: u64 = 100;
/// So much of ids and amounts is held at most of one sequence of pages.
const MOST_BYTES: usize = 32 << 20;
/// So long is one sequence followed at most.
const MOST_TIME: Duration = Duration::from_secs(60);
/// The page that is asked for again: it shifts where a listing changes.
const SECOND: u32 = 2;

/// How following pages ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// `hasNext` was false.
    Last,
    /// It never would be.
    Endless,
    /// The pages begin anew.
    Anew,
    /// There are more, which nobody needs to see.
    Cut,
    /// A page could not be read.
    Lost,
}

/// Pages followed from the first on.
struct Trail {
    window: Period,
    limit: Option<usize>,
    leaves: Vec<Leaf>,
    ending: Ending,
    /// Whether a project stands on it twice.
    has_repeats: bool,
}

impl Trail {
    /// The last project so far.
    fn last_id(&self) -> Option<&str> {
        self.leaves.last()?.entries.last().map(|(id, _)| id.as_str())
    }

    /// How it ends with the last page, which has so many new projects; `None` where it goes on.
    fn ending(&self, fresh: usize) -> Option<Ending> {
        let leaf = self.leaves.last()?;
        let pages = u64::try_from(self.leaves.len()).unwrap_or(u64::MAX);
        let is_beyond = |total: u64| pages > total.saturating_mul(2).saturating_add(MOST_BEYOND);
        let empty = self.leaves.iter().rev().take_while(|leaf| leaf.entries.is_empty()).count();
        if !leaf.has_next {
            Some(Ending::Last)
        } else if !leaf.entries.is_empty() && fresh == 0 {
            Some(Ending::Anew)
        } else if empty >= MOST_EMPTY || leaf.total_size.is_some_and(is_beyond) {
            Some(Ending::Endless)
        } else {
            None
        }
    }

    fn entries(&self) -> Vec<&(String, String)> {
        self.leaves.iter().flat_map(|leaf| &leaf.entries).collect()
    }
}

/// The listings of a kind.
pub(super) struct PagedListings<'a> {
    base: &'a str,
    kind: ListingKind,
    faults: Faults,
    /// Why a page was not answered at all.
    absence: Option<Absence>,
    ends: Worst,
    once: Worst,
    order: Worst,
    full: Worst,
    /// What came of asking for a page again.
    again: Option<Observed>,
}

/// The windows that are asked for: the last whole day or month, and the one that runs.
pub(super) fn windows(kind: ListingKind, now_s: i64) -> [Period; 2] {
    let grain = match kind {
        ListingKind::Usage => Grain::Day,
        ListingKind::Bill => Grain::Month,
    };
    let current = Period::around(grain, now_s);
    [Period::around(grain, current.first_s() - 1), current]
}

/// Checks the pages of a kind.
pub(super) async fn check(session: &mut Session, base: &str, kind: ListingKind, now_s: i64) {
    let mut listings = PagedListings {
        base,
        kind,
        faults: Faults::default(),
        absence: None,
        ends: Worst::default(),
        once: Worst::default(),
        order: Worst::default(),
        full: Worst::default(),
        again: None,
    };
    let (mut whole, mut small) = (Vec::new(), Vec::new());
    for window in windows(kind, now_s) {
        whole.push(listings.follow(session, window, None).await);
        small.push(listings.follow(session, window, Some(LIMIT)).await);
    }
    let complete = listings.compare(session, &whole, &small).await;
    if listings.again.is_none() {
        // There is one page at most.
        let trail = &small[0];
        listings.again = Some(match trail.leaves.first() {
            Some(leaf) => listings.ask_again(session, (trail.window, 1, trail.limit), leaf).await,
            None => Err(listings.why_not()),
        });
    }
    let past = listings.ask_past_end(session, &small[0]).await;
    let again = listings.again.take().unwrap_or_else(|| Err(listings.why_not()));
    listings.report(session, &whole[0], complete);
    for (demand, outcome) in [(&AGAIN, again), (&PAST_END, past)] {
        let finding = match outcome {
            Ok((result, sent, got)) => demand.found(kind.as_str(), result, &sent, &got),
            Err(why) => demand.found(kind.as_str(), Grade::Skip, "", &why),
        };
        session.add(finding);
    }
}

/// How a check ended, what was sent and what came; or why it could not be made.
type Observed = Result<(Grade, String, String), String>;

impl PagedListings<'_> {
    fn page(&self, window: Period, page_num: u32, limit: Option<usize>) -> Outgoing {
        Outgoing::listing(self.base, self.kind, window, page_num, limit)
    }

    /// Asks for a page; `None` where none can be read.
    async fn ask(
        &mut self,
        session: &mut Session,
        (window, page_num, limit): (Period, u32, Option<usize>),
    ) -> Option<Leaf> {
        let asked = self.page(window, page_num, limit);
        match session.ask(&asked).await {
            Ok(answer) => self.faults.look((page_num, limit), &answer),
            Err(absence) => {
                if let Absence::Broken(got) = &absence {
                    self.faults.note(&ANSWER, Grade::Fail, &asked.words(), got.clone());
                }
                self.absence.get_or_insert(absence);
                None
            }
        }
    }

    async fn follow(
        &mut self,
        session: &mut Session,
        window: Period,
        limit: Option<usize>,
    ) -> Trail {
        let most = if limit.is_some() { MOST_SMALL_PAGES } else { MOST_PAGES };
        let mut trail =
            Trail { window, limit, leaves: Vec::new(), ending: Ending::Cut, has_repeats: false };
        let (mut seen, began, mut bytes) = (HashSet::new(), Instant::now(), 0);
        for page_num in 1..=most {
            let Some(leaf) = self.ask(session, (window, page_num, limit)).await else {
                trail.ending = Ending::Lost;
                break;
            };
            if limit.is_some() && page_num == SECOND && self.again.is_none() {
                let place = (window, page_num, limit);
                self.again = Some(self.ask_again(session, place, &leaf).await);
            }
            let sent = self.page(window, page_num, limit).words();
            let fresh = self.look_at_projects(&mut seen, &sent, &leaf, trail.last_id());
            trail.has_repeats |= fresh < leaf.entries.len();
            bytes += leaf.entries.iter().map(|(id, amount)| id.len() + amount.len()).sum::<usize>();
            trail.leaves.push(leaf);
            if let Some(ending) = trail.ending(fresh) {
                trail.ending = ending;
                break;
            }
            if bytes > MOST_BYTES || began.elapsed() > MOST_TIME {
                break;
            }
        }
        let page_num = u32::try_from(trail.leaves.len()).unwrap_or(u32::MAX);
        let sent = self.page(window, page_num, limit).words();
        if trail.ending == Ending::Endless {
            let got = "hasNext true, with more pages than projects or no entries on them";
            self.ends.note(Grade::Fail, &sent, format!("{got}: page {page_num}"));
        } else if trail.ending == Ending::Cut && limit.is_none() {
            let got = format!("hasNext true on page {page_num}: no more pages were followed");
            self.ends.note(Grade::Warn, &sent, got);
        }
        self.look_at_lengths(&trail);
        trail
    }

    /// Looks whether projects come again or out of order, also behind the `last` one of the page
    /// before; tells how many are new.
    fn look_at_projects(
        &mut self,
        seen: &mut HashSet<String>,
        sent: &str,
        leaf: &Leaf,
        last: Option<&str>,
    ) -> usize {
        let (mut fresh, mut before) = (0, last);
        // What has no id is a fault of its own.
        for (id, _) in leaf.entries.iter().filter(|(id, _)| !id.is_empty()) {
            if !seen.insert(id.clone()) {
                self.once.note(Grade::Fail, sent, format!("project {id} a second time"));
                continue;
            }
            fresh += 1;
            if let Some(before) = before.filter(|before| *before > id.as_str()) {
                self.order.note(Grade::Warn, sent, format!("project {before} before {id}"));
            }
            before = Some(id);
        }
        fresh
    }

    /// Looks whether pages are as long as they can be; pages without an end are another fault.
    fn look_at_lengths(&mut self, trail: &Trail) {
        let Some(limit) = trail.limit.filter(|_| trail.ending != Ending::Endless) else { return };
        for (page_num, leaf) in (1..).zip(&trail.leaves) {
            let len = leaf.entries.len();
            if len > limit || len < limit && leaf.has_next {
                let got = format!("{len} entries, hasNext {}", leaf.has_next);
                let sent = self.page(trail.window, page_num, trail.limit).words();
                self.full.note(Grade::Warn, &sent, got);
            }
        }
    }

    /// Compares the pages with `limit=2` with those without. Where they differ the whole is asked
    /// for again: usage may have been recorded in between.
    async fn compare(&mut self, session: &mut Session, whole: &[Trail], small: &[Trail]) -> Worst {
        let mut worst = Worst::default();
        for (whole, small) in whole.iter().zip(small) {
            let is_whole = |trail: &Trail| trail.ending == Ending::Last;
            let is_followed = is_whole(small) || small.ending == Ending::Cut;
            if !is_whole(whole) || !is_followed || whole.has_repeats || small.has_repeats {
                // What is wrong with these is told by another check.
                continue;
            }
            let is_same = |all: &Trail| {
                let (mut all, mut part) = (all.entries(), small.entries());
                if small.ending == Ending::Cut {
                    all.truncate(part.len());
                }
                // In what order is another check.
                all.sort();
                part.sort();
                all == part
            };
            if is_same(whole) {
                continue;
            }
            let after = self.follow(session, whole.window, None).await;
            if after.entries() == whole.entries() && !is_same(&after) {
                let sent = self.page(small.window, 1, small.limit).words();
                let got = format!(
                    "{} entries on {} pages, and {} entries without limit",
                    small.entries().len(),
                    small.leaves.len(),
                    whole.entries().len()
                );
                worst.note(Grade::Fail, &sent, got);
            }
        }
        worst
    }

    /// Asks for a page once more at once, as Agora does where an answer is late.
    async fn ask_again(
        &mut self,
        session: &mut Session,
        (window, page_num, limit): (Period, u32, Option<usize>),
        before: &Leaf,
    ) -> Observed {
        let sent = self.page(window, page_num, limit).words();
        let leaf = self.ask(session, (window, page_num, limit)).await;
        if leaf.ok_or_else(|| self.why_not())? == *before {
            Ok((Grade::Pass, sent, "the same entries".to_owned()))
        } else {
            Ok((Grade::Fail, sent, "other entries than a moment before".to_owned()))
        }
    }

    async fn ask_past_end(&mut self, session: &mut Session, small: &Trail) -> Observed {
        if small.ending != Ending::Last {
            return Err(match small.ending {
                Ending::Lost => self.why_not(),
                Ending::Last | Ending::Endless | Ending::Anew | Ending::Cut => {
                    "no end was found".to_owned()
                }
            });
        }
        let pages = u32::try_from(small.leaves.len()).unwrap_or(u32::MAX);
        let page_num = pages.saturating_add(1);
        let asked = self.page(small.window, page_num, small.limit);
        let sent = asked.words();
        let answer = session.ask(&asked).await.map_err(|absence| absence.to_string())?;
        // Refusing it is a fault only in our reading, so it is not held against other checks.
        if !answer.is_2xx() || answer.body.as_ref().is_some_and(|b| b.is_success() == Some(false)) {
            return Ok((Grade::Warn, sent, answer.got()));
        }
        let Some(leaf) = self.faults.look((page_num, small.limit), &answer) else {
            return Err("no page could be read".to_owned());
        };
        if leaf.entries.is_empty() && !leaf.has_next {
            return Ok((Grade::Pass, sent, "no entries".to_owned()));
        }
        let got = format!("{} entries, hasNext {}", leaf.entries.len(), leaf.has_next);
        Ok((Grade::Warn, sent, got))
    }

    fn why_not(&self) -> String {
        let absence = self.absence.as_ref();
        absence.map_or_else(|| "no page could be read".to_owned(), ToString::to_string)
    }

    fn report(self, session: &mut Session, whole: &Trail, complete: Worst) {
        let of = self.kind.as_str();
        let sent = self.page(whole.window, 1, None).words();
        let why_not = self.why_not();
        let has_entries = self.faults.has_entries();
        let is_read = !whole.leaves.is_empty();
        for finding in self.faults.findings(of, &sent) {
            session.add(finding);
        }
        for (demand, worst, needs_entries, good) in [
            (&END, self.ends, false, "hasNext false on each last page"),
            (&ONCE, self.once, true, "no project twice"),
            (&COMPLETE, complete, true, "the same with limit=2"),
            (&ORDER, self.order, true, "by projectId"),
            (&FULL, self.full, true, "two entries on each page"),
        ] {
            let finding = if worst.is_some() {
                worst.finding(demand, of, &sent, good)
            } else if !is_read {
                demand.found(of, Grade::Skip, &sent, &why_not)
            } else if needs_entries && !has_entries {
                demand.found(of, Grade::Skip, &sent, "no entries in these windows")
            } else {
                demand.found(of, Grade::Pass, &sent, good)
            };
            session.add(finding);
        }
    }
}
