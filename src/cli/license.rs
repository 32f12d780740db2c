//! `license`: what customers bought.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, LicenseId, Words};
use crate::billing::license::{License, Revocation, State};
use crate::billing::period;
use crate::cli::customer;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::{Day, rfc3339};
use crate::cli::shell::{Columns, Shell, made_id, print_properties};
use crate::store::{ReadTx, license};
use serde::Serialize;

/// Licenses: issue one to a customer, list them, show or revoke one
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// Issue a license to a customer; one that nobody announced is registered on the spot
    Issue(IssueArgs),
    /// List licenses
    List(ListArgs),
    /// Show a license
    Show(ShowArgs),
    /// Revoke a license: from now on it is not good any more
    Revoke(RevokeArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor license issue 123456 --expires 2030-12-31 --count 1000 --id order-17")]
pub(super) struct IssueArgs {
    /// The customer, by Agora's id
    customer: CustomerId,

    /// The last day on which it is good, through its last second (UTC)
    #[arg(long, value_name = "DAY")]
    expires: Day,

    /// How many units of usage it grants; unlimited where not told
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    count: Option<Amount>,

    /// The license's own id: the same id again is the same license; made where not told
    #[arg(long)]
    id: Option<LicenseId>,
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Of this customer alone
    customer: Option<CustomerId>,
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The license's id
    id: LicenseId,
}

#[derive(clap::Args)]
pub(super) struct RevokeArgs {
    /// The license's id
    id: LicenseId,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Option<Words>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    customer_id: String,
    issued_at: String,
    expires: String,
    /// Null where unlimited, like the residue.
    count: Option<String>,
    residue: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Shown {
    fn new(license: &License, now_s: i64) -> Self {
        Self {
            id: license.id.to_string(),
            customer_id: license.customer_id.to_string(),
            issued_at: rfc3339(license.issued_at_s),
            expires: period::date(license.expires_at_s).to_string(),
            count: license.granted.as_ref().map(ToString::to_string),
            residue: license.residue(now_s).as_ref().map(ToString::to_string),
            state: match license.state(now_s) {
                State::Live => "live",
                State::Expired => "expired",
                State::Revoked => "revoked",
            },
            revoked_at: license.revoked.as_ref().map(|revoked| rfc3339(revoked.at_s)),
            reason: license.revoked.as_ref().and_then(|revoked| revoked.reason.as_ref()).map(ToString::to_string),
        }
    }

    fn count_words(&self) -> String {
        self.count.clone().unwrap_or_else(|| "unlimited".to_owned())
    }

    /// Of an unlimited license that is not live nothing remains, though the count says nothing of it.
    fn residue_words(&self) -> String {
        match (&self.residue, self.state) {
            (None, "live") => "unlimited".to_owned(),
            (residue, _) => residue.clone().unwrap_or_else(|| "0".to_owned()),
        }
    }

    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            let mut properties = vec![
                ("id", self.id.clone()),
                ("customer", self.customer_id.clone()),
                ("issued", self.issued_at.clone()),
                ("expires", self.expires.clone()),
                ("count", self.count_words()),
                ("residue", self.residue_words()),
                ("state", self.state.to_owned()),
            ];
            properties.extend(self.revoked_at.clone().map(|at| ("revoked", at)));
            properties.extend(self.reason.clone().map(|reason| ("reason", reason)));
            print_properties(out, &properties)
        })?;
        Ok(Exit::Done)
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::Issue(args) => issue(args, shell),
        Args::List(args) => list(args, shell),
        Args::Show(args) => {
            let license = shell.open()?.read(|tx| find(tx, &args.id))?;
            Shown::new(&license, shell.now_s).print(shell)
        }
        Args::Revoke(args) => revoke(args, shell),
    }
}

fn find(tx: &ReadTx<'_>, id: &LicenseId) -> Result<License, Failure> {
    license::find(tx, id)?
        .ok_or_else(|| Failure::not_found(format!("there is no license {id}: `agora-vendor license list` shows them")))
}

fn issue(args: &IssueArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if let Some(count) = args.count.as_ref().filter(|count| !count.is_positive()) {
        return Err(Failure::words(format!(
            "--count is {count}: a count above zero is wanted, or none for an unlimited license"
        )));
    }
    let new = License {
        id: args.id.clone().unwrap_or_else(made_id),
        customer_id: args.customer.clone(),
        issued_at_s: shell.now_s,
        expires_at_s: args.expires.period().last_s(),
        granted: args.count.clone(),
        revoked: None,
    };
    let now_s = shell.now_s;
    let (stands, customer_is_new) = shell.open()?.write(|tx| match license::find(tx, &new.id)? {
        None => Ok((None, license::issue(tx, &new)?)),
        Some(stands) => {
            let same = stands.customer_id == new.customer_id
                && stands.expires_at_s == new.expires_at_s
                && stands.granted == new.granted;
            match same {
                true => Ok((Some(stands), false)),
                false => Err(Failure::conflict(format!(
                    "the id {} stands for another license, customer {}, expires {}, count {}: nothing was issued",
                    stands.id,
                    stands.customer_id,
                    period::date(stands.expires_at_s),
                    stands.granted.as_ref().map_or_else(|| "unlimited".to_owned(), ToString::to_string)
                ))),
            }
        }
    })?;
    if customer_is_new {
        shell.note(&format!("customer {} was not known and is registered", new.customer_id));
    }
    if stands.is_some() {
        shell.note("already issued; nothing was changed");
    }
    let license = stands.as_ref().unwrap_or(&new);
    if license.state(now_s) == State::Expired {
        shell.note(&format!("the license expired on {}", period::date(license.expires_at_s)));
    }
    Shown::new(license, now_s).print(shell)
}

fn list(args: &ListArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let licenses = shell.open()?.read(|tx| match &args.customer {
        Some(customer_id) => {
            customer::find(tx, customer_id)?;
            Ok::<_, Failure>(license::of(tx, customer_id)?)
        }
        None => Ok(license::list(tx)?),
    })?;
    let shown: Vec<Shown> = licenses.iter().map(|license| Shown::new(license, shell.now_s)).collect();
    shell.print(&shown, |out| {
        let mut columns = Columns::new(&["id", "customer", "issued", "expires", "count#", "residue#", "state"]);
        for license in &shown {
            columns.row([
                license.id.clone(),
                license.customer_id.clone(),
                license.issued_at.clone(),
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

fn revoke(args: &RevokeArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let now_s = shell.now_s;
    let (license, before) = shell.open()?.write(|tx| {
        let before = find(tx, &args.id)?;
        license::revoke(tx, &args.id, &Revocation { at_s: now_s, reason: args.reason.clone() })?;
        Ok::<_, Failure>((find(tx, &args.id)?, before))
    })?;
    if before.revoked.is_some() {
        shell.note("already revoked; nothing was changed");
    }
    Shown::new(&license, now_s).print(shell)
}
