//! Balances: what Agora has been told of each month by the newest kept bills of all months, and
//! what the month costs.
//!
//! A month has one document, with a line for each project. It is rewritten in the transaction that
//! keeps a bill, with what the bill tells in the place of what its month's bill before told; so
//! nothing has to be looked for in statements. What a project costs of a month is what its line
//! says, unless a mark says that it may cost something else by now: triggers write marks in the
//! very transaction that changes what prices the month. So a bill prices its own month, and of
//! earlier ones the marked projects alone.

use crate::billing::adjustment::{Adjustment, Due, month_of};
use crate::billing::amount::Amount;
use crate::billing::bill::{Standing, Standings, cost};
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::billing::setting::Late;
use crate::billing::statement::Entry;
use crate::store::bill::Pricing;
use crate::store::document::{Document, Lines, Text};
use crate::store::snapshot::MadeOf;
use crate::store::{ReadTx, Result, WriteTx, readable, setting, statement};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Write as _;

/// What is told of a project's month, and what the month costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What the month's own bill tells.
    pub own: Amount,
    /// What the bills of later months tell.
    pub adjusted: Amount,
    /// What the month costs, as far as it is known; `None` without a price.
    pub cost: Option<Amount>,
}

impl Default for Balance {
    fn default() -> Self {
        let nothing = Amount::default;
        Self { own: nothing(), adjusted: nothing(), cost: Some(nothing()) }
    }
}

impl Balance {
    /// What is told of the month in all.
    pub fn told(&self) -> Amount {
        &self.own + &self.adjusted
    }

    /// What the month costs and is not told; `None` without a price.
    pub fn due(&self) -> Option<Amount> {
        self.cost.as_ref().map(|cost| cost - &self.told())
    }

    fn is_settled(&self) -> bool {
        self.due().is_some_and(|due| due.is_zero())
    }

    fn read(words: &mut std::str::SplitAsciiWhitespace<'_>) -> Result<Self, String> {
        let amount = |word: &str| Amount::from_canonical(word).map_err(|error| error.to_string());
        let own = amount(words.next().ok_or("a line tells no amount")?)?;
        let adjusted = words.next().map_or_else(|| Ok(Amount::default()), amount)?;
        let cost = match words.next() {
            None => Some(&own + &adjusted),
            Some("?") => None,
            Some(cost) => Some(amount(cost)?),
        };
        Ok(Self { own, adjusted, cost })
    }

    fn write(&self, project_id: &str, line: &mut Vec<u8>) {
        let Self { own, adjusted, cost } = self;
        let written = match cost {
            _ if self.is_settled() && adjusted.is_zero() => write!(line, "{project_id} {own}"),
            _ if self.is_settled() => write!(line, "{project_id} {own} {adjusted}"),
            Some(cost) => write!(line, "{project_id} {own} {adjusted} {cost}"),
            None => write!(line, "{project_id} {own} {adjusted} ?"),
        };
        written.expect("writing into memory does not fail");
    }
}

/// The balances of a month, by project.
pub type Balances = BTreeMap<ProjectId, Balance>;

/// A month that has a kept bill, without its balances.
struct Month {
    month_s: i64,
    kept_seq: i64,
    settled_seq: i64,
    adjusted: bool,
    waiting: bool,
    marked: bool,
}

impl Month {
    /// The months that have kept bills before a second, in the order of time.
    fn before(tx: &ReadTx<'_>, end_s: i64) -> Result<Vec<Self>> {
        const SELECT: &str = "
            select month_s, kept_seq, settled_seq, adjusted, waiting,
              exists (select 1 from mark m where m.month_s = b.month_s)
            from balance b
            where month_s < :end_s
            order by month_s";
        let month = |row: &Row<'_>| {
            Ok(Self {
                month_s: row.get(0)?,
                kept_seq: row.get(1)?,
                settled_seq: row.get(2)?,
                adjusted: row.get(3)?,
                waiting: row.get(4)?,
                marked: row.get(5)?,
            })
        };
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let months = select.query_map(named_params! { ":end_s": end_s }, month)?;
        Ok(months.collect::<rusqlite::Result<_>>()?)
    }

    /// The one that starts at a second, where it has a kept bill.
    fn find(tx: &ReadTx<'_>, month_s: i64) -> Result<Option<Self>> {
        Ok(Self::before(tx, month_s + 1)?.pop().filter(|month| month.month_s == month_s))
    }
}

/// The months that have kept bills from a second on, by their first seconds in the order of time.
///
/// # Errors
/// When SQLite fails.
pub fn billed_from(tx: &ReadTx<'_>, from_s: i64) -> Result<Vec<i64>> {
    let months = Month::before(tx, i64::MAX)?.into_iter().map(|month| month.month_s);
    Ok(months.filter(|month_s| *month_s >= from_s).collect())
}

/// A line of a month's balances, as it is written.
struct Line<'l> {
    text: &'l Text,
    line: &'l str,
    project_id: &'l str,
}

impl Line<'_> {
    /// The words after the project's id.
    fn words(&self) -> std::str::SplitAsciiWhitespace<'_> {
        self.line[self.project_id.len()..].split_ascii_whitespace()
    }

    /// Whether what is told is not what the month costs, or that is not known.
    fn waits(&self) -> bool {
        self.words().nth(2).is_some()
    }

    fn id(&self) -> Result<ProjectId> {
        self.text.checked(self.project_id.parse())
    }

    fn balance(&self) -> Result<Balance> {
        self.text.checked(Balance::read(&mut self.words()))
    }
}

/// Calls `each` with every line of a month's balances, in the order of project ids.
fn each_line(
    tx: &ReadTx<'_>,
    month_s: i64,
    mut each: impl FnMut(Line<'_>) -> Result<()>,
) -> Result<()> {
    const SELECT: &str = "
        select kept_seq, balances
        from balance
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let kept = select.query_row(named_params! { ":month_s": month_s }, row).optional()?;
    let Some((seq, document)) = kept else {
        return Ok(());
    };
    let document: Document = document;
    let text = document.text(seq)?;
    text.lines().try_for_each(|line| {
        let project_id = line.split(' ').next().unwrap_or_default();
        each(Line { text: &text, line, project_id })
    })
}

/// The balances of a month as they are kept, of those projects that are `wanted`.
fn read(tx: &ReadTx<'_>, month_s: i64, wanted: impl Fn(&Line<'_>) -> bool) -> Result<Balances> {
    let mut balances = Vec::new();
    each_line(tx, month_s, |line| {
        if wanted(&line) {
            balances.push((line.id()?, line.balance()?));
        }
        Ok(())
    })?;
    Ok(balances.into_iter().collect())
}

/// Whose cost of a month may be another than its balance says.
enum Marked {
    Everybody,
    These(BTreeSet<ProjectId>),
}

impl Marked {
    fn read(tx: &ReadTx<'_>, month_s: i64) -> Result<Self> {
        const SELECT: &str = "
            select p.project_id
            from mark m
            left join project p on p.project_no = m.project_no
            where m.month_s = :month_s";
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let marks = select.query_map(named_params! { ":month_s": month_s }, |row| row.get(0))?;
        let marks: Option<BTreeSet<ProjectId>> = marks.collect::<rusqlite::Result<_>>()?;
        Ok(marks.map_or(Self::Everybody, Self::These))
    }

    fn has(&self, project_id: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::These(projects) => projects.contains(project_id),
        }
    }
}

/// Puts what marked projects cost of a month by now into its balances; of one project alone where
/// told.
fn price(
    tx: &ReadTx<'_>,
    pricing: &Pricing,
    month_s: i64,
    marked: &Marked,
    only: Option<&ProjectId>,
    balances: &mut Balances,
) -> Result<()> {
    let month = Period::around(Grain::Month, month_s);
    // Who is not among those who used something, or were enabled, costs nothing.
    let is_priced = |id: &ProjectId| marked.has(id.as_str()) && only.is_none_or(|only| only == id);
    for (_, balance) in balances.iter_mut().filter(|(id, _)| is_priced(id)) {
        balance.cost = Some(Amount::default());
    }
    // Looked up one by one where they are few.
    const FEW: usize = 50;
    let each: Vec<Option<&ProjectId>> = match marked {
        Marked::These(projects) if projects.len() <= FEW => projects.iter().map(Some).collect(),
        Marked::These(_) | Marked::Everybody => vec![only],
    };
    for asked in each {
        let basis = pricing.basis(tx, month, asked)?;
        let wanted = |id: &ProjectId| asked.is_none_or(|asked| asked == id) && is_priced(id);
        for project in basis.projects.into_iter().filter(|project| wanted(&project.id)) {
            let cost = cost(&project, month, &pricing.terms).ok();
            balances.entry(project.id).or_default().cost = cost;
        }
    }
    Ok(())
}

/// What projects cost of earlier months by now, where their balances say something else: by month.
pub type Costs = BTreeMap<i64, BTreeMap<ProjectId, Option<Amount>>>;

/// What a bill's standings were made of.
#[derive(Default)]
pub struct Read {
    /// Of each project that has one.
    pub standings: Standings,
    /// Whether the bill tells of earlier months.
    pub adjusts: bool,
    /// What it found marked projects to cost.
    pub costs: Costs,
}

/// How the projects of a month stand of which later bills tell something; `before` is what the newest
/// bill of the month said.
fn told_elsewhere(tx: &ReadTx<'_>, month_s: i64, before: &[Entry]) -> Result<Standings> {
    let told = read(tx, month_s, |_| true)?.into_iter();
    let told = told.filter(|(_, balance)| !balance.adjusted.is_zero());
    let standing = |(id, balance): (ProjectId, Balance)| {
        let place = before.binary_search_by(|entry| entry.project_id.cmp(&id)).ok();
        let before = place.map(|place| before[place].clone());
        (id, Standing { elsewhere: balance.adjusted, before, due: Vec::new() })
    };
    Ok(told.map(standing).collect())
}

/// Reads how the projects of a window's bill stand; of one project alone where told. Nobody does
/// where it is no month's.
///
/// # Errors
/// When SQLite fails.
pub fn standings(
    tx: &ReadTx<'_>,
    window: Period,
    only: Option<&ProjectId>,
    pricing: &Pricing,
) -> Result<Read> {
    let Some(own_s) = month_of(window) else {
        return Ok(Read::default());
    };
    let (mut standings, mut costs) = (Standings::new(), Costs::new());
    let adjusts = setting::read(tx)?.late() == Late::Carry;
    let is_wanted = |id: &str| only.is_none_or(|only| only.as_str() == id);
    let before = statement::month_bill(tx, own_s)?;
    let months = Month::before(tx, own_s + 1)?;
    let own = months.last().filter(|month| month.month_s == own_s);
    let told_before = match before {
        Some(bill) if bill.adjusts || own.is_some_and(|own| own.adjusted) => {
            statement::entries(tx, bill.seq)?
        }
        Some(_) | None => Vec::new(),
    };
    if own.is_some_and(|own| own.adjusted) {
        standings = told_elsewhere(tx, own_s, &told_before)?;
        standings.retain(|id, _| is_wanted(id.as_str()));
    }
    if !adjusts {
        return Ok(Read { standings, adjusts, costs });
    }
    let mut own_adjustments: BTreeMap<i64, Vec<(&ProjectId, &Adjustment)>> = BTreeMap::new();
    for told in told_before.iter().flat_map(Entry::by_project) {
        own_adjustments.entry(told.1.month_s).or_default().push(told);
    }
    for month in months.iter().filter(|month| month.month_s < own_s) {
        let ours = own_adjustments.get(&month.month_s).map_or(&[][..], Vec::as_slice);
        if !month.waiting && !month.marked && ours.is_empty() {
            continue;
        }
        let marked = Marked::read(tx, month.month_s)?;
        let is_ours = |id: &str| ours.binary_search_by(|(ours, _)| ours.as_str().cmp(id)).is_ok();
        let (mut others, mut news) = (Balances::new(), Vec::new());
        // Both are in the order of ids: much may wait, and looking each up would take longer.
        let mut known = standings.iter_mut().peekable();
        each_line(tx, month.month_s, |line| {
            let id = line.project_id;
            if marked.has(id) || is_ours(id) {
                others.insert(line.id()?, line.balance()?);
            } else if line.waits()
                && is_wanted(id)
                && let Some(due) = due_of(month.month_s, &line.balance()?)
            {
                while known.next_if(|(known, _)| known.as_str() < id).is_some() {}
                match known.peek_mut() {
                    Some((known, standing)) if known.as_str() == id => standing.due.push(due),
                    Some(_) | None => news.push((line.id()?, due)),
                }
            }
            Ok(())
        })?;
        for (id, due) in news {
            standings.entry(id).or_default().due.push(due);
        }
        let before = others.clone();
        price(tx, pricing, month.month_s, &marked, only, &mut others)?;
        let news = changed_costs(&before, &others);
        if !news.is_empty() {
            costs.insert(month.month_s, news);
        }
        for (id, adjustment) in ours {
            // Other bills tell the rest.
            others.entry((*id).clone()).or_default().adjusted -= &adjustment.amount;
        }
        for (id, balance) in others.into_iter().filter(|(id, _)| is_wanted(id.as_str())) {
            if let Some(due) = due_of(month.month_s, &balance) {
                standings.entry(id).or_default().due.push(due);
            }
        }
    }
    Ok(Read { standings, adjusts, costs })
}

/// What projects cost by balances, where others say something else.
fn changed_costs(before: &Balances, now: &Balances) -> BTreeMap<ProjectId, Option<Amount>> {
    let nothing = Balance::default();
    let is_changed =
        |id: &ProjectId, now: &Balance| before.get(id).unwrap_or(&nothing).cost != now.cost;
    let changed = now.iter().filter(|(id, now)| is_changed(id, now));
    changed.map(|(id, now)| (id.clone(), now.cost.clone())).collect()
}

/// What is due of a month by its balance; `None` where nothing is.
fn due_of(month_s: i64, balance: &Balance) -> Option<Due> {
    let amount = balance.due();
    (!amount.as_ref().is_some_and(Amount::is_zero)).then_some(Due { month_s, amount })
}

/// By month, those projects whose cost is not what is told, or may not be; `None`: all.
pub(super) fn open(tx: &ReadTx<'_>) -> Result<HashMap<i64, Option<HashSet<ProjectId>>>> {
    let mut open = HashMap::new();
    for Month { month_s, .. } in Month::before(tx, i64::MAX)? {
        let waiting = read(tx, month_s, |line| line.waits())?.into_keys();
        let projects = match Marked::read(tx, month_s)? {
            Marked::Everybody => None,
            Marked::These(marked) => Some(waiting.chain(marked).collect()),
        };
        open.insert(month_s, projects);
    }
    Ok(open)
}

/// The balances of a month as they are once a bill is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    month_s: i64,
    adjusted: bool,
    waiting: bool,
    document: Document,
}

impl Draft {
    fn of(month_s: i64, balances: &Balances) -> Result<Self> {
        let mut draft = DraftLines::new()?;
        for (project_id, balance) in balances {
            draft.push(project_id.as_str(), balance)?;
        }
        draft.finish(month_s)
    }

    /// About how many bytes of memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.document.size_bytes()
    }

    fn write(&self, tx: &WriteTx<'_>, kept_seq: i64, settled_seq: i64) -> Result<()> {
        const UPSERT: &str = "
            insert into balance (month_s, kept_seq, settled_seq, adjusted, waiting, balances)
            values (:month_s, :kept_seq, :settled_seq, :adjusted, :waiting, :balances)
            on conflict (month_s) do update
            set kept_seq = excluded.kept_seq,
                settled_seq = excluded.settled_seq,
                adjusted = excluded.adjusted,
                waiting = excluded.waiting,
                balances = excluded.balances";
        tx.sql().prepare_cached(UPSERT)?.execute(named_params! {
            ":month_s": self.month_s,
            ":kept_seq": kept_seq,
            ":settled_seq": settled_seq,
            ":adjusted": self.adjusted,
            ":waiting": self.waiting,
            ":balances": self.document,
        })?;
        Ok(())
    }
}

/// A draft as it is written, line by line.
struct DraftLines {
    lines: Lines,
    adjusted: bool,
    waiting: bool,
}

impl DraftLines {
    fn new() -> Result<Self> {
        Ok(Self { lines: Lines::new()?, adjusted: false, waiting: false })
    }

    fn push(&mut self, project_id: &str, balance: &Balance) -> Result<()> {
        if *balance == Balance::default() {
            return Ok(());
        }
        self.adjusted |= !balance.adjusted.is_zero();
        self.waiting |= !balance.is_settled();
        self.lines.push(|line| balance.write(project_id, line))
    }

    /// Writes a line as it stands.
    fn copy(&mut self, line: &Line<'_>) -> Result<()> {
        self.adjusted |= line.words().nth(1).is_some_and(|adjusted| adjusted != "0");
        self.waiting |= line.waits();
        self.lines.push(|written| written.extend_from_slice(line.line.as_bytes()))
    }

    fn finish(self, month_s: i64) -> Result<Draft> {
        let Self { lines, adjusted, waiting } = self;
        Ok(Draft { month_s, adjusted, waiting, document: lines.finish()? })
    }
}

/// What a bill changes of a project's earlier month.
#[derive(Default)]
struct Change<'e> {
    /// What the bill of its month before told.
    before: Option<&'e Amount>,
    /// What it tells.
    now: Option<&'e Amount>,
    /// What the month costs, where the balance says something else.
    cost: Option<&'e Option<Amount>>,
}

impl Change<'_> {
    /// The balance once it is made.
    fn make(&self, mut balance: Balance) -> Balance {
        self.before.into_iter().for_each(|amount| balance.adjusted -= amount);
        self.now.into_iter().for_each(|amount| balance.adjusted += amount);
        if let Some(cost) = self.cost {
            balance.cost.clone_from(cost);
        }
        balance
    }
}

/// Drafts the balances of all months that a month's bill with these entries changes; `costs` is
/// what it found earlier months to cost.
///
/// # Errors
/// When SQLite fails.
pub(super) fn drafts(
    tx: &ReadTx<'_>,
    own_s: i64,
    entries: &[Entry],
    costs: &Costs,
) -> Result<Vec<Draft>> {
    let told_before = match statement::month_bill(tx, own_s)?.filter(|bill| bill.adjusts) {
        Some(bill) => statement::entries(tx, bill.seq)?,
        None => Vec::new(),
    };
    let mut months: BTreeMap<i64, BTreeMap<&ProjectId, Change<'_>>> = BTreeMap::new();
    for (id, adjustment) in told_before.iter().flat_map(Entry::by_project) {
        let changes = months.entry(adjustment.month_s).or_default();
        changes.entry(id).or_default().before = Some(&adjustment.amount);
    }
    for (id, adjustment) in entries.iter().flat_map(Entry::by_project) {
        let changes = months.entry(adjustment.month_s).or_default();
        changes.entry(id).or_default().now = Some(&adjustment.amount);
    }
    for (month_s, costs) in costs {
        let changes = months.entry(*month_s).or_default();
        costs.iter().for_each(|(id, cost)| changes.entry(id).or_default().cost = Some(cost));
    }
    let mut drafts = vec![own_draft(tx, own_s, entries)?];
    for (month_s, changes) in months {
        drafts.push(changed_draft(tx, month_s, &changes)?);
    }
    Ok(drafts)
}

/// The balances of an earlier month: what is not changed is copied.
fn changed_draft(
    tx: &ReadTx<'_>,
    month_s: i64,
    changes: &BTreeMap<&ProjectId, Change<'_>>,
) -> Result<Draft> {
    let mut draft = DraftLines::new()?;
    let mut left = changes.iter().peekable();
    each_line(tx, month_s, |line| {
        while let Some((id, change)) = left.next_if(|(id, _)| id.as_str() < line.project_id) {
            draft.push(id.as_str(), &change.make(Balance::default()))?;
        }
        match left.next_if(|(id, _)| id.as_str() == line.project_id) {
            Some((_, change)) => draft.push(line.project_id, &change.make(line.balance()?)),
            None => draft.copy(&line),
        }
    })?;
    for (id, change) in left {
        draft.push(id.as_str(), &change.make(Balance::default()))?;
    }
    draft.finish(month_s)
}

/// The balances of a bill's own month: what it tells, and what later bills tell as before.
fn own_draft(tx: &ReadTx<'_>, own_s: i64, entries: &[Entry]) -> Result<Draft> {
    let is_adjusted = Month::find(tx, own_s)?.is_some_and(|month| month.adjusted);
    let mut balances = if is_adjusted { read(tx, own_s, |_| true)? } else { Balances::new() };
    for balance in balances.values_mut() {
        let adjusted = std::mem::take(&mut balance.adjusted);
        *balance = Balance { cost: Some(Amount::default()), own: Amount::default(), adjusted };
    }
    for entry in entries {
        let Some(origin) = &entry.origin else {
            continue;
        };
        let balance = balances.entry(entry.project_id.clone()).or_default();
        balance.own = entry.own();
        balance.cost = (!origin.unpriced).then(|| &balance.told() + &origin.rest);
    }
    Draft::of(own_s, &balances)
}

/// Tells whether a bill that was kept since another one was made changed what is told of a month
/// that that one speaks of.
///
/// # Errors
/// When SQLite fails.
pub(super) fn is_outdone(tx: &ReadTx<'_>, drafts: &[Draft], made_of: &MadeOf) -> Result<bool> {
    for draft in drafts {
        let month = Month::find(tx, draft.month_s)?;
        if month.is_some_and(|month| month.kept_seq > made_of.statement_seq) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the balances down with the bill that they follow from, whose number is `seq`. Whatever
/// was changed after the bill was made is marked.
///
/// # Errors
/// When SQLite fails.
pub(super) fn keep(
    tx: &WriteTx<'_>,
    seq: i64,
    own_s: i64,
    drafts: &[Draft],
    made_of: &MadeOf,
) -> Result<()> {
    for draft in drafts {
        let month = Month::find(tx, draft.month_s)?;
        let settled_seq = month.as_ref().map_or(0, |month| month.settled_seq);
        draft.write(tx, seq, settled_seq.max(made_of.mark_seq))?;
        // There were no marks of a month without a bill; and costs that were worked out since are
        // not in the draft, nor any that the bill found where it goes on from a snapshot.
        let is_new = month.is_none() && is_changed(tx, own_s, made_of)?;
        let is_unpriced = draft.month_s != own_s && !made_of.adjusts;
        if is_new || is_unpriced || settled_seq > made_of.mark_seq {
            const INSERT: &str = "insert into mark (month_s, project_no) values (:month_s, 0)";
            let params = named_params! { ":month_s": draft.month_s };
            tx.sql().prepare_cached(INSERT)?.execute(params)?;
        }
    }
    const DELETE: &str = "
        delete from mark
        where seq <= :mark_seq
          and (month_s = :own_s or (:adjusts and month_s < :own_s))";
    tx.sql().prepare_cached(DELETE)?.execute(named_params! {
        ":mark_seq": made_of.mark_seq,
        ":own_s": own_s,
        ":adjusts": made_of.adjusts,
    })?;
    Ok(())
}

/// Tells whether anything that prices a month was written since a bill of it was made.
fn is_changed(tx: &ReadTx<'_>, month_s: i64, made_of: &MadeOf) -> Result<bool> {
    const SELECT: &str = "
        select exists (
          select 1
          from usage_month
          where month_s = :month_s
            and last_seq > :knew_seq
        )";
    let params = named_params! { ":month_s": month_s, ":knew_seq": made_of.knew_seq };
    let is_used = tx.sql().prepare_cached(SELECT)?.query_row(params, |row| row.get(0))?;
    Ok(is_used || statement::terms_seq(tx)? > made_of.terms_seq)
}

/// The last mark that was ever written; 0 where none was.
///
/// # Errors
/// When SQLite fails.
pub fn last_mark(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select seq from sqlite_sequence where name = 'mark'";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Works the marks of one month into what it costs, so that no bill has to; tells whether there was
/// such a month.
///
/// # Errors
/// When SQLite fails.
pub fn settle(tx: &WriteTx<'_>) -> Result<bool> {
    const SELECT: &str = "select min(month_s) from mark";
    const DELETE: &str = "delete from mark where month_s = :month_s";
    let month_s: Option<i64> = tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?;
    let Some(month) = month_s.map(|month_s| Month::find(tx, month_s)).transpose()?.flatten() else {
        return Ok(false);
    };
    let pricing = Pricing::read(tx, None)?;
    let balances = now(tx, &pricing, month.month_s)?;
    Draft::of(month.month_s, &balances)?.write(tx, month.kept_seq, last_mark(tx)?)?;
    tx.sql().prepare_cached(DELETE)?.execute(named_params! { ":month_s": month.month_s })?;
    Ok(true)
}

/// The balances of a month with what it costs by now.
///
/// # Errors
/// When SQLite fails.
pub fn now(tx: &ReadTx<'_>, pricing: &Pricing, month_s: i64) -> Result<Balances> {
    let mut balances = read(tx, month_s, |_| true)?;
    let marked = Marked::read(tx, month_s)?;
    price(tx, pricing, month_s, &marked, None, &mut balances)?;
    Ok(balances)
}

/// What is wrong with a month's balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// They do not say what the newest bills tell of the project.
    Told(ProjectId),
    /// The project costs something else, and no mark says that it may.
    Mark(ProjectId),
    /// They are not as they are written.
    Written,
}

/// What the newest kept bills tell of all months.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn told(tx: &ReadTx<'_>) -> Result<BTreeMap<i64, Balances>> {
    let mut months: BTreeMap<i64, Balances> = BTreeMap::new();
    for (own_s, bill) in statement::month_bills(tx)? {
        months.entry(own_s).or_default();
        for entry in statement::entries(tx, bill.seq)? {
            for told in entry.adjustments().iter().filter(|one| !one.amount.is_zero()) {
                let balances = months.entry(told.month_s).or_default();
                balances.entry(entry.project_id.clone()).or_default().adjusted += &told.amount;
            }
            let own = entry.own();
            months.entry(own_s).or_default().entry(entry.project_id).or_default().own = own;
        }
    }
    Ok(months)
}

/// The same, with what each month costs by now.
fn made_anew(tx: &ReadTx<'_>) -> Result<BTreeMap<i64, Balances>> {
    let pricing = Pricing::read(tx, None)?;
    let mut months = told(tx)?;
    for (month_s, balances) in &mut months {
        price(tx, &pricing, *month_s, &Marked::Everybody, None, balances)?;
    }
    Ok(months)
}

/// Writes the balances of all months, as the newest kept bills have them.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub(super) fn write_anew(tx: &WriteTx<'_>) -> Result<()> {
    let bills = statement::month_bills(tx)?;
    for (month_s, balances) in made_anew(tx)? {
        if let Some(bill) = bills.get(&month_s) {
            Draft::of(month_s, &balances)?.write(tx, bill.seq, 0)?;
        }
    }
    Ok(())
}

/// Compares the balances of all months with what the newest kept bills tell and what the months
/// cost.
pub(super) fn problems(tx: &ReadTx<'_>) -> Result<Vec<(i64, Problem)>> {
    let mut found = Vec::new();
    let mut kept: BTreeSet<i64> = billed_from(tx, 0)?.into_iter().collect();
    for (month_s, anew) in made_anew(tx)? {
        if !kept.remove(&month_s) {
            found.push((month_s, Problem::Written));
            continue;
        }
        let Some(balances) = readable(read(tx, month_s, |_| true))? else {
            found.push((month_s, Problem::Written));
            continue;
        };
        let marked = Marked::read(tx, month_s)?;
        let nothing = Balance::default();
        let before = found.len();
        let projects: BTreeSet<&ProjectId> = balances.keys().chain(anew.keys()).collect();
        for id in projects {
            let (kept, anew) =
                (balances.get(id).unwrap_or(&nothing), anew.get(id).unwrap_or(&nothing));
            if (&kept.own, &kept.adjusted) != (&anew.own, &anew.adjusted) {
                found.push((month_s, Problem::Told(id.clone())));
            } else if kept.cost != anew.cost && !marked.has(id.as_str()) {
                found.push((month_s, Problem::Mark(id.clone())));
            }
        }
        if found.len() == before && !is_as_written(tx, month_s, &balances)? {
            found.push((month_s, Problem::Written));
        }
    }
    found.extend(kept.into_iter().map(|month_s| (month_s, Problem::Written)));
    Ok(found)
}

/// Tells whether a month's balances are kept, to the letter, as they are written.
fn is_as_written(tx: &ReadTx<'_>, month_s: i64, balances: &Balances) -> Result<bool> {
    const SELECT: &str = "
        select adjusted, waiting, balances
        from balance
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let kept = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, Document>(2)?));
    let (adjusted, waiting, kept) =
        select.query_row(named_params! { ":month_s": month_s }, kept)?;
    let written = Draft::of(month_s, balances)?;
    let is_same = kept.text(0)? == written.document.text(0)?;
    Ok(is_same && (adjusted, waiting) == (written.adjusted, written.waiting))
}
