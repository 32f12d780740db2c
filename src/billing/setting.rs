//! Settings that change an answer or a figure. They live in the database, so that the shell and the
//! server agree.

use crate::billing::id::{self, Label};
use std::str::FromStr;

/// The name of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The word for one unit of usage where no plan says another.
    Unit,
    /// What `residueCount` says while a customer has an unlimited license.
    UnlimitedAs,
}

/// A name that is not a setting's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such setting; there are {}", Name::ALL.map(Name::as_str).join(", "))]
pub struct UnknownName;

impl Name {
    /// Every setting.
    pub const ALL: [Self; 2] = [Self::Unit, Self::UnlimitedAs];

    /// The name as the operator writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::UnlimitedAs => "unlimited-as",
        }
    }

    /// What the setting is for, in one line.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Unit => "the word for one unit of usage where no plan says another",
            Self::UnlimitedAs => "what residueCount says while a customer has an unlimited license",
        }
    }
}

impl FromStr for Name {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or(UnknownName)
    }
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    unit: Label,
    unlimited_as: Label,
}

impl Settings {
    /// The word for one unit of usage where no plan says another; `Minute` unless set.
    pub fn unit(&self) -> &Label {
        &self.unit
    }

    /// What `residueCount` says while a customer has an unlimited license; `-1` unless set.
    pub fn unlimited_as(&self) -> &Label {
        &self.unlimited_as
    }

    /// The value of one setting.
    pub fn get(&self, name: Name) -> &Label {
        match name {
            Name::Unit => &self.unit,
            Name::UnlimitedAs => &self.unlimited_as,
        }
    }

    /// Puts another value in the place of a setting's.
    ///
    /// # Errors
    /// When it is empty, of more than one line or longer than 64 characters.
    pub fn set(&mut self, name: Name, value: &str) -> Result<(), id::Error> {
        let place = match name {
            Name::Unit => &mut self.unit,
            Name::UnlimitedAs => &mut self.unlimited_as,
        };
        *place = value.parse()?;
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        let label = |text: &str| text.parse().expect("a short word is a label");
        Self { unit: label("Minute"), unlimited_as: label("-1") }
    }
}
