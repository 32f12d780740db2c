//! `bill`: what Agora will be told of a month, what it was told, and how it came about.
//!
//! `shown` is the bill as it is printed, `told` what Agora was told of it before, and
//! `explained` one project's amount down to its records.

mod explained;
mod shown;
mod told;

use crate::billing::bill::{self, Bill};
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::setting::LatePolicy;
use crate::cli::bill::explained::BillExplanation;
use crate::cli::bill::shown::{BY_CUSTOMER, BY_PROJECT, BillBy, BillParts, BillView};
use crate::cli::command::Shell;
use crate::cli::csv_out::CsvFlag;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::Month;
use crate::cli::sentence::Sentence;
use crate::cli::{customer, project};
use crate::store::balance::{self, StatedMonth};
use crate::store::bill::Pricing;
use crate::store::{self, ReadTx, setting};
use std::collections::BTreeMap;

pub(super) use shown::lines;

/// Show the bill that Agora will be told of a month, and what it was told of it
///
/// Charges what no license covered, by the prices, plans and customers that are in force in the
/// month. Projects that need a price and have none are left out of what Agora is told; they are
/// listed apart, and the command ends with 1.
///
/// Where the setting `late` is `carry`, a line for each earlier month tells what it costs by now
/// less what bills told of it. What later bills have told of the month is taken off.
///
/// Of a month that Agora was told already, it says what, when and in which statement, what bills of
/// later months adjusted of it, and what is due.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor bill --month 2026-11 --project 430892 --explain")]
pub(super) struct Args {
    /// The month, e.g. 2026-11
    #[arg(long)]
    month: Month,

    /// Of this project alone
    #[arg(long, value_name = "P")]
    project: Option<ProjectId>,

    /// Of the projects alone that are this customer's in the month
    #[arg(long, value_name = "C")]
    customer: Option<CustomerId>,

    /// What the rows are
    #[arg(long, value_enum, default_value = "project")]
    by: BillBy,

    /// Show of one project, named by --project, where its amount comes from: tiers, what licenses
    /// covered, records and voids, versions of the plan and who set them
    #[arg(long, requires = "project", conflicts_with_all = ["by", "csv"])]
    explain: bool,

    #[command(flatten)]
    csv: CsvFlag,
}

/// What is read of the books, of one state of them.
struct BillRead {
    bill: Bill,
    told: Option<StatedMonth>,
    /// The customer of each project that is shown, in the month.
    customers: BTreeMap<ProjectId, CustomerId>,
    /// The names of the customers, where told.
    names: BTreeMap<CustomerId, String>,
    late: LatePolicy,
    explained: Option<BillExplanation>,
}

impl BillRead {
    fn new(tx: &ReadTx<'_>, args: &Args) -> Result<Self, Failure> {
        let (period, only) = (args.month.period(), args.project.as_ref());
        let month_s = period.first_s();
        if let Some(project_id) = only {
            project::find(tx, project_id)?;
        }
        if let Some(customer_id) = &args.customer {
            customer::find(tx, customer_id)?;
        }
        let pricing = Pricing::read(tx, only)?;
        if let (Some(project_id), Some(customer_id)) = (only, &args.customer) {
            check_owner(&pricing, args.month, project_id, customer_id)?;
        }
        let standings = balance::dues(tx, period, only, &pricing)?;
        let basis = pricing.basis(tx, period, only)?;
        let mut bill = bill::bill_adjusted(basis, standings);
        let mut told = StatedMonth::read(tx, month_s, only, &pricing)?;
        let explained = match only.filter(|_| args.explain) {
            Some(id) => {
                Some(BillExplanation::read(tx, id, month_s, &bill, told.as_ref(), &pricing)?)
            }
            None => None,
        };
        let customer_of = |id: &ProjectId| pricing.customer_of(id, month_s);
        if let Some(asked) = &args.customer {
            let is_theirs = |id: &ProjectId| customer_of(id) == Some(asked);
            bill.entries.retain(|entry| is_theirs(&entry.usage.project_id));
            bill.uncharged.retain(|entry| is_theirs(&entry.usage.project_id));
            bill.unpriced.retain(|unpriced| is_theirs(&unpriced.usage.project_id));
            told.iter_mut().for_each(|told| told.projects.retain(|id, _| is_theirs(id)));
        }
        let entries = bill.entries.iter().chain(&bill.uncharged).map(|entry| &entry.usage);
        let usages = entries.chain(bill.unpriced.iter().map(|unpriced| &unpriced.usage));
        let shown = usages.map(|usage| &usage.project_id);
        let shown = shown.chain(told.iter().flat_map(|told| told.projects.keys()));
        let owned = |id: &ProjectId| Some((id.clone(), customer_of(id)?.clone()));
        let customers = shown.filter_map(owned).collect();
        let names = if args.by == BillBy::Customer { names(tx)? } else { BTreeMap::new() };
        let late = setting::read(tx)?.late();
        Ok(Self { bill, told, customers, names, late, explained })
    }
}

/// Refuses a project that is not the customer's in the month.
fn check_owner(
    pricing: &Pricing,
    month: Month,
    project_id: &ProjectId,
    customer_id: &CustomerId,
) -> Result<(), Failure> {
    let whose = match pricing.customer_of(project_id, month.period().first_s()) {
        Some(owner) if owner == customer_id => return Ok(()),
        Some(owner) => format!("customer {owner}'s"),
        None => "nobody's".to_owned(),
    };
    Err(Failure::not_found(format!(
        "project {project_id} is not customer {customer_id}'s in {month}, but {whose}: leave \
         --customer or --project out"
    )))
}

/// The names of all customers that told one.
fn names(tx: &ReadTx<'_>) -> store::Result<BTreeMap<CustomerId, String>> {
    let customers = store::customer::list(tx)?.into_iter();
    Ok(customers.filter_map(|one| Some((one.id, one.name?.to_string()))).collect())
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let read = shell.open()?.read(|tx| BillRead::new(tx, args))?;
    let document = BillView::new(
        args.month,
        args.by,
        args.month.period().last_s() < shell.now_s,
        BillParts {
            bill: &read.bill,
            told: read.told.as_ref(),
            customers: &read.customers,
            names: &read.names,
            late: read.late,
            explained: read.explained.as_ref(),
        },
    );
    if args.csv.csv {
        let keys: &[&str] = match args.by {
            BillBy::Project => &BY_PROJECT,
            BillBy::Customer => &BY_CUSTOMER,
        };
        shell.print_csv(keys, document.csv_rows()?)?;
    } else {
        shell.print(&document, |out| document.print(out))?;
    }
    match read.bill.unpriced.len() {
        0 => Ok(Exit::Done),
        count => {
            let sentence = Sentence::from(format!("projects without a price: {count}"));
            shell.point_out(sentence.hint("plan set", "sets a plan up"));
            Ok(Exit::Failed)
        }
    }
}
