//! Ids and names, parsed once at the border and trusted below it.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// Why a text is not an id or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Empty, too long, or with a byte outside printable ASCII, or a space.
    #[error("it must be 1 to {max_bytes} letters, digits or other printable ASCII without spaces")]
    NotAnId {
        /// The most bytes that this kind of id may have.
        max_bytes: usize,
    },
    /// With a character that misleads where the text is shown.
    #[error("it must have no hidden characters, such as the {} in it", .hidden.escape_default())]
    HasHidden {
        /// The first of them.
        hidden: char,
    },
    /// Empty, too long, or with spaces around it.
    #[error("it must be 1 to {max_characters} characters, without spaces around them")]
    NotAName {
        /// The most characters that this kind of name may have.
        max_characters: usize,
    },
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The id or name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        /// Ordered and compared as its text is: a map can be asked with a text that is not yet
        /// owned.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

fn id(text: &str, max_bytes: usize) -> Result<(), Error> {
    let fits = (1..=max_bytes).contains(&text.len());
    if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(Error::NotAnId { max_bytes })
    }
}

/// Tells whether a character misleads where a text is shown on one line: it breaks the line, or
/// turns the direction of the text around it.
pub fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn name(text: &str, max_characters: usize) -> Result<(), Error> {
    if let Some(hidden) = text.chars().find(|c| misleads(*c)) {
        return Err(Error::HasHidden { hidden });
    }
    let fits = (1..=max_characters).contains(&text.chars().count());
    if fits && text.trim() == text { Ok(()) } else { Err(Error::NotAName { max_characters }) }
}

text_type! {
    /// Agora's id of a user who activated the extension: 1 to 64 bytes of printable ASCII without
    /// space, compared bytewise.
    CustomerId, |text| id(text, 64)
}
text_type! {
    /// Agora's id of a project: 1 to 64 bytes of printable ASCII without space, compared bytewise.
    ProjectId, |text| id(text, 64)
}
text_type! {
    /// The idempotency key of a usage record: 1 to 128 bytes of printable ASCII without space.
    RecordId, |text| id(text, 128)
}
text_type! {
    /// The vendor's id of a license: 1 to 64 bytes of printable ASCII without space.
    LicenseId, |text| id(text, 64)
}
text_type! {
    /// The idempotency key of an operation on licenses: 1 to 128 bytes of printable ASCII without
    /// space.
    OpId, |text| id(text, 128)
}
text_type! {
    /// The public half of a key pair (Agora's have 32 characters): 1 to 128 bytes of printable
    /// ASCII without space.
    ApiKey, |text| id(text, 128)
}
text_type! {
    /// Agora's `planId`: 1 to 16 characters.
    PlanId, |text| name(text, 16)
}
text_type! {
    /// Agora's name of one of the vendor's types of licenses: 1 to 32 characters.
    LicenseType, |text| name(text, 32)
}
text_type! {
    /// A plan's name or its unit, as they stand in descriptions: 1 to 64 characters on one line.
    Label, |text| name(text, 64)
}
text_type! {
    /// Words for the books (a note, a reason, a contact): 1 to 255 characters on one line.
    Words, |text| name(text, 255)
}

impl PlanId {
    /// The id of [`PlanId::fallback`].
    pub const FALLBACK: &str = "default";

    /// The plan that prices customers for whom no plan is named, and projects without a customer.
    pub fn fallback() -> Self {
        Self(Self::FALLBACK.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_printable_ascii_without_space_and_not_too_long() {
        let longest = "x".repeat(64);
        for good in ["1", "430892", "a/b?c=d&e", "~", "!", longest.as_str()] {
            assert!(good.parse::<ProjectId>().is_ok(), "{good:?}");
        }
        let too_long = "x".repeat(65);
        for bad in ["", " ", "a b", "é", "a\n", "a\u{7f}", too_long.as_str()] {
            assert!(bad.parse::<ProjectId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_plan_id_is_counted_in_characters() {
        assert!("é".repeat(16).parse::<PlanId>().is_ok());
        assert!("é".repeat(17).parse::<PlanId>().is_err());
        for bad in ["gold\tplan", " ", " gold", "gold ", "go\u{202e}ld", "go\u{2028}ld"] {
            assert!(bad.parse::<PlanId>().is_err(), "{bad:?}");
        }
        for (bad, shown) in [("\tgold", "\\t"), ("go\u{1b}ld", "\\u{1b}"), ("gold\n", "\\n")] {
            let refused = bad.parse::<PlanId>().expect_err("a hidden character").to_string();
            let wanted = format!("it must have no hidden characters, such as the {shown} in it");
            assert_eq!(refused, wanted);
        }
        assert!("gold plan".parse::<PlanId>().is_ok());
    }

    #[test]
    fn ids_are_ordered_bytewise() {
        let id = |text: &str| text.parse::<ProjectId>().expect("an id");
        assert!(id("10") < id("9"));
        assert!(id("Z") < id("a"));
    }
}
