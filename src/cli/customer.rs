//! `customer`: Agora's users who activated the extension.

use crate::billing::history::History;
use crate::billing::id::{CustomerId, PlanId, ProjectId, Words};
use crate::cli::command::Shell;
use crate::cli::events::{EventView, print_events};
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::near::near;
use crate::cli::sentence::Sentence;
use crate::cli::start::{HistoryEntryView, Start, billed_words, first_months, settle, timeline};
use crate::cli::table::{Columns, or_dash, or_never, print_properties};
use crate::store::customer::{self, Announcement, Customer};
use crate::store::{ReadTx, event, plan, project};
use serde::Serialize;

/// Customers: list them, show one, add one, deactivate one, forget one's contacts
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// List all customers; one that was never announced is in the books only because something
    /// named it
    List,
    /// Show a customer, its projects, and what was changed of them
    Show(ShowArgs),
    /// Add a customer; again with other values changes them, and what is not told stays
    Add(AddArgs),
    /// Deactivate a customer's account, and disable its projects: what Agora's own call does
    ///
    /// This second is the last in which its projects are enabled. Fees of this month stay due;
    /// usage from now on is reported and billed like any other. What is so already stays. `customer
    /// add` makes the account active again, and `project enable` a project.
    Deactivate(DeactivateArgs),
    /// Blank a customer's name, e-mail and phone; ids, usage and amounts stay
    ///
    /// For accounts that are to be deleted. Backups made before still hold the contacts, and so may
    /// the file that ends in -wal until the server is restarted.
    Forget(ForgetArgs),
}

#[derive(clap::Args)]
pub(super) struct ForgetArgs {
    /// The customer, by Agora's id
    customer: CustomerId,
}

#[derive(clap::Args)]
pub(super) struct DeactivateArgs {
    /// The customer, by Agora's id
    customer: CustomerId,
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The customer, by Agora's id
    customer: CustomerId,
}

#[derive(clap::Args)]
pub(super) struct AddArgs {
    /// The customer, by Agora's id
    customer: CustomerId,

    /// The plan that prices its usage; the plan `default` where none is named
    #[arg(long, value_name = "P")]
    plan: Option<PlanId>,

    /// The plan is meant although it is not set up yet
    #[arg(long)]
    new: bool,

    #[command(flatten)]
    start: Start,

    /// Its name
    #[arg(long)]
    name: Option<Words>,

    /// Its e-mail address
    #[arg(long)]
    email: Option<Words>,

    /// Its phone number
    #[arg(long)]
    phone: Option<Words>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CustomerView {
    customer_id: String,
    plan_id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    first_seen_at: String,
    announced_at: Option<String>,
    deactivated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plans: Option<Vec<HistoryEntryView<NamedPlanView>>>,
    #[serde(skip)]
    plan_timeline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView>>,
}

/// A plan that was named for the customer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NamedPlanView {
    plan_id: String,
}

impl CustomerView {
    fn new(customer: &Customer) -> Self {
        let text = |words: &Option<Words>| words.as_ref().map(ToString::to_string);
        Self {
            customer_id: customer.id.to_string(),
            plan_id: customer.plan_id.as_ref().map(ToString::to_string),
            name: text(&customer.name),
            email: text(&customer.email),
            phone: text(&customer.phone),
            first_seen_at: rfc3339(customer.first_seen_at_s),
            announced_at: customer.announced_at_s.map(rfc3339),
            deactivated_at: customer.deactivated_at_s.map(rfc3339),
            plans: None,
            plan_timeline: None,
            projects: None,
            events: None,
        }
    }

    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            let mut properties = vec![
                ("customer", self.customer_id.clone()),
                ("plan", or_dash(self.plan_timeline.as_ref().or(self.plan_id.as_ref()))),
                ("name", or_dash(self.name.as_ref())),
                ("email", or_dash(self.email.as_ref())),
                ("phone", or_dash(self.phone.as_ref())),
                ("first seen", self.first_seen_at.clone()),
                ("announced", or_never(self.announced_at.as_ref())),
            ];
            properties.extend(self.deactivated_at.clone().map(|at| ("deactivated", at)));
            let joined = |projects: &Vec<String>| {
                if projects.is_empty() { "-".to_owned() } else { projects.join(", ") }
            };
            properties
                .extend(self.projects.as_ref().map(|projects| ("projects", joined(projects))));
            print_properties(out, &properties)?;
            print_events(out, self.events.as_deref().unwrap_or_default())
        })?;
        Ok(Exit::Done)
    }
}

/// Finds a customer, or says that there is none.
pub(super) fn find(tx: &ReadTx<'_>, id: &CustomerId) -> Result<Customer, Failure> {
    customer::find(tx, id)?.ok_or_else(|| unknown(tx, id))
}

/// Says that there is no such customer, and who is near.
pub(super) fn unknown(tx: &ReadTx<'_>, id: &CustomerId) -> Failure {
    match customer::ids(tx) {
        Ok(ids) => Failure::not_found(format!("there is no customer {id}{}", near(id, ids)))
            .hint("customer list", "shows them"),
        Err(error) => error.into(),
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::List => list(shell),
        Args::Show(args) => show(args, shell),
        Args::Add(args) => add(args, shell),
        Args::Deactivate(args) => deactivate(args, shell),
        Args::Forget(args) => forget(args, shell),
    }
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let customers: Vec<CustomerView> =
        shell.open()?.read(customer::list)?.iter().map(CustomerView::new).collect();
    shell.print(&customers, |out| {
        let mut columns = Columns::new(&[
            "customer!",
            "plan",
            "name",
            "email",
            "phone",
            "announced",
            "deactivated",
        ]);
        for customer in &customers {
            columns.row([
                customer.customer_id.clone(),
                or_dash(customer.plan_id.as_ref()),
                or_dash(customer.name.as_ref()),
                or_dash(customer.email.as_ref()),
                or_dash(customer.phone.as_ref()),
                or_never(customer.announced_at.as_ref()),
                or_dash(customer.deactivated_at.as_ref()),
            ]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let id = &args.customer;
    let (customer, plans, projects, events) = shell.open()?.read(|tx| {
        Ok::<_, Failure>((
            find(tx, id)?,
            customer::plans_of(tx, id)?,
            project::of(tx, id)?,
            event::of_customer(tx, id)?,
        ))
    })?;
    let shown_plan = |plan_id: &PlanId| NamedPlanView { plan_id: plan_id.to_string() };
    CustomerView {
        plans: Some(plans.iter().map(|said| HistoryEntryView::new(said, shown_plan)).collect()),
        plan_timeline: (!plans.is_empty()).then(|| timeline(&plans.into_iter().collect())),
        projects: Some(projects.iter().map(|project| project.id.to_string()).collect()),
        events: Some(events.iter().map(EventView::new).collect()),
        ..CustomerView::new(&customer)
    }
    .print(shell)
}

fn deactivate(args: &DeactivateArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let id = &args.customer;
    let (before, after, disabled) = shell.open()?.write(|tx| {
        let before = find(tx, id)?;
        let disabled = project::deactivate_all(tx, id, &shell.stamp())?;
        Ok::<_, Failure>((before, find(tx, id)?, disabled))
    })?;
    if before == after && disabled.is_empty() {
        shell.note("it is deactivated already; nothing was changed");
    }
    if !disabled.is_empty() {
        let ids: Vec<&str> = disabled.iter().map(ProjectId::as_str).collect();
        shell.note(&format!("these projects are disabled now: {}", ids.join(", ")));
    }
    CustomerView::new(&after).print(shell)
}

fn forget(args: &ForgetArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let id = &args.customer;
    let mut store = shell.open()?;
    let (customer, had_contacts) = store.write(|tx| {
        let had_contacts = customer::forget(tx, &find(tx, id)?, &shell.stamp())?;
        Ok::<_, Failure>((find(tx, id)?, had_contacts))
    })?;
    // Else the file would hold them until enough else is written.
    let still = |why: &str| {
        format!(
            "the books have forgotten the contacts, but the bytes of the file still hold them \
             ({why}): run the same command again"
        )
    };
    match store.settle() {
        Ok(true) => {}
        Ok(false) => shell.note(&still("the database is being read")),
        Err(error) => return Err(Failure::failed(still(&error.of_read()))),
    }
    if !had_contacts {
        shell.note("there are no contacts to forget; nothing was changed");
    }
    CustomerView::new(&customer).print(shell)
}

/// Checks that a plan is set up, or was named for the customer before.
fn check_plan(tx: &ReadTx<'_>, plan_id: &PlanId, before: &History<PlanId>) -> Result<(), Failure> {
    let book = plan::book(tx)?;
    let was_named = before.iter().any(|(_, named)| named == plan_id);
    if was_named || book.versions(Some(plan_id)).is_some() {
        return Ok(());
    }
    Err(Failure::not_found(format!(
        "there is no plan {plan_id}{}; --new says that it is meant",
        near(plan_id, book.ids())
    ))
    .hint("plan list", "shows them"))
}

fn add(args: &AddArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    if args.start.is_told() && args.plan.is_none() {
        return Err(Failure::words("--from is given without --plan: tell what holds from then on"));
    }
    let (seen_at_s, before, after, customer, plans, billed) = shell.open()?.write(|tx| {
        let stamp = shell.stamp();
        let seen_at_s = customer::find(tx, &args.customer)?.map(|found| found.first_seen_at_s);
        let history = || {
            Ok::<History<PlanId>, Failure>(
                customer::plans_of(tx, &args.customer)?.into_iter().collect(),
            )
        };
        let before = history()?;
        if let Some(plan_id) = args.plan.as_ref().filter(|_| !args.new) {
            check_plan(tx, plan_id, &before)?;
        }
        let from_s = match &args.plan {
            Some(plan_id) => {
                let seen_at_s = seen_at_s.unwrap_or(stamp.at_s);
                args.start.of(tx, &before, plan_id, Some(seen_at_s), stamp.at_s)?
            }
            None => args.start.month_s(stamp.at_s),
        };
        let said = Announcement {
            plan_id: args.plan.clone(),
            plan_from_s: args.plan.is_some().then_some(from_s),
            name: args.name.clone(),
            email: args.email.clone(),
            phone: args.phone.clone(),
        };
        let customer = customer::announce(tx, &args.customer, &said, &stamp)?;
        let (after, billed) = (history()?, billed_words(tx, from_s)?);
        Ok::<_, Failure>((seen_at_s, before, after, customer, plan::book(tx)?, billed))
    })?;
    if billed.is_some() {
        settle(shell)?;
    }
    if !before.is_empty() && after != before {
        shell.note(&format!(
            "customer {} is priced by these plans: {}",
            args.customer,
            timeline(&after)
        ));
    } else if let Some((from_s, plan_id)) = after.iter().next()
        && (seen_at_s.is_some() || from_s > 0)
        && after != before
    {
        let so_far = if seen_at_s.is_some() { "had no plan so far" } else { "is new" };
        shell.note(&format!(
            "customer {} {so_far}: {plan_id} prices {}",
            args.customer,
            first_months(from_s)
        ));
    }
    if let Some(billed) = billed.filter(|_| seen_at_s.is_some() && after != before) {
        shell.point_out(billed);
    }
    if let Err(missing) = plans.applicable(customer.plan_id.as_ref(), shell.now_s) {
        let sentence =
            format!("the plan {missing} is not set up, and this customer's usage has no price");
        shell.point_out(Sentence::from(sentence).hint("plan set", "sets a plan up"));
    }
    CustomerView::new(&customer).print(shell)
}
