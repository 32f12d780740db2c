//! Key pairs: who may ask, and by what the vendor's backend knows a project's calls.

use crate::billing::id::{self, ApiKey};
use std::fmt;
use std::str::FromStr;

/// The private half of a key pair: 1 to 128 bytes of printable ASCII without space. Never shown by
/// `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiSecret(String);

impl ApiSecret {
    /// The secret in the clear: for signing, for the books, and for an operator who asked to see
    /// it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiSecret {
    type Err = id::Error;

    fn from_str(text: &str) -> Result<Self, id::Error> {
        // The same rule as for the public half.
        text.parse::<ApiKey>().map(|_| Self(text.to_owned()))
    }
}

impl fmt::Debug for ApiSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiSecret(…)")
    }
}

/// Whose requests a key pair signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Agora's.
    Live,
    /// The operator's own, kept apart from Agora's.
    Test,
}

impl Purpose {
    /// Its name in the books and at the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            other => Err(format!("{other:?} is not a purpose of a key pair")),
        }
    }
}

/// A key pair. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The public half, sent in every request.
    pub api_key: ApiKey,
    /// The private half, never sent.
    pub api_secret: ApiSecret,
    /// Whose requests it signs.
    pub purpose: Purpose,
    /// When it was added.
    pub created_at_s: i64,
    /// When it was revoked; from then on nothing signed with it is accepted.
    pub revoked_at_s: Option<i64>,
}

/// What the vendor's backend knows a project's own calls by: made once, given to Agora whenever it
/// creates the project, and never changed. The secret is not shown by `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppKeys {
    /// The public half: 32 letters and digits.
    pub app_key: ApiKey,
    /// The private half: 44 letters and digits.
    pub app_secret: ApiSecret,
}
