//! `ledger`: the records themselves.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, ProjectId, RecordId};
use crate::billing::period::{LAST_SECOND, Period};
use crate::cli::command::Shell;
use crate::cli::csv_out::{CsvFlag, CsvOut};
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::moment::rfc3339;
use crate::cli::sentence::Sentence;
use crate::cli::table::{Columns, or_dash, print_properties};
use crate::cli::visible::write_json;
use crate::cli::window::WindowArgs;
use crate::cli::{customer, project};
use crate::store::Store;
use crate::store::usage::{self, KeptRecord, RecordFilter, RecordList};
use serde::Serialize;
use std::io::{self, Write};

/// How many records are read at a time, and written: so many are in memory. No transaction is open
/// while they are written.
const PART: usize = 2_000;

/// The columns that a narrow terminal does without, the first one first.
const SPARE: [&str; 5] = ["recorded", "by", "note", "covered", "customer"];

/// The records themselves: list them, or show one
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// List records in the order of their time, voided ones too
    List(ListArgs),
    /// Show a record
    Show(ShowArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor ledger list --project 430892 --day 2026-11-22")]
pub(super) struct ListArgs {
    #[command(flatten)]
    window: WindowArgs,

    /// Of this project alone
    #[arg(long, value_name = "P")]
    project: Option<ProjectId>,

    /// Of this customer alone: of the months in which the project was the customer's
    #[arg(long, value_name = "C")]
    customer: Option<CustomerId>,

    /// Voided records alone
    #[arg(long)]
    voided: bool,

    /// At most so many; 0: all of them
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,

    #[command(flatten)]
    csv: CsvFlag,
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The record's id
    id: RecordId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordView {
    id: String,
    project_id: String,
    /// Whose the project was at that time.
    customer_id: Option<String>,
    #[serde(serialize_with = "exact")]
    amount: Amount,
    /// The part that licenses covered.
    #[serde(serialize_with = "exact")]
    covered: Amount,
    at: String,
    recorded_at: String,
    /// Null: an earlier version did not keep it.
    recorded_by: Option<String>,
    voided: Option<VoidView>,
    note: Option<String>,
}

#[derive(Serialize)]
struct VoidView {
    at: String,
    /// Null: an earlier version did not keep it.
    by: Option<String>,
    reason: String,
}

/// The keys of a record, in their order.
const KEYS: [&str; 12] = [
    "id",
    "projectId",
    "customerId",
    "amount",
    "covered",
    "at",
    "recordedAt",
    "recordedBy",
    "voided.at",
    "voided.by",
    "voided.reason",
    "note",
];

impl RecordView {
    fn new(kept: KeptRecord) -> Self {
        let KeptRecord { record, note, recorded_at_s, recorded_by, voided_by } = kept;
        Self {
            id: record.id.to_string(),
            project_id: record.project_id.to_string(),
            customer_id: record.customer_id.map(|id| id.to_string()),
            amount: record.amount,
            covered: record.covered,
            at: rfc3339(record.at_s),
            recorded_at: rfc3339(recorded_at_s),
            recorded_by: recorded_by.map(|actor| actor.to_string()),
            voided: record.void.map(|void| VoidView {
                at: rfc3339(void.at_s),
                by: voided_by.map(|actor| actor.to_string()),
                reason: void.reason.to_string(),
            }),
            note: note.map(|note| note.to_string()),
        }
    }

    /// How it was taken back, in words.
    fn void_words(&self) -> Option<String> {
        let VoidView { at, by, reason } = self.voided.as_ref()?;
        let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        Some(format!("{at}{by}: {reason}"))
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::List(args) => list(args, shell),
        Args::Show(args) => show(args, shell),
    }
}

/// Why a list ended early.
enum ListError {
    Store(crate::store::Error),
    Output(io::Error),
}

impl From<io::Error> for ListError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn list(args: &ListArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
    let filter = RecordFilter {
        period: args.window.period()?.unwrap_or(all_time),
        project_id: args.project.clone(),
        customer_id: args.customer.clone(),
        voided: args.voided,
    };
    let mut store = shell.open()?;
    let records = store.read(|tx| {
        if let Some(project_id) = &args.project {
            project::find(tx, project_id)?;
        }
        if let Some(customer_id) = &args.customer {
            customer::find(tx, customer_id)?;
        }
        Ok::<_, Failure>(RecordList::start(tx, filter)?)
    })?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut parts = Parts { store, records, left: limit, more: false };
    let printed = if args.csv.csv {
        shell.write_csv(|out| print_csv(&mut parts, out))
    } else if shell.wants_json() {
        print_json(&mut parts, shell.out())
    } else {
        print_table(&mut parts, shell)
    };
    match printed {
        Ok(()) if parts.more && !shell.wants_json() => {
            shell.note(&format!("there are more than {limit} records; --limit 0 lists them all"));
            Ok(Exit::Done)
        }
        Ok(()) => Ok(Exit::Done),
        // Nobody reads any more.
        Err(ListError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Exit::Done)
        }
        Err(ListError::Output(error)) => {
            Err(Failure::failed(format!("the output could not be written: {error}")))
        }
        Err(ListError::Store(error)) => Err(error.into()),
    }
}

/// The records of a list, up to its limit.
struct Parts {
    store: Store,
    records: RecordList,
    left: usize,
    /// Whether there are more than the limit lets through.
    more: bool,
}

impl Parts {
    /// Gives each record to `write`, which writes while no transaction is open.
    fn each(
        &mut self,
        mut write: impl FnMut(RecordView) -> io::Result<()>,
    ) -> Result<(), ListError> {
        self.each_part(|records, _| records.into_iter().try_for_each(&mut write))
    }

    /// The same, of so many records at a time, and whether these are the last.
    fn each_part(
        &mut self,
        mut write: impl FnMut(Vec<RecordView>, bool) -> io::Result<()>,
    ) -> Result<(), ListError> {
        loop {
            let most = self.left.min(PART);
            let mut read = |most| self.store.read(|tx| self.records.part(tx, most));
            let part = read(most).map_err(ListError::Store)?;
            let is_end = part.len() < most;
            self.left -= part.len();
            let is_last = is_end || self.left == 0;
            write(part.into_iter().map(RecordView::new).collect(), is_last)?;
            if is_last {
                self.more = !is_end && !read(1).map_err(ListError::Store)?.is_empty();
                return Ok(());
            }
        }
    }
}

fn print_csv(parts: &mut Parts, out: &mut dyn Write) -> Result<(), ListError> {
    let mut csv = CsvOut::new(out, &KEYS)?;
    parts.each(|record| csv.row(&record))?;
    Ok(csv.flush()?)
}

/// Writes the document as it is read: all records of some books are more than fit into memory.
fn print_json(parts: &mut Parts, out: &mut dyn Write) -> Result<(), ListError> {
    out.write_all(b"{\"rows\":[")?;
    let mut comma: &[u8] = b"";
    parts.each(|record| {
        out.write_all(comma)?;
        comma = b",";
        write_json(out, &record)
    })?;
    Ok(writeln!(out, "],\"more\":{}}}", parts.more)?)
}

fn print_table(parts: &mut Parts, shell: &mut Shell<'_>) -> Result<(), ListError> {
    let mut left_out = Vec::new();
    shell.show(|out| {
        let mut table = None;
        parts.each_part(|records, is_last| {
            // Of more than a part, who knows which columns the others need?
            let begins = || RecordTable::new(|has| !is_last || records.iter().any(has));
            let is_first = table.is_none();
            let RecordTable { columns, .. } = table.get_or_insert_with(begins).fill(&records);
            if is_first {
                left_out = columns.leave_out(&SPARE, Some("project"), out.screen);
            }
            columns.print_part(out)
        })
    })?;
    shell.point_out_left_out(&left_out, "ledger show ID", "shows all of a record");
    Ok(())
}

/// The table of a list, with those columns in which something stands.
struct RecordTable {
    columns: Columns,
    covered: bool,
    voided: bool,
    noted: bool,
}

impl RecordTable {
    fn new(any: impl Fn(fn(&RecordView) -> bool) -> bool) -> Self {
        let covered = any(|record| !record.covered.is_zero());
        let voided = any(|record| record.voided.is_some());
        let noted = any(|record| record.note.is_some());
        let mut names = vec!["at", "project", "customer", "amount#"];
        names.extend(covered.then_some("covered#"));
        names.extend(["id!", "recorded", "by"]);
        names.extend(voided.then_some("voided"));
        names.extend(noted.then_some("note"));
        Self { columns: Columns::new(&names), covered, voided, noted }
    }

    fn fill(&mut self, records: &[RecordView]) -> &mut Self {
        for record in records {
            let mut cells = vec![
                record.at.clone(),
                record.project_id.clone(),
                or_dash(record.customer_id.as_ref()),
                record.amount.to_string(),
            ];
            cells.extend(self.covered.then(|| record.covered.to_string()));
            cells.extend([
                record.id.clone(),
                record.recorded_at.clone(),
                or_dash(record.recorded_by.as_ref()),
            ]);
            cells.extend(self.voided.then(|| record.void_words().unwrap_or_default()));
            cells.extend(self.noted.then(|| record.note.clone().unwrap_or_default()));
            self.columns.row(cells);
        }
        self
    }
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let kept = shell.open()?.read(|tx| usage::show(tx, &args.id))?;
    let kept = kept.ok_or_else(|| {
        let sentence = Sentence::from(format!("there is no record {}", args.id));
        Failure::not_found(sentence.hint("ledger list", "shows the records"))
    })?;
    let shown = RecordView::new(kept);
    shell.print(&shown, |out| {
        let mut properties = vec![
            ("id", shown.id.clone()),
            ("project", shown.project_id.clone()),
            ("customer", or_dash(shown.customer_id.as_ref())),
            ("amount", shown.amount.to_string()),
            ("covered", shown.covered.to_string()),
            ("at", shown.at.clone()),
            ("recorded", shown.recorded_at.clone()),
            ("by", or_dash(shown.recorded_by.as_ref())),
        ];
        properties.extend(shown.void_words().map(|words| ("voided", words)));
        properties.extend(shown.note.clone().map(|note| ("note", note)));
        print_properties(out, &properties)
    })?;
    Ok(Exit::Done)
}
