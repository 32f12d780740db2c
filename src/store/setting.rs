//! The settings that are not at their default.

use crate::billing::setting::{Name, Settings};
use crate::store::{Error, ReadTx, Result, WriteTx};
use rusqlite::{OptionalExtension, named_params};

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
    for name in Name::ALL {
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
pub fn write(tx: &WriteTx<'_>, name: Name, settings: &Settings) -> Result<()> {
    const UPSERT: &str = "
        insert into setting (name, value)
        values (:name, :value)
        on conflict (name) do update
        set value = excluded.value";
    let params = named_params! { ":name": name.as_str(), ":value": settings.get(name) };
    tx.sql().prepare_cached(UPSERT)?.execute(params)?;
    Ok(())
}
