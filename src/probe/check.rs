//! Checks as data: what is asked for and by whom, and what was found.

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it has to be.
    Pass,
    /// It could not be looked at.
    Skip,
    /// It works, or only our reading of Agora's pages asks for more.
    Warn,
    /// Agora's pages ask for something else.
    Fail,
}

impl Grade {
    /// Its name in what is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// Who asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Agora's page "Provide usage data to Agora".
    Usage,
    /// Agora's page "Provision your extension".
    Provision,
    /// Agora's page "Encrypted signature".
    Signing,
    /// Nobody but us, where Agora's pages are silent: no more than a warning.
    Reading,
}

impl Asker {
    fn words(self) -> &'static str {
        match self {
            Self::Usage => "Agora: Provide usage data to Agora",
            Self::Provision => "Agora: Provision your extension",
            Self::Signing => "Agora: Encrypted signature",
            Self::Reading => "our reading, Agora's pages are silent",
        }
    }
}

/// What one check asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) name: &'static str,
    pub(super) wanted: &'static str,
    pub(super) asker: Asker,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// The check, such as `usage amount`.
    pub name: String,
    /// How it ended.
    pub result: Grade,
    /// The request, without key and signature.
    pub sent: String,
    /// What came of it.
    pub got: String,
    /// What is asked for, and where.
    pub wanted: String,
}

impl Demand {
    /// The finding of it, of a kind of listing or of nothing in particular (""). What is only our
    /// reading is never worse than a warning.
    pub(super) fn found(&self, of: &str, result: Grade, sent: &str, got: &str) -> CheckFinding {
        let space = if of.is_empty() { "" } else { " " };
        let result = match (self.asker, result) {
            (Asker::Reading, Grade::Fail) => Grade::Warn,
            (_, result) => result,
        };
        CheckFinding {
            name: format!("{of}{space}{}", self.name),
            result,
            sent: sent.to_owned(),
            got: got.to_owned(),
            wanted: format!("{} ({})", self.wanted, self.asker.words()),
        }
    }
}

/// The first thing that is wrong with what a check looks at, the worst before the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Worst(Option<(Grade, String, String)>);

impl Worst {
    /// Notes what is wrong with the answer to a request.
    pub(super) fn note(&mut self, result: Grade, sent: &str, got: String) {
        if self.0.as_ref().is_none_or(|(before, ..)| result > *before) {
            self.0 = Some((result, sent.to_owned(), got));
        }
    }

    /// Whether anything was noted.
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a failure was noted.
    pub(super) fn is_failed(&self) -> bool {
        self.0.as_ref().is_some_and(|(result, ..)| *result == Grade::Fail)
    }

    /// The finding; where nothing is wrong, `good` says what was looked at.
    pub(super) fn finding(self, demand: &Demand, of: &str, sent: &str, good: &str) -> CheckFinding {
        match self.0 {
            Some((result, sent, got)) => demand.found(of, result, &sent, &got),
            None => demand.found(of, Grade::Pass, sent, good),
        }
    }
}
