//! The exact types of the columns: decimals and ids as text, checked again on the way out.

use crate::billing::amount::Amount;
use crate::billing::event::{Actor, EventKind};
use crate::billing::id::{
    ApiKey, CustomerId, Label, LicenseId, LicenseType, OpId, PlanId, ProjectId, RecordId, Words,
};
use crate::billing::key::{ApiSecret, Purpose};
use crate::billing::license::{EntryKind, Platforms};
use crate::billing::period::Grain;
use crate::billing::price::Price;
use crate::billing::statement::{Digest, ListingKind};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

macro_rules! text_column {
    ($($name:ident),*) => {$(
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
    )*};
}

text_column!(
    ApiKey,
    CustomerId,
    Label,
    LicenseId,
    LicenseType,
    OpId,
    PlanId,
    Platforms,
    ProjectId,
    RecordId,
    Words
);

macro_rules! word_column {
    ($($name:ident),*) => {$(
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let problem = |reason: String| FromSqlError::other(std::io::Error::other(reason));
                value.as_str()?.parse().map_err(problem)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.to_string().into())
            }
        }
    )*};
}

word_column!(Actor, EventKind, EntryKind, ListingKind, Purpose);

impl FromSql for ApiSecret {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

impl ToSql for ApiSecret {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.reveal().into())
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 32]>::column_result(value).map(Self::from)
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_bytes().as_slice().into())
    }
}

impl FromSql for Amount {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Amount::from_canonical(value.as_str()?).map_err(FromSqlError::other)
    }
}

impl ToSql for Amount {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// As `schema.sql` numbers them.
impl ToSql for Grain {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number: i64 = match self {
            Self::Hour => 0,
            Self::Day => 1,
            Self::Month => 2,
            Self::Second => 3,
        };
        Ok(number.into())
    }
}

/// The part of an amount that licenses covered: null stands for zero, which most of them are.
pub(super) struct Covered(pub Amount);

impl FromSql for Covered {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(Option::<Amount>::column_result(value)?.unwrap_or_default()))
    }
}

/// An amount whose zero is null.
pub(super) fn covered(amount: &Amount) -> Option<&Amount> {
    Some(amount).filter(|amount| !amount.is_zero())
}

impl FromSql for Price {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

impl ToSql for Price {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// Reads an id of a column's text.
pub(super) fn parse<T: FromSql>(text: &str) -> rusqlite::Result<T> {
    Ok(T::column_result(text.into())?)
}

/// Gives a connection `decimal_add(a, b)`, the exact sum of two amounts, since SQLite's own `+`
/// would round; and for checks `is_amount(a)`, `is_price(p)`, `is_id(i)`, `is_label(l)` and
/// `is_license_type(t)`, which tell whether a text is an amount or a price in canonical form, an id
/// of a project, customer or license, a name, or a license's type.
pub(super) fn register_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("decimal_add", 2, flags, |context| {
        let mut sum: Amount = context.get(0)?;
        sum += &context.get::<Amount>(1)?;
        Ok(sum)
    })?;
    connection.create_scalar_function("is_amount", 1, flags, |context| {
        let text = context.get_raw(0).as_str().unwrap_or_default();
        Ok(Amount::from_canonical(text).is_ok_and(|amount| amount.to_string() == text))
    })?;
    connection.create_scalar_function("is_price", 1, flags, |context| {
        let text = context.get_raw(0).as_str().unwrap_or_default();
        Ok(text.parse::<Price>().is_ok_and(|price| price.to_string() == text))
    })?;
    connection.create_scalar_function("is_label", 1, flags, |context| {
        Ok(context.get_raw(0).as_str().is_ok_and(|text| text.parse::<Label>().is_ok()))
    })?;
    connection.create_scalar_function("is_license_type", 1, flags, |context| {
        Ok(context.get_raw(0).as_str().is_ok_and(|text| text.parse::<LicenseType>().is_ok()))
    })?;
    connection.create_scalar_function("is_id", 1, flags, |context| {
        Ok(context.get_raw(0).as_str().is_ok_and(|text| text.parse::<ProjectId>().is_ok()))
    })
}
