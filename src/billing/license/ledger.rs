//! The license ledger: its entries.

use crate::billing::amount::Amount;
use crate::billing::event::Actor;
use crate::billing::id::{OpId, ProjectId, RecordId, Words};
use std::fmt;
use std::str::FromStr;

/// What an entry of the license ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The license was issued.
    Issued,
    /// Its expiry was moved on.
    Extended,
    /// What it grants was changed.
    Adjusted,
    /// Units were used up without usage.
    Consumed,
    /// Usage drew from it.
    Drawn,
    /// That usage was taken back.
    GivenBack,
    /// It was taken back.
    Revoked,
    /// That was undone.
    Reinstated,
}

impl EntryKind {
    const ALL: [Self; 8] = [
        Self::Issued,
        Self::Extended,
        Self::Adjusted,
        Self::Consumed,
        Self::Drawn,
        Self::GivenBack,
        Self::Revoked,
        Self::Reinstated,
    ];

    /// Its name in the books and at the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Extended => "extended",
            Self::Adjusted => "adjusted",
            Self::Consumed => "consumed",
            Self::Drawn => "drawn",
            Self::GivenBack => "given back",
            Self::Revoked => "revoked",
            Self::Reinstated => "reinstated",
        }
    }

    /// Tells whether its amount changes what the license grants, and not only what is left of it.
    pub fn grants(self) -> bool {
        match self {
            Self::Issued | Self::Adjusted => true,
            Self::Extended
            | Self::Consumed
            | Self::Drawn
            | Self::GivenBack
            | Self::Revoked
            | Self::Reinstated => false,
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EntryKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no kind of entry"))
    }
}

/// An entry of the license ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseEntry {
    /// What it is.
    pub kind: EntryKind,
    /// When it was written, in Unix seconds.
    pub at_s: i64,
    /// By whom; `None` on what usage does by itself.
    pub actor: Option<Actor>,
    /// What it adds to the balance, of either sign; `None` where it adds nothing, or the license is
    /// unlimited and was issued.
    pub amount: Option<Amount>,
    /// The expiry from then on, in Unix seconds, where it sets one.
    pub expires_at_s: Option<i64>,
    /// The usage record that drew it or was taken back.
    pub record: Option<(RecordId, ProjectId)>,
    /// The operator's words.
    pub reason: Option<Words>,
    /// The operation it belongs to, if that was named.
    pub op_id: Option<OpId>,
}
