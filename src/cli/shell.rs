//! What every verb has at hand: the database it was told, the clock, and where to print.

use crate::billing::amount::Amount;
use crate::billing::escape::escape;
use crate::billing::event::{Actor, Event, Stamp, User as ShellUser};
use crate::billing::id::Label;
use crate::cli::database::Database;
use crate::cli::failure::Failure;
use crate::cli::moment::rfc3339;
use crate::cli::sentence::Sentence;
use crate::cli::visible::{ForPeople, write_json};
use crate::store::Store;
use comfy_table::{CellAlignment, Table, presets};
use nix::unistd::{Uid, User};
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The surroundings of one command.
pub(super) struct Shell<'a> {
    pub(super) database: Database,
    pub(super) now_s: i64,
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
        Self { database: Database::resolve(db), now_s: now_s(), json, out, err }
    }

    /// Opens the database.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        Store::open(self.database.path()).map_err(|error| self.database.explain(error))
    }

    /// When and by whom what this command writes is written: by the user of this process, at the clock as this is
    /// called, which is once the lock is had, since waiting for it may take half a minute.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { at_s: now_s(), actor: Actor::Shell(ShellUser::LookedUp(user)) }
    }

    /// Tells whether one JSON document is wanted.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }

    /// Prints data: `document` where JSON is wanted, else what `people` prints.
    pub(super) fn print(
        &mut self,
        document: &impl Serialize,
        people: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let printed = if self.json {
            write_json(self.out, document).and_then(|()| writeln!(self.out))
        } else {
            people(&mut ForPeople::new(self.out))
        };
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
        let said = sentence.said(&self.database);
        // Where stderr is gone there is nobody to tell.
        let _told = writeln!(self.err, "{}", escape(&said));
    }

    /// Hands over what was printed.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(heard_or_not(self.out.flush())?)
    }
}

/// The clock, in Unix seconds.
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The user of this process; under sudo, with the one who called it, as sudo says.
fn user() -> Label {
    static USER: OnceLock<Label> = OnceLock::new();
    USER.get_or_init(look_up_user).clone()
}

fn look_up_user() -> Label {
    let uid = Uid::current();
    let name =
        User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name);
    let is_sudo = std::env::var("SUDO_UID").is_ok_and(|caller| caller != uid.to_string());
    let caller = std::env::var("SUDO_USER").ok().filter(|_| is_sudo);
    let both = caller.and_then(|caller| format!("{caller} as {name}").parse().ok());
    both.or_else(|| name.parse().ok())
        .unwrap_or_else(|| "unknown".parse().expect("a word is a label"))
}

/// That nobody reads any more what is printed is no failure of the command, and does not change its end.
fn heard_or_not(printed: std::io::Result<()>) -> std::io::Result<()> {
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Reads a text from a file, or from standard input where the file is `-`.
pub(super) fn read_text(file: &Path, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => File::open(file).and_then(|mut opened| opened.read_to_string(&mut text)),
    };
    read.map_err(|error| {
        Failure::failed(format!("{what} cannot be read from {}: {error}", file.display()))
    })?;
    Ok(text)
}

/// A table for people: names above, aligned columns, those of figures to the right.
pub(super) struct Columns {
    table: Table,
    figures: Vec<bool>,
}

impl Columns {
    /// A table with these columns; a name that ends in `#` is of a column of figures.
    pub(super) fn new(names: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(names.iter().map(|name| name.trim_end_matches('#').to_uppercase()));
        Self { table, figures: names.iter().map(|name| name.ends_with('#')).collect() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A cell has one line, whatever stands in it.
        self.table.add_row(cells.into_iter().map(|cell| escape(&cell).into_owned()));
    }

    pub(super) fn print(mut self, out: &mut dyn Write) -> std::io::Result<()> {
        for (place, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.figures.get(place).copied().unwrap_or_default() {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in self.table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Prints one thing's properties, a line each.
pub(super) fn print_properties(
    out: &mut dyn Write,
    properties: &[(&str, String)],
) -> std::io::Result<()> {
    let width = properties.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in properties {
        writeln!(out, "{name:width$}  {}", escape(value))?;
    }
    Ok(())
}

/// An event as it stands in JSON documents.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownEvent {
    at: String,
    by: String,
    change: String,
    project_id: Option<String>,
    customer_id: Option<String>,
    fields: Vec<String>,
}

impl ShownEvent {
    pub(super) fn new(event: &Event) -> Self {
        Self {
            at: rfc3339(event.stamp.at_s),
            by: event.stamp.actor.to_string(),
            change: event.change.to_string(),
            project_id: event.project_id.as_ref().map(ToString::to_string),
            customer_id: event.customer_id.as_ref().map(ToString::to_string),
            fields: event.fields.clone(),
        }
    }
}

/// Prints what was changed, by whom and when, a line each.
pub(super) fn print_events(out: &mut dyn Write, events: &[ShownEvent]) -> std::io::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut columns = Columns::new(&["at", "by", "change", "project", "customer", "fields"]);
    for event in events {
        columns.row([
            event.at.clone(),
            event.by.clone(),
            event.change.clone(),
            or_dash(event.project_id.as_ref()),
            or_dash(event.customer_id.as_ref()),
            event.fields.join(", "),
        ]);
    }
    columns.print(out)
}

/// A value for people, or a dash where there is none.
pub(super) fn or_dash(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// A time for people, or the word `never`.
pub(super) fn or_never(time: Option<&String>) -> String {
    time.map_or_else(|| "never".to_owned(), ToString::to_string)
}

/// An amount as it stands in JSON documents: a string, so that no tool in a pipe rounds it.
pub(super) fn exact<S: serde::Serializer>(
    amount: &Amount,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}
