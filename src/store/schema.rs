//! The schema's version: what makes a file one of ours.

use crate::store::{Error, Result};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// `AgVn` in ASCII; in the file's header, so that `file` and SQLite's tools can tell it.
pub(super) const APPLICATION_ID: i64 = 0x4167_566e;
/// The version that `schema.sql` describes.
pub(super) const VERSION: i64 = 8;

const SCHEMA: &str = include_str!("../../schema.sql");

/// The schema without its comments. SQLite keeps the text of each table, and every process reads
/// all of it before its first statement: `record` takes less time by a twentieth.
fn text() -> String {
    // No text in the schema holds two dashes.
    let lines = SCHEMA.lines().map(|line| line.split("--").next().unwrap_or_default().trim_end());
    lines.filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// Lays the schema out in an empty database.
pub(super) fn create(connection: &Connection) -> Result<()> {
    connection.execute_batch(&text())?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    set_version(connection)
}

/// Says of a file of ours that it has the newest schema.
pub(super) fn set_version(connection: &Connection) -> Result<()> {
    Ok(connection.pragma_update(None, "user_version", VERSION)?)
}

/// Refuses a file that is not ours or of another version than this executable's.
pub(super) fn verify(connection: &Connection, path: &Path) -> Result<()> {
    verify_version(connection, path, VERSION)
}

/// The same with another version in the place of this executable's.
pub(super) fn verify_version(connection: &Connection, path: &Path, wanted: i64) -> Result<()> {
    match version(connection, path)? {
        found if found == wanted => Ok(()),
        found => Err(Error::Older { path: path.to_owned(), found, known: wanted }),
    }
}

/// The version of a file of ours, up to this executable's; others are refused.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    version_of(number("application_id")?, number("user_version")?, path)
}

/// The same out of the two numbers that stand in a file's header.
pub(super) fn version_of(application_id: i64, user_version: i64, path: &Path) -> Result<i64> {
    if application_id != APPLICATION_ID {
        return Err(Error::NotOurs(path.to_owned()));
    }
    match user_version {
        found @ 1..=VERSION => Ok(found),
        found if found > VERSION => {
            Err(Error::Newer { path: path.to_owned(), found, known: VERSION })
        }
        _ => Err(Error::NotOurs(path.to_owned())),
    }
}

/// The names of what is not in the file as `schema.sql` has it: changed, missing, or more than
/// there should be. Litestream keeps tables of its own in a file that it replicates.
pub(super) fn changed(connection: &Connection) -> Result<Vec<String>> {
    const SELECT: &str = "
        select name, coalesce(sql, '')
        from sqlite_schema
        where name not like 'sqlite\\_%' escape '\\'
          and name not like '\\_litestream\\_%' escape '\\'
        order by name";
    let parts = |connection: &Connection| -> rusqlite::Result<BTreeSet<(String, String)>> {
        connection.prepare(SELECT)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let wanted = Connection::open_in_memory()?;
    wanted.execute_batch(&text())?;
    let (found, wanted) = (parts(connection)?, parts(&wanted)?);
    let names: BTreeSet<&String> =
        found.symmetric_difference(&wanted).map(|(name, _)| name).collect();
    Ok(names.into_iter().cloned().collect())
}
