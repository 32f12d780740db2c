//! How far an import is, as it is told: by a bar on a terminal, by a line every few seconds
//! elsewhere.

use crate::cli::command::Shell;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Read;
use std::time::{Duration, Instant};

/// How often a line is said where nobody sees a bar.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What is told of an import while it runs.
pub(super) struct Progress {
    /// At what has been read of the file, as it lies there. Hidden, it shows nothing.
    bar: ProgressBar,
    began: Instant,
    told: Instant,
    is_quiet: bool,
}

impl Progress {
    /// Begins to count time; `size` is the file's, in bytes, where it has one.
    pub(super) fn new(is_quiet: bool, size: Option<u64>) -> Self {
        // By itself it is hidden where stderr is no terminal.
        let (bar, form) = match (is_quiet, size) {
            (true, _) => (ProgressBar::hidden(), ""),
            (false, Some(size)) => {
                (ProgressBar::new(size), "{wide_bar} {percent}%  {msg}  {eta} left")
            }
            (false, None) => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        let style =
            ProgressStyle::with_template(form).expect("a template of the names that there are");
        let now = Instant::now();
        Self { bar: bar.with_style(style), began: now, told: now, is_quiet }
    }

    /// The file, whose bytes are counted as they are read.
    pub(super) fn wrap_read<R: Read>(&self, file: R) -> impl Read + use<R> {
        self.bar.wrap_read(file)
    }

    /// Tells how many rows have been read, if it is time to.
    pub(super) fn tell(&mut self, read: u64, shell: &mut Shell<'_>) {
        let tenths =
            u64::try_from(self.began.elapsed().as_millis() / 100).unwrap_or(u64::MAX).max(1);
        let words = format!("{} records, {}/s", read, read.saturating_mul(10) / tenths);
        if !self.bar.is_hidden() {
            self.bar.set_message(words);
        } else if !self.is_quiet && self.told.elapsed() >= REPORT_EVERY {
            shell.note(&words);
            self.told = Instant::now();
        }
    }

    /// Lets something be said on lines of its own, the bar out of the way.
    pub(super) fn suspend(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
