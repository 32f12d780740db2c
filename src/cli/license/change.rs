//! `license extend`, `adjust`, `revoke` and `reinstate`: what changes one license.

use crate::billing::amount::{self, Amount};
use crate::billing::id::{LicenseId, Words};
use crate::billing::license::{Act, Extension, Operation};
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::license::days::DayCount;
use crate::cli::license::operate::{OpArgs, operate, show_changed};
use crate::cli::moment::Day;
use std::str::FromStr;

#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor license extend order-17 --days 30 --op-id renewal-2027"
)]
pub(in crate::cli) struct ExtendArgs {
    /// The license's id
    pub(super) id: LicenseId,

    #[command(flatten)]
    pub(super) by: ExtensionArgs,

    #[command(flatten)]
    pub(super) op: OpArgs,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct ExtensionArgs {
    /// The last day on which it is to be good, through its last second (UTC)
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,

    /// So many days on, from its expiry, or from today if that has passed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) days: Option<DayCount>,
}

#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor license adjust order-17 -20 --reason \"sold by mistake\""
)]
pub(in crate::cli) struct AdjustArgs {
    /// The license's id
    pub(super) id: LicenseId,

    /// How much more, or with a minus sign less, it is to grant
    #[arg(value_name = "±N", allow_hyphen_values = true)]
    by: SignedAmount,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Words,

    #[command(flatten)]
    pub(super) op: OpArgs,
}

#[derive(clap::Args)]
pub(in crate::cli) struct RevokeArgs {
    /// The license's id
    pub(super) id: LicenseId,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Option<Words>,

    #[command(flatten)]
    pub(super) op: OpArgs,
}

/// An amount of either sign, and not zero.
#[derive(Clone, Debug)]
pub(super) struct SignedAmount(Amount);

impl FromStr for SignedAmount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sign, digits) = match text.as_bytes().first() {
            Some(b'-' | b'+') => text.split_at(1),
            _ => ("", text),
        };
        let amount: Amount = digits.parse().map_err(|error| match error {
            amount::Error::Negative => amount::Error::NotDecimal.to_string(),
            amount::Error::NotDecimal | amount::Error::TooManyDigits | amount::Error::TooFine => {
                error.to_string()
            }
        })?;
        if amount.is_zero() {
            Err("the change must not be zero: write one such as 20 or -20".to_owned())
        } else {
            Ok(Self(if sign == "-" { -&amount } else { amount }))
        }
    }
}

pub(super) fn extend(args: &ExtendArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let by = match (args.by.to, args.by.days) {
        (Some(day), _) => Extension::To(day.period().last_s()),
        (None, days) => Extension::Days(days.map_or(0, |DayCount(days)| days)),
    };
    change(&args.id, Act::Extend(by), &args.op, shell)
}

pub(super) fn adjust(args: &AdjustArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let act = Act::Adjust { by: args.by.0.clone(), reason: args.reason.clone() };
    change(&args.id, act, &args.op, shell)
}

pub(super) fn revoke(args: &RevokeArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let act = Act::Revoke { reason: args.reason.clone() };
    change(&args.id, act, &args.op, shell)
}

pub(super) fn reinstate(args: &RevokeArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let act = Act::Reinstate { reason: args.reason.clone() };
    change(&args.id, act, &args.op, shell)
}

/// Changes one license, and shows it.
fn change(id: &LicenseId, act: Act, op: &OpArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let operation = Operation::Change(id.clone(), act);
    let done = operate(&operation, op, shell, |_, _| Ok(()))?;
    show_changed(&done, &operation, shell)
}
