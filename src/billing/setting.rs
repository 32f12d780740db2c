//! Settings that change an answer or a figure. They live in the database, so that the shell and the
//! server agree.

use crate::billing::id::{self, Label};
use std::fmt;
use std::str::FromStr;

/// The name of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingName {
    /// The word for one unit of usage where no plan says another.
    Unit,
    /// What `residueCount` says while a customer has an unlimited license.
    UnlimitedAs,
    /// What becomes of usage that is recorded after its month was billed.
    Late,
    /// What becomes of usage of a project, or for a customer, that nobody has announced.
    UnknownProjects,
    /// After how many hours without a record `doctor` fails.
    SilenceHours,
}

/// A name that is not a setting's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no such setting; there are {}",
    SettingName::ALL.map(SettingName::as_str).join(", ")
)]
pub struct UnknownName;

impl SettingName {
    /// Every setting.
    pub const ALL: [Self; 5] =
        [Self::Unit, Self::UnlimitedAs, Self::Late, Self::UnknownProjects, Self::SilenceHours];

    /// The name as the operator writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::UnlimitedAs => "unlimited-as",
            Self::Late => "late",
            Self::UnknownProjects => "unknown-projects",
            Self::SilenceHours => "silence-hours",
        }
    }

    /// What the setting is for, in one line.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Unit => "the word for one unit of usage where no plan says another",
            Self::UnlimitedAs => "what residueCount says while a customer has an unlimited license",
            Self::Late => {
                "what came after its month was billed: report it, or carry its price in the next \
                 month's bill"
            }
            Self::UnknownProjects => {
                "a project or customer that nobody announced: `record` and `import` register it, \
                 or refuse it without --new"
            }
            Self::SilenceHours => {
                "after how many hours without a record `doctor` fails, since silence is not zero \
                 usage; or off"
            }
        }
    }
}

impl FromStr for SettingName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or(UnknownName)
    }
}

/// What becomes of usage that is recorded, taken back or priced anew after its month was billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// It is reported to the operator.
    #[default]
    Report,
    /// The next month's bill carries it.
    Carry,
}

impl LatePolicy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Carry => "carry",
        }
    }
}

impl fmt::Display for LatePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What becomes of usage of a project, or for a customer, that is not in the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownProjects {
    /// It is registered.
    #[default]
    Register,
    /// The usage is refused.
    Refuse,
}

impl UnknownProjects {
    fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Refuse => "refuse",
        }
    }
}

/// After how many hours without a record `doctor` fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceHours {
    hours: Option<u32>,
    text: String,
}

impl SilenceHours {
    const OFF: &str = "off";
    /// A year: who records less often has no use for it.
    const MOST: u32 = 8_784;

    /// As it is written.
    fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for SilenceHours {
    fn default() -> Self {
        Self { hours: None, text: Self::OFF.to_owned() }
    }
}

impl FromStr for SilenceHours {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == Self::OFF {
            return Ok(Self::default());
        }
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        let hours = text.parse().ok().filter(|hours| is_plain && (1..=Self::MOST).contains(hours));
        let hours: u32 = hours.ok_or(Error::SilenceHours)?;
        Ok(Self { hours: Some(hours), text: hours.to_string() })
    }
}

/// Why a text cannot be a setting's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A word that is none.
    #[error(transparent)]
    Word(#[from] id::Error),
    /// Another word than the two that there are.
    #[error("it must be report or carry")]
    Late,
    /// The same of `unknown-projects`.
    #[error("it must be register or refuse")]
    UnknownProjects,
    /// No hours.
    #[error("it must be off, or a whole number of hours from 1 to {}", SilenceHours::MOST)]
    SilenceHours,
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    unit: Label,
    unlimited_as: Label,
    late: LatePolicy,
    unknown_projects: UnknownProjects,
    silence_hours: SilenceHours,
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

    /// What becomes of usage that is recorded after its month was billed; it is reported unless set
    /// otherwise.
    pub fn late(&self) -> LatePolicy {
        self.late
    }

    /// What becomes of usage of a project, or for a customer, that is not in the books; it is
    /// registered unless set otherwise.
    pub fn unknown_projects(&self) -> UnknownProjects {
        self.unknown_projects
    }

    /// After how many hours without a record `doctor` fails; never unless set.
    pub fn silence_hours(&self) -> Option<u32> {
        self.silence_hours.hours
    }

    /// The value of one setting.
    pub fn get(&self, name: SettingName) -> &str {
        match name {
            SettingName::Unit => self.unit.as_str(),
            SettingName::UnlimitedAs => self.unlimited_as.as_str(),
            SettingName::Late => self.late.as_str(),
            SettingName::UnknownProjects => self.unknown_projects.as_str(),
            SettingName::SilenceHours => self.silence_hours.as_str(),
        }
    }

    /// Puts another value in the place of a setting's.
    ///
    /// # Errors
    /// When it is empty, of more than one line or longer than 64 characters; of `late`, unless it
    /// is `report` or `carry`; of `unknown-projects`, unless it is `register` or `refuse`; of
    /// `silence-hours`, unless it is `off` or a number of hours.
    pub fn set(&mut self, name: SettingName, value: &str) -> Result<(), Error> {
        match name {
            SettingName::Unit => self.unit = value.parse()?,
            SettingName::UnlimitedAs => self.unlimited_as = value.parse()?,
            SettingName::Late => {
                let named = [LatePolicy::Report, LatePolicy::Carry]
                    .into_iter()
                    .find(|late| late.as_str() == value);
                self.late = named.ok_or(Error::Late)?;
            }
            SettingName::UnknownProjects => {
                let named = [UnknownProjects::Register, UnknownProjects::Refuse]
                    .into_iter()
                    .find(|becomes| becomes.as_str() == value);
                self.unknown_projects = named.ok_or(Error::UnknownProjects)?;
            }
            SettingName::SilenceHours => self.silence_hours = value.parse()?,
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        let label = |text: &str| text.parse().expect("a short word is a label");
        Self {
            unit: label("Minute"),
            unlimited_as: label("-1"),
            late: LatePolicy::default(),
            unknown_projects: UnknownProjects::default(),
            silence_hours: SilenceHours::default(),
        }
    }
}
