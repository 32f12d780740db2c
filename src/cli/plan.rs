//! `plan`: what usage costs.

use crate::billing::amount::Amount;
use crate::billing::id::{Label, PlanId};
use crate::billing::plan::Plan;
use crate::billing::price::Price;
use crate::cli::failure::{Exit, Failure};
use crate::cli::shell::{Columns, Shell, exact, print_properties};
use crate::store::plan;
use serde::Serialize;

/// Price plans: set one up, list them, show one
///
/// A project is priced by its customer's plan; the plan called `default` prices projects whose customer
/// has no plan named, and those without a customer.
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// Set a plan up, or change it; it is valid for all time
    Set(SetArgs),
    /// List all plans
    List,
    /// Show a plan
    Show(ShowArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor plan set default --name Standard --unit Minute --price 0.01")]
pub(super) struct SetArgs {
    /// Agora's planId, at most 16 characters, or `default`
    id: PlanId,

    /// The plan's name in descriptions, e.g. Standard
    #[arg(long, value_name = "TEXT")]
    name: Label,

    /// One unit of usage in words, e.g. Minute
    #[arg(long, value_name = "TEXT")]
    unit: Label,

    /// What one unit costs, in the currency agreed with Agora; 0 is free
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    price: Amount,
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The plan's id
    id: PlanId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    plan_id: &'a str,
    name: &'a str,
    unit: &'a str,
    #[serde(serialize_with = "exact")]
    price: &'a Amount,
}

impl<'a> Shown<'a> {
    fn new(plan: &'a Plan) -> Self {
        let Price::PerUnit(price) = &plan.price;
        Self { plan_id: plan.id.as_str(), name: plan.name.as_str(), unit: plan.unit.as_str(), price }
    }

    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            print_properties(
                out,
                &[
                    ("plan", self.plan_id.to_owned()),
                    ("name", self.name.to_owned()),
                    ("unit", self.unit.to_owned()),
                    ("price", format!("{} per {}", self.price, self.unit)),
                ],
            )
        })?;
        Ok(Exit::Done)
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::Set(args) => set(args, shell),
        Args::List => list(shell),
        Args::Show(args) => show(args, shell),
    }
}

fn set(args: &SetArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let new = Plan {
        id: args.id.clone(),
        name: args.name.clone(),
        unit: args.unit.clone(),
        price: Price::PerUnit(args.price.clone()),
    };
    let before = shell.open()?.write(|tx| {
        let before = plan::book(tx)?;
        plan::set(tx, &new)?;
        Ok::<_, Failure>(before)
    })?;
    if let Some(before) = before.plans().find(|plan| plan.id == new.id && **plan != new) {
        let Price::PerUnit(each) = &before.price;
        shell.note(&format!("before it was {} at {each} per {}", before.name, before.unit));
    }
    Shown::new(&new).print(shell)
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let book = shell.open()?.read(plan::book)?;
    let plans: Vec<Shown<'_>> = book.plans().map(Shown::new).collect();
    shell.print(&plans, |out| {
        let mut columns = Columns::new(&["plan", "name", "unit", "price#"]);
        for plan in &plans {
            columns.row([plan.plan_id.to_owned(), plan.name.to_owned(), plan.unit.to_owned(), plan.price.to_string()]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let book = shell.open()?.read(plan::book)?;
    let plan = book.plans().find(|plan| plan.id == args.id);
    let plan = plan.ok_or_else(|| {
        Failure::not_found(format!("there is no plan {}: `agora-vendor plan list` shows them", args.id))
    })?;
    Shown::new(plan).print(shell)
}
