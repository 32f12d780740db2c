//! Laws of rows.

use crate::billing::period::date;
use crate::billing::record::UsedAt;
use crate::cli::import::container::Broken;
use crate::cli::import::field::Field;
use crate::cli::import::row::{Format, NoRow, ReadAs, Row};
use crate::cli::import::rows::Rows;
use crate::cli::moment::rfc3339;

/// The rows of a file, and how many of its rows say nothing.
fn read(bytes: &[u8], format: Format) -> Result<(Vec<Row>, usize), Broken> {
    let mut rows = Rows::read(bytes, ReadAs { format, id_prefix: None, zone: None })?;
    let (mut good, mut others, mut line) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        let of_row = match row {
            Ok(row) => {
                let of_row = row.line;
                good.push(row);
                of_row
            }
            Err(NoRow::Bad(bad)) => {
                assert!(!bad.reason.is_empty());
                others += 1;
                bad.line
            }
            Err(NoRow::Blank) => continue,
        };
        assert!(of_row > line, "lines ascend");
        line = of_row;
    }
    Ok((good, others))
}

/// The fields of a row, as `export` writes them.
fn fields(row: &Row) -> [String; Field::ALL.len()] {
    let record = &row.record;
    let text = |text: Option<String>| text.unwrap_or_default();
    Field::ALL.map(|field| match field {
        Field::Id => record.id.to_string(),
        Field::ProjectId => record.project_id.to_string(),
        Field::Amount => record.amount.to_string(),
        Field::At => match record.at {
            UsedAt::Second(second) => rfc3339(second),
            UsedAt::Day(start_s) => date(start_s).to_string(),
            UsedAt::Now => panic!("a row says when"),
        },
        Field::CustomerId => text(record.customer_id.as_ref().map(ToString::to_string)),
        Field::Note => text(record.note.as_ref().map(ToString::to_string)),
        Field::VoidReason => text(row.void.as_ref().map(ToString::to_string)),
    })
}

/// What is read of rows is read again where they are written in either form.
fn check(bytes: &[u8], format: Format) {
    let Ok((rows, _)) = read(bytes, format) else { return };
    let mut as_csv = csv::Writer::from_writer(Vec::new());
    as_csv.write_record(Field::ALL.map(Field::as_str)).expect("memory");
    let mut as_json = Vec::new();
    for row in &rows {
        let fields = fields(row);
        let members = Field::ALL.iter().zip(&fields).map(|(field, text)| {
            (field.as_str().to_owned(), serde_json::Value::from(text.as_str()))
        });
        let object: serde_json::Map<_, _> = members.collect();
        serde_json::to_writer(&mut as_json, &object).expect("memory");
        as_json.push(b'\n');
        as_csv.write_record(fields).expect("memory");
    }
    let as_csv = as_csv.into_inner().expect("memory");
    for (written, format) in [(as_csv, Format::Csv), (as_json, Format::Jsonl)] {
        let again = read(&written, format);
        let (again, others) = again.unwrap_or_else(|Broken(why)| panic!("{why}"));
        let said = |rows: &[Row]| -> Vec<_> {
            rows.iter().map(|row| (row.record.clone(), row.void.clone())).collect()
        };
        assert_eq!((said(&again), others), (said(&rows), 0));
    }
}

/// Rows of CSV.
pub fn csv_rows(bytes: &[u8]) {
    check(bytes, Format::Csv);
}

/// Rows of JSON lines.
pub fn json_rows(bytes: &[u8]) {
    check(bytes, Format::Jsonl);
}
