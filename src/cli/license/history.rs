//! `license history`: a license's ledger.

use crate::billing::id::LicenseId;
use crate::billing::license::LicenseEntry;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::license::find::find;
use crate::cli::moment::rfc3339;
use crate::cli::table::{Columns, or_dash};
use crate::store::license;
use serde::Serialize;

#[derive(clap::Args)]
pub(in crate::cli) struct HistoryArgs {
    /// The license's id
    id: LicenseId,

    /// The last so many entries alone
    #[arg(long, value_name = "N")]
    last: Option<u32>,
}

pub(super) fn run(args: &HistoryArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct LicenseEntryView {
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
    let shown = |entry: &LicenseEntry| {
        let after = balance.clone();
        if let (Some(balance), Some(amount)) = (&mut balance, &entry.amount) {
            *balance -= amount;
        }
        LicenseEntryView {
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
    let mut shown: Vec<LicenseEntryView> = entries.iter().rev().map(shown).collect();
    shown.reverse();
    let mut left_out = Vec::new();
    shell.print(&shown, |out| {
        let names = [
            "at", "by", "what", "amount#", "balance#", "expires", "record!", "project", "op",
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
        left_out =
            columns.leave_out(&["op", "project", "by", "expires"], Some("reason"), out.screen);
        columns.print(out)
    })?;
    shell.point_out_left_out(&left_out, "license history ID --json", "shows all of it");
    Ok(Exit::Done)
}
