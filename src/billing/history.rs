//! What holds from a month on: prices, plans and customers by date. Only ever added to.

use crate::billing::event::Stamp;
use crate::billing::period::Grain;

/// What was said to hold, each from a second on until the next. What holds at a second is the one
/// with the latest start not after it; of several with the same start, the one that was said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<T>(Vec<(i64, T)>);

/// Something that was said to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry<T> {
    /// The first second from which it holds; 0: for all time.
    pub from_s: i64,
    /// What holds.
    pub value: T,
    /// When it was said, and by whom.
    pub stamp: Stamp,
}

impl<T> HistoryEntry<T> {
    /// What holds at a second, of all that was said in its order: as [`History::at`] has it.
    pub fn at(said: &[Self], second: i64) -> Option<&Self> {
        let begun = said.iter().filter(|said| said.from_s <= second);
        // Of several with the same start the last one.
        begun.max_by_key(|said| said.from_s)
    }
}

/// Something new would hold for this month or a past one, and nobody said that it is meant to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsRewrite {
    /// The month from which it would hold, by its first second.
    pub from_s: i64,
    /// This month, by its first second.
    pub this_month_s: i64,
}

impl<T> History<T> {
    /// Adds what is said next, from a second on.
    pub fn add(&mut self, from_s: i64, value: T) {
        let after = self.0.partition_point(|(start_s, _)| *start_s <= from_s);
        match self.0[..after].last_mut() {
            Some((start_s, stands)) if *start_s == from_s => *stands = value,
            _ => self.0.insert(after, (from_s, value)),
        }
    }

    /// What holds at a second; `None` before the first.
    pub fn at(&self, second: i64) -> Option<&T> {
        let after = self.0.partition_point(|(start_s, _)| *start_s <= second);
        self.0[..after].last().map(|(_, value)| value)
    }

    /// What holds at a second; before the first, what holds first.
    pub fn at_or_first(&self, second: i64) -> Option<&T> {
        self.at(second).or_else(|| self.0.first().map(|(_, value)| value))
    }

    /// The second from which something else holds than at `second`; `None` where that holds for
    /// ever.
    pub fn until(&self, second: i64) -> Option<i64> {
        let after = self.0.partition_point(|(start_s, _)| *start_s <= second);
        self.0.get(after).map(|(start_s, _)| *start_s)
    }

    /// Everything that holds at some time, with its start, in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        self.0.iter().map(|(from_s, value)| (*from_s, value))
    }

    /// Tells whether nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From when something new holds: the first of its kind reaches back to `open_s`, unless an
    /// earlier month was asked for, and a later one holds from the month that was asked for, by
    /// default the next one.
    ///
    /// `open_s` is 0 where no month was billed, else the first second after the last month that
    /// was.
    ///
    /// This is the one rule for prices of plans, plans of customers and customers of projects.
    pub fn start(&self, asked_s: Option<i64>, open_s: i64, now_s: i64) -> i64 {
        let asked_s = month_meant(asked_s, now_s);
        if self.is_empty() { asked_s.min(open_s) } else { asked_s }
    }

    /// The month to ask [`Self::start`] for where somebody names `from_s`. Only who says `rewrite`
    /// changes a month that has begun: the first of its kind reaches back by itself, but never to a
    /// month that was billed.
    ///
    /// # Errors
    /// When it is not the first, and `from_s` is in this month or a past one, unless that may be
    /// rewritten.
    pub fn asked(
        &self,
        from_s: Option<i64>,
        rewrite: bool,
        now_s: i64,
    ) -> Result<Option<i64>, NeedsRewrite> {
        let this_month_s = Grain::Month.floor(now_s);
        match from_s.filter(|from_s| *from_s <= this_month_s && !rewrite) {
            None => Ok(from_s),
            Some(_) if self.is_empty() => Ok(None),
            Some(from_s) => Err(NeedsRewrite { from_s, this_month_s }),
        }
    }
}

/// The month from which something new is to hold, by its first second: the one that was asked for,
/// by default the next one.
pub fn month_meant(asked_s: Option<i64>, now_s: i64) -> i64 {
    asked_s.unwrap_or_else(|| next_month(now_s))
}

/// The first second of the month after the one that holds `now_s`.
pub fn next_month(now_s: i64) -> i64 {
    Grain::Month.after(Grain::Month.floor(now_s))
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// In the order in which they were said.
impl<T> FromIterator<(i64, T)> for History<T> {
    fn from_iter<I: IntoIterator<Item = (i64, T)>>(said: I) -> Self {
        let mut history = Self::default();
        said.into_iter().for_each(|(from_s, value)| history.add(from_s, value));
        history
    }
}

/// In the order in which they were said.
impl<T> FromIterator<HistoryEntry<T>> for History<T> {
    fn from_iter<I: IntoIterator<Item = HistoryEntry<T>>>(said: I) -> Self {
        said.into_iter().map(|said| (said.from_s, said.value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::event::Actor;
    use proptest::prelude::*;

    #[test]
    fn what_holds_is_the_latest_start_and_of_equal_ones_what_was_said_last() {
        let history: History<&str> =
            [(0, "a"), (20, "c"), (10, "b"), (20, "d"), (10, "e")].into_iter().collect();
        let held: Vec<_> =
            [0, 9, 10, 19, 20, 99].map(|second| history.at(second).copied()).into_iter().collect();
        assert_eq!(held, ["a", "a", "e", "e", "d", "d"].map(Some));
        let stamp = Stamp { at_s: 0, actor: Actor::Agora };
        let said = [(0, "a"), (20, "c"), (10, "b"), (20, "d"), (10, "e")];
        let said = said.map(|(from_s, value)| HistoryEntry { from_s, value, stamp: stamp.clone() });
        for second in [-1, 0, 9, 10, 19, 20, 99] {
            let held = HistoryEntry::at(&said, second).map(|said| &said.value);
            assert_eq!(held, history.at(second), "{second}");
        }
        assert_eq!([0, 10, 20].map(|second| history.until(second)), [Some(10), Some(20), None]);
        assert_eq!(History::<&str>::default().at(5), None);
    }

    #[test]
    fn the_first_reaches_back_to_what_was_billed_and_a_later_one_holds_from_next_month() {
        let (october, november, december) = (1_790_812_800, 1_793_491_200, 1_796_083_200);
        let now_s = november + 12_345;
        assert_eq!(next_month(now_s), december);
        let mut history = History::default();
        for (asked_s, open_s, from_s) in [
            (None, 0, 0),
            (Some(december), 0, 0),
            (Some(october), 0, 0),
            (None, november, november),
            (Some(december), november, november),
            (Some(october), november, october),
            // This month was billed on its last day.
            (None, december, december),
        ] {
            assert_eq!(history.start(asked_s, open_s, now_s), from_s);
        }
        assert_eq!(history.asked(Some(october), false, now_s), Ok(None));
        assert_eq!(history.asked(Some(october), true, now_s), Ok(Some(october)));
        history.add(0, "a");
        assert_eq!(history.start(None, november, now_s), december);
        assert_eq!(history.start(Some(october), november, now_s), october);
        assert_eq!(history.asked(Some(december), false, now_s), Ok(Some(december)));
        assert_eq!(history.asked(None, false, now_s), Ok(None));
        for from_s in [october, november] {
            let refused = NeedsRewrite { from_s, this_month_s: november };
            assert_eq!(history.asked(Some(from_s), false, now_s), Err(refused));
            assert_eq!(history.asked(Some(from_s), true, now_s), Ok(Some(from_s)));
        }
    }

    proptest! {
        #[test]
        fn a_history_agrees_with_looking_through_all_that_was_said(
            said in prop::collection::vec((0_i64..12, 0_u8..4), 0..12),
        ) {
            let history: History<u8> = said.iter().copied().collect();
            for second in 0..12 {
                // Sorting is stable: of the same start, the last said is last.
                let begun = said.iter().filter(|(from_s, _)| *from_s <= second);
                let mut before: Vec<_> = begun.collect();
                before.sort_by_key(|(from_s, _)| *from_s);
                prop_assert_eq!(history.at(second), before.last().map(|(_, value)| value));
                let starts = said.iter().map(|(from_s, _)| *from_s);
                let next = starts.filter(|from_s| *from_s > second).min();
                prop_assert_eq!(history.until(second), next);
            }
        }
    }
}
