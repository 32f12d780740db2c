//! The measure of writing: a table that holds the same rows, and a bare loop that inserts them.

use crate::Outcome;
use crate::row::Row;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows in one transaction.
const SLICE: usize = 10_000;

/// A loop that does nothing but insert, as durably as the import does; how long it took.
pub fn insert(path: &Path, rows: impl Iterator<Item = Row>) -> Outcome<Duration> {
    let rows: Vec<_> = rows.map(|row| (row.id(), row.project_id(), row.amount, row.at_s)).collect();
    let mut connection = Connection::open(path)?;
    connection.execute_batch(
        "pragma journal_mode = wal;
         pragma synchronous = full;
         create table record (
           seq integer primary key,
           id text not null unique,
           project text not null,
           amount text not null,
           at_s integer not null
         ) strict;
         create index record_by_project on record (project, at_s);",
    )?;
    let start = Instant::now();
    for slice in rows.chunks(SLICE) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = tx.prepare_cached(
                "insert into record (id, project, amount, at_s) values (?, ?, ?, ?)",
            )?;
            for (id, project, amount, at_s) in slice {
                insert.execute((id, project, amount, at_s))?;
            }
        }
        tx.commit()?;
    }
    Ok(start.elapsed())
}
