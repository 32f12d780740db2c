//! Licenses: what covers usage and what is billed, and how a customer's several are folded into the one
//! answer that Agora asks for.

use crate::billing::amount::Amount;
use crate::billing::event::Actor;
use crate::billing::id::{
    CustomerId, Label, LicenseId, LicenseType, OpId, ProjectId, RecordId, Words,
};
use crate::billing::period::{self, DAY_S, Grain, LAST_SECOND, Period};
use crate::billing::setting::Settings;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A license as the books hold it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// The order of issue, from 1.
    pub seq: i64,
    /// The vendor's id.
    pub id: LicenseId,
    /// Whose license it is.
    pub customer_id: CustomerId,
    /// Which of the vendor's licenses, where told.
    pub kind: Option<LicenseType>,
    /// What it is good for, where told.
    pub platforms: Option<Platforms>,
    /// When it was issued.
    pub issued_at_s: i64,
    /// What was asked for then, as [`NewLicense`] prints it.
    pub asked: String,
    /// The first second in which it is good.
    pub starts_at_s: i64,
    /// The last second in which it is good.
    pub expires_at_s: i64,
    /// Units of usage it grants, adjustments included; `None`: unlimited.
    pub granted: Option<Amount>,
    /// What is left of them, whatever its state; zero or above. `None`: unlimited.
    pub balance: Option<Amount>,
    /// When and why it was revoked.
    pub revoked: Option<Revocation>,
}

/// When and why a license was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When, in Unix seconds; it is not good from this second on.
    pub at_s: i64,
    /// The operator's words, if any.
    pub reason: Option<Words>,
}

/// What a license is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Before its first second.
    Scheduled,
    /// Good.
    Live,
    /// Past its last second.
    Expired,
    /// Taken back.
    Revoked,
}

impl State {
    /// Its name at the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What a license is good for, such as `android` and `ios`: each 1 to 32 bytes of printable ASCII, 255 bytes in
/// all. Prints as Agora joins them: `android|ios`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platforms(String);

/// Why a text names no platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be names such as android,ios: each of 1 to 32 printable ASCII characters, 255 in all"
)]
pub struct NotPlatforms;

impl Platforms {
    /// The names, joined by `|`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Reads names joined by `,` or `|`; their order and repetitions mean nothing.
impl FromStr for Platforms {
    type Err = NotPlatforms;

    fn from_str(text: &str) -> Result<Self, NotPlatforms> {
        let names: BTreeSet<&str> = text.split([',', '|']).map(str::trim).collect();
        let good = |name: &&str| {
            (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
        };
        let joined = names.iter().copied().collect::<Vec<_>>().join("|");
        match names.iter().all(good) && joined.len() <= 255 {
            true => Ok(Self(joined)),
            false => Err(NotPlatforms),
        }
    }
}

impl License {
    /// What the license is at `now_s`.
    pub fn state(&self, now_s: i64) -> State {
        match &self.revoked {
            Some(_) => State::Revoked,
            None if now_s > self.expires_at_s => State::Expired,
            None if now_s < self.starts_at_s => State::Scheduled,
            None => State::Live,
        }
    }

    /// What can still be used of it at `now_s`: nothing unless it is live; `None` where that has no limit.
    pub fn residue(&self, now_s: i64) -> Option<Amount> {
        match self.state(now_s) {
            State::Live => self.balance.clone(),
            State::Scheduled | State::Expired | State::Revoked => Some(Amount::default()),
        }
    }

    /// When it is good: from its first second to its expiry, or to the second before it was
    /// revoked. `None` where it was revoked before it began.
    pub fn good(&self) -> Option<Period> {
        let revoked_at_s = self.revoked.as_ref().map(|revocation| revocation.at_s);
        Period::new(self.starts_at_s, end_s(self.expires_at_s, revoked_at_s))
    }

    /// When it ended or will end, where it has begun or was revoked: a revoked one ended as it was
    /// revoked, also before it began.
    fn ended_at_s(&self, now_s: i64) -> Option<i64> {
        match &self.revoked {
            Some(revocation) => Some(self.expires_at_s.min(revocation.at_s)),
            None => (self.starts_at_s <= self.expires_at_s.min(now_s)).then_some(self.expires_at_s),
        }
    }

    /// What an act changes of it at `now_s`; `None` where it is so already.
    ///
    /// # Errors
    /// As [`License::extended`] and [`License::adjusted`].
    pub fn act(&self, act: &Act, now_s: i64) -> Result<Option<Changed>, Refusal> {
        Ok(match act {
            Act::Extend(by) => {
                let expires_at_s = self.extended(*by, now_s)?;
                let changed = Changed {
                    expires_at_s: Some(expires_at_s),
                    ..Changed::new(EntryKind::Extended)
                };
                (expires_at_s != self.expires_at_s).then_some(changed)
            }
            Act::Adjust { by, reason } => {
                self.adjusted(by)?;
                let changed = Changed::new(EntryKind::Adjusted);
                Some(Changed { amount: Some(by.clone()), reason: Some(reason.clone()), ..changed })
            }
            Act::Revoke { reason } => {
                let changed =
                    Changed { reason: reason.clone(), ..Changed::new(EntryKind::Revoked) };
                self.revoked.is_none().then_some(changed)
            }
            Act::Reinstate { reason } => {
                let changed =
                    Changed { reason: reason.clone(), ..Changed::new(EntryKind::Reinstated) };
                self.revoked.is_some().then_some(changed)
            }
        })
    }

    /// Its expiry once it is extended at `now_s`: never an earlier one than it has.
    ///
    /// # Errors
    /// [`Refusal::Earlier`], [`Refusal::TooLate`].
    pub fn extended(&self, by: Extension, now_s: i64) -> Result<i64, Refusal> {
        let from_s = match now_s > self.expires_at_s {
            true => Period::around(Grain::Day, now_s).last_s(),
            false => self.expires_at_s,
        };
        let to_s = match by {
            Extension::To(expires_at_s) => expires_at_s,
            Extension::Days(days) => from_s.saturating_add(i64::from(days) * DAY_S),
        };
        match to_s {
            to_s if to_s > LAST_SECOND => Err(Refusal::TooLate),
            to_s if to_s < self.expires_at_s => {
                Err(Refusal::Earlier { expires_at_s: self.expires_at_s })
            }
            to_s => Ok(to_s),
        }
    }

    /// What is left of it once its grant is changed by `by`.
    ///
    /// # Errors
    /// [`Refusal::Unlimited`]; [`Refusal::BelowZero`] where more would be taken than is left.
    pub fn adjusted(&self, by: &Amount) -> Result<Amount, Refusal> {
        let balance = self.balance.as_ref().ok_or(Refusal::Unlimited)?;
        let adjusted = balance + by;
        match adjusted.is_negative() {
            true => Err(Refusal::BelowZero { left: balance.clone() }),
            false => Ok(adjusted),
        }
    }
}

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
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// When it was written, in Unix seconds.
    pub at_s: i64,
    /// By whom; `None` on what usage does by itself.
    pub actor: Option<Actor>,
    /// What it adds to the balance, of either sign; `None` where it adds nothing, or the license is unlimited
    /// and was issued.
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

/// What one of the vendor's types of licenses grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeGrant {
    /// Agora's name of the type.
    pub kind: LicenseType,
    /// The operator's words for it, if any.
    pub name: Option<Label>,
    /// Units of usage; `None`: unlimited.
    pub granted: Option<Amount>,
}

/// How far a license is extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Until this second, which it is still good in.
    To(i64),
    /// So many days from its expiry, or from the end of today where it has expired.
    Days(u32),
}

/// A license as somebody wants it issued. Prints as the words of the command line that ask for it, without its id.
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
    /// Tells whether this is the same license as one that was issued by these words, and that is
    /// unlimited or not.
    pub fn agrees_with(&self, asked: &str, is_unlimited: bool) -> bool {
        let is_same = |new: &Self| new.to_string() == asked;
        is_same(self) || (self.unlimited && is_unlimited && is_same(&self.unworded()))
    }

    /// The same in the words of before there was `--unlimited`, when a type that was not set up
    /// granted usage without limit.
    fn unworded(&self) -> Self {
        Self { unlimited: false, ..self.clone() }
    }

    /// The first second in which it is good when it is issued at `now_s`: never after its last.
    pub fn starts_at_s(&self, now_s: i64) -> i64 {
        self.starts_at_s
            .unwrap_or_else(|| Period::around(Grain::Day, now_s.min(self.expires_at_s)).first_s())
    }
}

impl fmt::Display for NewLicense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "issue {} --expires {}", self.customer_id, Second(self.expires_at_s))?;
        if let Some(count) = &self.granted {
            write!(f, " --count {count}")?;
        }
        if let Some(platforms) = &self.platforms {
            write!(f, " --platform {}", Quoted(platforms.as_str()))?;
        }
        if let Some(kind) = &self.kind {
            write!(f, " --type {}", Quoted(kind.as_str()))?;
            // Without a type there is no other reading: books of before do not have the word.
            if self.unlimited {
                f.write_str(" --unlimited")?;
            }
        }
        if let Some(starts_at_s) = self.starts_at_s {
            write!(f, " --starts {}", Second(starts_at_s))?;
        }
        Ok(())
    }
}

/// Something that is done with licenses. Prints as the words of the command line that ask for it; those are kept, and
/// compared when it is asked for again.
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
pub struct Changed {
    /// What it is.
    pub kind: EntryKind,
    /// What it adds to the balance.
    pub amount: Option<Amount>,
    /// The expiry from now on, in Unix seconds.
    pub expires_at_s: Option<i64>,
    /// The operator's words.
    pub reason: Option<Words>,
}

impl Changed {
    /// An entry that tells no more than its kind.
    pub fn new(kind: EntryKind) -> Self {
        Self { kind, amount: None, expires_at_s: None, reason: None }
    }
}

impl Operation {
    /// Tells whether this is the operation that was done by these words, and that issued an
    /// unlimited license or not.
    pub fn agrees_with(&self, asked: &str, is_unlimited: bool) -> bool {
        self.to_string() == asked
            || match self {
                Self::Issue(new) => {
                    new.unlimited
                        && is_unlimited
                        && Self::Issue(new.unworded()).to_string() == asked
                }
                Self::Change(..) | Self::Consume { .. } => false,
            }
    }

    /// The license it names, if it names one.
    pub fn license_id(&self) -> Option<&LicenseId> {
        match self {
            Self::Issue(new) => new.id.as_ref(),
            Self::Change(id, _) => Some(id),
            Self::Consume { .. } => None,
        }
    }

    /// Tells whether usage that is recorded from then on may draw more than before.
    pub fn covers_more(&self) -> bool {
        match self {
            Self::Issue(_) | Self::Change(_, Act::Extend(_) | Act::Reinstate { .. }) => true,
            Self::Change(_, Act::Adjust { by, .. }) => by.is_positive(),
            Self::Change(_, Act::Revoke { .. }) | Self::Consume { .. } => false,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |f: &mut fmt::Formatter<'_>, reason: Option<&Words>| match reason {
            Some(reason) => write!(f, " --reason {}", Quoted(reason.as_str())),
            None => Ok(()),
        };
        match self {
            Self::Issue(new) => match &new.id {
                Some(id) => write!(f, "{new} --id {id}"),
                None => write!(f, "{new}"),
            },
            Self::Consume { customer_id, amount, reason } => {
                write!(f, "consume {customer_id} {amount}")?;
                because(f, reason.as_ref())
            }
            Self::Change(id, act) => match act {
                Act::Extend(Extension::To(expires_at_s)) => {
                    write!(f, "extend {id} --to {}", Second(*expires_at_s))
                }
                Act::Extend(Extension::Days(days)) => write!(f, "extend {id} --days {days}"),
                Act::Adjust { by, reason } => {
                    write!(f, "adjust {id} {by}")?;
                    because(f, Some(reason))
                }
                Act::Revoke { reason } => {
                    write!(f, "revoke {id}")?;
                    because(f, reason.as_ref())
                }
                Act::Reinstate { reason } => {
                    write!(f, "reinstate {id}")?;
                    because(f, reason.as_ref())
                }
            },
        }
    }
}

/// A second as an operation's words have it: the day alone where it is a day's first or last second.
struct Second(i64);

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = Period::around(Grain::Day, self.0);
        match self.0 == day.first_s() || self.0 == day.last_s() {
            true => write!(f, "{}", period::date(self.0)),
            false => write!(f, "{}", self.0),
        }
    }
}

/// Words as an operation's have them: in quotes, so that none of them can be taken for another argument.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Why an operation is not done; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such license.
    NoLicense,
    /// There is no such customer.
    NoCustomer,
    /// The license's id stands for one of other content, asked for in these words.
    OtherContent(String),
    /// The operation's id stands for another operation, in these words.
    OtherOperation(String),
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

/// The last second in which a license is good that expires and was revoked at these seconds.
fn end_s(expires_at_s: i64, revoked_at_s: Option<i64>) -> i64 {
    revoked_at_s.map_or(expires_at_s, |at_s| expires_at_s.min(at_s - 1))
}

/// A license as far as drawing from it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawable {
    /// The order of issue.
    pub seq: i64,
    /// The first second in which it is good.
    pub starts_at_s: i64,
    /// Its expiry.
    pub expires_at_s: i64,
    /// When it was revoked, if it was.
    pub revoked_at_s: Option<i64>,
    /// What is left of it, above zero; `None`: without limit.
    pub balance: Option<Amount>,
}

impl Drawable {
    /// The last second in which it is good.
    fn end_s(&self) -> i64 {
        end_s(self.expires_at_s, self.revoked_at_s)
    }
}

/// What usage, or a consumption, draws from a license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The license's order of issue.
    pub license_seq: i64,
    /// How much, above zero.
    pub amount: Amount,
}

/// Splits `wanted`, dated `at_s`, over those of a customer's licenses that are good at that second,
/// whenever it is written: the earliest end first, then the oldest. What they do not cover is not
/// drawn.
pub fn draw(drawable: &[Drawable], at_s: i64, wanted: &Amount) -> Vec<Draw> {
    let is_good = |license: &&Drawable| (license.starts_at_s..=license.end_s()).contains(&at_s);
    let mut good: Vec<&Drawable> = drawable.iter().filter(is_good).collect();
    good.sort_by_key(|license| (license.end_s(), license.seq));
    let mut left = wanted.clone();
    let mut draws = Vec::new();
    for license in good {
        let amount = license.balance.as_ref().map_or(&left, |balance| balance.min(&left)).clone();
        if amount.is_positive() {
            left -= &amount;
            draws.push(Draw { license_seq: license.seq, amount });
        }
    }
    draws
}

/// What remains to a customer over all licenses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Residue {
    /// At least one live license is unlimited.
    Unlimited,
    /// So many units.
    Count(Amount),
}

/// A customer's licenses folded into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Unix seconds; its UTC date is the expiry date.
    pub expires_at_s: i64,
    /// What remains.
    pub residue: Residue,
}

impl Standing {
    /// The expiry date, as Agora is told: `YYYY-MM-DD`.
    pub fn expire_date(&self) -> String {
        period::date(self.expires_at_s).to_string()
    }

    /// What remains, as Agora is told.
    pub fn residue_count(&self, settings: &Settings) -> String {
        match &self.residue {
            Residue::Unlimited => settings.unlimited_as().to_string(),
            Residue::Count(count) => count.to_string(),
        }
    }
}

/// Folds a customer's licenses at `now_s`: the residue is the sum over the live ones, the expiry
/// the latest among them. Where none is live, nothing remains, and the expiry is the latest day on
/// which one was, a revoked one having ended on the day it was revoked, also where it had not
/// begun; or, where there is none of these, the latest of those that have not started. `None` for a
/// customer who never had any.
pub fn fold(licenses: &[License], now_s: i64) -> Option<Standing> {
    let live = || licenses.iter().filter(|license| license.state(now_s) == State::Live);
    if let Some(expires_at_s) = live().map(|license| license.expires_at_s).max() {
        let counts: Option<Vec<&Amount>> = live().map(|license| license.balance.as_ref()).collect();
        let residue = match counts {
            None => Residue::Unlimited,
            Some(counts) => Residue::Count(counts.into_iter().sum()),
        };
        return Some(Standing { expires_at_s, residue });
    }
    let ended = licenses.iter().filter_map(|license| license.ended_at_s(now_s)).max();
    let never_good = || licenses.iter().map(|license| license.expires_at_s).max();
    let expires_at_s = ended.or_else(never_good)?;
    Some(Standing { expires_at_s, residue: Residue::Count(Amount::default()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license(expires_at_s: i64, granted: Option<&str>, revoked_at_s: Option<i64>) -> License {
        let granted: Option<Amount> = granted.map(|text| text.parse().expect("an amount"));
        License {
            seq: 1,
            id: "l".parse().expect("an id"),
            customer_id: "c".parse().expect("an id"),
            kind: None,
            platforms: None,
            issued_at_s: 0,
            asked: String::new(),
            starts_at_s: 0,
            expires_at_s,
            balance: granted.clone(),
            granted,
            revoked: revoked_at_s.map(|at_s| Revocation { at_s, reason: None }),
        }
    }

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn drawable(seq: i64, expires_at_s: i64, balance: Option<&str>) -> Drawable {
        let balance = balance.map(amount);
        Drawable { seq, starts_at_s: 0, expires_at_s, revoked_at_s: None, balance }
    }

    fn drawn(licenses: &[Drawable], at_s: i64, wanted: &str) -> Vec<(i64, String)> {
        let draws = draw(licenses, at_s, &amount(wanted));
        draws.iter().map(|draw| (draw.license_seq, draw.amount.to_string())).collect()
    }

    #[test]
    fn usage_draws_from_the_earliest_expiry_first_then_from_the_oldest() {
        let licenses = [
            drawable(1, 200, Some("5")),
            drawable(3, 100, Some("2")),
            drawable(2, 100, Some("1.5")),
        ];
        assert_eq!(drawn(&licenses, 50, "1"), [(2, "1".into())]);
        assert_eq!(
            drawn(&licenses, 50, "4.25"),
            [(2, "1.5".into()), (3, "2".into()), (1, "0.75".into())]
        );
        let all: Amount = draw(&licenses, 50, &amount("100")).iter().map(|draw| &draw.amount).sum();
        assert_eq!(all, amount("8.5"));
    }

    #[test]
    fn a_license_covers_from_its_first_second_to_its_expiry_or_to_the_one_before_it_was_revoked() {
        let license = Drawable { starts_at_s: 10, ..drawable(1, 100, Some("1")) };
        let revoked = |at_s| Drawable { revoked_at_s: Some(at_s), ..license.clone() };
        for (license, at_s, covered) in [
            (license.clone(), 9, false),
            (license.clone(), 10, true),
            (license.clone(), 100, true),
            (license.clone(), 101, false),
            (revoked(50), 49, true),
            (revoked(50), 50, false),
            (revoked(200), 100, true),
            (revoked(200), 101, false),
            (revoked(10), 10, false),
            (revoked(5), 4, false),
        ] {
            assert_eq!(!drawn(&[license], at_s, "1").is_empty(), covered, "{at_s}");
        }
        // The one that ended first is drawn from first, a revocation counted in.
        let licenses = [drawable(2, 90, Some("3")), Drawable { seq: 1, ..revoked(80) }];
        assert_eq!(drawn(&licenses, 50, "2"), [(1, "1".into()), (2, "1".into())]);
        assert_eq!(drawn(&[drawable(1, 100, None)], 50, "7"), [(1, "7".into())]);
    }

    #[test]
    fn an_operations_words_are_these_since_they_are_kept() {
        let words = |text: &str| text.parse::<Words>().expect("words");
        let new = NewLicense {
            id: "l".parse().ok(),
            customer_id: "c".parse().expect("an id"),
            kind: "T --starts \"x\\".parse().ok(),
            platforms: "ios,android".parse().ok(),
            starts_at_s: Some(DAY_S),
            expires_at_s: 3 * DAY_S - 1,
            granted: Some(amount("1.50")),
            unlimited: false,
        };
        let bare = NewLicense {
            id: None,
            kind: None,
            platforms: None,
            starts_at_s: None,
            granted: None,
            ..new.clone()
        };
        let to_the_second = NewLicense { starts_at_s: Some(5), expires_at_s: 7, ..bare.clone() };
        let unlimited = NewLicense { granted: None, unlimited: true, ..new.clone() };
        let change = |act| Operation::Change("l".parse().expect("an id"), act);
        let consume = |reason| Operation::Consume {
            customer_id: bare.customer_id.clone(),
            amount: amount("2"),
            reason,
        };
        for (operation, asked) in [
            (
                Operation::Issue(new.clone()),
                r#"issue c --expires 1970-01-03 --count 1.5 --platform "android|ios" --type "T --starts \"x\\" --starts 1970-01-02 --id l"#,
            ),
            (
                Operation::Issue(NewLicense { id: None, ..unlimited.clone() }),
                r#"issue c --expires 1970-01-03 --platform "android|ios" --type "T --starts \"x\\" --unlimited --starts 1970-01-02"#,
            ),
            (Operation::Issue(bare.clone()), "issue c --expires 1970-01-03"),
            (
                Operation::Issue(NewLicense { unlimited: true, ..bare.clone() }),
                "issue c --expires 1970-01-03",
            ),
            (Operation::Issue(to_the_second), "issue c --expires 7 --starts 5"),
            (change(Act::Extend(Extension::To(2 * DAY_S - 1))), "extend l --to 1970-01-02"),
            (change(Act::Extend(Extension::Days(30))), "extend l --days 30"),
            (
                change(Act::Adjust { by: -&amount("2.0"), reason: words("é \"q\"") }),
                r#"adjust l -2 --reason "é \"q\"""#,
            ),
            (consume(None), "consume c 2"),
            (consume(Some(words("a b"))), r#"consume c 2 --reason "a b""#),
            (change(Act::Revoke { reason: Some(words("fraud")) }), r#"revoke l --reason "fraud""#),
            (change(Act::Revoke { reason: None }), "revoke l"),
            (change(Act::Reinstate { reason: None }), "reinstate l"),
        ] {
            assert_eq!(operation.to_string(), asked);
        }
    }

    #[test]
    fn a_license_of_before_is_the_same_as_the_unlimited_one_that_it_was() {
        let new = |unlimited| NewLicense {
            id: "l".parse().ok(),
            customer_id: "c".parse().expect("an id"),
            kind: "pro".parse().ok(),
            platforms: None,
            starts_at_s: None,
            expires_at_s: DAY_S - 1,
            granted: None,
            unlimited,
        };
        let before = new(false).to_string();
        assert!(new(true).agrees_with(&before, true) && new(false).agrees_with(&before, true));
        // Where the type granted so many, another license is asked for.
        assert!(!new(true).agrees_with(&before, false) && new(false).agrees_with(&before, false));
        assert!(!new(false).agrees_with(&new(true).to_string(), true));
        let operation = |unlimited| Operation::Issue(new(unlimited));
        let before = operation(false).to_string();
        assert!(operation(true).agrees_with(&before, true));
        assert!(!operation(true).agrees_with(&before, false));
    }

    #[test]
    fn an_extension_counts_from_the_expiry_or_from_today() {
        let license = license(10 * DAY_S - 1, Some("1"), None);
        let days = Extension::Days(2);
        assert_eq!(license.extended(days, 5 * DAY_S), Ok(12 * DAY_S - 1));
        assert_eq!(license.extended(days, 20 * DAY_S + 7), Ok(23 * DAY_S - 1));
        assert_eq!(license.extended(Extension::To(11 * DAY_S - 1), 0), Ok(11 * DAY_S - 1));
        let earlier = Err(Refusal::Earlier { expires_at_s: 10 * DAY_S - 1 });
        assert_eq!(license.extended(Extension::To(9 * DAY_S - 1), 0), earlier);
        assert_eq!(license.extended(Extension::Days(u32::MAX), 0), Err(Refusal::TooLate));
    }

    #[test]
    fn no_more_is_taken_than_is_left() {
        let license = license(100, Some("1.5"), None);
        assert_eq!(license.adjusted(&-&amount("1.5")), Ok(Amount::default()));
        assert_eq!(
            license.adjusted(&-&amount("1.6")),
            Err(Refusal::BelowZero { left: amount("1.5") })
        );
        let unlimited = License { balance: None, granted: None, ..license };
        assert_eq!(unlimited.adjusted(&amount("1")), Err(Refusal::Unlimited));
    }

    #[test]
    fn platforms_are_a_set_however_they_are_joined() {
        let platforms =
            |text: &str| text.parse::<Platforms>().map(|platforms| platforms.to_string());
        assert_eq!(platforms("ios,android"), Ok("android|ios".into()));
        assert_eq!(platforms("android|ios|android"), Ok("android|ios".into()));
        for bad in ["", ",", "android,", "a b", "é", "x".repeat(33).as_str()] {
            assert_eq!(platforms(bad), Err(NotPlatforms), "{bad:?}");
        }
    }

    #[test]
    fn a_license_to_come_is_no_residue_and_does_not_move_the_expiry() {
        let to_come = License { starts_at_s: 300, ..license(400, Some("7"), None) };
        assert_eq!(fold(std::slice::from_ref(&to_come), 50), standing(400, "0"));
        assert_eq!(fold(&[to_come.clone(), license(100, Some("1"), None)], 50), standing(100, "1"));
        assert_eq!(
            fold(&[to_come.clone(), license(100, Some("1"), None)], 150),
            standing(100, "0")
        );
        // Revoked before it began, it ended on the day it was revoked.
        let never =
            License { revoked: Some(Revocation { at_s: 140, reason: None }), ..to_come.clone() };
        assert_eq!(fold(&[never.clone(), license(100, Some("1"), None)], 150), standing(140, "0"));
        assert_eq!(fold(&[never.clone(), license(145, Some("1"), None)], 350), standing(145, "0"));
        assert_eq!(fold(&[never.clone(), to_come], 150), standing(140, "0"));
        assert_eq!(fold(std::slice::from_ref(&never), 350), standing(140, "0"));
        assert_eq!(never.good(), None);
    }

    #[test]
    fn of_a_license_that_is_not_live_nothing_remains_not_even_of_an_unlimited_one() {
        let unlimited = license(100, None, None);
        assert_eq!(unlimited.residue(100), None);
        assert_eq!(unlimited.residue(101), Some(Amount::default()));
        assert_eq!(license(100, None, Some(5)).residue(50), Some(Amount::default()));
    }

    fn standing(expires_at_s: i64, count: &str) -> Option<Standing> {
        let count = count.parse().expect("an amount");
        Some(Standing { expires_at_s, residue: Residue::Count(count) })
    }

    #[test]
    fn live_licenses_add_up_and_the_latest_expiry_is_told() {
        let licenses = [
            license(100, Some("1.5"), None),
            license(200, Some("2"), None),
            license(49, Some("9"), None),
        ];
        assert_eq!(fold(&licenses, 50), standing(200, "3.5"));
    }

    #[test]
    fn a_license_is_good_through_its_last_second() {
        let licenses = [license(100, Some("1"), None)];
        assert_eq!(fold(&licenses, 100), standing(100, "1"));
        assert_eq!(fold(&licenses, 101), standing(100, "0"));
    }

    #[test]
    fn one_live_unlimited_license_makes_the_residue_unlimited() {
        let licenses = [license(100, Some("1"), None), license(90, None, None)];
        assert_eq!(fold(&licenses, 50).map(|s| s.residue), Some(Residue::Unlimited));
        assert_eq!(fold(&licenses, 95), standing(100, "1"));
    }

    #[test]
    fn a_revoked_license_ended_when_it_was_revoked_unless_it_had_run_out_before() {
        assert_eq!(fold(&[license(100, Some("1"), Some(70))], 80), standing(70, "0"));
        assert_eq!(fold(&[license(60, Some("1"), Some(70))], 80), standing(60, "0"));
        assert_eq!(
            fold(&[license(60, None, None), license(100, Some("1"), Some(70))], 80),
            standing(70, "0")
        );
    }

    #[test]
    fn a_customer_who_never_had_a_license_has_no_standing() {
        assert_eq!(fold(&[], 0), None);
    }
}
