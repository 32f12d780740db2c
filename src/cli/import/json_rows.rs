//! Rows of JSON: an object a line. A number is taken by its text and goes through no float.

use crate::cli::import::field::{FIELDS, Field};
use crate::cli::import::lines::{LineEnd, TextLines};
use crate::cli::import::row::{
    KEPT_BYTES, MAX_ROW_BYTES, OtherNames, ReadAs, RowContent, RowPlace, read_fields, start,
};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

/// As many members of a row that say nothing here are pointed out.
const KEPT_MEMBERS: usize = 100;

/// The rows of a file of JSON lines.
#[derive(Default)]
pub(super) struct JsonRows {
    /// The members that said nothing in the last row that had any: most rows have the same.
    others: Others,
}

/// Members that say nothing here.
#[derive(Default)]
struct Others {
    names: OtherNames,
    /// Those that were probably meant for a field, with the field.
    meant: Vec<(String, Field)>,
}

/// A line of JSON.
struct Members<'a> {
    fields: [Option<&'a RawValue>; FIELDS],
    others: Vec<Cow<'a, str>>,
}

impl JsonRows {
    /// Finds the next row.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn find(lines: &mut TextLines<'_>, text: &mut Vec<u8>) -> io::Result<RowPlace> {
        let whole = match lines.next(text, MAX_ROW_BYTES + 1)? {
            LineEnd::None => return Ok(RowPlace::End),
            LineEnd::Whole if text.trim_ascii().is_empty() => return Ok(RowPlace::Blank),
            LineEnd::Whole => Ok(()),
            LineEnd::TooLong => {
                lines.pass_over()?;
                text.truncate(KEPT_BYTES);
                Err(format!(
                    "the row is longer than {} MiB: is each object on a line of its own?",
                    MAX_ROW_BYTES >> 20
                ))
            }
        };
        Ok(RowPlace::Row(lines.count(), whole))
    }

    /// What a row says, and its members that say nothing here.
    ///
    /// # Errors
    /// When it is a bad row, with the reason.
    pub(super) fn read(
        &mut self,
        row: &[u8],
        line: u64,
        read_as: &ReadAs,
    ) -> Result<(RowContent, Option<OtherNames>), String> {
        let text = str::from_utf8(row).map_err(|_| "the row is not UTF-8".to_owned())?;
        if !text.trim_start().starts_with('{') {
            return Err("the row is not a JSON object: each line holds one".to_owned());
        }
        let members: Members<'_> = serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            // Of a line the position in the line is enough.
            let said = said.split(" at line ").next().unwrap_or_default();
            format!(
                "the row is not a JSON object that can be read ({said}, at column {})",
                error.column()
            )
        })?;
        let others = self.others(&members, read_as.makes_ids())?;
        let field = |field: Field| {
            members.fields[field.place()].map_or(Ok(None), |raw| plain(raw.get(), field))
        };
        Ok((read_fields(field, line, read_as)?, others))
    }

    /// The members of a row that say nothing here.
    ///
    /// # Errors
    /// When one of them was probably meant for a field that the row does not have.
    fn others(
        &mut self,
        members: &Members<'_>,
        makes_ids: bool,
    ) -> Result<Option<OtherNames>, String> {
        if members.others.is_empty() {
            return Ok(None);
        }
        if !self.others.names.iter().eq(members.others.iter()) {
            self.others = Others::new(&members.others, makes_ids);
        }
        let Others { names, meant } = &self.others;
        let is_missing = |field: Field| members.fields[field.place()].is_none();
        if let Some((name, field)) = meant.iter().find(|(_, field)| is_missing(*field)) {
            let (name, field) = (start(name), field.as_str());
            return Err(format!("the member \"{name}\" is unknown: its name is {field}"));
        }
        Ok(Some(Arc::clone(names)))
    }
}

impl Others {
    fn new(names: &[Cow<'_, str>], makes_ids: bool) -> Self {
        let meant = names.iter().filter_map(|name| {
            Field::meant(name, makes_ids).map(|field| (name.clone().into_owned(), field))
        });
        Self {
            meant: meant.collect(),
            names: Arc::new(names.iter().take(KEPT_MEMBERS).map(ToString::to_string).collect()),
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        #[derive(Deserialize)]
        struct MemberName<'a>(#[serde(borrow)] Cow<'a, str>);

        let mut members = Members { fields: [None; FIELDS], others: Vec::new() };
        while let Some(MemberName(name)) = map.next_key()? {
            let Some(field) = Field::named(&name) else {
                map.next_value::<IgnoredAny>()?;
                members.others.push(name);
                continue;
            };
            if members.fields[field.place()].replace(map.next_value()?).is_some() {
                return Err(A::Error::duplicate_field(field.as_str()));
            }
        }
        Ok(members)
    }
}

/// The text of a string, or of a number as written; `None` where it is null or empty.
fn plain(raw: &str, field: Field) -> Result<Option<Cow<'_, str>>, String> {
    let text = match raw.as_bytes() {
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
            Cow::Borrowed(&raw[1..raw.len() - 1])
        }
        [b'"', ..] => {
            let text: String = serde_json::from_str(raw)
                .map_err(|_| format!("{} has a broken escape", field.as_str()))?;
            text.into()
        }
        [b'-' | b'0'..=b'9', ..] => raw.into(),
        b"null" => return Ok(None),
        _ => {
            return Err(format!(
                "{} is {raw:.40}: only a text or a number can be read",
                field.as_str()
            ));
        }
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}
