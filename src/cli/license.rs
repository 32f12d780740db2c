//! `license`: what customers bought, and what became of it.

use crate::agora::reply::{self, Envelope};
use crate::billing::amount::{self, Amount};
use crate::billing::id::{CustomerId, LicenseId, LicenseType, OpId, ProjectId, Words};
use crate::billing::license::{
    Act, Entry, Extension, License, NewLicense, Operation, Platforms, Refusal, State, fold,
};
use crate::billing::period::{self, DAY_S};
use crate::cli::command::Shell;
use crate::cli::csv_out::CsvFlag;
use crate::cli::customer;
use crate::cli::database::shell_quoted;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::license_type;
use crate::cli::license_words::asked_words;
use crate::cli::moment::{Day, rfc3339};
use crate::cli::near::near;
use crate::cli::sentence::Sentence;
use crate::cli::table::{Columns, or_dash, print_properties};
use crate::store::license::{self, Done, News};
use crate::store::{ReadTx, setting};
use serde::Serialize;
use serde_json::value::RawValue;
use std::str::FromStr;

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
    Type(license_type::Args),
}

#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor license issue 123456 --expires 2030-12-31 --count 1000 \
        --id order-17"
)]
pub(super) struct IssueArgs {
    /// The customer, by Agora's id
    customer: CustomerId,

    /// The last day on which it is good, through its last second (UTC)
    #[arg(long, value_name = "DAY")]
    expires: Day,

    /// How many units of usage it grants; without it, what its type grants
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, conflicts_with = "unlimited")]
    count: Option<Amount>,

    /// It grants usage without limit
    #[arg(long)]
    unlimited: bool,

    /// The license's own id: the same id again is the same license; made where not told
    #[arg(long)]
    id: Option<LicenseId>,

    /// What it is good for, e.g. android,ios
    #[arg(long, value_name = "NAMES")]
    platform: Option<Platforms>,

    /// Which of your licenses it is, by the name that Agora knows
    #[arg(long = "type", value_name = "T")]
    kind: Option<LicenseType>,

    /// The first day on which it is good (UTC); today where not told
    #[arg(long, value_name = "DAY")]
    starts: Option<Day>,

    /// The customer, and the type, are meant although they are not in the books; such a customer is
    /// registered
    #[arg(long)]
    new: bool,

    #[command(flatten)]
    op: OpArgs,
}

#[derive(clap::Args)]
struct OpArgs {
    /// The operation's own id: the same id again changes nothing
    #[arg(long, value_name = "X")]
    op_id: Option<OpId>,
}

#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor license extend order-17 --days 30 --op-id renewal-2027"
)]
pub(super) struct ExtendArgs {
    /// The license's id
    id: LicenseId,

    #[command(flatten)]
    by: ExtensionArgs,

    #[command(flatten)]
    op: OpArgs,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct ExtensionArgs {
    /// The last day on which it is to be good, through its last second (UTC)
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,

    /// So many days on, from its expiry, or from today if that has passed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    days: Option<Days>,
}

#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor license adjust order-17 -20 --reason \"sold by mistake\""
)]
pub(super) struct AdjustArgs {
    /// The license's id
    id: LicenseId,

    /// How much more, or with a minus sign less, it is to grant
    #[arg(value_name = "±N", allow_hyphen_values = true)]
    by: Signed,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Words,

    #[command(flatten)]
    op: OpArgs,
}

#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor license consume 123456 5 --op-id seat-grant-9")]
pub(super) struct ConsumeArgs {
    /// The customer, by Agora's id
    customer: CustomerId,

    /// How much, above zero
    #[arg(value_name = "N", allow_hyphen_values = true)]
    amount: Amount,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Option<Words>,

    #[command(flatten)]
    op: OpArgs,
}

#[derive(clap::Args)]
pub(super) struct RevokeArgs {
    /// The license's id
    id: LicenseId,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Option<Words>,

    #[command(flatten)]
    op: OpArgs,
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Of this customer alone
    customer: Option<CustomerId>,

    /// Those alone that are not over yet and will be within so many days, e.g. 30d
    #[arg(long, value_name = "DAYS", allow_hyphen_values = true)]
    expiring: Option<Days>,

    #[command(flatten)]
    csv: CsvFlag,
}

/// The keys of a license, as CSV has them.
const KEYS: [&str; 14] = [
    "id",
    "customerId",
    "type",
    "platforms",
    "issuedAt",
    "starts",
    "startsAt",
    "expires",
    "expiresAt",
    "count",
    "residue",
    "state",
    "revokedAt",
    "reason",
];

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The license's id
    id: LicenseId,

    /// Show what Agora is told of all licenses of its customer
    #[arg(long)]
    as_agora: bool,
}

#[derive(clap::Args)]
pub(super) struct HistoryArgs {
    /// The license's id
    id: LicenseId,

    /// The last so many entries alone
    #[arg(long, value_name = "N")]
    last: Option<u32>,
}

/// An amount of either sign, and not zero.
#[derive(Clone, Debug)]
pub(super) struct Signed(Amount);

impl FromStr for Signed {
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
        match amount.is_zero() {
            true => Err("the change must not be zero: write one such as 20 or -20".to_owned()),
            false => Ok(Self(if sign == "-" { -&amount } else { amount })),
        }
    }
}

/// A number of days, from 1 to as many as the calendar has, as `30` or `30d`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Days(u32);

impl FromStr for Days {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const MOST: u32 = 3_000_000;
        let digits = text.strip_suffix('d').unwrap_or(text);
        let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let days =
            digits.and_then(|digits| digits.parse().ok()).filter(|days| (1..=MOST).contains(days));
        days.map(Self).ok_or("it must be a number of days from 1 to 3000000, such as 30d")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    customer_id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    platforms: Vec<String>,
    issued_at: String,
    starts: String,
    starts_at: String,
    expires: String,
    expires_at: String,
    /// Null where unlimited.
    count: Option<String>,
    /// What is left of the count, whatever its state; null where unlimited.
    residue: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Shown {
    fn new(license: &License, now_s: i64) -> Self {
        let platforms = license.platforms.as_ref().map_or("", Platforms::as_str);
        Self {
            id: license.id.to_string(),
            customer_id: license.customer_id.to_string(),
            kind: license.kind.as_ref().map(ToString::to_string),
            platforms: platforms
                .split('|')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            issued_at: rfc3339(license.issued_at_s),
            starts: period::date(license.starts_at_s).to_string(),
            starts_at: rfc3339(license.starts_at_s),
            expires: period::date(license.expires_at_s).to_string(),
            expires_at: rfc3339(license.expires_at_s),
            count: license.granted.as_ref().map(ToString::to_string),
            residue: license.balance.as_ref().map(ToString::to_string),
            state: license.state(now_s).as_str(),
            revoked_at: license.revoked.as_ref().map(|revoked| rfc3339(revoked.at_s)),
            reason: license
                .revoked
                .as_ref()
                .and_then(|revoked| revoked.reason.as_ref())
                .map(ToString::to_string),
        }
    }

    fn count_words(&self) -> String {
        self.count.clone().unwrap_or_else(|| "unlimited".to_owned())
    }

    fn residue_words(&self) -> String {
        self.residue.clone().unwrap_or_else(|| "unlimited".to_owned())
    }

    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            let mut properties =
                vec![("id", self.id.clone()), ("customer", self.customer_id.clone())];
            properties.extend(self.kind.clone().map(|kind| ("type", kind)));
            properties.extend(
                (!self.platforms.is_empty()).then(|| ("platforms", self.platforms.join(", "))),
            );
            properties.extend([
                ("issued", self.issued_at.clone()),
                ("starts", self.starts_at.clone()),
                ("expires", self.expires_at.clone()),
                ("count", self.count_words()),
                ("residue", self.residue_words()),
                ("state", self.state.to_owned()),
            ]);
            properties.extend(self.revoked_at.clone().map(|at| ("revoked", at)));
            properties.extend(self.reason.clone().map(|reason| ("reason", reason)));
            print_properties(out, &properties)
        })?;
        Ok(Exit::Done)
    }
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
        Args::Issue(args) => issue(args, shell),
        Args::Extend(args) => {
            let by = match (args.by.to, args.by.days) {
                (Some(day), _) => Extension::To(day.period().last_s()),
                (None, days) => Extension::Days(days.map_or(0, |Days(days)| days)),
            };
            change(&Operation::Change(args.id.clone(), Act::Extend(by)), &args.op, shell)
        }
        Args::Adjust(args) => {
            let act = Act::Adjust { by: args.by.0.clone(), reason: args.reason.clone() };
            change(&Operation::Change(args.id.clone(), act), &args.op, shell)
        }
        Args::Consume(args) => consume(args, shell),
        Args::Revoke(args) => {
            let act = Act::Revoke { reason: args.reason.clone() };
            change(&Operation::Change(args.id.clone(), act), &args.op, shell)
        }
        Args::Reinstate(args) => {
            let act = Act::Reinstate { reason: args.reason.clone() };
            change(&Operation::Change(args.id.clone(), act), &args.op, shell)
        }
        Args::List(args) => list(args, shell),
        Args::Show(args) if args.as_agora => show_as_agora(args, shell),
        Args::Show(args) => {
            let license = shell.open()?.read(|tx| find(tx, &args.id))?;
            Shown::new(&license, shell.now_s).print(shell)
        }
        Args::History(args) => history(args, shell),
        Args::Type(args) => license_type::run(args, shell),
    }
}

fn find(tx: &ReadTx<'_>, id: &LicenseId) -> Result<License, Failure> {
    license::find(tx, id)?.ok_or_else(|| no_license(tx, id.as_str()))
}

fn no_license(tx: &ReadTx<'_>, id: &str) -> Failure {
    match license::ids(tx) {
        Ok(ids) => Failure::not_found(format!("there is no license {id}{}", near(id, ids)))
            .hint("license list", "shows them"),
        Err(error) => error.into(),
    }
}

/// Says how much usage of a project that has come to a customer no license covers, though the
/// customer's are good for its time; `None` where there is none.
pub(super) fn uncovered_words(
    project_id: &ProjectId,
    customer_id: &CustomerId,
    uncovered: &Amount,
) -> Option<String> {
    (!uncovered.is_zero()).then(|| {
        format!(
            "{uncovered} of project {project_id}'s usage lies in the time of customer \
             {customer_id}'s licenses and stays uncovered: a license covers what is recorded from \
             now on"
        )
    })
}

/// Does what was asked for, where `check` finds nothing amiss in it, and tells whether that changed
/// anything.
fn operate(
    operation: &Operation,
    op: &OpArgs,
    shell: &mut Shell<'_>,
    check: impl FnOnce(&ReadTx<'_>, &Done) -> Result<(), Failure>,
) -> Result<Done, Failure> {
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
    refusal: Refusal,
    operation: &Operation,
    op_id: Option<&OpId>,
) -> Failure {
    let id = operation.license_id().map_or_else(String::new, ToString::to_string);
    match (refusal, operation) {
        (Refusal::NoLicense, _) => no_license(tx, &id),
        (Refusal::NoCustomer, Operation::Consume { customer_id, .. }) => {
            customer::unknown(tx, customer_id)
        }
        (Refusal::NoCustomer, _) => Failure::not_found("there is no such customer"),
        (Refusal::OtherContent(asked), _) => Failure::conflict(format!(
            "the id {id} stands for another license, issued by `{}`: nothing was issued; give a \
             new license an id of its own",
            asked_words(&asked)
        )),
        (Refusal::OtherOperation(asked), _) => Failure::conflict(format!(
            "the operation {} was another, `{}`: nothing was changed; give a new operation an id \
             of its own",
            or_dash(op_id.as_ref()),
            asked_words(&asked)
        )),
        (Refusal::Empty { starts_at_s }, _) => Failure::words(format!(
            "it would expire before it starts, which is on {}: give a later day of expiry",
            period::date(starts_at_s)
        )),
        (Refusal::Earlier { expires_at_s }, _) => Failure::failed(format!(
            "the license {id} is good until {} already, and extending does not shorten",
            rfc3339(expires_at_s)
        ))
        .hint("license revoke", "ends one"),
        (Refusal::TooLate, _) => Failure::failed(format!(
            "the license {id} would expire after the year 9999: give fewer days"
        )),
        (Refusal::Unlimited, _) => {
            Failure::failed(format!("the license {id} is unlimited: there is no count to adjust"))
        }
        (Refusal::BelowZero { left }, Operation::Consume { customer_id, amount, .. }) => {
            Failure::failed(format!(
                "customer {customer_id} has {left} left over all live licenses, less than \
                 {amount}: nothing was consumed"
            ))
        }
        (Refusal::BelowZero { left }, _) => Failure::failed(format!(
            "the license {id} has {left} left: no more than that can be taken off, and nothing was"
        )),
    }
}

/// Does what is about one license, and shows it.
fn change(operation: &Operation, op: &OpArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let done = operate(operation, op, shell, |_, _| Ok(()))?;
    show_changed(&done, operation, shell)
}

fn show_changed(
    done: &Done,
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
        (State::Expired, _) => {
            shell.note(&format!("the license expired on {}", period::date(license.expires_at_s)))
        }
        (State::Revoked, Operation::Change(_, Act::Extend(_) | Act::Adjust { .. })) => {
            let sentence = Sentence::from("the license is revoked all the same");
            shell.point_out(sentence.hint("license reinstate", "makes it good again"));
        }
        (State::Scheduled | State::Live | State::Revoked, _) => {}
    }
    Shown::new(license, now_s).print(shell)
}

fn issue(args: &IssueArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
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
fn check_issue(tx: &ReadTx<'_>, args: &IssueArgs, done: &Done) -> Result<(), Failure> {
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

fn consume(args: &ConsumeArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown<'a> {
        customer_id: &'a str,
        #[serde(serialize_with = "exact")]
        amount: &'a Amount,
        drawn: Vec<Drawn<'a>>,
        duplicate: bool,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Drawn<'a> {
        license_id: &'a str,
        #[serde(serialize_with = "exact")]
        amount: &'a Amount,
        /// Null where unlimited.
        residue: Option<String>,
    }

    if !args.amount.is_positive() {
        return Err(Failure::words(format!(
            "the amount is {}: it must be above zero",
            args.amount
        )));
    }
    let (customer_id, amount, reason) =
        (args.customer.clone(), args.amount.clone(), args.reason.clone());
    let operation = Operation::Consume { customer_id, amount, reason };
    let done = operate(&operation, &args.op, shell, |_, _| Ok(()))?;
    let drawn = done.licenses.iter().filter_map(|(license, amount)| {
        let residue = license.balance.as_ref().map(ToString::to_string);
        Some(Drawn { license_id: license.id.as_str(), amount: amount.as_ref()?, residue })
    });
    let shown = Shown {
        customer_id: args.customer.as_str(),
        amount: &args.amount,
        drawn: drawn.collect(),
        duplicate: done.news == News::Repeated,
    };
    shell.print(&shown, |out| {
        let mut columns = Columns::new(&["license", "consumed#", "residue#"]);
        for drawn in &shown.drawn {
            let residue = drawn.residue.clone().unwrap_or_else(|| "unlimited".to_owned());
            columns.row([drawn.license_id.to_owned(), drawn.amount.to_string(), residue]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn list(args: &ListArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let now_s = shell.now_s;
    let mut licenses = shell.open()?.read(|tx| match &args.customer {
        Some(customer_id) => {
            customer::find(tx, customer_id)?;
            Ok::<_, Failure>(license::of(tx, customer_id)?)
        }
        None => Ok(license::list(tx)?),
    })?;
    if let Some(Days(days)) = args.expiring {
        let until_s = now_s + i64::from(days) * DAY_S;
        let is_expiring = |license: &License| match license.state(now_s) {
            State::Live | State::Scheduled => license.expires_at_s <= until_s,
            State::Expired | State::Revoked => false,
        };
        licenses.retain(is_expiring);
        licenses.sort_by_key(|license| license.expires_at_s);
    }
    let shown: Vec<Shown> = licenses.iter().map(|license| Shown::new(license, now_s)).collect();
    if args.csv.csv {
        shell.print_csv(&KEYS, &shown)?;
        return Ok(Exit::Done);
    }
    shell.print(&shown, |out| {
        let names = [
            "id", "customer", "type", "issued", "starts", "expires", "count#", "residue#", "state",
        ];
        let mut columns = Columns::new(&names);
        for license in &shown {
            columns.row([
                license.id.clone(),
                license.customer_id.clone(),
                or_dash(license.kind.as_ref()),
                license.issued_at.clone(),
                license.starts.clone(),
                license.expires.clone(),
                license.count_words(),
                license.residue_words(),
                license.state.to_owned(),
            ]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn show_as_agora(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let (licenses, settings) = shell.open()?.read(|tx| {
        let license = find(tx, &args.id)?;
        Ok::<_, Failure>((license::of(tx, &license.customer_id)?, setting::read(tx)?))
    })?;
    let standing = fold(&licenses, shell.now_s).expect("the license that was found is one of them");
    let reply = reply::license(
        &standing.expire_date(),
        &standing.residue_count(&settings),
        Envelope::Nested,
    );
    let body = String::from_utf8(reply.body).expect("JSON is UTF-8");
    let document = RawValue::from_string(body.clone()).expect("a reply's body is JSON");
    shell.print(&document, |out| writeln!(out, "{body}"))?;
    Ok(Exit::Done)
}

fn history(args: &HistoryArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown {
        at: String,
        /// Null on what usage does by itself.
        by: Option<String>,
        kind: String,
        amount: Option<String>,
        /// What is left after it; null where unlimited.
        balance: Option<String>,
        expires_at: Option<String>,
        record_id: Option<String>,
        project_id: Option<String>,
        reason: Option<String>,
        op_id: Option<String>,
    }

    let (license, entries) = shell.open()?.read(|tx| {
        let license = find(tx, &args.id)?;
        let entries = license::history(tx, &license, args.last)?;
        Ok::<_, Failure>((license, entries))
    })?;
    // Followed back from what is left now, since the first entries may be left out.
    let mut balance = license.balance.clone();
    let shown = |entry: &Entry| {
        let after = balance.clone();
        if let (Some(balance), Some(amount)) = (&mut balance, &entry.amount) {
            *balance -= amount;
        }
        Shown {
            at: rfc3339(entry.at_s),
            by: entry.actor.as_ref().map(ToString::to_string),
            kind: entry.kind.to_string(),
            amount: entry.amount.as_ref().map(ToString::to_string),
            balance: after.as_ref().map(ToString::to_string),
            expires_at: entry.expires_at_s.map(rfc3339),
            record_id: entry.record.as_ref().map(|(record_id, _)| record_id.to_string()),
            project_id: entry.record.as_ref().map(|(_, project_id)| project_id.to_string()),
            reason: entry.reason.as_ref().map(ToString::to_string),
            op_id: entry.op_id.as_ref().map(ToString::to_string),
        }
    };
    let mut shown: Vec<Shown> = entries.iter().rev().map(shown).collect();
    shown.reverse();
    shell.print(&shown, |out| {
        let names = [
            "at", "by", "what", "amount#", "balance#", "expires", "record", "project", "op",
            "reason",
        ];
        let mut columns = Columns::new(&names);
        for entry in &shown {
            columns.row([
                entry.at.clone(),
                or_dash(entry.by.as_ref()),
                entry.kind.clone(),
                or_dash(entry.amount.as_ref()),
                entry.balance.clone().unwrap_or_else(|| "unlimited".to_owned()),
                or_dash(entry.expires_at.as_ref()),
                or_dash(entry.record_id.as_ref()),
                or_dash(entry.project_id.as_ref()),
                or_dash(entry.op_id.as_ref()),
                or_dash(entry.reason.as_ref()),
            ]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}
