//! What bills carried of earlier months, as versions 3 and 4 kept it: in documents of their own,
//! without how much waited.

use crate::store::Result;
use crate::store::document::{CompressedLines, Text};
use rusqlite::Connection;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Copies what statements said out of the tables of those versions, which stand as `old_…`.
pub(super) fn copy_entries(connection: &Connection) -> Result<()> {
    const ENTRIES: &str = "select statement_seq, entries from old_statement_entries";
    const CARRIES: &str = "
        select month_s, carries
        from old_statement_carry
        where statement_seq = ?1
        order by month_s";
    const INSERT: &str = "insert into statement_entries values (?1, ?2)";
    let mut carries = connection.prepare(CARRIES)?;
    let mut insert = connection.prepare(INSERT)?;
    let mut entries = connection.prepare(ENTRIES)?;
    let mut rows = entries.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, document): (i64, CompressedLines) = (row.get(0)?, row.get(1)?);
        let carries = carries.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let carries: Vec<(i64, CompressedLines)> = carries.collect::<rusqlite::Result<_>>()?;
        let document =
            if carries.is_empty() { document } else { with_carries(&document, seq, &carries)? };
        insert.execute((seq, document))?;
    }
    Ok(())
}

/// What a statement said, with what the bill carried.
fn with_carries(
    document: &CompressedLines,
    seq: i64,
    carries: &[(i64, CompressedLines)],
) -> Result<CompressedLines> {
    let text = document.text(seq)?;
    let mut lines: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let read = |line: &str| text.checked(serde_json::from_str::<Map<String, Value>>(line));
    let id = |line: &Map<String, Value>| line["projectId"].as_str().unwrap_or_default().to_owned();
    for line in text.lines() {
        let mut line = read(line)?;
        line.remove("carried");
        line.insert("adjustments".to_owned(), Value::Array(Vec::new()));
        lines.insert(id(&line), line);
    }
    for (month_s, carries) in carries {
        for carry in carries.text(seq)?.lines() {
            let carry = read(carry)?;
            let rest = if carry.contains_key("waits") { Value::Null } else { "0".into() };
            let line =
                lines.get_mut(&id(&carry)).and_then(|line| line["adjustments"].as_array_mut());
            let adjustment = Value::from(vec![(*month_s).into(), carry["amount"].clone(), rest]);
            text.checked(
                line.ok_or("it carried something for a project of which it says nothing"),
            )?
            .push(adjustment);
        }
    }
    let lines = lines.into_values().map(|line| Value::from(line).to_string() + "\n");
    CompressedLines::of_entries(&Text::of(seq, lines.collect()).entries()?)
}
