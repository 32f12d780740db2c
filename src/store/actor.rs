//! Who wrote the usage ledger. An entry holds a number, since a name would take more room than all
//! the rest of it.

use crate::billing::event::{Actor, User};
use crate::store::{Result, WriteTx};
use rusqlite::{OptionalExtension, named_params};

/// The number of an actor, who gets one unless he has it. A user of the shell is found by the
/// system's number: looking the name up takes longer than all that is asked of the books.
pub(super) fn number(tx: &WriteTx<'_>, actor: &Actor) -> Result<i64> {
    const SELECT_USER: &str = "
        select actor_no
        from actor
        where user_number = :user_number";
    const SELECT: &str = "
        select actor_no
        from actor
        where user_number is null
          and actor = :actor";
    const INSERT: &str = "
        insert into actor (actor, user_number)
        values (:actor, :user_number)
        returning actor_no";
    let user_number = match actor {
        Actor::Shell(User::Numbered { number, .. }) => Some(number),
        Actor::Shell(User::Named(_)) | Actor::Agora | Actor::Test => None,
    };
    let sql = tx.sql();
    let found = match user_number {
        Some(number) => sql
            .prepare_cached(SELECT_USER)?
            .query_row(named_params! { ":user_number": number }, |row| row.get(0)),
        None => sql
            .prepare_cached(SELECT)?
            .query_row(named_params! { ":actor": actor.to_string() }, |row| row.get(0)),
    };
    if let Some(number) = found.optional()? {
        return Ok(number);
    }
    let params = named_params! { ":actor": actor.to_string(), ":user_number": user_number };
    Ok(sql.prepare_cached(INSERT)?.query_row(params, |row| row.get(0))?)
}
