//! `license issue`: a new license for a customer.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, LicenseId, LicenseType};
use crate::billing::license::{NewLicense, Operation, Platforms};
use crate::cli::command::Shell;
use crate::cli::customer;
use crate::cli::failure::{Exit, Failure};
use crate::cli::license::operate::{OpArgs, operate, show_changed};
use crate::cli::moment::Day;
use crate::cli::near::near;
use crate::store::ReadTx;
use crate::store::license::{self, News, OperationOutcome};

#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor license issue 123456 --expires 2030-12-31 --count 1000 \
        --id order-17"
)]
pub(in crate::cli) struct IssueArgs {
    /// The customer, by Agora's id
    pub(super) customer: CustomerId,

    /// The last day on which it is good, through its last second (UTC)
    #[arg(long, value_name = "DAY")]
    expires: Day,

    /// How many units of usage it grants; without it, what its type grants
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, conflicts_with = "unlimited")]
    count: Option<Amount>,

    /// It grants usage without limit
    #[arg(long)]
    unlimited: bool,

    /// The license's own id: the same id again is the same license. Without it one is made
    #[arg(long)]
    pub(super) id: Option<LicenseId>,

    /// What it is good for, e.g. android,ios
    #[arg(long, value_name = "NAMES")]
    platform: Option<Platforms>,

    /// Which of your licenses it is, by the name that Agora knows
    #[arg(long = "type", value_name = "T")]
    kind: Option<LicenseType>,

    /// The first day on which it is good (UTC); without it, today
    #[arg(long, value_name = "DAY")]
    starts: Option<Day>,

    /// The customer, and the type, are meant although they are not in the books; such a customer is
    /// registered
    #[arg(long)]
    new: bool,

    #[command(flatten)]
    pub(super) op: OpArgs,
}

pub(super) fn run(args: &IssueArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if let Some(count) = args.count.as_ref().filter(|count| !count.is_positive()) {
        return Err(Failure::words(format!(
            "--count is {count}: give a count above zero, or --unlimited"
        )));
    }
    let new = NewLicense {
        id: args.id.clone(),
        customer_id: args.customer.clone(),
        kind: args.kind.clone(),
        platforms: args.platform.clone(),
        starts_at_s: args.starts.map(|day| day.period().first_s()),
        expires_at_s: args.expires.period().last_s(),
        granted: args.count.clone(),
        unlimited: args.unlimited,
    };
    let operation = Operation::Issue(new);
    let done = operate(&operation, &args.op, shell, |tx, done| check_issue(tx, args, done))?;
    show_changed(&done, &operation, shell)
}

/// Checks that what was typed is meant. What was issued before by the same words stays.
fn check_issue(tx: &ReadTx<'_>, args: &IssueArgs, done: &OperationOutcome) -> Result<(), Failure> {
    if done.news != News::Changed {
        return Ok(());
    }
    let is_granted = args.count.is_some() || args.unlimited;
    match &args.kind {
        None if !is_granted => {
            return Err(Failure::words(
                "what the license grants is not given: add --count AMOUNT, --unlimited, or --type \
                 T with a type that is set up",
            ));
        }
        Some(kind) if license::find_type(tx, kind)?.is_none() => {
            if !args.new {
                let types = license::types(tx)?;
                let names = types.iter().map(|grant| &grant.kind);
                return Err(Failure::not_found(format!(
                    "there is no license type {kind}{}; --new says that it is meant",
                    near(kind, names)
                ))
                .hint("license type list", "shows them"));
            }
            if !is_granted {
                return Err(Failure::words(format!(
                    "the license type {kind} is not set up: add --count AMOUNT or --unlimited"
                ))
                .hint("license type set", "sets it up"));
            }
        }
        None | Some(_) => {}
    }
    if done.unknown.customer && !args.new {
        return Err(
            customer::unknown(tx, &args.customer).with("--new says that the customer is meant")
        );
    }
    Ok(())
}
