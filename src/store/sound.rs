//! Looks at a database that was made, after it is closed and before it gets its name: what SQLite
//! could not write, it does not always say.

use crate::store::error::{Error, Result};
use crate::store::{file, schema};
use ring::digest::{Context, Digest, SHA256};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, named_params};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Tables of which no row is ever deleted. Earlier versions lack some.
const GROWING: [&str; 5] = ["usage_ledger", "license_ledger", "statement", "event", "api_key"];
/// Those whose rows are never changed either.
const LEDGERS: [&str; 2] = ["usage_ledger", "license_ledger"];
/// How many entries of a ledger are read in one go: a longer read would keep the log from starting
/// over.
const ENTRIES: i64 = 20_000;

/// How many rows there are of each growing table, in their order; 0 where there is no such table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent([i64; GROWING.len()]);

impl Extent {
    pub(super) fn of(connection: &Connection) -> Result<Self> {
        let mut rows = [0; GROWING.len()];
        for (table, rows) in GROWING.iter().zip(&mut rows) {
            if has_table(connection, table)? {
                let select = format!("select count(*) from {table}");
                *rows = connection.query_row(&select, [], |row| row.get(0))?;
            }
        }
        Ok(Self(rows))
    }
}

/// Opens a database that nobody writes, to be read alone: no lock is taken, and no file is made
/// beside it.
pub(super) fn open_still(file: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(file::immutable_address(file), flags)?)
}

/// Sees that a closed database is whole: its header, its mode, its version, its pages.
///
/// # Errors
/// [`Error::Unsafe`] with what is wrong.
pub(super) fn look(draft: &Path, version: i64) -> Result<()> {
    let unsound = |what: String| Error::Unsafe(format!("what was written is not sound: {what}"));
    let mut header = [0; 100];
    let read = File::open(draft).and_then(|mut file| file.read_exact(&mut header));
    read.map_err(|error| unsound(format!("its header cannot be read ({error})")))?;
    if header[18..20] != [2, 2] {
        return Err(unsound("it is not in WAL mode".to_owned()));
    }
    let number = |at: usize| {
        u64::from(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
    };
    let page_bytes = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65_536,
        bytes => bytes,
    };
    let found_bytes = draft.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    if found_bytes != page_bytes * number(28) {
        return Err(unsound(format!(
            "it has {found_bytes} bytes, and its header says {}",
            page_bytes * number(28)
        )));
    }
    let connection = open_still(draft)?;
    schema::verify_version(&connection, draft, version)
        .map_err(|error| unsound(error.to_string()))?;
    match quick_check(&connection)? {
        None => Ok(()),
        Some(problem) => Err(unsound(problem)),
    }
}

/// What is wrong with the pages of a database; `None` where nothing is.
pub(super) fn quick_check(connection: &Connection) -> Result<Option<String>> {
    let verdict: String = connection.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
    Ok(Some(verdict).filter(|verdict| verdict != "ok"))
}

/// Sees that a copy holds what its original held: as much as `before` it was made, at most what it
/// holds now, and of the ledgers the very entries.
///
/// # Errors
/// [`Error::Unsafe`] with what is missing.
pub(super) fn compare(original: &Connection, copy: &Path, before: &Extent) -> Result<()> {
    let copy = open_still(copy)?;
    let (copied, after) = (Extent::of(&copy)?, Extent::of(original)?);
    for (place, table) in GROWING.iter().enumerate() {
        let (least, found, most) = (before.0[place], copied.0[place], after.0[place]);
        if found < least || found > most {
            return Err(Error::Unsafe(format!(
                "the copy has {found} rows of {table}, and the original has {least} or more"
            )));
        }
    }
    for table in LEDGERS {
        if has_table(&copy, table)? {
            let select = format!("select coalesce(max(seq), 0) from {table}");
            let last_seq = copy.query_row(&select, [], |row| row.get(0))?;
            let (found, wanted) =
                (digest(&copy, table, last_seq)?, digest(original, table, last_seq)?);
            if found.as_ref() != wanted.as_ref() {
                return Err(Error::Unsafe(format!("the copy has other entries of {table}")));
            }
        }
    }
    Ok(())
}

fn has_table(connection: &Connection, table: &str) -> Result<bool> {
    const SELECT: &str = "select 1 from sqlite_schema where type = 'table' and name = :name";
    Ok(connection.prepare_cached(SELECT)?.exists(named_params! { ":name": table })?)
}

/// A digest of a ledger's entries up to one of them.
fn digest(connection: &Connection, table: &str, last_seq: i64) -> Result<Digest> {
    let select = format!(
        "select *
        from {table}
        where seq > :seq
          and seq <= :last_seq
        order by seq
        limit :entries"
    );
    let mut select = connection.prepare(&select)?;
    let columns = select.column_count();
    let mut context = Context::new(&SHA256);
    let mut seq = 0;
    loop {
        let params = named_params! { ":seq": seq, ":last_seq": last_seq, ":entries": ENTRIES };
        let mut rows = select.query(params)?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            seq = row.get("seq")?;
            for column in 0..columns {
                put_value(&mut context, row.get_ref(column)?);
            }
        }
        if read < ENTRIES {
            return Ok(context.finish());
        }
    }
}

fn put_value(context: &mut Context, value: ValueRef<'_>) {
    let (kind, number, bytes) = match value {
        ValueRef::Null => (0, 0, &[][..]),
        ValueRef::Integer(number) => (1, number.cast_unsigned(), &[][..]),
        ValueRef::Real(number) => (2, number.to_bits(), &[][..]),
        ValueRef::Text(bytes) => (3, bytes.len() as u64, bytes),
        ValueRef::Blob(bytes) => (4, bytes.len() as u64, bytes),
    };
    context.update(&[kind]);
    context.update(&number.to_le_bytes());
    context.update(bytes);
}
