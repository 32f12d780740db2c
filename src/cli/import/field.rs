//! The fields of a row by their names, and the names that were probably meant for one.

/// A field of a row. Its name is that of the column, or of the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Field {
    Id,
    ProjectId,
    Amount,
    At,
    CustomerId,
    Note,
    VoidReason,
}

/// How many fields there are.
pub(super) const FIELDS: usize = Field::ALL.len();

/// Other words for a field, in small letters and digits alone. Those of fields that every row needs
/// may be many: where the field is missing the row is bad anyway.
const OTHER_WORDS: [(Field, &[&str]); 6] = [
    (Field::Id, &["recordid", "eventid", "uuid", "guid", "key", "rowid"]),
    (Field::ProjectId, &["project", "projectnumber", "projectname", "appid", "pid"]),
    (Field::Amount, &["amt", "quantity", "qty", "usage", "units", "value", "count", "minutes"]),
    (
        Field::At,
        &["timestamp", "time", "ts", "date", "datetime", "day", "when", "usedat", "createdat"],
    ),
    (Field::CustomerId, &["customer"]),
    (Field::Note, &["notes"]),
];
/// From how many letters on a name with one wrong letter, or with two, is taken for a misspelling:
/// short words are near to many others.
const MIN_LETTERS: [usize; 2] = [6, 9];

impl Field {
    pub(in crate::cli) const ALL: [Self; 7] = [
        Self::Id,
        Self::ProjectId,
        Self::Amount,
        Self::At,
        Self::CustomerId,
        Self::Note,
        Self::VoidReason,
    ];

    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::ProjectId => "projectId",
            Self::Amount => "amount",
            Self::At => "at",
            Self::CustomerId => "customerId",
            Self::Note => "note",
            Self::VoidReason => "voidReason",
        }
    }

    /// The field of that name, to the letter.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "projectId" => Self::ProjectId,
            "amount" => Self::Amount,
            "at" => Self::At,
            "customerId" => Self::CustomerId,
            "note" => Self::Note,
            "voidReason" => Self::VoidReason,
            _ => return None,
        })
    }

    /// The field that was probably meant by a name that is none: `customer_id`, `custmerId`,
    /// `timestamp`. Where ids are made, another word for an id means none.
    pub(super) fn meant(name: &str, ids_are_made: bool) -> Option<Self> {
        // No name of a field is as long as that, nor a misspelling of one.
        if name.len() > 64 {
            return None;
        }
        let letters: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let spelt = Self::ALL.into_iter().find(|field| is_misspelt(&letters, field.as_str()));
        let other = || {
            let (field, _) =
                OTHER_WORDS.into_iter().find(|(_, words)| words.contains(&letters.as_str()))?;
            (!ids_are_made || field != Self::Id).then_some(field)
        };
        spelt.or_else(other)
    }

    /// Its place among all.
    pub(super) fn place(self) -> usize {
        self as usize
    }

    /// Whether every row needs it.
    pub(super) fn is_needed(self, ids_are_made: bool) -> bool {
        match self {
            Self::Id => !ids_are_made,
            Self::ProjectId | Self::Amount | Self::At => true,
            Self::CustomerId | Self::Note | Self::VoidReason => false,
        }
    }
}

/// Whether `letters` are a field's name but for capitals, signs and a wrong letter or two.
fn is_misspelt(letters: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let wrong = MIN_LETTERS.iter().filter(|letters| name.len() >= **letters).count();
    letters.len().abs_diff(name.len()) <= wrong
        && (letters == name || wrong > 0 && strsim::osa_distance(letters, &name) <= wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_a_fields_means_it() {
        for (name, field) in [
            ("ID", Field::Id),
            ("project_id", Field::ProjectId),
            ("Project ID", Field::ProjectId),
            ("project", Field::ProjectId),
            ("projetcId", Field::ProjectId),
            ("Amount", Field::Amount),
            ("ammount", Field::Amount),
            ("quantity", Field::Amount),
            ("timestamp", Field::At),
            ("At", Field::At),
            ("customer_id", Field::CustomerId),
            ("custmerId", Field::CustomerId),
            ("customerID", Field::CustomerId),
            ("customer", Field::CustomerId),
            ("notes", Field::Note),
            ("void_reason", Field::VoidReason),
            ("voidedReason", Field::VoidReason),
        ] {
            assert_eq!(Field::meant(name, false), Some(field), "{name}");
        }
        assert_eq!(Field::meant("uuid", false), Some(Field::Id));
        assert_eq!(Field::meant("uuid", true), None);
        assert_eq!(Field::meant("Id", true), Some(Field::Id));
        for (place, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!((Field::named(field.as_str()), field.place()), (Some(field), place));
        }
        for name in ["", "node", "region", "it", "line", "reason", "file", "covered", "vat", "ad"] {
            assert_eq!(Field::meant(name, false), None, "{name}");
        }
    }
}
