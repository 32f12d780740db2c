//! How a command ends: exit codes, and the one sentence of one that failed.

use crate::cli::sentence::Sentence;
use crate::store;
use std::fmt;
use std::io;

/// How a command ended. Scripts rely on the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: wrong words.
    Words,
    /// 3: not found.
    NotFound,
    /// 4: conflict, the same id with other content.
    Conflict,
    /// 75: busy, try again.
    Busy,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Words => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Busy => 75,
        }
    }
}

/// A command that failed. Prints as one sentence: what is wrong, with the value, and what to do.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    sentence: Sentence,
    /// Whether what was to be done may have been done, and it is not said yet how to find out.
    is_uncertain: bool,
    /// Whether a read met a page of the database that is damaged.
    met_damage: bool,
    /// Whether the books are another user's to open.
    is_denied: bool,
}

impl Failure {
    fn new(exit: Exit, sentence: impl Into<Sentence>) -> Self {
        let sentence = sentence.into();
        Self { exit, sentence, is_uncertain: false, met_damage: false, is_denied: false }
    }

    pub(super) fn failed(sentence: impl Into<Sentence>) -> Self {
        Self::new(Exit::Failed, sentence)
    }

    pub(super) fn words(sentence: impl Into<Sentence>) -> Self {
        Self::new(Exit::Words, sentence)
    }

    pub(super) fn not_found(sentence: impl Into<Sentence>) -> Self {
        Self::new(Exit::NotFound, sentence)
    }

    pub(super) fn conflict(sentence: impl Into<Sentence>) -> Self {
        Self::new(Exit::Conflict, sentence)
    }

    /// The same failure with more to say.
    pub(super) fn with(self, more: &str) -> Self {
        Self { sentence: self.sentence.with(more), ..self }
    }

    /// The same failure, pointing to a command and what it does.
    pub(super) fn hint(self, command: impl Into<String>, does: &'static str) -> Self {
        Self { sentence: self.sentence.hint(command, does), ..self }
    }

    /// The same failure; where what was to be done may have been done, with what to do about that,
    /// unless that is said already.
    pub(super) fn if_uncertain(self, advice: impl FnOnce() -> Sentence) -> Self {
        if self.is_uncertain {
            Self { sentence: self.sentence.followed_by(advice()), is_uncertain: false, ..self }
        } else {
            self
        }
    }

    /// What to say of it.
    pub(super) fn sentence(&self) -> &Sentence {
        &self.sentence
    }

    /// The same failure as one that may pass.
    pub(super) fn into_passing(self) -> Self {
        Self { exit: Exit::Busy, ..self }
    }

    /// Tells whether a read met a page of the database that is damaged, after it was opened.
    pub(super) fn met_damage(&self) -> bool {
        self.met_damage
    }

    /// The same failure, where the books are another user's to open.
    pub(super) fn denied(self) -> Self {
        Self { is_denied: true, ..self }
    }

    /// Tells whether the books are another user's to open.
    pub(super) fn is_denied(&self) -> bool {
        self.is_denied
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }
}

/// What is wrong, without the commands to turn to: the reason of a row that is refused.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence.text())
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        let exit = if error.is_passing() {
            Exit::Busy
        } else if matches!(error, store::Error::NoPath(_)) {
            Exit::Words
        } else {
            Exit::Failed
        };
        let is_uncertain = matches!(error, store::Error::Uncertain(_));
        let is_denied = error.is_denied();
        let failure = Self { is_uncertain, is_denied, ..Self::new(exit, error.to_string()) };
        if matches!(error, store::Error::Older { .. }) {
            failure.hint("migrate", "brings it there")
        } else if matches!(error, store::Error::Unreadable { .. }) {
            failure.hint("check", "tells what else is wrong")
        } else if error.is_damage() {
            let met_damage = matches!(error, store::Error::Sqlite(_));
            let hint = "puts a backup in its place, and keeps what is there";
            Self { met_damage, ..failure.hint("restore FILE", hint) }
        } else {
            failure
        }
    }
}

/// Printing failed: what the command did stands all the same.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(format!(
            "the output could not be written ({error}); if the command changed something, that \
             stands: repeat it only with the same --id or --op-id, or look first"
        ))
    }
}
