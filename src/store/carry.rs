//! What the bill of a month carries of earlier ones, read of the statements that were kept and of the books as they are.
//!
//! Every earlier month is looked at, and what has to be read grows with those that may cost something else by now than was
//! told of them; what has to be priced, with the projects in them of which that is so.

use crate::billing::amount::Amount;
use crate::billing::bill::{Carried, MonthUsage, cost};
use crate::billing::carry::{Due, month_of};
use crate::billing::history::History;
use crate::billing::id::{CustomerId, PlanId, ProjectId};
use crate::billing::period::Period;
use crate::billing::setting::Late;
use crate::billing::statement::{Entry, Statement, is_provisional};
use crate::store::bill::Pricing;
use crate::store::document::{EntryLine, amount};
use crate::store::month_bill::{LastLook, MonthBills};
use crate::store::rollup::UsageSum;
use crate::store::{ReadTx, Result, column, setting, statement, usage};
use rusqlite::types::FromSql;
use rusqlite::{OptionalExtension, Row, named_params};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the bill of a window has to say beside what the window costs, as it is asked for at `asked_at_s` (Unix seconds);
/// of one project alone where told. `None` where nothing is carried: unless the setting `late` says so, of a window that
/// is no month's, and of one that is not over. What is due of a month is looked up in `dues` first, and left there.
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
    let Some(month_s) = month_of(window).filter(|_| !is_provisional(window, asked_at_s)) else {
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
fn told_before(tx: &ReadTx<'_>, bills: &MonthBills<'_>, month_s: i64, told: &Statement) -> Result<Carried> {
    let entries = statement::entries(tx, told.seq)?.into_iter();
    let mut entries: HashMap<ProjectId, Entry> = entries.map(|entry| (entry.project_id.clone(), entry)).collect();
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
pub struct Dues(Mutex<HashMap<i64, (Of, DueOf)>>);

/// What is due of a month, by project.
type DueOf = Arc<[(ProjectId, Due)]>;

/// All that what is due of a month follows from, told by the last of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Of {
    /// The last bill of any month that was kept.
    bill_seq: i64,
    /// The last ledger entry that was written after the month.
    late_seq: i64,
    /// The last that was said of plans, of customers' plans, and of projects' customers.
    said: [i64; 3],
}

impl Dues {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, (Of, DueOf)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get_or<E>(
        &self,
        month_s: i64,
        of: Of,
        work_out: impl FnOnce() -> Result<Vec<(ProjectId, Due)>, E>,
    ) -> Result<DueOf, E> {
        let known = self.lock().get(&month_s).filter(|(known_of, _)| *known_of == of).map(|(_, due)| Arc::clone(due));
        if let Some(known) = known {
            return Ok(known);
        }
        let due: Arc<[_]> = work_out()?.into();
        let mut held = self.lock();
        // What was told meanwhile is not asked for again.
        held.retain(|_, (held_of, _)| held_of.bill_seq == of.bill_seq);
        held.insert(month_s, (of, Arc::clone(&due)));
        Ok(due)
    }
}

/// The months before one whose bill is asked for.
struct Earlier<'a> {
    bills: &'a MonthBills<'a>,
    pricing: &'a Pricing,
    /// In the order of time: each with what was told of it, and when a bill last looked at it.
    months: Vec<(i64, &'a Statement, LastLook)>,
    said: SaidSince,
    /// As in [`Of`].
    last_said: [i64; 3],
}

impl<'a> Earlier<'a> {
    fn read(tx: &ReadTx<'_>, bills: &'a MonthBills<'a>, pricing: &'a Pricing, before_s: i64) -> Result<Self> {
        let months: Vec<_> = bills
            .newest_before(before_s)
            .map(|(month_s, told)| Ok((month_s, told, bills.last_look(month_s, told)?)))
            .collect::<Result<_>>()?;
        let since_s = months.iter().map(|(_, _, look)| look.at_s).min();
        let said = since_s.map_or(Ok(SaidSince::default()), |since_s| SaidSince::read(tx, since_s))?;
        Ok(Self { bills, pricing, months, said, last_said: last_said(tx)? })
    }

    /// What is due of them by project, in the order of time; of one project alone where told.
    fn due(&self, tx: &ReadTx<'_>, only: Option<&ProjectId>, dues: &Dues) -> Result<BTreeMap<ProjectId, Vec<Due>>> {
        let mut all: BTreeMap<ProjectId, Vec<Due>> = BTreeMap::new();
        for (month_s, told, look) in &self.months {
            let late_seq = written_late(tx, *month_s)?;
            let Some(suspects) = self.suspects(*month_s, look, late_seq)? else {
                continue;
            };
            let of = Of { bill_seq: self.bills.last_seq(), late_seq, said: self.last_said };
            let work_out = || self.due_of(tx, *month_s, told, &suspects, only);
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

    /// Of which projects a month may cost something else than was told; `None`: of none.
    fn suspects<'s>(&'s self, month_s: i64, look: &'s LastLook, late_seq: i64) -> Result<Option<Suspects<'s>>> {
        let mut suspects = self.said.suspects(month_s, look.at_s);
        suspects.everyone = look.is_told_anew;
        suspects.used_otherwise = late_seq > look.knew_seq;
        suspects.projects.extend(look.waits.iter().cloned());
        if suspects.everyone || suspects.used_otherwise {
            // What was carried of them made up for what they used otherwise by then.
            suspects.projects.extend(self.bills.ever_carried(month_s)?);
        }
        Ok((suspects != Suspects::default()).then_some(suspects))
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
            .collect::<rusqlite::Result<_>>()?;
        let used = usage::by_project(tx, told.period, only)?;
        let mut projects: BTreeSet<&str> = lines.keys().map(AsRef::as_ref).collect();
        projects.extend(used.keys().map(ProjectId::as_str));
        projects.extend(suspects.projects.iter().map(ProjectId::as_str));
        if suspects.everyone || suspects.any_terms() {
            projects.extend(self.pricing.enabled.keys().map(ProjectId::as_str));
        }
        let mut due = Vec::new();
        for id in projects {
            let (line, sum) = (lines.get(id), used.get(id));
            let is_suspect = suspects.everyone
                || suspects.projects.contains(id)
                || self.are_terms_suspect(suspects, month_s, id)
                || (suspects.used_otherwise && is_otherwise(line, sum)?);
            if !is_suspect || only.is_some_and(|only| only.as_str() != id) {
                continue;
            }
            let id: ProjectId = column::parse(id)?;
            let usage = sum.map(|sum| MonthUsage { month_s, amount: sum.amount.clone(), covered: sum.covered.clone() });
            let project = self.pricing.project(&id, usage.into_iter().collect(), told.period);
            match cost(&project, told.period, &self.pricing.terms) {
                // Where it never had a price, nothing is missed until it has one.
                Err(_) if line.is_some_and(|line| line.unpriced) => {}
                Err(_) => due.push((id, Due { month_s, amount: None })),
                Ok(mut amount) => {
                    amount -= &line.map_or_else(|| Ok(Amount::default()), EntryLine::own)?;
                    amount -= &self.bills.told_by_carries(month_s, &id)?;
                    if !amount.is_zero() {
                        due.push((id, Due { month_s, amount: Some(amount) }));
                    }
                }
            }
        }
        Ok(due)
    }

    /// Tells whether a project's customer, or its plan, is one of those of which something was said.
    fn are_terms_suspect(&self, suspects: &Suspects<'_>, month_s: i64, id: &str) -> bool {
        if !suspects.any_terms() {
            return false;
        }
        let nobody = History::default();
        let customers = self.pricing.customers.get(id).map_or(&nobody, Arc::as_ref);
        let in_force = self.pricing.terms.in_force(customers, month_s);
        let plan_id = in_force.plan.as_ref().map_or_else(|missing| missing, |plan| &plan.id);
        suspects.plans.contains(plan_id)
            || in_force.customer_id.is_some_and(|customer_id| suspects.customers.contains(customer_id))
    }
}

/// Tells whether a project's usage is other than a bill said.
fn is_otherwise(line: Option<&EntryLine<'_>>, sum: Option<&UsageSum>) -> Result<bool> {
    let nothing = UsageSum::default();
    let sum = sum.unwrap_or(&nothing);
    let (usage, covered) = (line.and_then(|line| line.usage.as_deref()), line.and_then(|line| line.covered.as_deref()));
    Ok(sum.amount != amount(usage)? || sum.covered != amount(covered)?)
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
    /// Those of these customers.
    customers: HashSet<&'s CustomerId>,
    /// These.
    projects: HashSet<ProjectId>,
}

impl Suspects<'_> {
    fn any_terms(&self) -> bool {
        !self.plans.is_empty() || !self.customers.is_empty()
    }
}

/// What was said since a second of what prices months: of plans, of customers' plans, and of projects' customers.
#[derive(Default)]
struct SaidSince {
    plans: Vec<SaidOf<PlanId>>,
    customers: Vec<SaidOf<CustomerId>>,
    projects: Vec<SaidOf<ProjectId>>,
}

/// Something that was said of a plan, a customer or a project. Times are Unix seconds.
struct SaidOf<T> {
    of: T,
    /// When it was said.
    at_s: i64,
    /// From when it holds.
    from_s: i64,
    /// When the books first heard of whom it was said; of a plan 0.
    first_seen_at_s: i64,
}

impl SaidSince {
    fn read(tx: &ReadTx<'_>, since_s: i64) -> Result<Self> {
        const PLANS: &str = "
            select plan_id, at_s, from_s, 0
            from plan_version
            where at_s >= :since_s";
        const CUSTOMERS: &str = "
            select p.customer_id, p.at_s, p.from_s, c.first_seen_at_s
            from customer_plan p
            join customer c on c.customer_id = p.customer_id
            where p.at_s >= :since_s";
        const PROJECTS: &str = "
            select c.project_id, c.at_s, c.from_s, p.first_seen_at_s
            from project_customer c
            join project p on p.project_id = c.project_id
            where c.at_s >= :since_s";
        fn rows<T: FromSql>(tx: &ReadTx<'_>, select: &str, since_s: i64) -> Result<Vec<SaidOf<T>>> {
            let said = |row: &Row<'_>| {
                let [at_s, from_s, first_seen_at_s] = [row.get(1)?, row.get(2)?, row.get(3)?];
                Ok(SaidOf { of: row.get(0)?, at_s, from_s, first_seen_at_s })
            };
            let mut select = tx.sql().prepare_cached(select)?;
            Ok(select.query_map(named_params! { ":since_s": since_s }, said)?.collect::<rusqlite::Result<_>>()?)
        }
        Ok(Self {
            plans: rows(tx, PLANS, since_s)?,
            customers: rows(tx, CUSTOMERS, since_s)?,
            projects: rows(tx, PROJECTS, since_s)?,
        })
    }

    /// Those of whom something was said since a second that holds in a month.
    fn suspects(&self, month_s: i64, since_s: i64) -> Suspects<'_> {
        fn of<T: Eq + Hash>(said: &[SaidOf<T>], month_s: i64, since_s: i64) -> HashSet<&T> {
            // Of whom the books heard later, nothing can have been told; what they are found to have used is used otherwise.
            let holds =
                |said: &&SaidOf<T>| said.at_s >= since_s && said.from_s <= month_s && said.first_seen_at_s <= since_s;
            said.iter().filter(holds).map(|said| &said.of).collect()
        }
        Suspects {
            plans: of(&self.plans, month_s, since_s),
            customers: of(&self.customers, month_s, since_s),
            projects: of(&self.projects, month_s, since_s).into_iter().cloned().collect(),
            ..Suspects::default()
        }
    }
}

/// The numbers of what was said last of plans, of customers' plans, and of projects' customers.
fn last_said(tx: &ReadTx<'_>) -> Result<[i64; 3]> {
    const SELECT: &str = "
        select
          (select coalesce(max(seq), 0) from plan_version),
          (select coalesce(max(seq), 0) from customer_plan),
          (select coalesce(max(seq), 0) from project_customer)";
    let numbers = |row: &Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], numbers)?)
}

/// The last ledger entry that was written after its month; 0 where there is none.
fn written_late(tx: &ReadTx<'_>, month_s: i64) -> Result<i64> {
    const SELECT: &str = "
        select last_seq
        from late_month
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let last = select.query_row(named_params! { ":month_s": month_s }, |row| row.get(0)).optional()?;
    Ok(last.unwrap_or_default())
}
