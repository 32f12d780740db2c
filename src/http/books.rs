//! The books as the endpoints see them: what is known of them since their last change, reads that
//! are made at once where they can be, and the one writer.

use crate::agora::signature;
use crate::billing::id::ApiKey;
use crate::billing::key::{ApiSecret, KeyPair, Purpose};
use crate::http::answer::{Answer, Outcome};
use crate::http::error::Error;
use crate::http::listing::State;
use crate::store::{self, BooksVersion, ReadTx, Readers, WriteTx, Writer, readiness};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The books.
pub(super) struct Books {
    readers: Readers,
    writer: Arc<Writer>,
    /// What is known as of each watch.
    known: Mutex<Vec<Arc<Knowledge>>>,
}

/// What was read of the books since their last change.
pub(super) struct Knowledge {
    version: BooksVersion,
    pub keys: Vec<AcceptedKey>,
    pub state: State,
}

/// What is known of the books, and a moment: they were so then, or later.
pub(super) struct Fresh {
    pub known: Arc<Knowledge>,
    pub as_of: Instant,
}

/// A key pair whose signatures are accepted.
pub(super) struct AcceptedKey {
    pub api_key: ApiKey,
    pub purpose: Purpose,
    /// What a test pair's answers are derived from.
    pub api_secret: ApiSecret,
    /// The same, made ready to verify with.
    pub secret: signature::Key,
}

impl From<KeyPair> for AcceptedKey {
    fn from(pair: KeyPair) -> Self {
        let KeyPair { api_key, api_secret, purpose, .. } = pair;
        Self { secret: (&api_secret).into(), api_key, purpose, api_secret }
    }
}

impl Books {
    pub(super) fn new(readers: Readers, writer: Writer) -> Self {
        Self { readers, writer: Arc::new(writer), known: Mutex::default() }
    }

    /// Where the books are.
    pub(super) fn path(&self) -> &Path {
        self.readers.path()
    }

    /// What changes the books.
    pub(super) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }

    /// Goes on where the books can be read, or returns why they cannot.
    pub(super) fn check(self: &Arc<Self>, then: fn() -> Answer) -> Outcome {
        match self.readers.version_at_once() {
            Err(error) if error.is_passing() => {
                let books = Arc::clone(self);
                Ok(Answer::read(move |_| Ok(books.readers.version().map(|_| then())?)))
            }
            version => Ok(version.map(|_| then())?),
        }
    }

    /// Goes on with what is known of the books now.
    pub(super) fn known(
        self: &Arc<Self>,
        then: impl FnOnce(Fresh) -> Outcome + Send + 'static,
    ) -> Outcome {
        match self.known_at_once() {
            Err(error) if error.is_passing() => {
                let books = Arc::clone(self);
                Ok(Answer::read(move |until| then(books.known_by(until)?)))
            }
            known => then(known?),
        }
    }

    /// Reads a few rows and goes on with them.
    pub(super) fn read_a_little<T>(
        self: &Arc<Self>,
        read: impl Fn(&ReadTx<'_>) -> store::Result<T> + Send + 'static,
        then: impl FnOnce(T) -> Outcome + Send + 'static,
    ) -> Outcome {
        match self.read_at_once(&read)? {
            Some(rows) => then(rows),
            None => {
                let books = Arc::clone(self);
                Ok(Answer::read(move |until| then(books.read(until, read)?)))
            }
        }
    }

    /// Reads the books by the way that answers take, whether their schema is the one that is known
    /// too.
    pub(super) fn look(&self, until: Instant) -> store::Result<()> {
        self.readers.version()?;
        self.readers.read(until, |tx| readiness::check(tx, self.path()))
    }

    /// Reads a few rows; `None` where that cannot be done at once.
    pub(super) fn read_at_once<T>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> store::Result<T>,
    ) -> store::Result<Option<T>> {
        match self.readers.read_at_once(f) {
            Err(error) if error.is_passing() => Ok(None),
            read => read.map(Some),
        }
    }

    /// Reads one state of the books, and gives up at a moment.
    pub(super) fn read<T, E: From<store::Error>>(
        &self,
        until: Instant,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.readers.read(until, f)
    }

    /// Changes the books, if the lock is to be had until a moment.
    pub(super) fn write<T>(
        &self,
        lock_until: Instant,
        f: impl FnOnce(&WriteTx<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.writer.write(lock_until, f)
    }

    /// What is known of the books as they are now, read anew where anybody has committed since.
    pub(super) fn known_by(&self, until: Instant) -> store::Result<Fresh> {
        let as_of = Instant::now();
        // Asked before anything is read: what is read later can only be newer than this version.
        let version = self.readers.version()?;
        let known = self.known_of(version, |f| self.readers.read(until, f))?;
        Ok(Fresh { known, as_of })
    }

    /// The same, where it can be known at once.
    pub(super) fn known_at_once(&self) -> store::Result<Fresh> {
        let as_of = Instant::now();
        let version = self.readers.version_at_once()?;
        let known = self.known_of(version, |f| self.readers.read_at_once(f))?;
        Ok(Fresh { known, as_of })
    }

    fn known_of(
        &self,
        version: BooksVersion,
        read: impl FnOnce(ReadKnown) -> store::Result<(Vec<KeyPair>, State)>,
    ) -> store::Result<Arc<Knowledge>> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().iter().find(|known| known.version == version) {
            return Ok(Arc::clone(known));
        }
        let (keys, state) = read(|tx| Ok((store::key::accepted(tx)?, State::read(tx)?)))?;
        let keys = keys.into_iter().map(AcceptedKey::from).collect();
        let known = Arc::new(Knowledge { version, keys, state });
        let mut held = lock();
        held.retain(|held| !held.version.is_comparable(&version));
        held.push(Arc::clone(&known));
        Ok(known)
    }
}

/// Reads what is known.
type ReadKnown = fn(&ReadTx<'_>) -> store::Result<(Vec<KeyPair>, State)>;
