//! What is said on stderr: a sentence, and the commands that it points to. They are kept apart from
//! the text, so that they name the database where it has to be named, and nothing in the text is
//! taken for a command.

/// A sentence with its hints.
#[derive(Clone, Debug)]
pub(super) struct Sentence {
    text: String,
    hints: Vec<Hint>,
}

/// A command, and what it does about what the sentence says.
#[derive(Clone, Debug)]
struct Hint {
    /// What stands behind `agora-vendor`.
    command: String,
    /// As in "shows them".
    does: &'static str,
}

impl Sentence {
    /// The same, pointing to a command and what it does: `key list`, `shows them`.
    pub(super) fn hint(mut self, command: impl Into<String>, does: &'static str) -> Self {
        self.hints.push(Hint { command: command.into(), does });
        self
    }

    /// What is said, without its hints.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The same with more to say.
    pub(super) fn with(mut self, more: &str) -> Self {
        self.text = format!("{}; {more}", self.text);
        self
    }

    /// The same and another sentence.
    pub(super) fn followed_by(mut self, more: Self) -> Self {
        self.text = [self.text, more.text].join("; ");
        self.hints.extend(more.hints);
        self
    }

    /// The same with words before it.
    pub(super) fn after(&self, before: &str) -> Self {
        Self { text: format!("{before}{}", self.text), hints: self.hints.clone() }
    }

    /// The sentence and its hints as they are said; `typed` gives a command as it is typed.
    pub(super) fn said(&self, typed: impl Fn(&str) -> String) -> String {
        let hints =
            self.hints.iter().map(|Hint { command, does }| format!("{} {does}", typed(command)));
        let text = (!self.text.is_empty()).then(|| self.text.clone());
        text.into_iter().chain(hints).collect::<Vec<_>>().join("; ")
    }
}

impl From<String> for Sentence {
    fn from(text: String) -> Self {
        Self { text, hints: Vec::new() }
    }
}

impl From<&str> for Sentence {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
