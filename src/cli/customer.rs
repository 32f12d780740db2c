//! `customer`: Agora's users who activated the extension.

use crate::billing::id::{CustomerId, PlanId, Words};
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::shell::{Columns, Shell, or_dash, print_properties};
use crate::store::customer::{self, Announcement, Customer};
use crate::store::{ReadTx, plan, project};
use serde::Serialize;

/// Customers: list them, show one, add one
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// List all customers
    List,
    /// Show a customer and its projects
    Show(ShowArgs),
    /// Add a customer; again with other values changes them, and what is not told stays
    Add(AddArgs),
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
struct Shown {
    customer_id: String,
    plan_id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    first_seen_at: String,
    announced_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<Vec<String>>,
}

impl Shown {
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
            projects: None,
        }
    }

    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            let mut properties = vec![
                ("customer", self.customer_id.clone()),
                ("plan", or_dash(self.plan_id.as_ref())),
                ("name", or_dash(self.name.as_ref())),
                ("email", or_dash(self.email.as_ref())),
                ("phone", or_dash(self.phone.as_ref())),
                ("first seen", self.first_seen_at.clone()),
                ("announced", or_dash(self.announced_at.as_ref())),
            ];
            let joined = |projects: &Vec<String>| match projects.is_empty() {
                true => "-".to_owned(),
                false => projects.join(", "),
            };
            properties.extend(self.projects.as_ref().map(|projects| ("projects", joined(projects))));
            print_properties(out, &properties)
        })?;
        Ok(Exit::Done)
    }
}

/// Finds a customer, or says that there is none.
pub(super) fn find(tx: &ReadTx<'_>, id: &CustomerId) -> Result<Customer, Failure> {
    customer::find(tx, id)?.ok_or_else(|| {
        Failure::not_found(format!("there is no customer {id}: `agora-vendor customer list` shows them"))
    })
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::List => list(shell),
        Args::Show(args) => show(args, shell),
        Args::Add(args) => add(args, shell),
    }
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let customers: Vec<Shown> = shell.open()?.read(customer::list)?.iter().map(Shown::new).collect();
    shell.print(&customers, |out| {
        let mut columns = Columns::new(&["customer", "plan", "name", "email", "phone", "announced"]);
        for customer in &customers {
            columns.row([
                customer.customer_id.clone(),
                or_dash(customer.plan_id.as_ref()),
                or_dash(customer.name.as_ref()),
                or_dash(customer.email.as_ref()),
                or_dash(customer.phone.as_ref()),
                or_dash(customer.announced_at.as_ref()),
            ]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let id = &args.customer;
    let (customer, projects) =
        shell.open()?.read(|tx| Ok::<_, Failure>((find(tx, id)?, project::list(tx, Some(id))?)))?;
    let projects = projects.iter().map(|project| project.id.to_string()).collect();
    Shown { projects: Some(projects), ..Shown::new(&customer) }.print(shell)
}

fn add(args: &AddArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let now_s = shell.now_s;
    let said = Announcement {
        plan_id: args.plan.clone(),
        name: args.name.clone(),
        email: args.email.clone(),
        phone: args.phone.clone(),
    };
    let (customer, plans) = shell
        .open()?
        .write(|tx| Ok::<_, Failure>((customer::announce(tx, &args.customer, &said, now_s)?, plan::book(tx)?)))?;
    if let Err(missing) = plans.applicable(customer.plan_id.as_ref()) {
        shell.note(&format!(
            "the plan {missing} is not set up: until `agora-vendor plan set` does, this customer's usage has no price"
        ));
    }
    Shown::new(&customer).print(shell)
}
