//! Books of an earlier version, brought to the present one: a copy is left beside them first, and
//! the change is one transaction.
//!
//! Either way migrated books have the schema of fresh ones to the letter. Up to version 4 the
//! tables are laid out anew by `schema.sql` and filled out of the old ones. Later ones are grown in
//! place: columns are added at the ends of tables, so that ten million records are not copied.

use crate::store::connection::{check_writable, open_file, prepare_writer};
use crate::store::transaction::{ReadTx, WriteTx, commit};
use crate::store::{Error, Result, Store, backup, balance, carried, draft, file, schema};
use rusqlite::{Connection, OpenFlags, Row, TransactionBehavior, named_params};
use std::path::{Path, PathBuf};

/// Fills the tables out of those of version 1, which stand as `old_…`. A license began on the day
/// of its issue, and who issued or revoked it was not written down.
const FROM_1: &str = "
    insert into setting select name, value from old_setting;
    insert into api_key (api_key, api_secret, purpose, created_at_s, revoked_at_s)
    select api_key, api_secret, purpose, created_at_s, revoked_at_s
    from old_api_key
    order by created_at_s, api_key;
    insert into plan_version (plan_id, from_s, name, unit, price, at_s, actor)
    select plan_id, 0, name, unit, 'per-unit ' || price, 0, 'shell:unknown'
    from old_plan
    order by plan_id;
    insert into customer (customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s)
    select customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s
    from old_customer;
    insert into project (project_id, customer_id, first_seen_at_s)
    select project_id, customer_id, first_seen_at_s
    from old_project
    order by first_seen_at_s, project_id;
    insert into customer_plan (customer_id, plan_id, from_s, at_s, actor)
    select customer_id, plan_id, 0, first_seen_at_s, 'shell:unknown'
    from old_customer
    where plan_id is not null
    order by customer_id;
    insert into project_customer (project_id, customer_id, from_s, at_s, actor)
    select project_id, customer_id, 0, first_seen_at_s, 'shell:unknown'
    from old_project
    where customer_id is not null
    order by project_id;
    insert into project_enablement select project_id, from_s, until_s from old_project_enablement;
    insert into usage_ledger (seq, record_id, project_no, at_s, amount, recorded_at_s,
      reverses_seq, in_crowd, note)
    select u.seq, u.record_id, p.project_no, u.at_s, u.amount, u.recorded_at_s, u.reverses_seq,
      u.in_crowd, u.note
    from old_usage_ledger u
    cross join project p on p.project_id = u.project_id
    order by u.seq;
    insert into usage_rollup (grain, start_s, project_no, amount, records)
    select case r.grain when 'hour' then 0 when 'day' then 1 when 'month' then 2 else 3 end,
      r.start_s, p.project_no, r.amount, r.records
    from old_usage_rollup r
    join project p on p.project_id = r.project_id
    order by 1, 2, 3;
    insert into usage_month (month_s, last_seq)
    select unixepoch(at_s, 'unixepoch', 'start of month'), max(seq)
    from usage_ledger
    group by 1;
    insert into license
      (license_id, customer_id, issued_at_s, asked, starts_at_s, expires_at_s, granted, balance,
        revoked_at_s)
    select license_id, customer_id, issued_at_s,
      'issue ' || customer_id || ' --expires ' || date(expires_at_s, 'unixepoch')
        || coalesce(' --count ' || granted, ''),
      min(issued_at_s, expires_at_s) / 86400 * 86400, expires_at_s, granted, granted, revoked_at_s
    from old_license
    order by issued_at_s, license_id;
    insert into license_ledger (license_seq, at_s, kind, amount, expires_at_s, actor)
    select l.seq, o.issued_at_s, 'issued', o.granted, o.expires_at_s, 'shell:unknown'
    from old_license o
    join license l on l.license_id = o.license_id
    order by l.seq;
    insert into license_ledger (license_seq, at_s, kind, actor, reason)
    select l.seq, o.revoked_at_s, 'revoked', 'shell:unknown', o.revoke_reason
    from old_license o
    join license l on l.license_id = o.license_id
    where o.revoked_at_s is not null
    order by l.seq;";

/// Fills the tables out of those of version 2, which stand as `old_…`. There the ledger and its
/// sums named projects by their ids, grains by words, and what licenses did not cover as zero.
const FROM_2: &str = "
    insert into setting select name, value from old_setting;
    insert into api_key (api_key, api_secret, purpose, created_at_s, revoked_at_s)
    select api_key, api_secret, purpose, created_at_s, revoked_at_s
    from old_api_key
    order by created_at_s, api_key;
    insert into plan_version (plan_id, from_s, name, unit, price, at_s, actor)
    select plan_id, 0, name, unit, 'per-unit ' || price, 0, 'shell:unknown'
    from old_plan
    order by plan_id;
    insert into customer
    select customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s,
      deactivated_at_s
    from old_customer;
    insert into project (project_id, customer_id, first_seen_at_s, app_key, app_secret)
    select project_id, customer_id, first_seen_at_s, app_key, app_secret
    from old_project
    order by first_seen_at_s, project_id;
    insert into customer_plan (customer_id, plan_id, from_s, at_s, actor)
    select customer_id, plan_id, 0, first_seen_at_s, 'shell:unknown'
    from old_customer
    where plan_id is not null
    order by customer_id;
    insert into project_customer (project_id, customer_id, from_s, at_s, actor)
    select project_id, customer_id, 0, first_seen_at_s, 'shell:unknown'
    from old_project
    where customer_id is not null
    order by project_id;
    insert into project_enablement select project_id, from_s, until_s from old_project_enablement;
    insert into event (seq, at_s, actor, customer_id, project_id, change, fields)
    select seq, at_s, actor, customer_id, project_id, change, fields
    from old_event;
    insert into usage_ledger
      (seq, record_id, project_no, at_s, amount, covered, recorded_at_s, reverses_seq, in_crowd,
        note)
    select u.seq, u.record_id, p.project_no, u.at_s, u.amount, nullif(u.covered, '0'),
      u.recorded_at_s, u.reverses_seq,
      u.in_crowd, u.note
    from old_usage_ledger u
    cross join project p on p.project_id = u.project_id
    order by u.seq;
    insert into usage_rollup (grain, start_s, project_no, amount, covered, records)
    select case r.grain when 'hour' then 0 when 'day' then 1 when 'month' then 2 else 3 end,
      r.start_s, p.project_no, r.amount, nullif(r.covered, '0'), r.records
    from old_usage_rollup r
    join project p on p.project_id = r.project_id
    order by 1, 2, 3;
    insert into usage_month (month_s, last_seq)
    select unixepoch(at_s, 'unixepoch', 'start of month'), max(seq)
    from usage_ledger
    group by 1;
    insert into license
    select seq, license_id, customer_id, type, platforms, issued_at_s, asked, starts_at_s,
      expires_at_s, granted, balance,
      revoked_at_s
    from old_license;
    insert into license_ledger
    select seq, license_seq, at_s, kind, amount, expires_at_s, usage_seq, actor, reason, op_id
    from old_license_ledger;
    insert into license_operation select op_id, at_s, asked from old_license_operation;
    insert into license_type select type, name, granted from old_license_type;";

/// Fills the tables out of those of version 3 or 4, which stand as `old_…`, but for the entries of
/// statements. The bill of a month that was asked for on its last day was provisional in version 3.
/// Snapshots are left behind.
const FROM_3: &str = "
    insert into setting select name, value from old_setting;
    insert into api_key (api_key, api_secret, purpose, created_at_s, revoked_at_s)
    select api_key, api_secret, purpose, created_at_s, revoked_at_s
    from old_api_key
    order by created_at_s, api_key;
    insert into plan_version
    select seq, plan_id, from_s, name, unit, price, at_s, actor
    from old_plan_version;
    insert into customer
    select customer_id, plan_id, name, email, phone, first_seen_at_s, announced_at_s,
      deactivated_at_s
    from old_customer;
    insert into project
    select project_no, project_id, customer_id, first_seen_at_s, app_key, app_secret
    from old_project;
    insert into customer_plan
    select seq, customer_id, plan_id, from_s, at_s, actor
    from old_customer_plan;
    insert into project_customer
    select seq, project_id, customer_id, from_s, at_s, actor
    from old_project_customer;
    insert into project_enablement select project_id, from_s, until_s from old_project_enablement;
    insert into event (seq, at_s, actor, customer_id, project_id, change, fields)
    select seq, at_s, actor, customer_id, project_id, change, fields
    from old_event;
    insert into usage_ledger
      (seq, record_id, project_no, at_s, amount, covered, recorded_at_s, reverses_seq, in_crowd,
      note)
    select seq, record_id, project_no, at_s, amount, covered, recorded_at_s, reverses_seq, in_crowd,
      note
    from old_usage_ledger;
    insert into usage_rollup
    select grain, start_s, project_no, amount, covered, records
    from old_usage_rollup;
    insert into license
    select seq, license_id, customer_id, type, platforms, issued_at_s, asked, starts_at_s,
      expires_at_s, granted, balance, revoked_at_s
    from old_license;
    insert into license_ledger
    select seq, license_seq, at_s, kind, amount, expires_at_s, usage_seq, actor, reason, op_id
    from old_license_ledger;
    insert into license_operation select op_id, at_s, asked from old_license_operation;
    insert into license_type select type, name, granted from old_license_type;
    insert into statement
    select seq, kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq,
      last_knew_seq,
      provisional and not (
        kind = 'bill'
        and first_s - unixepoch(first_s, 'unixepoch', 'start of month') <= 1
        and unixepoch(first_s, 'unixepoch', 'start of month', '+1 month') - 1 - last_s
          between 0 and 1
        and first_asked_at_s >= unixepoch(first_s, 'unixepoch', 'start of month', '+1 month',
          '-1 day')
      ),
      exists (select 1 from old_statement_carry where statement_seq = seq), total, total_size,
        digest
    from old_statement;
    insert into usage_month select month_s, last_seq from old_usage_month;";

/// Adds to version 5 the columns that it lacks, each at the end of its table. What they would say
/// of rows of before is not known. Balances are made anew.
const GROW_5: &str = "
    drop table balance;
    alter table usage_ledger add column actor_no integer references actor;
    alter table api_key add column created_by text;
    alter table api_key add column revoked_by text;
    alter table event add column was text;
    alter table event add column became text;";

/// The same of version 6. It had triggers that wrote marks, and its comments in the file.
const GROW_6: &str = "
    drop table balance;
    alter table event add column was text;
    alter table event add column became text;";

/// The same of version 7, which had a line for each project in its balances.
const GROW_7: &str = "drop table balance;";

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version that the books had.
    pub from: i64,
    /// The version that they have now.
    pub to: i64,
    /// The copy that was made before.
    pub copy: PathBuf,
}

/// Brings the books at `path` to the present version; `None` where they have it.
///
/// # Errors
/// As [`Store::open`]; when the copy cannot be made; when SQLite fails. The books are as they were
/// then, and there is no copy.
pub fn migrate(path: &Path) -> Result<Option<Migrated>> {
    match Store::open(path) {
        Err(Error::Older { .. }) => migrate_older(path),
        opened => opened.map(|_| None),
    }
}

fn migrate_older(path: &Path) -> Result<Option<Migrated>> {
    // With the lock had, what is copied is what is migrated.
    let copied = |from| {
        let copy = draft::beside(&file::find(path)?, &format!("version-{from}"));
        let original = open_file(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        backup::copy(&original, &copy, from)?;
        draft::remove_same(&copy);
        Ok(copy)
    };
    let migrated = change(path, copied, draft::remove)?;
    // What SQLite could not write, the next one to open the books would meet.
    Store::open(path)?;
    Ok(migrated.map(|(from, copy)| Migrated { from, to: schema::VERSION, copy }))
}

/// Brings a draft of an earlier version to the present one. There is no other copy of it than what
/// it was made of.
pub(super) fn migrate_draft(path: &Path) -> Result<()> {
    change(path, |_| Ok(path.to_owned()), |_| ()).map(|_| ())
}

/// Changes the books at `path` in one transaction, once `copied` has copied what they were; where
/// that fails, the copy is removed. Gives the version that they had.
fn change(
    path: &Path,
    copied: impl FnOnce(i64) -> Result<PathBuf>,
    remove: impl FnOnce(&Path),
) -> Result<Option<(i64, PathBuf)>> {
    let mut connection = open_file(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare_writer(&connection)?;
    check_writable(&connection, path)?;
    // Renaming must not touch what other tables say of one, and filling is in no order that
    // references hold in.
    connection.execute_batch("pragma foreign_keys = off; pragma legacy_alter_table = on;")?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited for the lock.
    let from = schema::version(&tx, path)?;
    let change = match from {
        schema::VERSION => return Ok(None),
        1 => MigrationStep::Fill(FROM_1),
        2 => MigrationStep::Fill(FROM_2),
        3 | 4 => MigrationStep::Fill(FROM_3),
        5 => MigrationStep::Grow(GROW_5),
        6 => MigrationStep::Grow(GROW_6),
        7 => MigrationStep::Grow(GROW_7),
        _ => return Err(Error::NotOurs(path.to_owned())),
    };
    let copy = copied(from)?;
    let changed = match change {
        MigrationStep::Fill(fill) => lay_out_anew(&WriteTx(ReadTx(&tx)), fill, from),
        MigrationStep::Grow(columns) => grow(&WriteTx(ReadTx(&tx)), columns, from),
    };
    let migrated = changed.and_then(|()| commit(tx));
    match migrated {
        Ok(()) => Ok(Some((from, copy))),
        // It may have been written all the same.
        Err(Error::Uncertain(reason)) => {
            Err(Error::Uncertain(format!("{reason}; what it was is in {}", copy.display())))
        }
        Err(error) => {
            remove(&copy);
            Err(error)
        }
    }
}

/// How books of an earlier version become those of the present one.
#[derive(Clone, Copy)]
enum MigrationStep {
    /// All tables are laid out anew, and filled by this script.
    Fill(&'static str),
    /// The tables stay, and get more columns by this script.
    Grow(&'static str),
}

/// Adds `columns`, and brings everything else of the schema to what `schema.sql` says, to the
/// letter: SQLite keeps the text of a table, and an added column stands at its end.
fn grow(tx: &WriteTx<'_>, columns: &str, from: i64) -> Result<()> {
    const TEXT: &str = "
        update sqlite_schema
        set sql = :sql
        where type = 'table' and name = :name";
    let connection = tx.sql();
    let fresh = Connection::open_in_memory()?;
    schema::create(&fresh)?;
    let mut wanted = parts(&fresh)?;
    // A table before what is about it.
    wanted.sort_by_key(|part| part.kind != "table");
    for SchemaObject { kind, name, sql } in parts(connection)? {
        let is_same = |part: &SchemaObject| part.name == name && part.sql == sql;
        if kind != "table" && !wanted.iter().any(is_same) {
            connection.execute_batch(&format!("drop {kind} {name};"))?;
        }
    }
    connection.execute_batch(columns)?;
    let stand = parts(connection)?;
    let mut missing = String::new();
    connection.execute_batch("pragma writable_schema = on;")?;
    for SchemaObject { kind, name, sql } in &wanted {
        match stand.iter().find(|part| part.name == *name) {
            Some(part) if part.sql == *sql => {}
            Some(_) if kind == "table" && table(connection, name)? == table(&fresh, name)? => {
                connection.execute(TEXT, named_params! { ":sql": sql, ":name": name })?;
            }
            Some(_) => {
                return Err(Error::Unsafe(format!(
                    "the migration from version {from} does not know this {kind} {name}"
                )));
            }
            None => missing += &format!("{sql};\n"),
        }
    }
    // What was written is read from here on.
    connection.execute_batch("pragma writable_schema = reset;")?;
    connection.execute_batch(&missing)?;
    balance::write_anew(tx)?;
    schema::set_version(connection)?;
    let changed = schema::changed(connection)?;
    if changed.is_empty() { Ok(()) } else { Err(unsound(from, &changed)) }
}

/// The columns of a table, all that SQLite knows of each.
fn table(connection: &Connection, name: &str) -> rusqlite::Result<Vec<[Option<String>; 4]>> {
    const SELECT: &str = r#"
        select name, type, dflt_value, "notnull" || ' ' || pk || ' ' || hidden
        from pragma_table_xinfo(:name)
        order by cid"#;
    let column = |row: &Row<'_>| -> rusqlite::Result<[Option<String>; 4]> {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    };
    let mut select = connection.prepare(SELECT)?;
    select.query_map(named_params! { ":name": name }, column)?.collect()
}

/// A table, an index or a trigger, as SQLite keeps it.
struct SchemaObject {
    kind: String,
    name: String,
    sql: String,
}

/// All of them, tables last, but those that SQLite makes by itself, and the tables of Litestream.
fn parts(connection: &Connection) -> rusqlite::Result<Vec<SchemaObject>> {
    const SELECT: &str = "
        select type, name, sql
        from sqlite_schema
        where sql is not null
          and name not like 'sqlite\\_%' escape '\\'
          and name not like '\\_litestream\\_%' escape '\\'
        order by type = 'table', rowid";
    let part =
        |row: &Row<'_>| Ok(SchemaObject { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? });
    connection.prepare(SELECT)?.query_map([], part)?.collect()
}

fn unsound(from: i64, changed: &[String]) -> Error {
    let changed = changed.join(", ");
    Error::Unsafe(format!(
        "the migration from version {from} would not lead to sound books ({changed})"
    ))
}

fn lay_out_anew(tx: &WriteTx<'_>, fill: &str, from: i64) -> Result<()> {
    let connection = tx.sql();
    let old = set_aside(connection)?;
    schema::create(connection)?;
    connection.execute_batch(fill)?;
    if from >= 3 {
        carried::copy_entries(connection)?;
        balance::write_anew(tx)?;
    }
    for table in &old {
        connection.execute_batch(&format!("drop table {table};"))?;
    }
    let dangling = connection.prepare("pragma foreign_key_check")?.exists([])?;
    let changed = schema::changed(connection)?;
    if dangling || !changed.is_empty() { Err(unsound(from, &changed)) } else { Ok(()) }
}

/// Renames every table to `old_…`, its indexes and triggers dropped, and gives the new names.
fn set_aside(connection: &Connection) -> Result<Vec<String>> {
    let mut old = Vec::new();
    for SchemaObject { kind, name, .. } in parts(connection)? {
        if kind == "table" {
            connection.execute_batch(&format!("alter table {name} rename to old_{name};"))?;
            old.push(format!("old_{name}"));
        } else {
            connection.execute_batch(&format!("drop {kind} {name};"))?;
        }
    }
    Ok(old)
}
