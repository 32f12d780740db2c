//! `project`: Agora's projects.

use crate::billing::id::{CustomerId, ProjectId};
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::shell::{Columns, Shell, or_dash, print_properties};
use crate::store::project::{self, Project};
use crate::store::{ReadTx, customer};
use serde::Serialize;

/// Projects: list them, show one, add one
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// List all projects
    List,
    /// Show a project
    Show(ShowArgs),
    /// Add a project of a customer and enable it from now on; again with another customer moves it
    Add(AddArgs),
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The project, by Agora's id
    project: ProjectId,
}

#[derive(clap::Args)]
pub(super) struct AddArgs {
    /// The project, by Agora's id
    project: ProjectId,

    /// Whose project it is, by Agora's id
    #[arg(long, value_name = "C")]
    customer: CustomerId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    project_id: String,
    customer_id: Option<String>,
    first_seen_at: String,
    enabled: bool,
    enabled_since: Option<String>,
}

impl Shown {
    fn new(project: &Project) -> Self {
        Self {
            project_id: project.id.to_string(),
            customer_id: project.customer_id.as_ref().map(ToString::to_string),
            first_seen_at: rfc3339(project.first_seen_at_s),
            enabled: project.enabled_since_s.is_some(),
            enabled_since: project.enabled_since_s.map(rfc3339),
        }
    }

    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            print_properties(
                out,
                &[
                    ("project", self.project_id.clone()),
                    ("customer", or_dash(self.customer_id.as_ref())),
                    ("first seen", self.first_seen_at.clone()),
                    ("enabled since", or_dash(self.enabled_since.as_ref())),
                ],
            )
        })?;
        Ok(Exit::Done)
    }
}

/// Finds a project, or says that there is none.
pub(super) fn find(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Project, Failure> {
    project::find(tx, id)?
        .ok_or_else(|| Failure::not_found(format!("there is no project {id}: `agora-vendor project list` shows them")))
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::List => list(shell),
        Args::Show(args) => {
            let project = shell.open()?.read(|tx| find(tx, &args.project))?;
            Shown::new(&project).print(shell)
        }
        Args::Add(args) => add(args, shell),
    }
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let projects = shell.open()?.read(|tx| project::list(tx, None))?;
    let projects: Vec<Shown> = projects.iter().map(Shown::new).collect();
    shell.print(&projects, |out| {
        let mut columns = Columns::new(&["project", "customer", "first seen", "enabled since"]);
        for project in &projects {
            columns.row([
                project.project_id.clone(),
                or_dash(project.customer_id.as_ref()),
                project.first_seen_at.clone(),
                or_dash(project.enabled_since.as_ref()),
            ]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn add(args: &AddArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let now_s = shell.now_s;
    let (id, customer_id) = (&args.project, &args.customer);
    let (before, customer_before, project) = shell.open()?.write(|tx| {
        let (before, customer_before) = (project::find(tx, id)?, customer::find(tx, customer_id)?);
        Ok::<_, Failure>((before, customer_before, project::announce(tx, id, customer_id, now_s)?))
    })?;
    if customer_before.is_none() {
        shell.note(&format!("customer {customer_id} was not known and is registered"));
    }
    if let Some(owner) = before.and_then(|before| before.customer_id).filter(|owner| owner != customer_id) {
        shell.note(&format!("project {id} was customer {owner}'s and is {customer_id}'s now, whose plan prices all its usage, past months too"));
    }
    Shown::new(&project).print(shell)
}
