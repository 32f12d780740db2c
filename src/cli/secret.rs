//! Secrets that are handed in: out of a file, or typed at a terminal, which does not show them.

use crate::billing::key::ApiSecret;
use crate::cli::failure::Failure;
use crate::cli::input::read_text;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, ErrorKind, IsTerminal, Stdin, Write, stderr, stdin};
use std::path::Path;

/// The signals that end a process or stop it, and that a person or a service manager sends.
const ENDING: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP];

/// Reads a secret that a file holds alone (`-`: standard input). A newline at its end is dropped.
pub(super) fn read(file: &Path, what: &str) -> Result<ApiSecret, Failure> {
    let text = read_quietly(file, what)?;
    parse(&text, "the file holds the secret and nothing else").map_err(|reason| {
        Failure::words(format!("what {} holds is not a secret: {reason}", file.display()))
    })
}

/// Asks for a secret at the terminal until what is typed is one; `None` where the input ends.
pub(super) fn ask(what: &str) -> Result<Option<ApiSecret>, Failure> {
    loop {
        let typed = read_quietly(Path::new("-"), what)?;
        if typed.is_empty() {
            return Ok(None);
        }
        match parse(&typed, "type the secret and nothing else") {
            Ok(secret) => return Ok(Some(secret)),
            Err(reason) => {
                // Where stderr is gone there is nobody to tell.
                let _told = writeln!(stderr(), "this is not a secret: {reason}");
            }
        }
    }
}

/// Reads a secret, without a newline at its end; or says what is wrong, and never the secret.
fn parse(text: &str, rule: &str) -> Result<ApiSecret, String> {
    let secret = without_newline(text);
    if let Some(wrapped) = wrapped_in(secret) {
        return Err(format!("{wrapped}; {rule}"));
    }
    secret.parse().map_err(|error: crate::billing::id::Error| error.to_string())
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
    type_hidden(&input, what).map_err(|error| {
        Failure::failed(format!("{what} cannot be read from the terminal: {error}"))
    })
}

/// Reads a line from a terminal that does not show it. A signal that would end the process does so
/// once the terminal shows again what is typed. Where the process goes on, as after Ctrl-Z and
/// `fg`, the line is asked for anew.
fn type_hidden(terminal: &Stdin, what: &str) -> io::Result<String> {
    loop {
        let hidden = Hidden::new(terminal)?;
        // Where stderr is gone there is nobody to ask, and what is typed is read all the same.
        let _asked = write!(stderr(), "{what} (it is not shown): ");
        let line = hidden.line();
        let _ended = writeln!(stderr());
        drop(hidden);
        if let Some(line) = line? {
            return Ok(line);
        }
    }
}

/// A terminal that does not show what is typed, until this goes.
struct Hidden<'a> {
    terminal: &'a Stdin,
    before: Termios,
    /// Let go after the terminal was set back.
    signals: HeldSignals,
}

impl<'a> Hidden<'a> {
    fn new(terminal: &'a Stdin) -> io::Result<Self> {
        let signals = HeldSignals::new()?;
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before, signals })
    }

    /// The line that is typed; `None` where a signal comes first.
    fn line(&self) -> io::Result<Option<String>> {
        let mut terminal = self.terminal.lock();
        let mut line = Vec::new();
        loop {
            let mut ready = [
                PollFd::new(self.terminal, PollFlags::IN),
                PollFd::new(&self.signals.pending, PollFlags::IN),
            ];
            retry_on_intr(|| poll(&mut ready, None))?;
            if !ready[1].revents().is_empty() {
                return Ok(None);
            }
            let typed = terminal.fill_buf()?;
            let end = typed.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(typed.len(), |end| end + 1);
            line.extend_from_slice(&typed[..taken]);
            terminal.consume(taken);
            if end.is_some() || taken == 0 {
                let line = String::from_utf8(line);
                return line.map(Some).map_err(|_| {
                    io::Error::new(ErrorKind::InvalidData, "what was typed is not UTF-8")
                });
            }
        }
    }
}

/// The signals of [`ENDING`], held back until this goes: then they do what they do otherwise.
struct HeldSignals {
    before: SigSet,
    /// Can be read as long as one of them is held back; it never is.
    pending: SignalFd,
}

impl HeldSignals {
    fn new() -> nix::Result<Self> {
        let ending: SigSet = ENDING.into_iter().collect();
        let pending = SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC)?;
        let before = ending.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { before, pending })
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // It fails for a mask that is none alone.
        let _let_go = self.before.thread_set_mask();
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
