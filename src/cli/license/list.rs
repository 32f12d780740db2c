//! `license list`: all licenses, a customer's, or those that end soon.

use crate::billing::id::CustomerId;
use crate::billing::license::{License, LicenseState};
use crate::billing::period::DAY_S;
use crate::cli::command::Shell;
use crate::cli::csv_out::CsvFlag;
use crate::cli::customer;
use crate::cli::failure::{Exit, Failure};
use crate::cli::license::days::DayCount;
use crate::cli::license::view::LicenseView;
use crate::cli::table::{Columns, or_dash};
use crate::store::license;

#[derive(clap::Args)]
pub(in crate::cli) struct ListArgs {
    /// Of this customer alone
    customer: Option<CustomerId>,

    /// Those alone that are not over yet and will be within so many days, e.g. 30d
    #[arg(long, value_name = "DAYS", allow_hyphen_values = true)]
    expiring: Option<DayCount>,

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

pub(super) fn run(args: &ListArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let now_s = shell.now_s;
    let mut licenses = shell.open()?.read(|tx| match &args.customer {
        Some(customer_id) => {
            customer::find(tx, customer_id)?;
            Ok::<_, Failure>(license::of(tx, customer_id)?)
        }
        None => Ok(license::list(tx)?),
    })?;
    if let Some(DayCount(days)) = args.expiring {
        let until_s = now_s + i64::from(days) * DAY_S;
        let is_expiring = |license: &License| match license.state(now_s) {
            LicenseState::Live | LicenseState::Scheduled => license.expires_at_s <= until_s,
            LicenseState::Expired | LicenseState::Revoked => false,
        };
        licenses.retain(is_expiring);
        licenses.sort_by_key(|license| license.expires_at_s);
    }
    let shown: Vec<LicenseView> =
        licenses.iter().map(|license| LicenseView::new(license, now_s)).collect();
    if args.csv.csv {
        shell.print_csv(&KEYS, &shown)?;
        return Ok(Exit::Done);
    }
    let mut left_out = Vec::new();
    shell.print(&shown, |out| {
        let names = [
            "id!",
            "customer!",
            "type",
            "issued",
            "starts",
            "expires",
            "count#",
            "residue#",
            "state",
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
        left_out = columns.leave_out(&["issued", "type", "starts"], None, out.screen);
        columns.print(out)
    })?;
    shell.point_out_left_out(&left_out, "license show ID", "shows all of a license");
    Ok(Exit::Done)
}
