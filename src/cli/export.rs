//! `export`: the usage ledger as a file that `import` takes.

use crate::billing::amount::Amount;
use crate::billing::period::{LAST_SECOND, Period};
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::import::csv_rows::csv_io;
use crate::cli::import::field::Field;
use crate::cli::import::row::Format;
use crate::cli::json::exact;
use crate::cli::moment::{Moment, rfc3339};
use crate::cli::visible::write_json;
use crate::store::usage::{Export, Exported};
use serde::Serialize;
use std::io::{self, Write};

/// Write the usage records out, as a file that `import` takes
///
/// To standard output, in the order in which they were recorded. A record that was taken back has
/// the reason as voidReason, and is taken back again where it is imported.
#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor export --from 2026-10-01 --to 2026-10-31 --format csv > \
        october.csv"
)]
pub(super) struct Args {
    /// Of those alone that are dated from then on: a time, Unix seconds, or a day (its first
    /// second)
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,

    /// Of those alone that are dated until then: a time, Unix seconds, or a day (its last second)
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,

    /// How the records are written
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
}

/// A record as it is written; the names are those of [`Field`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportRow<'a> {
    id: &'a str,
    project_id: &'a str,
    #[serde(serialize_with = "exact")]
    amount: &'a Amount,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    void_reason: Option<&'a str>,
}

impl<'a> ExportRow<'a> {
    fn new(Exported { record, note }: &'a Exported) -> Self {
        Self {
            id: record.id.as_str(),
            project_id: record.project_id.as_str(),
            amount: &record.amount,
            at: rfc3339(record.at_s),
            customer_id: record.customer_id.as_ref().map(|id| id.as_str()),
            note: note.as_ref().map(|note| note.as_str()),
            void_reason: record.void.as_ref().map(|void| void.reason.as_str()),
        }
    }

    fn columns(&self) -> [String; Field::ALL.len()] {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Field::ALL.map(|field| match field {
            Field::Id => self.id.to_owned(),
            Field::ProjectId => self.project_id.to_owned(),
            Field::Amount => self.amount.to_string(),
            Field::At => self.at.clone(),
            Field::CustomerId => text(self.customer_id),
            Field::Note => text(self.note),
            Field::VoidReason => text(self.void_reason),
        })
    }
}

/// Why an export ended early.
enum ExportError {
    Store(crate::store::Error),
    Output(io::Error),
}

/// Where the records go.
enum ExportOut<'a> {
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
    Jsonl(io::BufWriter<&'a mut dyn Write>),
}

impl<'a> ExportOut<'a> {
    fn new(format: Format, out: &'a mut dyn Write) -> io::Result<Self> {
        Ok(match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(Field::ALL.map(Field::as_str)).map_err(csv_io)?;
                Self::Csv(Box::new(writer))
            }
            Format::Jsonl => Self::Jsonl(io::BufWriter::new(out)),
        })
    }

    fn write(&mut self, exported: &Exported) -> io::Result<()> {
        let row = ExportRow::new(exported);
        match self {
            Self::Csv(writer) => writer.write_record(row.columns()).map_err(csv_io),
            Self::Jsonl(out) => {
                write_json(out, &row)?;
                out.write_all(b"\n")
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.flush(),
            Self::Jsonl(out) => out.flush(),
        }
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let first_s = args.from.map_or(0, Moment::first_s);
    let last_s = args.to.map_or(LAST_SECOND, Moment::last_s);
    let period = Period::new(first_s, last_s).ok_or_else(|| {
        Failure::words(format!(
            "--from is {}, later than --to, which is {}",
            rfc3339(first_s),
            rfc3339(last_s)
        ))
    })?;
    let mut store = shell.open()?;
    let mut export = store.read(|tx| Export::start(tx, period))?;
    // Written while no transaction is open: whoever reads it may be slow, and the write-ahead log
    // must not grow for it.
    let written = ExportOut::new(args.format, shell.out()).map_err(ExportError::Output).and_then(
        |mut out| {
            while let Some(part) = store.read(|tx| export.part(tx)).map_err(ExportError::Store)? {
                part.iter()
                    .try_for_each(|exported| out.write(exported))
                    .map_err(ExportError::Output)?;
            }
            out.flush().map_err(ExportError::Output)
        },
    );
    match written {
        Ok(()) => Ok(Exit::Done),
        // Nobody reads any more.
        Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Exit::Done)
        }
        Err(ExportError::Output(error)) => {
            Err(Failure::failed(format!("the output could not be written: {error}")))
        }
        Err(ExportError::Store(error)) => Err(error.into()),
    }
}
