//! An operation on licenses as a command does it: once for its id, refused in words, its license
//! shown.

use crate::billing::id::OpId;
use crate::billing::license::{Act, LicenseRefusal, LicenseState, Operation};
use crate::billing::period;
use crate::cli::command::Shell;
use crate::cli::customer;
use crate::cli::failure::{Exit, Failure};
use crate::cli::license::find::no_license;
use crate::cli::license::view::LicenseView;
use crate::cli::license::words::asked_words;
use crate::cli::moment::rfc3339;
use crate::cli::sentence::Sentence;
use crate::cli::table::or_dash;
use crate::store::ReadTx;
use crate::store::license::{self, News, OperationOutcome};

#[derive(clap::Args)]
pub(super) struct OpArgs {
    /// The operation's own id: the same id again changes nothing
    #[arg(long, value_name = "X")]
    pub(super) op_id: Option<OpId>,
}

/// Does what was asked for, where `check` finds nothing amiss in it, and tells whether that changed
/// anything.
pub(super) fn operate(
    operation: &Operation,
    op: &OpArgs,
    shell: &mut Shell<'_>,
    check: impl FnOnce(&ReadTx<'_>, &OperationOutcome) -> Result<(), Failure>,
) -> Result<OperationOutcome, Failure> {
    let op_id = op.op_id.as_ref();
    let mut store = shell.open()?;
    let done = store.write(|tx| {
        let done = license::operate(tx, operation, op_id, &shell.stamp())?
            .map_err(|refusal| refused(tx, refusal, operation, op_id))?;
        // Nothing of it stands where this fails.
        check(tx, &done)?;
        Ok::<_, Failure>(done)
    })?;
    // Without the lock: there may be much to add up.
    if let (Some(time), Some((license, _))) = (done.covers, done.licenses.first()) {
        let customer_id = &license.customer_id;
        let read = store.read(|tx| license::uncovered(tx, customer_id, time, shell.now_s));
        let uncovered = shell.uncovered_or_note(read);
        if !uncovered.is_zero() {
            shell.note(&format!(
                "{uncovered} of customer {customer_id}'s usage from {} to {} stays uncovered: the \
                 license covers what is recorded from now on",
                rfc3339(time.first_s()),
                rfc3339(time.last_s())
            ));
        }
    }
    match (done.news, op_id, operation) {
        (News::Changed, ..) => {}
        (News::Repeated, Some(op_id), _) => {
            shell.note(&format!("the operation {op_id} was done already; nothing was changed"));
        }
        (_, _, Operation::Issue(_)) => shell.note("already issued; nothing was changed"),
        (_, _, Operation::Change(_, Act::Extend(_))) => {
            shell.note("it expires then already; nothing was changed")
        }
        (_, _, Operation::Change(_, Act::Revoke { .. })) => {
            shell.note("already revoked; nothing was changed")
        }
        (_, _, Operation::Change(_, Act::Reinstate { .. })) => {
            shell.note("it is not revoked; nothing was changed")
        }
        (_, _, Operation::Change(_, Act::Adjust { .. }) | Operation::Consume { .. }) => {}
    }
    Ok(done)
}

/// Says why an operation was not done.
fn refused(
    tx: &ReadTx<'_>,
    refusal: LicenseRefusal,
    operation: &Operation,
    op_id: Option<&OpId>,
) -> Failure {
    let id = operation.license_id().map_or_else(String::new, ToString::to_string);
    match (refusal, operation) {
        (LicenseRefusal::NoLicense, _) => no_license(tx, &id),
        (LicenseRefusal::NoCustomer, Operation::Consume { customer_id, .. }) => {
            customer::unknown(tx, customer_id)
        }
        (LicenseRefusal::NoCustomer, _) => Failure::not_found("there is no such customer"),
        (LicenseRefusal::OtherContent(asked), _) => Failure::conflict(format!(
            "the id {id} stands for another license, issued by `{}`: nothing was issued; give a \
             new license an id of its own",
            asked_words(&asked)
        )),
        (LicenseRefusal::OtherOperation(asked), _) => Failure::conflict(format!(
            "the operation {} was another, `{}`: nothing was changed; give a new operation an id \
             of its own",
            or_dash(op_id.as_ref()),
            asked_words(&asked)
        )),
        (LicenseRefusal::Empty { starts_at_s }, _) => Failure::words(format!(
            "it would expire before it starts, which is on {}: give a later day of expiry",
            period::date(starts_at_s)
        )),
        (LicenseRefusal::Earlier { expires_at_s }, _) => Failure::failed(format!(
            "the license {id} is good until {} already, and extending does not shorten",
            rfc3339(expires_at_s)
        ))
        .hint("license revoke", "ends one"),
        (LicenseRefusal::TooLate, _) => Failure::failed(format!(
            "the license {id} would expire after the year 9999: give fewer days"
        )),
        (LicenseRefusal::Unlimited, _) => {
            Failure::failed(format!("the license {id} is unlimited: there is no count to adjust"))
        }
        (LicenseRefusal::BelowZero { left }, Operation::Consume { customer_id, amount, .. }) => {
            Failure::failed(format!(
                "customer {customer_id} has {left} left over all live licenses, less than \
                 {amount}: nothing was consumed"
            ))
        }
        (LicenseRefusal::BelowZero { left }, _) => Failure::failed(format!(
            "the license {id} has {left} left: no more than that can be taken off, and nothing was"
        )),
    }
}

pub(super) fn show_changed(
    done: &OperationOutcome,
    operation: &Operation,
    shell: &mut Shell<'_>,
) -> Result<Exit, Failure> {
    let now_s = shell.now_s;
    let (license, _) = done
        .licenses
        .first()
        .ok_or_else(|| Failure::failed("the license is not in the books any more"))?;
    if done.unknown.customer {
        shell.note(&format!("customer {} was not known and is registered", license.customer_id));
    }
    match (license.state(now_s), operation) {
        (LicenseState::Expired, _) => {
            shell.note(&format!("the license expired on {}", period::date(license.expires_at_s)))
        }
        (LicenseState::Revoked, Operation::Change(_, Act::Extend(_) | Act::Adjust { .. })) => {
            let sentence = Sentence::from("the license is revoked all the same");
            shell.point_out(sentence.hint("license reinstate", "makes it good again"));
        }
        (LicenseState::Scheduled | LicenseState::Live | LicenseState::Revoked, _) => {}
    }
    LicenseView::new(license, now_s).print(shell)
}
