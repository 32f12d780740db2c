//! Secrets that are handed in: out of a file, or typed at a terminal, which does not show them.

use crate::billing::key::ApiSecret;
use crate::cli::failure::Failure;
use crate::cli::input::read_text;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Stdin, Write, stderr, stdin};
use std::path::Path;

/// Reads a secret that a file holds alone (`-`: standard input). A newline at its end is dropped.
pub(super) fn read(file: &Path, what: &str) -> Result<ApiSecret, Failure> {
    let text = read_quietly(file, what)?;
    // Never the secret itself in the sentence.
    let problem = |reason: &str| {
        Failure::words(format!("what {} holds is not a secret: {reason}", file.display()))
    };
    let secret = without_newline(&text);
    if let Some(wrapped) = wrapped_in(secret) {
        return Err(problem(&format!("{wrapped}; the file holds the secret and nothing else")));
    }
    secret.parse().map_err(|error: crate::billing::id::Error| problem(&error.to_string()))
}

/// Reads what is to be compared with a secret, whatever it is, without a newline at its end.
pub(super) fn read_any(file: &Path, what: &str) -> Result<String, Failure> {
    read_quietly(file, what).map(|text| without_newline(&text).to_owned())
}

fn without_newline(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}

/// What stands around a secret, where that is not what the file is to hold.
fn wrapped_in(text: &str) -> Option<&'static str> {
    const QUOTES: [char; 3] = ['"', '\'', '`'];
    if text.starts_with('\u{feff}') {
        return Some("it starts with a byte order mark");
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return Some("it is in quotes");
    }
    // Base64 ends in such signs as well, and has nothing behind them.
    let (name, value) = text.split_once('=')?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-. ".contains(&b));
    let has_value = !value.trim_start_matches('=').is_empty();
    (is_name && has_value).then_some("it has the form name=value")
}

fn read_quietly(file: &Path, what: &str) -> Result<String, Failure> {
    let input = stdin();
    if file.as_os_str() != "-" || !input.is_terminal() {
        return read_text(file, what);
    }
    let failed = |error: std::io::Error| {
        Failure::failed(format!("{what} cannot be read from the terminal: {error}"))
    };
    let _hidden = Hidden::new(&input).map_err(|error| failed(error.into()))?;
    // Where stderr is gone there is nobody to ask, and what is typed is read all the same.
    let _asked = write!(stderr(), "{what} (it is not shown): ");
    let mut line = String::new();
    let read = input.read_line(&mut line);
    let _ended = writeln!(stderr());
    read.map_err(failed)?;
    Ok(line)
}

/// A terminal that does not show what is typed, until this goes.
struct Hidden<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(terminal: &'a Stdin) -> rustix::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _shown = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_a_secret_is_told_and_base64_is_a_secret() {
        for text in ["\u{feff}abc", "\"abc\"", "'abc'", "abc\"", "AGORA_SECRET=abc", "a = b"] {
            assert!(wrapped_in(text).is_some(), "{text}");
        }
        for text in ["abc", "YWJjZA==", "YWJjZGU=", "a+b/c=", "", "a:b", "+a/b=c"] {
            assert!(wrapped_in(text).is_none(), "{text}");
        }
    }
}
