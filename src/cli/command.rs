//! One command as it runs: its database, its clock, and where it prints.

use crate::billing::amount::Amount;
use crate::billing::escape::escape;
use crate::billing::event::{Actor, Stamp, User};
use crate::cli::clock::now_s;
use crate::cli::csv_out::CsvOut;
use crate::cli::database::Database;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::sentence::Sentence;
use crate::cli::user::{user, user_number};
use crate::cli::visible::{ForPeople, write_json};
use crate::store::{self, Store};
use serde::Serialize;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::PathBuf;
use tempfile::SpooledTempFile;

/// How much of a text for the pager is kept in memory; a longer one is put into a file.
const SHOWN_BYTES: usize = 4 << 20;

/// The surroundings of one command.
pub(super) struct Shell<'a> {
    pub(super) database: Database,
    pub(super) now_s: i64,
    /// Whether a log lay beside the database as the command began.
    had_log: bool,
    json: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Shell<'a> {
    pub(super) fn new(
        db: Option<PathBuf>,
        json: bool,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
    ) -> Self {
        let database = Database::resolve(db);
        let had_log = database.log().metadata().is_ok_and(|log| log.len() > 0);
        Self { database, now_s: now_s(), had_log, json, out, err }
    }

    /// What may be wrong where the database is damaged: of a log that lay beside it.
    pub(super) fn log_words(&self) -> Option<String> {
        self.had_log.then(|| {
            format!(
                "{} lay beside it: where a backup was copied over the database by hand, that log \
                 belonged to the database before, and spoils the copy",
                self.database.log().display()
            )
        })
    }

    /// Opens the database.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        Store::open(self.database.path()).map_err(|error| self.database.explain(error))
    }

    /// When and by whom what this command writes is written: by the user of this process, at the
    /// clock as this is called, which is once the lock is had, since waiting for it may take half a
    /// minute.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            at_s: now_s(),
            actor: Actor::Shell(User::Numbered { number: user_number(), name: user }),
        }
    }

    /// Tells whether to print one JSON document.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }

    /// Prints data: `document` with --json, else what `people` prints.
    pub(super) fn print(
        &mut self,
        document: &impl Serialize,
        people: impl FnOnce(&mut ForPeople<'_>) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let printed = if self.json {
            write_json(self.out, document).and_then(|()| writeln!(self.out))
        } else {
            self.show(people)
        };
        Ok(heard_or_not(printed)?)
    }

    /// Prints for people alone: on a terminal by a pager where it is higher than the screen.
    pub(super) fn show<E: From<io::Error>>(
        &mut self,
        people: impl FnOnce(&mut ForPeople<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(screen) = Screen::find() else {
            return people(&mut ForPeople::new(self.out, None));
        };
        let mut text = BufWriter::new(SpooledTempFile::new(SHOWN_BYTES));
        people(&mut ForPeople::new(&mut text, Some(screen)))?;
        let mut text = text.into_inner().map_err(IntoInnerError::into_error)?;
        Ok(screen.show(&mut text, self.out)?)
    }

    /// Lets `write` write CSV. On a terminal it is escaped, since people read it there; elsewhere
    /// programs read it as it is.
    pub(super) fn write_csv<E>(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        match Screen::find() {
            Some(_) => write(&mut ForPeople::new(self.out, None)),
            None => write(self.out),
        }
    }

    /// Prints rows as CSV, under a header of their keys.
    pub(super) fn print_csv<R: Serialize>(
        &mut self,
        keys: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) -> Result<(), Failure> {
        let printed = self.write_csv(|out| {
            let mut csv = CsvOut::new(out, keys)?;
            rows.into_iter().try_for_each(|row| csv.row(&row))?;
            csv.flush()
        });
        Ok(heard_or_not(printed)?)
    }

    /// Where data goes, for what is more than a document.
    pub(super) fn out(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Prints a line of data at once.
    pub(super) fn say(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.out, "{}", escape(line))?;
        self.out.flush()
    }

    /// Says something that is not data, on a line of its own. Nothing in it drives the terminal.
    pub(super) fn note(&mut self, sentence: &str) {
        self.point_out(sentence.into());
    }

    /// The same of a sentence that may point to commands.
    pub(super) fn point_out(&mut self, sentence: Sentence) {
        let said = sentence.said(|command| self.database.command(command));
        // Where stderr is gone there is nobody to tell.
        let _told = writeln!(self.err, "{}", escape(&said));
    }

    /// Says which columns a terminal had no room for, if any, and what shows them.
    pub(super) fn point_out_left_out(
        &mut self,
        left_out: &[&str],
        command: &str,
        shows: &'static str,
    ) {
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            let sentence = Sentence::from(format!("the terminal has no room for columns: {names}"));
            self.point_out(sentence.hint(command, shows));
        }
    }

    /// What licenses leave uncovered, read after a change that stands: where it cannot be read, the
    /// command is done all the same, and that is said.
    pub(super) fn uncovered_or_note(&mut self, read: store::Result<Amount>) -> Amount {
        read.unwrap_or_else(|error| {
            self.note(&format!(
                "what was asked for is done; how much usage stays uncovered could not be read: {}",
                error.of_read()
            ));
            Amount::default()
        })
    }

    /// Hands over what was printed.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(heard_or_not(self.out.flush())?)
    }
}

/// That nobody reads any more what is printed is no failure of the command, and does not change its
/// end.
fn heard_or_not(printed: std::io::Result<()>) -> std::io::Result<()> {
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}
