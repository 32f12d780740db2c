//! The terminal that data is printed to, where it is one: its size, whether it takes color, and the
//! pager for what is longer than it is high.

use rustix::termios::tcgetwinsize;
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, Write, stdout};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What shows text without end where `PAGER` is not set.
const USUAL_PAGER: &str = "less";
/// How `less` is to behave unless `LESS` says otherwise: it ends at once where all fits, shows
/// color and leaves the text on the screen.
const LESS: &str = "FRX";

/// A terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Screen {
    /// In columns; `None` where the terminal does not tell.
    pub(super) width: Option<u16>,
    /// In lines.
    pub(super) height: Option<u16>,
    pub(super) color: bool,
}

impl Screen {
    /// The terminal of standard output; `None` where that is none.
    pub(super) fn find() -> Option<Self> {
        let out = stdout();
        if !out.is_terminal() {
            return None;
        }
        let size = tcgetwinsize(&out).ok();
        let told = |length: u16| Some(length).filter(|length| *length > 0);
        let color = !anstyle_query::no_color()
            && anstyle_query::clicolor().unwrap_or(true)
            && anstyle_query::term_supports_color();
        Some(Self {
            width: size.and_then(|size| told(size.ws_col)),
            height: size.and_then(|size| told(size.ws_row)),
            color,
        })
    }

    /// Shows a text, by the pager where it is higher than the screen.
    pub(super) fn show(self, text: &mut (impl Read + Seek), out: &mut dyn Write) -> io::Result<()> {
        if self.is_lower(text)? {
            out.flush()?;
            text.rewind()?;
            if page(text) {
                return Ok(());
            }
        }
        text.rewind()?;
        io::copy(text, out).map(|_| ())
    }

    /// Tells whether it is lower than a text.
    fn is_lower(self, text: &mut (impl Read + Seek)) -> io::Result<bool> {
        text.rewind()?;
        let Some(height) = self.height.map(usize::from) else {
            return Ok(false);
        };
        let lines =
            BufReader::new(text).split(b'\n').take(height).collect::<io::Result<Vec<_>>>()?;
        // The line of the shell's prompt comes below them.
        Ok(lines.len() == height)
    }
}

/// Hands a text to the pager; tells whether there is one.
fn page(text: &mut impl Read) -> bool {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| USUAL_PAGER.to_owned());
    if pager.trim().is_empty() {
        return false;
    }
    let mut command = Command::new("sh");
    command.args(["-c", &pager]).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    // Ctrl-C is the pager's to understand, such as to end a search: who started it waits on, else
    // the shell and the pager would both read the terminal. A program that is started has the usual
    // way again.
    let _interrupted = flag::register(SIGINT, Arc::default());
    let Ok(mut pager) = command.spawn() else {
        return false;
    };
    if let Some(mut input) = pager.stdin.take() {
        // Whoever quits before the end has read enough.
        let _read = io::copy(text, &mut input);
    }
    // What a shell says of a command that it does not find, or may not run.
    const NOT_RUN: [Option<i32>; 2] = [Some(126), Some(127)];
    pager.wait().is_ok_and(|end| !NOT_RUN.contains(&end.code()))
}
