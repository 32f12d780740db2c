//! What a license that Agora sold, or a project that it moved, leaves uncovered: added up for the
//! log once the call is answered. There may be much to add up, and Agora waits half a second.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::Period;
use crate::http::books::Books;
use crate::store::{self, license};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How many may wait to be added up.
const WAITING: usize = 1_000;
/// How long adding up may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What may hold usage that no license covers.
pub(super) enum Uncovered {
    /// The time of a license that a customer was sold.
    License { customer_id: CustomerId, time: Period, now_s: i64 },
    /// A project that has come to a customer.
    Project { id: ProjectId, customer_id: CustomerId, now_s: i64 },
}

/// Adds up on a thread of its own.
pub(super) struct Adder(Option<SyncSender<Uncovered>>);

impl Adder {
    /// Starts the thread. It ends with the adder.
    pub(super) fn start(books: &Arc<Books>) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let books = Arc::downgrade(books);
        let started = std::thread::Builder::new().name("adder".to_owned()).spawn(move || {
            for uncovered in receiver {
                match sum(&books, &uncovered) {
                    Some(Ok(amount)) if !amount.is_zero() => {
                        log::warn!("{}", words(&uncovered, &amount))
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        log::warn!("uncovered usage could not be added up: {error}")
                    }
                    None => return,
                }
            }
        });
        // What it would have logged changes no answer.
        let started = started.inspect_err(|error| {
            log::error!("no thread to add up uncovered usage for the log: {error}");
        });
        Self(started.is_ok().then_some(sender))
    }

    /// Adds up later, and logs what there is.
    pub(super) fn add_up(&self, uncovered: Uncovered) {
        let Some(sender) = &self.0 else { return };
        if sender.try_send(uncovered).is_err() {
            log::warn!("too many calls at once: their uncovered usage is not added up for the log");
        }
    }
}

/// Adds up; `None` where the server is gone.
fn sum(books: &Weak<Books>, uncovered: &Uncovered) -> Option<store::Result<Amount>> {
    let books = books.upgrade()?;
    Some(books.read(Instant::now() + PATIENCE, |tx| match uncovered {
        Uncovered::License { customer_id, time, now_s } => {
            license::uncovered(tx, customer_id, *time, *now_s)
        }
        Uncovered::Project { id, customer_id, now_s } => {
            license::uncovered_before(tx, id, customer_id, *now_s)
        }
    }))
}

fn words(uncovered: &Uncovered, amount: &Amount) -> String {
    match uncovered {
        Uncovered::License { customer_id, .. } => format!(
            "{amount} of customer {customer_id}'s usage lies in the time of the license that it \
             was sold and stays uncovered: the license covers what is recorded from now on"
        ),
        Uncovered::Project { id, customer_id, .. } => format!(
            "{amount} of project {id}'s usage lies in the time of customer {customer_id}'s \
             licenses and stays uncovered: a license covers what is recorded from now on"
        ),
    }
}
