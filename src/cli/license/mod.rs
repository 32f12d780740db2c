//! `license`: what customers bought, and what became of it.
//!
//! A verb is a file, but `change` has those that change one license. What changes a license goes
//! through `operate`; `words` is an operation as a command, and `grant` is `license type`.

mod change;
mod consume;
mod days;
mod find;
mod grant;
mod history;
mod issue;
mod list;
mod operate;
mod show;
mod uncovered;
mod view;
mod words;

use crate::billing::id::{CustomerId, LicenseId};
use crate::cli::command::Shell;
use crate::cli::database::shell_quoted;
use crate::cli::failure::{Exit, Failure};
use change::{AdjustArgs, ExtendArgs, RevokeArgs};
use consume::ConsumeArgs;
use history::HistoryArgs;
use issue::IssueArgs;
use list::ListArgs;
use show::ShowArgs;

pub(super) use uncovered::uncovered_words;

/// Licenses: issue one to a customer, change what it grants, list them, show one and its history
///
/// Usage of a customer's projects draws from the licenses that were good at its time, whenever it
/// is recorded, the one that ends first; what they do not cover is billed. Whatever changes a
/// license takes --op-id: the same id again changes nothing, so that a command may be repeated.
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// Issue a license to a customer
    Issue(IssueArgs),
    /// Move a license's expiry on
    Extend(ExtendArgs),
    /// Change what a license grants, by so much
    Adjust(AdjustArgs),
    /// Use up a customer's licenses without usage: all of it or nothing
    Consume(ConsumeArgs),
    /// Revoke a license: from now on it is not good any more
    Revoke(RevokeArgs),
    /// Undo a revocation: the license counts as never revoked, for usage that is recorded from now
    /// on
    Reinstate(RevokeArgs),
    /// List licenses
    List(ListArgs),
    /// Show a license
    Show(ShowArgs),
    /// Show all that was done with a license, and what was left after it
    History(HistoryArgs),
    #[command(subcommand)]
    Type(grant::Args),
}

impl Args {
    /// The command that shows whether this was done; `None` where it may be done again.
    pub(super) fn to_look(&self) -> Option<String> {
        let of_license = |id: &LicenseId| format!("license history {}", shell_quoted(id.as_str()));
        let of_customer = |id: &CustomerId| format!("license list {}", shell_quoted(id.as_str()));
        match self {
            Self::Issue(args) if args.id.is_none() && args.op.op_id.is_none() => {
                Some(of_customer(&args.customer))
            }
            Self::Extend(args) if args.by.days.is_some() && args.op.op_id.is_none() => {
                Some(of_license(&args.id))
            }
            Self::Adjust(args) if args.op.op_id.is_none() => Some(of_license(&args.id)),
            Self::Consume(args) if args.op.op_id.is_none() => Some(of_customer(&args.customer)),
            Self::Issue(_)
            | Self::Extend(_)
            | Self::Adjust(_)
            | Self::Consume(_)
            | Self::Revoke(_)
            | Self::Reinstate(_)
            | Self::List(_)
            | Self::Show(_)
            | Self::History(_)
            | Self::Type(_) => None,
        }
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::Issue(args) => issue::run(args, shell),
        Args::Extend(args) => change::extend(args, shell),
        Args::Adjust(args) => change::adjust(args, shell),
        Args::Consume(args) => consume::run(args, shell),
        Args::Revoke(args) => change::revoke(args, shell),
        Args::Reinstate(args) => change::reinstate(args, shell),
        Args::List(args) => list::run(args, shell),
        Args::Show(args) => show::run(args, shell),
        Args::History(args) => history::run(args, shell),
        Args::Type(args) => grant::run(args, shell),
    }
}
