//! Statements: what Agora was answered of a window, when, and up to which record it was known.
//!
//! A record is stated by the newest statement whose window holds its time and which knew it. Time
//! is cut by the windows of all statements into segments, and each segment has the statement that
//! knew most.

use crate::billing::adjustment::{Adjustment, month_of};
use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use ring::digest::{Context, SHA256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// Which of the two listings Agora asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListingKind {
    /// `GET /usage`.
    Usage,
    /// `GET /bill`.
    Bill,
}

impl ListingKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Usage, Self::Bill];

    /// Its name in the books and at the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Bill => "bill",
        }
    }

    /// What was done with what is in it, in a sentence.
    pub fn participle(self) -> &'static str {
        match self {
            Self::Usage => "reported",
            Self::Bill => "billed",
        }
    }
}

impl fmt::Display for ListingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ListingKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| "it must be usage or bill".to_owned())
    }
}

/// What an entry says: an amount, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Usage, or the charge.
    pub amount: Amount,
    /// How it came about, in the words that are sent.
    pub description: String,
}

/// What an entry of a bill was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Usage in the window.
    pub usage: Amount,
    /// The part of it that licenses covered.
    pub covered: Amount,
    /// Whether the project needs a price that is not there, so that the bill left it out.
    pub unpriced: bool,
    /// What of the own part cannot be told, zero or below: later bills tell more of the month than
    /// it costs.
    pub rest: Amount,
    /// What it tells of earlier months, in their order.
    pub adjustments: Vec<Adjustment>,
}

/// A project's part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementEntry {
    /// The project.
    pub project_id: ProjectId,
    /// What it says; `None` on a bill that left it out.
    pub figure: Option<Figure>,
    /// What it was made from; `None` for usage, which is sent as it is.
    pub origin: Option<Origin>,
}

impl StatementEntry {
    /// What it tells of earlier months.
    pub fn adjustments(&self) -> &[Adjustment] {
        self.origin.as_ref().map_or(&[], |origin| &origin.adjustments)
    }

    /// The same, each with the project.
    pub fn by_project(&self) -> impl Iterator<Item = (&ProjectId, &Adjustment)> {
        self.adjustments().iter().map(|adjustment| (&self.project_id, adjustment))
    }

    /// Whether it says more than what its own month is charged: it adjusts earlier months,
    /// something waits, or a price lacks.
    pub fn is_open(&self) -> bool {
        let is_open = |origin: &Origin| origin.unpriced || !origin.rest.is_zero();
        !self.adjustments().is_empty() || self.origin.as_ref().is_some_and(is_open)
    }

    /// What a bill tells of its own month.
    pub fn own(&self) -> Amount {
        let adjusted = self.adjustments().iter().map(|one| &one.amount).sum();
        &self.figure.as_ref().map(|figure| figure.amount.clone()).unwrap_or_default() - &adjusted
    }
}

/// The sum of what was stated.
pub fn total(entries: &[StatementEntry]) -> Amount {
    entries.iter().filter_map(|entry| entry.figure.as_ref()).map(|figure| &figure.amount).sum()
}

/// Tells answers apart: SHA-256 of all that was sent, of which projects a bill left out for want of
/// a price, and of what it told of earlier months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of an answer.
    pub fn of(total_size: usize, entries: &[StatementEntry]) -> Self {
        let mut context = Context::new(&SHA256);
        let (mut text, mut length) = (String::new(), String::new());
        let mut add = |said: fmt::Arguments<'_>| {
            text.clear();
            length.clear();
            // Its length first, so that no two answers run together to the same bytes.
            let written = write!(text, "{said}").and_then(|()| write!(length, "{}:", text.len()));
            written.expect("writing into memory does not fail");
            context.update(length.as_bytes());
            context.update(text.as_bytes());
        };
        add(format_args!("{total_size}"));
        for entry in entries {
            let is_unpriced = entry.origin.as_ref().is_some_and(|origin| origin.unpriced);
            if entry.figure.is_none() && !is_unpriced && entry.adjustments().is_empty() {
                continue;
            }
            add(format_args!("{}", entry.project_id));
            add(format_args!("{}", if is_unpriced { "unpriced" } else { "" }));
            if let Some(Figure { amount, description }) = &entry.figure {
                add(format_args!("{amount}"));
                add(format_args!("{description}"));
            }
            for adjustment in entry.adjustments() {
                let Adjustment { month_s, amount, .. } = adjustment;
                add(format_args!("{month_s} {amount} {}", adjustment.whole));
            }
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// As it is kept.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Tells whether an answer is provisional: its window was not over in the second in which it was
/// asked for.
///
/// A month's bill is not provisional on the month's last day either. Agora asks for it at the end
/// of the month, and may not ask again: such a bill counts, and the next one carries what came
/// after it.
pub fn is_provisional(kind: ListingKind, period: Period, asked_at_s: i64) -> bool {
    let end_s = match kind {
        ListingKind::Bill => month_of(period).map(|month_s| {
            let last_s = Period::around(Grain::Month, month_s).last_s();
            Grain::Day.floor(last_s)
        }),
        ListingKind::Usage => None,
    };
    asked_at_s < end_s.unwrap_or(period.last_s() + 1)
}

/// A kept statement without its entries. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its number, from 1 in the order in which statements were kept.
    pub seq: i64,
    /// Which listing it was.
    pub kind: ListingKind,
    /// The window.
    pub period: Period,
    /// When page 1 was first asked for.
    pub first_asked_at_s: i64,
    /// When its last page last went out.
    pub last_asked_at_s: i64,
    /// How often its last page went out.
    pub asked: i64,
    /// The last entry of the usage ledger that it was made from.
    pub knew_seq: i64,
    /// The last entry that it still held good for as it last went out.
    pub last_knew_seq: i64,
    /// Whether it was asked for too early, as [`is_provisional`] says.
    pub provisional: bool,
    /// Whether it is a bill that tells anything of earlier months.
    pub adjusts: bool,
    /// The sum of what was stated.
    pub total: Amount,
    /// `totalSize` as sent.
    pub total_size: i64,
    /// Of the answer.
    pub digest: Digest,
}

/// A stretch of time that the same windows hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The stretch.
    pub period: Period,
    /// Of each of these windows the statement that knew most, by its place among all; the one that
    /// knew most of all last.
    holders: Vec<usize>,
}

/// Statements of one kind, and the segments that their windows cut time into.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    statements: Vec<Statement>,
    /// In the order of time, without those that no window holds.
    segments: Vec<Segment>,
}

impl Timeline {
    /// Cuts time by the windows of statements that are not provisional; others are passed over.
    pub fn new(statements: impl IntoIterator<Item = Statement>) -> Self {
        let statements: Vec<Statement> =
            statements.into_iter().filter(|statement| !statement.provisional).collect();
        // Of each window the statement that knew most; of those that knew the same, the newest.
        let mut best: BTreeMap<(i64, i64), usize> = BTreeMap::new();
        for (place, statement) in statements.iter().enumerate() {
            let rank = |place: usize| (statements[place].last_knew_seq, statements[place].seq);
            let window = (statement.period.first_s(), statement.period.last_s());
            let held = best.entry(window).or_insert(place);
            if rank(place) > rank(*held) {
                *held = place;
            }
        }
        let mut edges: Vec<(i64, bool, (i64, i64, usize))> = Vec::new();
        for ((first_s, last_s), place) in best {
            let Statement { last_knew_seq, seq, .. } = statements[place];
            edges.push((first_s, true, (last_knew_seq, seq, place)));
            edges.push((last_s + 1, false, (last_knew_seq, seq, place)));
        }
        edges.sort_unstable();
        let mut open: BTreeSet<(i64, i64, usize)> = BTreeSet::new();
        let mut segments: Vec<Segment> = Vec::new();
        let mut from = 0;
        for (at_s, opens, ranked) in edges {
            if let Some(period) = Period::new(from, at_s - 1).filter(|_| !open.is_empty()) {
                segments.push(Segment {
                    period,
                    holders: open.iter().map(|(_, _, place)| *place).collect(),
                });
            }
            from = at_s;
            let _changed = if opens { open.insert(ranked) } else { open.remove(&ranked) };
        }
        Self { statements, segments }
    }

    /// The statements whose windows cut it.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The segments that some window holds, in the order of time.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Of each window that holds a segment the statement that knew most.
    pub fn holders(&self, segment: &Segment) -> impl Iterator<Item = &Statement> {
        segment.holders.iter().map(|place| &self.statements[*place])
    }

    /// The statement that tells a segment: of those that hold it the one that knew most.
    pub fn teller(&self, segment: &Segment) -> &Statement {
        let place = segment.holders.last().expect("a segment has a window that holds it");
        &self.statements[*place]
    }

    /// The statements that tell what is in a window, each once, in the order of their numbers.
    pub fn tellers(&self, period: Period) -> Vec<&Statement> {
        let mut tellers: Vec<&Statement> = self
            .cut(period)
            .into_iter()
            .filter_map(|(_, segment)| segment)
            .map(|segment| self.teller(segment))
            .collect();
        tellers.sort_unstable_by_key(|teller| teller.seq);
        tellers.dedup_by_key(|teller| teller.seq);
        tellers
    }

    /// The segment that holds a second, where a window does.
    pub fn at(&self, second: i64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.period.first_s() <= second);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        (second <= segment.period.last_s()).then_some(segment)
    }

    /// A window cut at the edges of the segments: each part with its segment, if any window holds
    /// it.
    pub fn cut(&self, period: Period) -> Vec<(Period, Option<&Segment>)> {
        let mut parts = Vec::new();
        let mut from = period.first_s();
        let after = self.segments.partition_point(|segment| segment.period.last_s() < from);
        for segment in &self.segments[after..] {
            parts.extend(
                Period::new(from, period.last_s().min(segment.period.first_s() - 1))
                    .map(|gap| (gap, None)),
            );
            from = from.max(segment.period.first_s());
            let Some(held) = Period::new(from, period.last_s().min(segment.period.last_s())) else {
                return parts;
            };
            parts.push((held, Some(segment)));
            from = held.last_s() + 1;
        }
        parts.extend(Period::new(from, period.last_s()).map(|gap| (gap, None)));
        parts
    }

    /// From the first second of any window to the last of any; `None` without a window.
    pub fn span(&self) -> Option<Period> {
        Period::new(self.segments.first()?.period.first_s(), self.segments.last()?.period.last_s())
    }

    /// The stretches within a window that no statement's window holds.
    pub fn gaps(&self, period: Period) -> Vec<Period> {
        self.cut(period)
            .into_iter()
            .filter(|(_, segment)| segment.is_none())
            .map(|(gap, _)| gap)
            .collect()
    }

    /// The stretches that several different windows hold, joined where they touch, each with the
    /// numbers of the statements of those windows that knew most.
    pub fn overlaps(&self) -> Vec<(Period, BTreeSet<i64>)> {
        let mut joined: Vec<(Period, BTreeSet<i64>)> = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.holders.len() > 1) {
            let (first_s, last_s) = (segment.period.first_s(), segment.period.last_s());
            let holders = self.holders(segment).map(|statement| statement.seq);
            match joined.last_mut() {
                Some((before, seqs)) if before.last_s() + 1 == first_s => {
                    *before = Period::new(before.first_s(), last_s).expect("it goes on");
                    seqs.extend(holders);
                }
                _ => joined.push((segment.period, holders.collect())),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn statement(
        seq: i64,
        first_s: i64,
        last_s: i64,
        last_knew_seq: i64,
        provisional: bool,
    ) -> Statement {
        Statement {
            seq,
            kind: ListingKind::Usage,
            period: Period::new(first_s, last_s).expect("a window"),
            first_asked_at_s: 0,
            last_asked_at_s: 0,
            asked: 1,
            knew_seq: last_knew_seq,
            last_knew_seq,
            provisional,
            adjusts: false,
            total: Amount::default(),
            total_size: 0,
            digest: Digest::of(0, &[]),
        }
    }

    fn holds(period: &Period, second: i64) -> bool {
        (period.first_s()..=period.last_s()).contains(&second)
    }

    prop_compose! {
        fn statements()(
            made in prop::collection::vec(
                (0_i64..60, 0_i64..30, 0_i64..20, prop::bool::weighted(0.2)),
                0..12,
            )
        ) -> Vec<Statement> {
            let made = (1..).zip(made).map(|(seq, (first_s, length, knew, provisional))| {
                statement(seq, first_s, first_s + length, knew, provisional)
            });
            made.collect()
        }
    }

    proptest! {
        #[test]
        fn a_second_is_told_by_the_statement_that_knew_most_of_those_whose_window_holds_it(
            statements in statements(),
        ) {
            let timeline = Timeline::new(statements.clone());
            for second in 0..100 {
                let counted = statements.iter().filter(|s| !s.provisional);
                let holding = counted.filter(|s| holds(&s.period, second));
                let wanted = holding.max_by_key(|s| (s.last_knew_seq, s.seq));
                let teller = timeline.at(second).map(|segment| timeline.teller(segment));
                prop_assert_eq!(teller, wanted, "{}", second);
            }
        }

        #[test]
        fn the_parts_of_a_cut_are_the_window(
            statements in statements(),
            first_s in 0_i64..80,
            length in 0_i64..40,
        ) {
            let timeline = Timeline::new(statements);
            let window = Period::new(first_s, first_s + length).expect("a window");
            let mut next = first_s;
            for (part, segment) in timeline.cut(window) {
                prop_assert_eq!(part.first_s(), next);
                for second in part.first_s()..=part.last_s() {
                    prop_assert_eq!(timeline.at(second), segment);
                }
                next = part.last_s() + 1;
            }
            prop_assert_eq!(next, first_s + length + 1);
        }

        #[test]
        fn what_several_windows_hold_is_told_as_overlapping(statements in statements()) {
            let timeline = Timeline::new(statements.clone());
            let overlaps = timeline.overlaps();
            for second in 0..100 {
                let windows: BTreeSet<(i64, i64)> = statements.iter().filter(|s| !s.provisional)
                    .map(|s| (s.period.first_s(), s.period.last_s()))
                    .filter(|(first_s, last_s)| (*first_s..=*last_s).contains(&second))
                    .collect();
                let found: Vec<_> = overlaps.iter().filter(|(o, _)| holds(o, second)).collect();
                prop_assert_eq!(found.len(), usize::from(windows.len() > 1), "{}", second);
                let window = |seq: &i64| {
                    let named = statements.iter().find(|s| s.seq == *seq);
                    named.map(|s| (s.period.first_s(), s.period.last_s()))
                };
                let named: BTreeSet<_> =
                    found.iter().flat_map(|(_, seqs)| seqs.iter().filter_map(window)).collect();
                prop_assert!(found.is_empty() || windows.is_subset(&named), "{}", second);
            }
        }
    }

    #[test]
    fn a_window_is_provisional_until_its_last_second_is_past() {
        let window = Period::new(100, 200).expect("a window");
        for kind in ListingKind::ALL {
            let asked = [199, 200, 201].map(|asked| is_provisional(kind, window, asked));
            assert_eq!(asked, [true, true, false]);
        }
    }

    #[test]
    fn a_months_bill_is_provisional_until_the_months_last_day_begins() {
        let (september, last_day, last_s) = (1_788_220_800, 1_790_726_400, 1_790_812_799);
        let is_provisional = |kind, window: (i64, i64), asked| {
            is_provisional(kind, Period::new(window.0, window.1).expect("a window"), asked)
        };
        let (bill, usage) = (ListingKind::Bill, ListingKind::Usage);
        for window in [(september, last_s), (september + 1, last_s - 1)] {
            assert!(is_provisional(bill, window, last_day - 1));
            assert!(!is_provisional(bill, window, last_day));
            assert!(is_provisional(usage, window, window.1));
        }
        assert!(is_provisional(bill, (september, last_s - 2), last_s - 2));
    }

    #[test]
    fn answers_are_told_apart_by_every_field_that_was_sent() {
        let entry = |project: &str, amount: &str, description: &str| StatementEntry {
            project_id: project.parse().expect("an id"),
            figure: Some(Figure {
                amount: amount.parse().expect("an amount"),
                description: description.to_owned(),
            }),
            origin: None,
        };
        let left_out = |unpriced| StatementEntry {
            figure: None,
            origin: Some(Origin { unpriced, ..Origin::default() }),
            ..entry("q", "1", "")
        };
        let digest = Digest::of(1, &[entry("p", "1", "a")]);
        for (total_size, entries) in [
            (2, vec![entry("p", "1", "a")]),
            (1, vec![]),
            (1, vec![entry("q", "1", "a")]),
            (1, vec![entry("p", "11", "")]),
            (1, vec![entry("p", "1", "a"), entry("q", "1", "a")]),
            (1, vec![entry("p", "1", "a"), left_out(true)]),
        ] {
            assert_ne!(Digest::of(total_size, &entries), digest, "{entries:?}");
        }
        assert_eq!(Digest::of(1, &[entry("p", "1.0", "a"), left_out(false)]), digest);
    }
}
