//! What the store warns of while a verb runs: a sentence on standard error. `serve` has a log
//! instead.

use crate::billing::escape::escape;
use log::{LevelFilter, Log, Metadata, Record};
use std::io::{self, Write};

/// Prints warnings, and what is worse.
struct Warnings;

/// Lets warnings be printed from now on.
pub(super) fn print() {
    // The level below which nothing is built at all.
    log::set_max_level(LevelFilter::Warn);
    // Tests may run verbs one after the other in one process.
    let _is_set_already = log::set_logger(&Warnings);
}

impl Log for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Where stderr is gone there is nobody to tell.
            let _told = writeln!(io::stderr(), "{}", escape(&record.args().to_string()));
        }
    }

    fn flush(&self) {}
}
