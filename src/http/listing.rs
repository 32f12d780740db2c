//! Listings: what pages are cut from. Those made since the books last changed are kept, so that nothing is added up again;
//! and the one that page 1 was cut from stays what all later pages of its sequence are cut from, whatever is recorded
//! meanwhile.

use crate::billing::id::ApiKey;
use crate::billing::period::Period;
use crate::billing::statement::ListingKind;
use crate::http::listed::Listed;
use crate::http::{bill, usage};
use crate::store::carry::Dues;
use crate::store::{self, ReadTx, statement};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How much memory the kept listings may take, but for the newest, which is kept whatever it takes; and how much
/// the begun sequences.
const KEPT_BYTES: usize = 8 << 20;
/// How many listings are kept, and how many sequences.
const KEPT: usize = 128;

/// What is listed, and of which window.
pub(super) type Key = (ListingKind, Period);
/// What a listing was made for: a window, and whether it was over.
type MadeFor = (Key, bool);

/// Lists a window as the books are, as it is asked for at `asked_at_s` (Unix seconds); a bill may find in `dues` what
/// it carries.
pub(super) fn list(
    tx: &ReadTx<'_>,
    (kind, period): Key,
    asked_at_s: i64,
    dues: &Dues,
) -> store::Result<Listed> {
    let listed = match kind {
        ListingKind::Usage => usage::list(tx, period)?,
        ListingKind::Bill => bill::list(tx, period, asked_at_s, dues)?,
    };
    let (knew_seq, knew_terms) = (statement::last_known_seq(tx)?, statement::terms_known(tx)?);
    let (last, after_seq) = (statement::last(tx, kind, period)?, statement::newest(tx)?);
    Ok(Listed { knew_seq, knew_terms, last, after_seq, ..listed })
}

/// Listings by what was asked, the newest last.
#[derive(Default)]
pub(super) struct Listings(Mutex<VecDeque<(MadeFor, Arc<Listed>)>>);

impl Listings {
    /// The listing that was made for `key`, or else the one that `list` makes.
    pub(super) fn get_or_list<E>(
        &self,
        key: MadeFor,
        list: impl FnOnce() -> Result<Listed, E>,
    ) -> Result<Arc<Listed>, E> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, listed)) = kept().iter().find(|(k, _)| *k == key) {
            return Ok(Arc::clone(listed));
        }
        let listed = Arc::new(list()?);
        let mut kept = kept();
        // Another request may have made the same one meanwhile, of books in which nothing has changed since: one is held.
        if let Some((_, listed)) = kept.iter().find(|(k, _)| *k == key) {
            return Ok(Arc::clone(listed));
        }
        kept.push_back((key, Arc::clone(&listed)));
        let mut bytes: usize = kept.iter().map(|(_, listed)| listed.size_bytes()).sum();
        while kept.len() > KEPT || (bytes > KEPT_BYTES && kept.len() > 1) {
            bytes =
                bytes.saturating_sub(kept.pop_front().map_or(0, |(_, listed)| listed.size_bytes()));
        }
        Ok(listed)
    }
}

/// What the pages of one window, one kind and one key are cut from.
pub(super) struct Sequence {
    kind: ListingKind,
    pub period: Period,
    api_key: ApiKey,
    /// A moment at or before that of the state of the books that it says; `None` where that is a statement's.
    as_of: Option<Instant>,
    /// When page 1 was asked for, in Unix seconds; of one that no page 1 began, when it was first asked for.
    pub asked_at_s: i64,
    pub listed: Arc<Listed>,
}

impl Sequence {
    /// A sequence that begins with this listing.
    pub(super) fn new(
        (kind, period): Key,
        api_key: &ApiKey,
        as_of: Option<Instant>,
        asked_at_s: i64,
        listed: Arc<Listed>,
    ) -> Self {
        Self { kind, period, api_key: api_key.clone(), as_of, asked_at_s, listed }
    }

    fn is(&self, (kind, period): Key, api_key: &ApiKey) -> bool {
        self.kind == kind && self.period == period && self.api_key == *api_key
    }

    /// Tells whether it says the books as they were at a moment, or later.
    pub(super) fn is_fresh(&self, moment: Instant) -> bool {
        self.as_of.is_some_and(|as_of| as_of >= moment)
    }
}

/// The sequences that pages were asked of, the one that was begun last at the end. Beyond [`KEPT`] of them, or
/// [`KEPT_BYTES`], the oldest are forgotten.
#[derive(Default)]
pub(super) struct Sequences(Mutex<VecDeque<Arc<Sequence>>>);

impl Sequences {
    /// The sequence of a window, a kind and a key, where one has begun.
    pub(super) fn find(&self, key: Key, api_key: &ApiKey) -> Option<Arc<Sequence>> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.iter().rev().find(|sequence| sequence.is(key, api_key)).map(Arc::clone)
    }

    /// Begins a sequence with its page 1, in the place of an older one.
    pub(super) fn begin(&self, sequence: Sequence) -> Arc<Sequence> {
        let sequence = Arc::new(sequence);
        // Another request may have read a newer state meanwhile.
        self.put(Arc::clone(&sequence), |held| held.as_of > sequence.as_of);
        sequence
    }

    /// Goes on with the sequence that has begun meanwhile, or else begins one in its midst.
    pub(super) fn join(&self, sequence: Sequence) -> Arc<Sequence> {
        self.put(Arc::new(sequence), |_| true)
    }

    /// Puts a sequence in the place of the one that is held, unless that one stays; gives the one that is held then.
    fn put(&self, sequence: Arc<Sequence>, stays: impl FnOnce(&Sequence) -> bool) -> Arc<Sequence> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (sequence.kind, sequence.period);
        let place = begun.iter().rposition(|held| held.is(key, &sequence.api_key));
        let held = place.and_then(|place| begun.remove(place)).filter(|held| stays(held));
        let sequence = held.unwrap_or(sequence);
        begun.push_back(Arc::clone(&sequence));
        let mut bytes: usize = begun.iter().map(|sequence| sequence.listed.size_bytes()).sum();
        while begun.len() > KEPT || (bytes > KEPT_BYTES && begun.len() > 1) {
            bytes = bytes.saturating_sub(
                begun.pop_front().map_or(0, |sequence| sequence.listed.size_bytes()),
            );
        }
        sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agora::reply::Listing;
    use crate::http::listed::LeftOut;
    use std::time::Duration;

    fn listed(entries: usize) -> Arc<Listed> {
        let mut listing = Listing::new(ListingKind::Usage, 1);
        for n in 0..entries {
            listing.push(
                &format!("p{n:06}").parse().expect("an id"),
                &"1".parse().expect("an amount"),
                "1 Minute",
            );
        }
        Arc::new(Listed::new(listing, LeftOut::default(), Vec::new()))
    }

    fn sequence(second: i64, as_of: Option<Instant>, listed: &Arc<Listed>) -> Sequence {
        let key = (ListingKind::Usage, Period::new(second, second).expect("a window"));
        Sequence::new(key, &key_of("k"), as_of, 0, Arc::clone(listed))
    }

    fn key_of(text: &str) -> ApiKey {
        text.parse().expect("a key")
    }

    fn find(sequences: &Sequences, second: i64, api_key: &str) -> Option<Arc<Listed>> {
        let key = (ListingKind::Usage, Period::new(second, second).expect("a window"));
        sequences.find(key, &key_of(api_key)).map(|found| Arc::clone(&found.listed))
    }

    #[test]
    fn the_oldest_sequences_are_forgotten_when_there_are_too_many_or_they_are_too_large() {
        let (sequences, now, small) = (Sequences::default(), Some(Instant::now()), listed(1));
        let known = |count: i64| {
            (0..count).filter(|second| find(&sequences, *second, "k").is_some()).collect::<Vec<_>>()
        };
        for second in 0..130 {
            sequences.begin(sequence(second, now, &small));
            // Asked anew it is the newest.
            sequences.begin(sequence(0, now, &small));
        }
        assert_eq!(known(130), std::iter::once(0).chain(3..130).collect::<Vec<_>>());
        let large = listed(KEPT_BYTES / 60);
        assert!(large.size_bytes() > KEPT_BYTES);
        sequences.begin(sequence(7, now, &large));
        assert_eq!(known(130), [7], "the newest is kept whatever it takes");
    }

    #[test]
    fn a_sequence_is_one_keys_alone_and_none_replaces_a_newer_one() {
        let (sequences, now) = (Sequences::default(), Instant::now());
        let (older, newer) = (listed(1), listed(2));
        let later = now + Duration::from_millis(1);
        sequences.begin(sequence(1, Some(later), &newer));
        for as_of in [Some(now), None] {
            let own = sequences.begin(sequence(1, as_of, &older));
            assert!(
                Arc::ptr_eq(&own.listed, &older),
                "whoever began it is answered from it all the same"
            );
            assert!(find(&sequences, 1, "k").is_some_and(|found| Arc::ptr_eq(&found, &newer)));
        }
        // A later page that found none goes on with the one that has begun meanwhile.
        let joined = sequences.join(sequence(1, Some(later + Duration::from_millis(1)), &older));
        assert!(Arc::ptr_eq(&joined.listed, &newer));
        assert!(find(&sequences, 1, "other").is_none() && find(&sequences, 2, "k").is_none());
    }

    #[test]
    fn a_sequence_out_of_a_statement_is_never_fresh() {
        let (now, small) = (Instant::now(), listed(1));
        let is_fresh = |as_of| sequence(1, as_of, &small).is_fresh(now);
        let before = now.checked_sub(Duration::from_millis(1));
        assert_eq!([Some(now), before, None].map(is_fresh), [true, false, false]);
    }
}
