//! `--csv`: rows as other programs read them.

use crate::cli::import::csv_rows::csv_io;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

/// `--csv`, of the verbs that list.
#[derive(clap::Args, Clone, Copy)]
pub(super) struct CsvFlag {
    /// Print CSV instead of a table: a header with the keys that --json has, then a row a line
    #[arg(long, conflicts_with = "json")]
    pub(super) csv: bool,
}

/// Rows of CSV under a header. What a row holds is found by its keys in JSON: `voided.at` is the
/// key `at` of the object `voided`.
pub(super) struct CsvOut<'a> {
    writer: csv::Writer<&'a mut dyn Write>,
    keys: Vec<Vec<String>>,
}

impl<'a> CsvOut<'a> {
    /// Writes the header.
    pub(super) fn new(out: &'a mut dyn Write, header: &[&str]) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(header).map_err(csv_io)?;
        let parts = |key: &&str| key.split('.').map(str::to_owned).collect();
        Ok(Self { writer, keys: header.iter().map(parts).collect() })
    }

    pub(super) fn row(&mut self, row: &impl Serialize) -> io::Result<()> {
        let row = serde_json::to_value(row)?;
        let cells = self.keys.iter().map(|key| {
            let found = key.iter().try_fold(&row, |value, part| value.get(part));
            found.map(cell).unwrap_or_default()
        });
        self.writer.write_record(cells).map_err(csv_io)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A value as it stands in a cell: a text as it is, nothing for null, and JSON for what has parts.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
