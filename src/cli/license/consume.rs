//! `license consume`: units used up without usage.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, Words};
use crate::billing::license::Operation;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::license::operate::{OpArgs, operate};
use crate::cli::table::Columns;
use crate::store::license::News;
use serde::Serialize;

#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor license consume 123456 5 --op-id seat-grant-9")]
pub(in crate::cli) struct ConsumeArgs {
    /// The customer, by Agora's id
    pub(super) customer: CustomerId,

    /// How much, above zero
    #[arg(value_name = "N", allow_hyphen_values = true)]
    amount: Amount,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Option<Words>,

    #[command(flatten)]
    pub(super) op: OpArgs,
}

pub(super) fn run(args: &ConsumeArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ConsumptionView<'a> {
        customer_id: &'a str,
        #[serde(serialize_with = "exact")]
        amount: &'a Amount,
        drawn: Vec<DrawView<'a>>,
        duplicate: bool,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct DrawView<'a> {
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
        Some(DrawView { license_id: license.id.as_str(), amount: amount.as_ref()?, residue })
    });
    let shown = ConsumptionView {
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
