//! The settings that are not at their default.

use crate::billing::event::Stamp;
use crate::billing::setting::{SettingName, Settings};
use crate::store::{Error, ReadTx, Result, WriteTx};
use rusqlite::{OptionalExtension, Row, named_params};

/// The settings in force.
///
/// # Errors
/// When SQLite fails, or when a value in the books is not one that can be set.
pub fn read(tx: &ReadTx<'_>) -> Result<Settings> {
    const SELECT: &str = "
        select value
        from setting
        where name = :name";
    let mut settings = Settings::default();
    let mut select = tx.sql().prepare_cached(SELECT)?;
    for name in SettingName::ALL {
        let value: Option<String> = select
            .query_row(named_params! { ":name": name.as_str() }, |row| row.get(0))
            .optional()?;
        if let Some(value) = value {
            let problem = |error| {
                Error::Unsafe(format!("the setting {} is {value:?}: {error}", name.as_str()))
            };
            settings.set(name, &value).map_err(problem)?;
        }
    }
    Ok(settings)
}

/// Keeps a setting's value of `settings`.
///
/// # Errors
/// When SQLite fails.
pub fn write(tx: &WriteTx<'_>, name: SettingName, settings: &Settings) -> Result<()> {
    const UPSERT: &str = "
        insert into setting (name, value)
        values (:name, :value)
        on conflict (name) do update
        set value = excluded.value";
    let params = named_params! { ":name": name.as_str(), ":value": settings.get(name) };
    tx.sql().prepare_cached(UPSERT)?.execute(params)?;
    Ok(())
}

/// A setting that got another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// The setting's name.
    pub name: String,
    /// Its value before: the default where nobody had set it.
    pub was: String,
    /// Its value from then on.
    pub value: String,
    /// When, and by whom.
    pub stamp: Stamp,
}

/// Keeps a setting's value of `settings`, with who set it and what it was before; writes nothing
/// where it has that value.
///
/// # Errors
/// When SQLite fails, or when a value in the books is not one that can be set.
pub fn set(tx: &WriteTx<'_>, name: SettingName, settings: &Settings, stamp: &Stamp) -> Result<()> {
    const INSERT: &str = "
        insert into setting_change (name, was, value, at_s, actor)
        values (:name, :was, :value, :at_s, :actor)";
    let before = read(tx)?;
    let (was, value) = (before.get(name), settings.get(name));
    if was == value {
        return Ok(());
    }
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":name": name.as_str(),
        ":was": was,
        ":value": value,
        ":at_s": stamp.at_s,
        ":actor": stamp.actor,
    })?;
    write(tx, name, settings)
}

/// What settings were set to, the oldest first; of one setting alone where one is given. What
/// earlier versions set is not kept.
///
/// # Errors
/// When SQLite fails.
pub fn history(tx: &ReadTx<'_>, name: Option<SettingName>) -> Result<Vec<SettingChange>> {
    const SELECT: &str = "
        select name, was, value, at_s, actor
        from setting_change
        where :name is null or name = :name
        order by seq";
    let change = |row: &Row<'_>| {
        let stamp = Stamp { at_s: row.get(3)?, actor: row.get(4)? };
        Ok(SettingChange { name: row.get(0)?, was: row.get(1)?, value: row.get(2)?, stamp })
    };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":name": name.map(SettingName::as_str) };
    Ok(select.query_map(params, change)?.collect::<rusqlite::Result<_>>()?)
}
