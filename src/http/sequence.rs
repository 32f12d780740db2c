//! Sequences: the listing that page 1 was cut from stays what all later pages are cut from,
//! whatever is recorded meanwhile. While what it follows from has not changed, others begin with it
//! too, so that nothing is added up again.

use crate::billing::statement::is_provisional;
use crate::http::listing::{PreparedListing, State};
use crate::store;
use crate::store::newest::NewestSnapshots;
use crate::store::snapshot::{Snapshot, SnapshotKey};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

/// How much memory the sequences may take that are kept, but for the newest, which is kept whatever
/// it takes.
pub(super) const KEPT_BYTES: usize = 8 << 20;
/// How many are kept.
pub(super) const KEPT: usize = 128;

/// What the pages of one window, one kind and one key are cut from.
pub(super) struct Sequence {
    pub key: SnapshotKey,
    /// Of the snapshot, among all of its window, kind and key; 0 where it could not be shown to
    /// other servers.
    pub number: i64,
    /// A moment at or before that of the state of the books that it says; `None` where it was read
    /// from the disk.
    as_of: Option<Instant>,
    /// When page 1 was asked for, in Unix seconds.
    pub asked_at_s: i64,
    pub listed: Arc<PreparedListing>,
    /// Whether it has been passed on to be left on the disk, or is there.
    is_left: AtomicBool,
}

impl Sequence {
    /// A sequence that begins with this listing.
    pub(super) fn new(
        key: SnapshotKey,
        as_of: Option<Instant>,
        asked_at_s: i64,
        listed: Arc<PreparedListing>,
    ) -> Self {
        let is_left = AtomicBool::new(false);
        Self { key, number: 0, as_of, asked_at_s, listed, is_left }
    }

    /// The sequence that goes on with a snapshot.
    ///
    /// # Errors
    /// When what is kept of it would be too long.
    pub(super) fn of_snapshot(
        key: SnapshotKey,
        number: i64,
        snapshot: Snapshot,
    ) -> store::Result<Self> {
        let asked_at_s = snapshot.asked_at_s;
        let listed = Arc::new(PreparedListing::of_snapshot(&key, snapshot)?);
        let is_left = AtomicBool::new(true);
        Ok(Self { key, number, as_of: None, asked_at_s, listed, is_left })
    }

    /// Tells whether it says the books as they were at a moment, or later.
    pub(super) fn is_fresh(&self, moment: Instant) -> bool {
        self.as_of.is_some_and(|as_of| as_of >= moment)
    }

    /// Tells whether the window was not over as page 1 was asked for.
    pub(super) fn is_provisional(&self) -> bool {
        is_provisional(self.key.kind, self.key.period, self.asked_at_s)
    }

    /// Tells whether it is still to be left on the disk.
    pub(super) fn is_to_be_left(&self) -> bool {
        self.number != 0 && !self.is_left.load(Ordering::Relaxed)
    }

    /// Takes note that it is passed on to be left on the disk.
    pub(super) fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

/// The sequences that pages were asked of, the one that was begun last at the end. Beyond [`KEPT`]
/// of them, or [`KEPT_BYTES`], the oldest are forgotten.
#[derive(Default)]
pub(super) struct Sequences {
    begun: Mutex<VecDeque<Arc<Sequence>>>,
    /// For what a listing is being made.
    making: Mutex<Vec<(SnapshotKey, Weak<Mutex<()>>)>>,
}

impl Sequences {
    /// The turn of whoever makes a listing for this. Who asks for the same waits for it, since a
    /// bill of many adjustments may take longer than a request waits, and is found by the next one.
    pub(super) fn turn(&self, key: &SnapshotKey) -> Arc<Mutex<()>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.retain(|(_, turn)| turn.strong_count() > 0);
        let turn = making.iter().find(|(made, _)| made.asks_the_same(key));
        turn.and_then(|(_, turn)| turn.upgrade()).unwrap_or_else(|| {
            let turn = Arc::default();
            making.push((key.clone(), Arc::downgrade(&turn)));
            turn
        })
    }

    /// The listing that says this, out of a state of the books, where a sequence has begun with it.
    pub(super) fn listed(
        &self,
        key: &SnapshotKey,
        is_provisional: bool,
        state: &State,
    ) -> Option<Arc<PreparedListing>> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let found = begun.iter().rev().find(|begun| {
            begun.key.asks_the_same(key)
                && begun.is_provisional() == is_provisional
                && begun.listed.state.as_ref() == Some(state)
        });
        found.map(|begun| Arc::clone(&begun.listed))
    }

    /// The sequence of a window, a kind and a key, where one is held.
    pub(super) fn find(&self, key: &SnapshotKey) -> Option<Arc<Sequence>> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.iter().rev().find(|sequence| sequence.key == *key).map(Arc::clone)
    }

    /// Begins a sequence with its page 1, and shows to other servers that it is the newest. While
    /// nothing has changed it goes on with the one that is held. Where it cannot be shown, its
    /// later pages come from memory alone.
    pub(super) fn begin(
        &self,
        mut sequence: Sequence,
        newest: Option<&NewestSnapshots>,
    ) -> Arc<Sequence> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let held = begun.iter().rposition(|held| held.key == sequence.key);
        let held = held.and_then(|place| begun.remove(place));
        let is_same = |held: &Arc<Sequence>| {
            Arc::ptr_eq(&held.listed, &sequence.listed) && is_newest(held, newest).unwrap_or(false)
        };
        if let Some(held) = held.filter(is_same) {
            begun.push_back(Arc::clone(&held));
            return held;
        }
        if let Some(newest) = newest {
            let number = newest.begin(&sequence.key);
            sequence.number = number.unwrap_or_else(|error| {
                log::error!("later pages of this page 1 end with this process: {error}");
                0
            });
        }
        let sequence = Arc::new(sequence);
        push(&mut begun, Arc::clone(&sequence));
        sequence
    }

    /// Holds a sequence that was read from the disk, unless a newer one has begun here meanwhile.
    pub(super) fn hold(
        &self,
        sequence: Sequence,
        newest: Option<&NewestSnapshots>,
    ) -> store::Result<Arc<Sequence>> {
        let sequence = Arc::new(sequence);
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if is_newest(&sequence, newest)? {
            begun.retain(|held| held.key != sequence.key);
            push(&mut begun, Arc::clone(&sequence));
        }
        Ok(sequence)
    }
}

/// Tells whether no server has begun a newer sequence of the same window, kind and key.
pub(super) fn is_newest(
    sequence: &Sequence,
    newest: Option<&NewestSnapshots>,
) -> store::Result<bool> {
    match newest {
        Some(newest) if sequence.number != 0 => {
            Ok(newest.number(&sequence.key)? == sequence.number)
        }
        _ => Ok(true),
    }
}

fn push(begun: &mut VecDeque<Arc<Sequence>>, sequence: Arc<Sequence>) {
    begun.push_back(sequence);
    let mut bytes: usize = begun.iter().map(|sequence| sequence.listed.size_bytes()).sum();
    while begun.len() > KEPT || (bytes > KEPT_BYTES && begun.len() > 1) {
        let oldest = begun.pop_front().map_or(0, |sequence| sequence.listed.size_bytes());
        bytes = bytes.saturating_sub(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agora::reply::Listing;
    use crate::billing::period::Period;
    use crate::billing::setting::{SettingName, Settings};
    use crate::billing::statement::ListingKind;
    use crate::store::snapshot::ListingOrigin;
    use std::time::Duration;

    fn listed(entries: usize) -> Arc<PreparedListing> {
        let mut listing = Listing::new(ListingKind::Usage, 1);
        for n in 0..entries {
            listing.push(
                &format!("p{n:06}").parse().expect("an id"),
                &"1".parse().expect("an amount"),
                "1 Minute",
            );
        }
        Arc::new(PreparedListing::of_usage(listing, key(0, "k").period, ListingOrigin::default()))
    }

    fn key(second: i64, api_key: &str) -> SnapshotKey {
        let period = Period::new(second, second).expect("a window");
        let api_key = api_key.parse().expect("a key");
        SnapshotKey { kind: ListingKind::Usage, period, api_key, parameters: String::new() }
    }

    fn begin(
        sequences: &Sequences,
        second: i64,
        listed: &Arc<PreparedListing>,
        newest: &NewestSnapshots,
    ) {
        let sequence = Sequence::new(key(second, "k"), None, 0, Arc::clone(listed));
        sequences.begin(sequence, Some(newest));
    }

    /// The file of two servers, in a folder of its own.
    fn two_servers() -> (tempfile::TempDir, [NewestSnapshots; 2]) {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || NewestSnapshots::open(&folder.path().join("books.db")).expect("a file");
        let files = [open(), open()];
        (folder, files)
    }

    #[test]
    fn the_oldest_sequences_are_forgotten_when_there_are_too_many_or_they_are_too_large() {
        let (_folder, [newest, _]) = two_servers();
        let sequences = Sequences::default();
        let known = |count: i64| {
            let is_known = |second: &i64| sequences.find(&key(*second, "k")).is_some();
            (0..count).filter(is_known).collect::<Vec<_>>()
        };
        for second in 0..130 {
            begin(&sequences, second, &listed(1), &newest);
            // Asked anew it is the newest.
            begin(&sequences, 0, &listed(1), &newest);
        }
        assert_eq!(known(130), std::iter::once(0).chain(3..130).collect::<Vec<_>>());
        let large = listed(KEPT_BYTES / 60);
        assert!(large.size_bytes() > KEPT_BYTES);
        begin(&sequences, 7, &large, &newest);
        assert_eq!(known(130), [7], "the newest is kept whatever it takes");
    }

    #[test]
    fn a_sequence_is_one_keys_alone_and_is_the_newest_until_any_server_begins_another() {
        let (_folder, [newest, others]) = two_servers();
        let (here, there) = (Sequences::default(), Sequences::default());
        let (older, newer) = (listed(1), listed(2));
        begin(&here, 1, &older, &newest);
        let held = here.find(&key(1, "k")).expect("a sequence");
        assert!(is_newest(&held, Some(&newest)).expect("a number"));
        assert!(held.is_to_be_left());
        held.leave();
        assert!(!held.is_to_be_left());
        begin(&here, 1, &older, &newest);
        let again = here.find(&key(1, "k")).expect("a sequence");
        assert!(Arc::ptr_eq(&again, &held), "nothing has changed");
        assert!(here.find(&key(1, "other")).is_none() && here.find(&key(2, "k")).is_none());
        begin(&there, 1, &newer, &others);
        assert!(!is_newest(&held, Some(&newest)).expect("a number"));
        // The same listing again is newer than what the other server began.
        begin(&here, 1, &older, &newest);
        let again = here.find(&key(1, "k")).expect("a sequence");
        assert!(is_newest(&again, Some(&newest)).expect("a number"));
        assert!(again.number != held.number && again.is_to_be_left());
        // What was read from the disk meanwhile does not take its place.
        let read = Sequence { number: held.number, ..Sequence::new(key(1, "k"), None, 0, older) };
        here.hold(read, Some(&newest)).expect("a sequence");
        let again_held = here.find(&key(1, "k")).expect("a sequence");
        assert!(Arc::ptr_eq(&again_held, &again));
    }

    #[test]
    fn a_sequence_from_the_disk_is_never_fresh() {
        let now = Instant::now();
        let is_fresh = |as_of| Sequence::new(key(1, "k"), as_of, 0, listed(1)).is_fresh(now);
        let before = now.checked_sub(Duration::from_millis(1));
        assert_eq!([Some(now), before, None].map(is_fresh), [true, false, false]);
    }

    #[test]
    fn a_listing_is_not_added_up_again_while_all_that_it_follows_from_stands() {
        let sequences = Sequences::default();
        let state = |knew_seq, unit: &str| {
            let mut settings = Settings::default();
            settings.set(SettingName::Unit, unit).expect("a word");
            State { knew_seq, terms_seq: 0, newest_statement: 0, settings }
        };
        let (first, other) = (state(1, "a"), state(2, "a"));
        let listing = Listing::new(ListingKind::Usage, 0);
        let made = PreparedListing::of_usage(listing, key(1, "k").period, ListingOrigin::default());
        let made = Arc::new(made.out_of(first.clone(), None, Duration::ZERO));
        sequences.begin(Sequence::new(key(1, "k"), None, 0, Arc::clone(&made)), None);
        let finds = |key: &SnapshotKey, is_provisional, state: &State| {
            let listed = sequences.listed(key, is_provisional, state);
            listed.is_some_and(|listed| Arc::ptr_eq(&listed, &made))
        };
        assert!(finds(&key(1, "k"), true, &first));
        assert!(finds(&key(1, "other"), true, &first), "another key is told the same");
        let filtered = SnapshotKey { parameters: "project=p".to_owned(), ..key(1, "k") };
        assert!(!finds(&filtered, true, &first), "another parameter is another listing");
        assert!(!finds(&key(2, "k"), true, &first) && !finds(&key(1, "k"), false, &first));
        assert!(!finds(&key(1, "k"), true, &other) && !finds(&key(1, "k"), true, &state(1, "b")));
    }
}
