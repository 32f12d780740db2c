//! The door: which connections are open, and which one makes room when the house is full.
//!
//! A place is earned by a whole request. A connection without one (idle, or with a request that is
//! still arriving) may be closed for a newcomer: first whoever never signed a request, and of those
//! whoever has waited longest. A connection whose request is being answered is never closed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How many connections are open at a time. Below the 1024 files that a process may have open
/// unless told otherwise.
pub(super) const CONNECTIONS: usize = 768;

/// The connections that are open.
pub(super) struct Door {
    /// How many there may be.
    room: usize,
    guests: Mutex<Guests>,
    /// Told when a connection ends, or has its answer.
    news: Notify,
}

#[derive(Default)]
struct Guests {
    /// Numbers connections, and the moments since which they wait.
    counter: u64,
    open: HashMap<u64, Guest>,
    /// The connections without a whole request, the first to make room first.
    waiting: BTreeSet<Turn>,
}

/// Who makes room before whom: never signed before signed, then the longest wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    has_signed: bool,
    since: u64,
    number: u64,
}

struct Guest {
    /// Its place among those that wait; `None` while its request is being answered.
    turn: Option<Turn>,
    has_signed: bool,
    /// Ends it; `None` until its task has started.
    task: Option<AbortHandle>,
}

impl Default for Door {
    fn default() -> Self {
        Self::of(CONNECTIONS)
    }
}

impl Door {
    /// A door with room for so many.
    pub(super) fn of(room: usize) -> Self {
        Self { room, guests: Mutex::default(), news: Notify::new() }
    }

    /// How many connections are open.
    pub(super) fn count(&self) -> usize {
        self.lock().open.len()
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection more may be open. Where the house is full, one that has no whole
    /// request is closed; where all have one, the first answer is waited for.
    pub(super) async fn make_room(&self) {
        loop {
            // Before looking, so that nothing told in between is missed.
            let news = self.news.notified();
            {
                let mut guests = self.lock();
                if guests.open.len() < self.room {
                    return;
                }
                if let Some(turn) = guests.waiting.pop_first() {
                    let guest = guests.open.remove(&turn.number);
                    if let Some(task) = guest.and_then(|guest| guest.task) {
                        task.abort();
                    }
                    return;
                }
            }
            news.await;
        }
    }

    /// Lets a connection in.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let mut guests = self.lock();
        guests.counter += 1;
        let number = guests.counter;
        let turn = Turn { has_signed: false, since: number, number };
        guests.waiting.insert(turn);
        guests.open.insert(number, Guest { turn: Some(turn), has_signed: false, task: None });
        Place { door: Arc::clone(self), number }
    }

    /// Says which task ends when a connection has to make room.
    pub(super) fn entrust(&self, number: u64, task: AbortHandle) {
        if let Some(guest) = self.lock().open.get_mut(&number) {
            guest.task = Some(task);
        }
    }
}

/// A connection's place, until it is dropped.
pub(super) struct Place {
    door: Arc<Door>,
    number: u64,
}

impl Place {
    /// Its number, for [`Door::entrust`].
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A whole request is there: until it is answered, the connection makes room for nobody.
    pub(super) fn keep(&self) {
        let mut guests = self.door.lock();
        let turn = guests.open.get_mut(&self.number).and_then(|guest| guest.turn.take());
        if let Some(turn) = turn {
            guests.waiting.remove(&turn);
        }
    }

    /// A request of this connection was signed with one of the keys.
    pub(super) fn trust(&self) {
        if let Some(guest) = self.door.lock().open.get_mut(&self.number) {
            guest.has_signed = true;
        }
    }

    /// Tells whether a request of this connection was signed with one of the keys.
    pub(super) fn is_trusted(&self) -> bool {
        self.door.lock().open.get(&self.number).is_some_and(|guest| guest.has_signed)
    }

    /// The answer is made: the connection waits for its next request.
    pub(super) fn wait(&self) {
        let mut guests = self.door.lock();
        let Guests { counter, open, waiting } = &mut *guests;
        if let Some(guest) = open.get_mut(&self.number)
            && guest.turn.is_none()
        {
            *counter += 1;
            let turn = Turn { has_signed: guest.has_signed, since: *counter, number: self.number };
            waiting.insert(turn);
            guest.turn = Some(turn);
            drop(guests);
            self.door.news.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.door.lock();
        if let Some(turn) = guests.open.remove(&self.number).and_then(|guest| guest.turn) {
            guests.waiting.remove(&turn);
        }
        drop(guests);
        self.door.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(door: &Door, place: &Place) -> bool {
        door.lock().open.contains_key(&place.number)
    }

    fn full(door: &Arc<Door>) -> Vec<Place> {
        (0..CONNECTIONS).map(|_| door.enter()).collect()
    }

    /// Whether room was made at once.
    fn makes_room(door: &Door) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(door.make_room()).poll(&mut context).is_ready()
    }

    use std::future::Future as _;

    #[test]
    fn whoever_has_waited_longest_without_a_signed_request_makes_room_first() {
        let door = Arc::new(Door::default());
        let places = full(&door);
        // The first signed, and waits again; the second asked something unsigned just now.
        places[0].keep();
        places[0].trust();
        places[0].wait();
        places[1].keep();
        places[1].wait();
        for gone in (2..CONNECTIONS).chain([1, 0]) {
            assert!(is_open(&door, &places[gone]));
            assert!(makes_room(&door));
            assert!(!is_open(&door, &places[gone]), "{gone}");
            // The newcomer's request is being answered for as long as the test takes.
            let newcomer = door.enter();
            newcomer.keep();
            std::mem::forget(newcomer);
        }
    }

    #[test]
    fn a_connection_that_is_being_answered_makes_room_for_nobody() {
        let door = Arc::new(Door::default());
        let mut places = full(&door);
        places.iter().for_each(Place::keep);
        assert!(!makes_room(&door));
        places[7].wait();
        assert!(makes_room(&door));
        assert!(!is_open(&door, &places[7]));
        let newcomer = door.enter();
        newcomer.keep();
        assert!(!makes_room(&door));
        places.pop();
        assert!(makes_room(&door));
    }
}
