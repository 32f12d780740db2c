//! Scratch books: what an import would write is written there, so that each row is judged as the
//! import would judge it, and nothing of it stands.

use crate::billing::event::Stamp;
use crate::billing::id::ProjectId;
use crate::billing::record::{NewRecord, UsedAt};
use crate::store::connection::check_sqlite;
use crate::store::{ReadTx, Result, Store, WriteTx, column, customer, project, schema, usage};
use rusqlite::Connection;
use std::path::PathBuf;

/// Books beside the books, in a file of SQLite's own that is gone when they are closed.
pub struct Scratch(Store);

impl Scratch {
    /// Makes empty ones, in the system's folder for temporary files.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn new() -> Result<Self> {
        check_sqlite()?;
        // No name: a file for this connection alone, of which no more is in memory than of any
        // other.
        let connection = Connection::open("")?;
        connection.execute_batch("pragma synchronous = off; pragma foreign_keys = on;")?;
        column::register_functions(&connection)?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::create(&connection)?;
        Ok(Self(Store { connection, frozen: None, path: PathBuf::new() }))
    }

    /// Writes in one transaction of the scratch books, beside one state of the books.
    ///
    /// # Errors
    /// Whatever `f` fails with.
    pub fn write<T, E: From<crate::store::Error>>(
        &mut self,
        books: &mut Store,
        f: impl FnOnce(&ReadTx<'_>, &WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        books.read(|books| self.0.write(|scratch| f(books, scratch)))
    }
}

/// Puts into the scratch books what the books hold of a record's project, its customer and its id,
/// unless it is there already: all that decides what comes of the record.
///
/// # Errors
/// When SQLite fails.
pub fn bring(
    books: &ReadTx<'_>,
    scratch: &WriteTx<'_>,
    new: &NewRecord,
    stamp: &Stamp,
) -> Result<()> {
    bring_project(books, scratch, &new.project_id, stamp)?;
    if let Some(customer_id) = &new.customer_id
        && customer::find(scratch, customer_id)?.is_none()
        && customer::find(books, customer_id)?.is_some()
    {
        customer::register(scratch, customer_id, stamp)?;
    }
    if usage::find(scratch, &new.id)?.is_none()
        && let Some(stands) = usage::find(books, &new.id)?
    {
        bring_project(books, scratch, &stands.project_id, stamp)?;
        // The clock may have gone back since it was recorded.
        let then = Stamp { at_s: stamp.at_s.max(stands.at_s), ..stamp.clone() };
        let again = NewRecord {
            id: stands.id,
            project_id: stands.project_id,
            amount: stands.amount,
            at: UsedAt::Second(stands.at_s),
            customer_id: None,
            note: None,
        };
        // Neither it nor its project is there: nothing can be refused.
        let _recorded = usage::record(scratch, &again, &then)?;
        if let Some(void) = &stands.void {
            usage::void(scratch, &again.id, &void.reason, &Stamp { at_s: void.at_s, ..then })?;
        }
    }
    Ok(())
}

fn bring_project(
    books: &ReadTx<'_>,
    scratch: &WriteTx<'_>,
    id: &ProjectId,
    stamp: &Stamp,
) -> Result<()> {
    if project::look_up(scratch, id)?.is_none()
        && let Some(found) = project::look_up(books, id)?
    {
        project::copy(books, scratch, id, &found, stamp)?;
    }
    Ok(())
}
