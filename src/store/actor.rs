//! Who wrote the usage ledger. An entry holds a number, since a name would take more room than all
//! the rest of it.

use crate::billing::event::Actor;
use crate::store::{Result, WriteTx};
use rusqlite::{OptionalExtension, named_params};

/// The number of an actor, who gets one unless he has it.
pub(super) fn number(tx: &WriteTx<'_>, actor: &Actor) -> Result<i64> {
    const SELECT: &str = "
        select actor_no
        from actor
        where actor = :actor";
    const INSERT: &str = "
        insert into actor (actor)
        values (:actor)
        returning actor_no";
    // Looked up once: that takes longer than what is asked of the books.
    let actor = actor.to_string();
    let params = named_params! { ":actor": actor };
    let sql = tx.sql();
    let found = sql.prepare_cached(SELECT)?.query_row(params, |row| row.get(0)).optional()?;
    match found {
        Some(number) => Ok(number),
        None => Ok(sql.prepare_cached(INSERT)?.query_row(params, |row| row.get(0))?),
    }
}
