//! What is looked at beside the answers: whether the books can be read and written, and what a
//! survey of them says. What was seen is held for a while, so that whoever asks again and again
//! costs nothing.

use crate::agora::readiness::Requirement;
use crate::http::books::Books;
use crate::store::readiness::free_bytes;
use crate::store::survey::Survey;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long is held what was seen.
const READINESS_HOLDS: Duration = Duration::from_secs(1);
const SIGHT_HOLDS: Duration = Duration::from_secs(10);
/// How long a look may take.
const READ_WITHIN: Duration = Duration::from_millis(1_000);
const LOCK_WITHIN: Duration = Duration::from_millis(1_000);
const SURVEY_WITHIN: Duration = Duration::from_secs(5);
/// How much room there has to be at least: the log may grow by as much before anybody looks again.
const LEAST_FREE_BYTES: u64 = 64 << 20;

/// What a look at the books saw.
#[derive(Debug)]
pub(super) struct Sight {
    /// `None` where they could not be read.
    pub survey: Option<Survey>,
    /// What room there is where they lie; `None` where the system does not say.
    pub free_bytes: Option<u64>,
    pub took: Duration,
}

/// Looks at the books, one look at a time.
pub(super) struct Watch {
    books: Arc<Books>,
    readiness: SeenLately<Vec<Requirement>>,
    sight: SeenLately<Sight>,
}

/// Something that was seen at a moment.
struct SeenLately<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> SeenLately<T> {
    /// What was seen lately, or else what is seen now. Whoever comes meanwhile waits for it.
    fn get(&self, holds: Duration, look: impl FnOnce() -> T) -> Arc<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, seen)) = held.as_ref().filter(|(at, _)| at.elapsed() < holds) {
            return Arc::clone(seen);
        }
        let seen = Arc::new(look());
        *held = Some((Instant::now(), Arc::clone(&seen)));
        seen
    }
}

impl Watch {
    pub(super) fn new(books: Arc<Books>) -> Self {
        Self { books, readiness: SeenLately(Mutex::default()), sight: SeenLately(Mutex::default()) }
    }

    /// The books.
    pub(super) fn books(&self) -> &Books {
        &self.books
    }

    /// That the books are read, and have the schema that is known. Waits.
    pub(super) fn reading(&self) -> [Requirement; 2] {
        let of = |name, problem| Requirement { name, problem };
        let (read, schema) = match self.books.look(Instant::now() + READ_WITHIN) {
            Ok(()) => (None, None),
            Err(error) if error.is_of_schema() => (None, Some(error.to_string())),
            Err(error) => (Some(error.to_string()), Some("nobody can tell".to_owned())),
        };
        [of("read", read), of("schema", schema)]
    }

    /// What has to be so for requests to be sent, and whether it is. Waits.
    pub(super) fn readiness(&self) -> Arc<Vec<Requirement>> {
        self.readiness.get(READINESS_HOLDS, || {
            let lock = self.books.writer().check(Instant::now() + LOCK_WITHIN);
            let lock = lock.err().map(|error| error.to_string());
            let space = match free_bytes(self.books.path()) {
                Ok(free) if free < LEAST_FREE_BYTES => Some(format!(
                    "{} MiB are free where the database lies, and {} are needed: make room",
                    free >> 20,
                    LEAST_FREE_BYTES >> 20
                )),
                Ok(_) => None,
                Err(error) => Some(format!("the system does not say how much is free: {error}")),
            };
            let [read, schema] = self.reading();
            vec![
                read,
                schema,
                Requirement { name: "writeLock", problem: lock },
                Requirement { name: "freeSpace", problem: space },
            ]
        })
    }

    /// What a survey of the books says. Waits.
    pub(super) fn sight(&self) -> Arc<Sight> {
        self.sight.get(SIGHT_HOLDS, || {
            let began = Instant::now();
            let now_s = jiff::Timestamp::now().as_second();
            let survey = self.books.read(began + SURVEY_WITHIN, |tx| Survey::read(tx, now_s));
            let survey =
                survey.inspect_err(|error| log::warn!("no metrics of the books: {error}")).ok();
            let free_bytes = free_bytes(self.books.path()).ok();
            Sight { survey, free_bytes, took: began.elapsed() }
        })
    }
}
