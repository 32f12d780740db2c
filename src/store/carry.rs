//! What the bill of a month carries of earlier ones, read of the statements that were kept and of the books as they are.
//!
//! Every earlier month is looked at, and what has to be read grows with those that may cost something else by now than was
//! told of them; what has to be priced, with the projects in them of which that is so.

use crate::billing::amount::{self, Amount};
use crate::billing::bill::{Carried, MonthUsage, cost};
use crate::billing::carry::{Due, month_of};
use crate::billing::history::History;
use crate::billing::id::{CustomerId, PlanId, ProjectId};
use crate::billing::period::{Grain, Period};
use crate::billing::setting::Late;
use crate::billing::statement::{Entry, ListingKind, Statement, TermsKnown, is_provisional};
use crate::store::bill::Pricing;
use crate::store::document::{EntryLine, decimal};
use crate::store::month_bill::{LastLook, MonthBills};
use crate::store::rollup::UsageSum;
use crate::store::{Error, ReadTx, Result, setting, statement, usage};
use rusqlite::types::FromSql;
use rusqlite::{OptionalExtension, Row, named_params};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the bill of a window has to say beside what the window costs, as it is asked for at `asked_at_s` (Unix seconds);
/// of one project alone where told. `None` where nothing is carried: unless the setting `late` says so, of a window that
/// is no month's, and of one that is asked for too early. What is due of a month is looked up in `dues` first, and left there.
///
/// # Errors
/// When SQLite fails.
pub fn carried(
    tx: &ReadTx<'_>,
    window: Period,
    project_id: Option<&ProjectId>,
    asked_at_s: i64,
    pricing: &Pricing,
    dues: &Dues,
) -> Result<Option<Carried>> {
    let is_early = is_provisional(ListingKind::Bill, window, asked_at_s);
    let Some(month_s) = month_of(window).filter(|_| !is_early) else {
        return Ok(None);
    };
    if setting::read(tx)?.late() != Late::Carry {
        return Ok(None);
    }
    let bills = MonthBills::read(tx)?;
    let mut carried = match bills.newest(month_s) {
        Some(told) => told_before(tx, &bills, month_s, told)?,
        None => Carried {
            due: Earlier::read(tx, &bills, pricing, month_s)?.due(tx, project_id, dues)?,
            ..Carried::default()
        },
    };
    if let Some(only) = project_id {
        carried.repeated.iter_mut().for_each(|repeated| repeated.retain(|id, _| id == only));
        carried.closed.retain(|id, _| id == only);
    }
    Ok(Some(carried))
}

/// What a month's bill repeats that was told before.
fn told_before(
    tx: &ReadTx<'_>,
    bills: &MonthBills<'_>,
    month_s: i64,
    told: &Statement,
) -> Result<Carried> {
    let entries = statement::entries(tx, told.seq)?.into_iter();
    let mut entries: HashMap<ProjectId, Entry> =
        entries.map(|entry| (entry.project_id.clone(), entry)).collect();
    let carries = entries.iter().filter(|(_, entry)| !entry.carries().is_empty());
    let repeated = carries.map(|(id, entry)| (id.clone(), entry.carries().to_vec())).collect();
    let closed = bills.closed(month_s)?.into_iter().map(|id| {
        let nothing = || Entry { project_id: id.clone(), told: None, billed: None };
        let entry = entries.remove(&id).unwrap_or_else(nothing);
        (id, entry)
    });
    Ok(Carried { closed: closed.collect(), repeated: Some(repeated), ..Carried::default() })
}

/// What is due of months, as far as that was worked out before and nothing has changed since.
///
/// A bill that looks at more months than there is time for is refused, and finds here what it had got to as it is asked for
/// again.
#[derive(Debug, Default)]
pub struct Dues(Mutex<HashMap<i64, (FollowsFrom, DueOf)>>);

/// What is due of a month, by project.
type DueOf = Arc<[(ProjectId, Due)]>;

/// All that what is due of a month follows from, told by the last of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FollowsFrom {
    /// The last bill of any month that was kept.
    bill_seq: i64,
    /// The last ledger entry that is dated in the month.
    usage_seq: i64,
    /// What is known of terms; of what was changed of projects, as far as it was when the month was not over.
    terms: TermsKnown,
}

impl Dues {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, (FollowsFrom, DueOf)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of all of it.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn get_or<E>(
        &self,
        month_s: i64,
        of: FollowsFrom,
        work_out: impl FnOnce() -> Result<Vec<(ProjectId, Due)>, E>,
    ) -> Result<DueOf, E> {
        let known = self
            .lock()
            .get(&month_s)
            .filter(|(known_of, _)| *known_of == of)
            .map(|(_, due)| Arc::clone(due));
        if let Some(known) = known {
            return Ok(known);
        }
        let due: Arc<[_]> = work_out()?.into();
        let mut held = self.lock();
        // What was told meanwhile is not asked for again.
        held.retain(|_, (held_of, _)| held_of.bill_seq >= of.bill_seq);
        held.insert(month_s, (of, Arc::clone(&due)));
        Ok(due)
    }
}

/// The months before one whose bill is asked for.
struct Earlier<'a> {
    bills: &'a MonthBills<'a>,
    pricing: &'a Pricing,
    /// In the order of time: each with what was told of it, and what the bill knew that looked at it last.
    months: Vec<(i64, &'a Statement, LastLook)>,
    /// What was said since any of these bills was made.
    said: SaidSince,
    terms: TermsKnown,
}

impl<'a> Earlier<'a> {
    fn read(
        tx: &ReadTx<'_>,
        bills: &'a MonthBills<'a>,
        pricing: &'a Pricing,
        before_s: i64,
    ) -> Result<Self> {
        let months: Vec<_> = bills
            .newest_before(before_s)
            .map(|(month_s, told)| Ok((month_s, told, bills.last_look(month_s, told)?)))
            .collect::<Result<_>>()?;
        let terms = statement::terms_known(tx)?;
        let known = months.iter().flat_map(|(_, told, look)| [told.knew_terms, look.knew_terms]);
        let since = known.fold(terms, TermsKnown::earlier);
        Ok(Self { bills, pricing, months, said: SaidSince::read(tx, since)?, terms })
    }

    /// What is due of them by project, in the order of time; of one project alone where told.
    fn due(
        &self,
        tx: &ReadTx<'_>,
        only: Option<&ProjectId>,
        dues: &Dues,
    ) -> Result<BTreeMap<ProjectId, Vec<Due>>> {
        let mut all: BTreeMap<ProjectId, Vec<Due>> = BTreeMap::new();
        for (month_s, told, look) in &self.months {
            let usage_seq = last_usage_seq(tx, *month_s)?;
            let suspects = self.suspects(*month_s, told, look, usage_seq)?;
            // Of a project that is new nothing can be due but what it used, or was enabled in time.
            let terms = TermsKnown {
                project_no: 0,
                event_seq: self.said.enabled_in_time(*month_s),
                ..self.terms
            };
            let of = FollowsFrom { bill_seq: self.bills.last_seq(), usage_seq, terms };
            let work_out = || {
                let due = match suspects == Suspects::default() {
                    true => Vec::new(),
                    false => self.due_of(tx, *month_s, told, &suspects, only)?,
                };
                debug_assert_eq!(
                    due,
                    self.due_of(tx, *month_s, told, &self.everyone(*month_s)?, only)?,
                    "nobody else costs something else of the month that starts at {month_s}"
                );
                Ok::<_, Error>(due)
            };
            let due = match only {
                None => dues.get_or(*month_s, of, work_out)?,
                Some(_) => work_out()?.into(),
            };
            for (id, due) in due.iter() {
                match all.get_mut(id) {
                    Some(earlier) => earlier.push(due.clone()),
                    None => drop(all.insert(id.clone(), vec![due.clone()])),
                }
            }
        }
        Ok(all)
    }

    /// Of which projects a month may cost something else than was told.
    fn suspects(
        &self,
        month_s: i64,
        told: &Statement,
        look: &LastLook,
        usage_seq: i64,
    ) -> Result<Suspects<'_>> {
        if look.is_told_anew {
            return self.everyone(month_s);
        }
        let used_otherwise = usage_seq > look.knew_seq;
        // Usage is compared with what was told of the month itself, and so the terms have to be those of that time: what was
        // used otherwise and priced anew may have come to the same when it was looked at.
        let known =
            if used_otherwise { told.knew_terms.earlier(look.knew_terms) } else { look.knew_terms };
        let mut suspects = self.said.suspects(month_s, &known, self.pricing);
        suspects.used_otherwise = used_otherwise;
        suspects.projects.extend(look.waits.iter().cloned());
        if used_otherwise {
            // What was carried of them made up for what they used otherwise by then.
            suspects.projects.extend(self.bills.ever_carried(month_s)?);
        }
        Ok(suspects)
    }

    fn everyone(&self, month_s: i64) -> Result<Suspects<'_>> {
        let projects = self.bills.ever_carried(month_s)?.into_iter().collect();
        Ok(Suspects { everyone: true, projects, ..Suspects::default() })
    }

    /// What each suspect costs by now of a month less what was told of it, where that is something; of one project alone
    /// where told.
    fn due_of(
        &self,
        tx: &ReadTx<'_>,
        month_s: i64,
        told: &Statement,
        suspects: &Suspects<'_>,
        only: Option<&ProjectId>,
    ) -> Result<Vec<(ProjectId, Due)>> {
        let text = statement::text(tx, told.seq)?;
        let lines: BTreeMap<Cow<'_, str>, EntryLine<'_>> = text
            .entry_lines()
            .map(|line| line.map(|line| (line.project_id.clone(), line)))
            .collect::<Result<_>>()?;
        let used = usage::by_project(tx, told.period, only)?;
        let mut projects: BTreeSet<&str> = lines.keys().map(AsRef::as_ref).collect();
        projects.extend(used.keys().map(ProjectId::as_str));
        projects.extend(suspects.projects.iter().map(ProjectId::as_str));
        if suspects.everyone || !suspects.plans.is_empty() {
            projects.extend(self.pricing.enabled.keys().map(ProjectId::as_str));
        }
        let mut due = Vec::new();
        for id in projects {
            let (line, sum) = (lines.get(id), used.get(id));
            let is_suspect = suspects.everyone
                || suspects.projects.contains(id)
                || self.is_plan_suspect(suspects, month_s, id)
                || (suspects.used_otherwise && text.checked(is_otherwise(line, sum))?);
            if !is_suspect || only.is_some_and(|only| only.as_str() != id) {
                continue;
            }
            let id: ProjectId = text.checked(id.parse())?;
            let usage = sum.map(|sum| MonthUsage {
                month_s,
                amount: sum.amount.clone(),
                covered: sum.covered.clone(),
            });
            let project = self.pricing.project(&id, usage.into_iter().collect(), told.period);
            match cost(&project, told.period, &self.pricing.terms) {
                // Where it never had a price, nothing is missed until it has one.
                Err(_) if line.is_some_and(|line| line.unpriced) => {}
                Err(_) => due.push((id, Due { month_s, amount: None })),
                Ok(mut amount) => {
                    amount -= &text
                        .checked(line.map_or_else(|| Ok(Amount::default()), EntryLine::own))?;
                    amount -= &self.bills.told_by_carries(month_s, &id)?;
                    if !amount.is_zero() {
                        due.push((id, Due { month_s, amount: Some(amount) }));
                    }
                }
            }
        }
        Ok(due)
    }

    /// Tells whether a project goes by a plan of which something was said.
    fn is_plan_suspect(&self, suspects: &Suspects<'_>, month_s: i64, id: &str) -> bool {
        if suspects.plans.is_empty() {
            return false;
        }
        let nobody = History::default();
        let customers = self.pricing.customers.get(id).map_or(&nobody, Arc::as_ref);
        let in_force = self.pricing.terms.in_force(customers, month_s);
        suspects
            .plans
            .contains(in_force.plan.as_ref().map_or_else(|missing| missing, |plan| &plan.id))
    }
}

/// Tells whether a project's usage is other than a bill said.
fn is_otherwise(
    line: Option<&EntryLine<'_>>,
    sum: Option<&UsageSum>,
) -> Result<bool, amount::Error> {
    let nothing = UsageSum::default();
    let sum = sum.unwrap_or(&nothing);
    let (usage, covered) = (
        line.and_then(|line| line.usage.as_deref()),
        line.and_then(|line| line.covered.as_deref()),
    );
    Ok(sum.amount != decimal(usage)? || sum.covered != decimal(covered)?)
}

/// Those of whom a month may cost something else by now than was told of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Suspects<'s> {
    /// All of them.
    everyone: bool,
    /// Those who by now used something else than was told.
    used_otherwise: bool,
    /// Those who are priced by one of these.
    plans: HashSet<&'s PlanId>,
    /// These.
    projects: HashSet<ProjectId>,
}

/// What was said since bills were made of what prices months: of plans, of customers' plans, of projects' customers, and of
/// when projects were enabled; each with its number and from when it holds, in Unix seconds.
struct SaidSince {
    plans: Vec<(PlanId, i64, i64)>,
    customers: Vec<(CustomerId, i64, i64)>,
    projects: Vec<(ProjectId, i64, i64)>,
    /// The projects that were enabled or disabled since, with the number of that event and when that was, in Unix seconds.
    enabled: Vec<(ProjectId, i64, i64)>,
    /// The projects that are new since, with their numbers.
    new_projects: HashMap<ProjectId, i64>,
}

impl SaidSince {
    fn read(tx: &ReadTx<'_>, since: TermsKnown) -> Result<Self> {
        const PLANS: &str = "select plan_id, seq, from_s from plan_version where seq > :since";
        const CUSTOMERS: &str =
            "select customer_id, seq, from_s from customer_plan where seq > :since";
        const PROJECTS: &str =
            "select project_id, seq, from_s from project_customer where seq > :since";
        const ENABLED: &str = "
            select project_id, seq, at_s
            from event
            where seq > :since
              and project_id is not null
              and change in ('enabled', 'disabled')";
        const NEW_PROJECTS: &str =
            "select project_id, project_no from project where project_no > :since";
        fn rows<T: FromSql>(
            tx: &ReadTx<'_>,
            select: &str,
            since: i64,
        ) -> Result<Vec<(T, i64, i64)>> {
            let said = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let mut select = tx.sql().prepare_cached(select)?;
            Ok(select
                .query_map(named_params! { ":since": since }, said)?
                .collect::<rusqlite::Result<_>>()?)
        }
        let mut new_projects = tx.sql().prepare_cached(NEW_PROJECTS)?;
        let new_projects = new_projects
            .query_map(named_params! { ":since": since.project_no }, |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(Self {
            plans: rows(tx, PLANS, since.plan_seq)?,
            customers: rows(tx, CUSTOMERS, since.customer_plan_seq)?,
            projects: rows(tx, PROJECTS, since.project_customer_seq)?,
            enabled: rows(tx, ENABLED, since.event_seq)?,
            new_projects: new_projects.collect::<rusqlite::Result<_>>()?,
        })
    }

    /// The last event of a project that was enabled or disabled by the end of a month; 0 where there was none.
    fn enabled_in_time(&self, month_s: i64) -> i64 {
        let end_s = Grain::Month.after(month_s);
        let in_time = self.enabled.iter().filter(|(_, _, at_s)| *at_s < end_s);
        in_time.map(|(_, seq, _)| *seq).max().unwrap_or_default()
    }

    /// Those of whom something was said that holds in a month and was not known to the bill that looked at it.
    fn suspects(&self, month_s: i64, known: &TermsKnown, pricing: &Pricing) -> Suspects<'_> {
        fn of<T: Eq + Hash>(said: &[(T, i64, i64)], month_s: i64, known_seq: i64) -> HashSet<&T> {
            said.iter()
                .filter(|(_, seq, from_s)| *seq > known_seq && *from_s <= month_s)
                .map(|(of, _, _)| of)
                .collect()
        }
        // Of one that was not there nothing can have been told: all that it used is used otherwise.
        let is_new = |id: &&ProjectId| {
            self.new_projects.get(*id).is_some_and(|number| *number > known.project_no)
        };
        let mut projects = of(&self.projects, month_s, known.project_customer_seq);
        let customers = of(&self.customers, month_s, known.customer_plan_seq);
        if !customers.is_empty() {
            let theirs = pricing.customers.iter().filter(|(_, history)| {
                history.at(month_s).is_some_and(|customer_id| customers.contains(customer_id))
            });
            projects.extend(theirs.map(|(id, _)| id));
        }
        let projects = projects.into_iter().filter(|id| !is_new(id));
        // Before the month was over, by its time, and unknown to its bill all the same.
        let end_s = Grain::Month.after(month_s);
        let enabled =
            self.enabled.iter().filter(|(_, seq, at_s)| *seq > known.event_seq && *at_s < end_s);
        let projects = projects.chain(enabled.map(|(id, _, _)| id)).cloned().collect();
        Suspects {
            plans: of(&self.plans, month_s, known.plan_seq),
            projects,
            ..Suspects::default()
        }
    }
}

/// The last ledger entry that is dated in a month; 0 where there is none.
fn last_usage_seq(tx: &ReadTx<'_>, month_s: i64) -> Result<i64> {
    const SELECT: &str = "
        select last_seq
        from usage_month
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let last =
        select.query_row(named_params! { ":month_s": month_s }, |row| row.get(0)).optional()?;
    Ok(last.unwrap_or_default())
}
