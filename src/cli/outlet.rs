//! Where the log goes out. Whoever reads it may have stopped, such as a journal whose disk hangs:
//! Agora is answered all the same, and what there is no room for is counted.

use crate::http::count_lost_line;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;

/// How much can be written without a wait where there is room at all: a page, of a pipe (pipe(7)).
const AT_ONCE_BYTES: usize = 4_096;
/// How long room is waited for: once, and not again until there was some.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
const NO_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Writes lines to a stream as long as there is room for them.
pub(super) struct Outlet<S, F> {
    stream: S,
    /// The line that says how many are lost.
    lost_line: F,
    /// How many lines did not go out since one did.
    lost: u64,
    /// Whether the last line that went out did so in part.
    is_torn: bool,
}

impl<S: Write + AsFd, F: Fn(u64) -> String> Outlet<S, F> {
    pub(super) fn new(stream: S, lost_line: F) -> Self {
        Self { stream, lost_line, lost: 0, is_torn: false }
    }

    fn has_room(&self) -> bool {
        let patience = if self.lost == 0 { &PATIENCE } else { &NO_PATIENCE };
        let mut streams = [PollFd::new(&self.stream, PollFlags::OUT)];
        // What cannot be asked is tried; a stream that is broken says so when it is written.
        poll(&mut streams, Some(patience)).map_or(true, |ready| ready > 0)
    }

    /// Writes a line, and tells whether all of it went out.
    fn put(&mut self, line: &[u8]) -> io::Result<bool> {
        for (place, part) in line.chunks(AT_ONCE_BYTES).enumerate() {
            if !self.has_room() {
                self.is_torn |= place > 0;
                return Ok(false);
            }
            self.stream.write_all(part).inspect_err(|_| self.is_torn = true)?;
        }
        Ok(true)
    }

    /// Says how many lines are lost, where any are.
    fn own_up(&mut self) -> io::Result<()> {
        if self.lost == 0 || !self.has_room() {
            return Ok(());
        }
        let said = (self.lost_line)(self.lost);
        let torn = if self.is_torn { "\n" } else { "" };
        self.stream.write_all(format!("{torn}{said}\n").as_bytes())?;
        (self.lost, self.is_torn) = (0, false);
        Ok(())
    }
}

impl<S: Write + AsFd, F: Fn(u64) -> String> Write for Outlet<S, F> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let went_out = self.own_up().and_then(|()| Ok(self.lost == 0 && self.put(line)?));
        if !matches!(went_out, Ok(true)) {
            self.lost = self.lost.saturating_add(1);
            count_lost_line();
        }
        went_out.map(|_| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Standard error holds nothing back.
        Ok(())
    }
}
