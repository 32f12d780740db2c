//! What is done with licenses: issuing, changing and consuming.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, LicenseId, LicenseType, Words};
use crate::billing::license::issued::{License, Platforms};
use crate::billing::license::ledger::EntryKind;
use crate::billing::period::{DAY_S, Grain, LAST_SECOND, Period};

/// How far a license is extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Until this second, which it is still good in.
    To(i64),
    /// So many days from its expiry, or from the end of today where it has expired.
    Days(u32),
}

/// A license as somebody wants it issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLicense {
    /// The vendor's id; `None`: one is made.
    pub id: Option<LicenseId>,
    /// Whose license it is.
    pub customer_id: CustomerId,
    /// Which of the vendor's licenses.
    pub kind: Option<LicenseType>,
    /// What it is good for.
    pub platforms: Option<Platforms>,
    /// The first second in which it is good; `None`: the first of the day of issue.
    pub starts_at_s: Option<i64>,
    /// The last second in which it is good.
    pub expires_at_s: i64,
    /// Units of usage; `None`: what its type grants, or else unlimited.
    pub granted: Option<Amount>,
    /// Whether it is unlimited whatever its type grants; then `granted` is `None`.
    pub unlimited: bool,
}

impl NewLicense {
    /// The first second in which it is good when it is issued at `now_s`: never after its last.
    pub fn starts_at_s(&self, now_s: i64) -> i64 {
        self.starts_at_s
            .unwrap_or_else(|| Period::around(Grain::Day, now_s.min(self.expires_at_s)).first_s())
    }
}

/// Something that is done with licenses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Issues one.
    Issue(NewLicense),
    /// Changes one.
    Change(LicenseId, Act),
    /// Draws from a customer's licenses without usage: all of it or nothing.
    Consume {
        /// The customer.
        customer_id: CustomerId,
        /// How much, above zero.
        amount: Amount,
        /// The operator's words, if any.
        reason: Option<Words>,
    },
}

/// What is done with one license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Moves its expiry on.
    Extend(Extension),
    /// Changes what it grants.
    Adjust {
        /// By how much, of either sign and not zero.
        by: Amount,
        /// The operator's words.
        reason: Words,
    },
    /// Takes it back.
    Revoke {
        /// The operator's words, if any.
        reason: Option<Words>,
    },
    /// Undoes that.
    Reinstate {
        /// The operator's words, if any.
        reason: Option<Words>,
    },
}

/// What an act changes: an entry of the license's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseChange {
    /// What it is.
    pub kind: EntryKind,
    /// What it adds to the balance.
    pub amount: Option<Amount>,
    /// The expiry from now on, in Unix seconds.
    pub expires_at_s: Option<i64>,
    /// The operator's words.
    pub reason: Option<Words>,
}

impl LicenseChange {
    /// An entry that tells no more than its kind.
    pub fn new(kind: EntryKind) -> Self {
        Self { kind, amount: None, expires_at_s: None, reason: None }
    }
}

impl Operation {
    /// The license it names, if it names one.
    pub fn license_id(&self) -> Option<&LicenseId> {
        match self {
            Self::Issue(new) => new.id.as_ref(),
            Self::Change(id, _) => Some(id),
            Self::Consume { .. } => None,
        }
    }
}

/// What was asked for before, as the books have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptOperation {
    /// This operation.
    Operation(Operation),
    /// An operation in the words of an earlier version's command line.
    Words(String),
}

/// Why an operation is not done; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LicenseRefusal {
    /// There is no such license.
    NoLicense,
    /// There is no such customer.
    NoCustomer,
    /// The license's id stands for one of other content, which was asked for so.
    OtherContent(Box<KeptOperation>),
    /// The operation's id stands for another operation.
    OtherOperation(Box<KeptOperation>),
    /// It would end before it starts.
    Empty {
        /// Its first second.
        starts_at_s: i64,
    },
    /// An extension to an earlier second than the license is good until already.
    Earlier {
        /// Its last second.
        expires_at_s: i64,
    },
    /// An extension past the end of the calendar.
    TooLate,
    /// An unlimited license has no count to change.
    Unlimited,
    /// More would be taken than is left.
    BelowZero {
        /// What is left.
        left: Amount,
    },
}

impl License {
    /// What an act changes of it at `now_s`; `None` where it is so already.
    ///
    /// # Errors
    /// As [`License::extended`] and [`License::adjusted`].
    pub fn act(&self, act: &Act, now_s: i64) -> Result<Option<LicenseChange>, LicenseRefusal> {
        Ok(match act {
            Act::Extend(by) => {
                let expires_at_s = self.extended(*by, now_s)?;
                let changed = LicenseChange {
                    expires_at_s: Some(expires_at_s),
                    ..LicenseChange::new(EntryKind::Extended)
                };
                (expires_at_s != self.expires_at_s).then_some(changed)
            }
            Act::Adjust { by, reason } => {
                self.adjusted(by)?;
                let changed = LicenseChange::new(EntryKind::Adjusted);
                Some(LicenseChange {
                    amount: Some(by.clone()),
                    reason: Some(reason.clone()),
                    ..changed
                })
            }
            Act::Revoke { reason } => {
                let changed = LicenseChange {
                    reason: reason.clone(),
                    ..LicenseChange::new(EntryKind::Revoked)
                };
                self.revoked.is_none().then_some(changed)
            }
            Act::Reinstate { reason } => {
                let changed = LicenseChange {
                    reason: reason.clone(),
                    ..LicenseChange::new(EntryKind::Reinstated)
                };
                self.revoked.is_some().then_some(changed)
            }
        })
    }

    /// Its expiry once it is extended at `now_s`: never an earlier one than it has.
    ///
    /// # Errors
    /// [`LicenseRefusal::Earlier`], [`LicenseRefusal::TooLate`].
    pub fn extended(&self, by: Extension, now_s: i64) -> Result<i64, LicenseRefusal> {
        let from_s = if now_s > self.expires_at_s {
            Period::around(Grain::Day, now_s).last_s()
        } else {
            self.expires_at_s
        };
        let to_s = match by {
            Extension::To(expires_at_s) => expires_at_s,
            Extension::Days(days) => from_s.saturating_add(i64::from(days) * DAY_S),
        };
        match to_s {
            to_s if to_s > LAST_SECOND => Err(LicenseRefusal::TooLate),
            to_s if to_s < self.expires_at_s => {
                Err(LicenseRefusal::Earlier { expires_at_s: self.expires_at_s })
            }
            to_s => Ok(to_s),
        }
    }

    /// What is left of it once its grant is changed by `by`.
    ///
    /// # Errors
    /// [`LicenseRefusal::Unlimited`]; [`LicenseRefusal::BelowZero`] where more would be taken than
    /// is left.
    pub fn adjusted(&self, by: &Amount) -> Result<Amount, LicenseRefusal> {
        let balance = self.balance.as_ref().ok_or(LicenseRefusal::Unlimited)?;
        let adjusted = balance + by;
        if adjusted.is_negative() {
            return Err(LicenseRefusal::BelowZero { left: balance.clone() });
        }
        Ok(adjusted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::license::issued::tests::license;

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    #[test]
    fn an_extension_counts_from_the_expiry_or_from_today() {
        let license = license(10 * DAY_S - 1, Some("1"), None);
        let days = Extension::Days(2);
        assert_eq!(license.extended(days, 5 * DAY_S), Ok(12 * DAY_S - 1));
        assert_eq!(license.extended(days, 20 * DAY_S + 7), Ok(23 * DAY_S - 1));
        assert_eq!(license.extended(Extension::To(11 * DAY_S - 1), 0), Ok(11 * DAY_S - 1));
        let earlier = Err(LicenseRefusal::Earlier { expires_at_s: 10 * DAY_S - 1 });
        assert_eq!(license.extended(Extension::To(9 * DAY_S - 1), 0), earlier);
        assert_eq!(license.extended(Extension::Days(u32::MAX), 0), Err(LicenseRefusal::TooLate));
    }

    #[test]
    fn no_more_is_taken_than_is_left() {
        let license = license(100, Some("1.5"), None);
        assert_eq!(license.adjusted(&-&amount("1.5")), Ok(Amount::default()));
        assert_eq!(
            license.adjusted(&-&amount("1.6")),
            Err(LicenseRefusal::BelowZero { left: amount("1.5") })
        );
        let unlimited = License { balance: None, granted: None, ..license };
        assert_eq!(unlimited.adjusted(&amount("1")), Err(LicenseRefusal::Unlimited));
    }
}
