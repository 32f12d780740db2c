//! `project`: Agora's projects.

use crate::agora::signature;
use crate::billing::amount::Amount;
use crate::billing::history::{History, HistoryEntry};
use crate::billing::id::{CustomerId, ProjectId};
use crate::cli::command::Shell;
use crate::cli::database::shell_quoted;
use crate::cli::events::{EventView, print_events};
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::license::uncovered_words;
use crate::cli::moment::rfc3339;
use crate::cli::named::NamedFile;
use crate::cli::near::near;
use crate::cli::secret;
use crate::cli::start::{HistoryEntryView, Start, billed_words, first_months, settle, timeline};
use crate::cli::table::{Columns, or_dash, or_never, print_properties};
use crate::store::project::{self, Project};
use crate::store::usage::{self, UsageSum};
use crate::store::{ReadTx, customer, event, license};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

/// Projects: list them, show one, add one, disable or enable one, verify the keys of one's calls
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// List all projects; one that was never announced is in the books only because a record named
    /// it
    List,
    /// Show a project, and what was changed of it
    Show(ShowArgs),
    /// Add a project of a customer and enable it from now on; again with another customer moves it
    ///
    /// From the month of --from on, its usage draws from the licenses of the other customer and is
    /// billed to them.
    Add(AddArgs),
    /// Disable the extension for a project: what Agora's own call does
    ///
    /// This second is the last in which it is enabled. Fees of this month stay due; usage from now
    /// on is reported and billed like any other. One that is not enabled stays as it is.
    Disable(DisableArgs),
    /// Enable the extension for a project of a customer again; an account that was deactivated is
    /// active again
    Enable(EnableArgs),
    /// Verify the appKey and appSecret that came with a call: ends with 0 if they are the
    /// project's, else with 1
    ///
    /// For the vendor's own backend. They are those that Agora was told when it created the
    /// project; of a project that is not enabled they are not accepted. Where the database cannot
    /// be read it ends with 75.
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    /// The project, by Agora's id
    project: ProjectId,

    /// Show its appSecret too
    #[arg(long)]
    secret: bool,
}

#[derive(clap::Args)]
pub(super) struct DisableArgs {
    /// The project, by Agora's id
    project: ProjectId,
}

#[derive(clap::Args)]
pub(super) struct EnableArgs {
    /// The project, by Agora's id
    project: ProjectId,
}

#[derive(clap::Args)]
#[command(
    after_help = "Example: printf %s \"$SECRET\" | agora-vendor project verify 430892 --app-key \
        QJ1B9CkqQDsjmbcVAvRz9YL3vhmzQmkS"
)]
pub(super) struct VerifyArgs {
    /// The project, by Agora's id
    project: ProjectId,

    /// The appKey that came with the call
    #[arg(long, value_name = "K")]
    app_key: String,

    /// The file with the appSecret that came with the call; - is standard input
    #[arg(long, value_name = "F", default_value = "-")]
    app_secret_file: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct AddArgs {
    /// The project, by Agora's id
    project: ProjectId,

    /// Whose project it is, by Agora's id
    #[arg(long, value_name = "C")]
    customer: CustomerId,

    #[command(flatten)]
    start: Start,
}

impl Args {
    /// The files that are named.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        match self {
            Self::Verify(args) => vec![NamedFile::Input(args.app_secret_file.clone())],
            Self::List | Self::Show(_) | Self::Add(_) | Self::Disable(_) | Self::Enable(_) => {
                Vec::new()
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectView {
    project_id: String,
    customer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customers: Option<Vec<HistoryEntryView<OwnerView>>>,
    #[serde(skip)]
    customer_timeline: Option<String>,
    first_seen_at: String,
    /// When it was enabled for the first time; null where only a record has named it.
    announced_at: Option<String>,
    enabled: bool,
    enabled_since: Option<String>,
    disabled_at: Option<String>,
    app_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_while_disabled: Option<UsedWhileDisabled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView>>,
}

/// A customer whose project it was said to be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnerView {
    customer_id: String,
}

/// Usage dated when the project was disabled: reported and billed like any other.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsedWhileDisabled {
    #[serde(serialize_with = "exact")]
    amount: Amount,
    records: i64,
}

impl ProjectView {
    fn new(project: &Project) -> Self {
        Self {
            project_id: project.id.to_string(),
            customer_id: project.customer_id.as_ref().map(ToString::to_string),
            customers: None,
            customer_timeline: None,
            first_seen_at: rfc3339(project.first_seen_at_s),
            announced_at: project.announced_at_s.map(rfc3339),
            enabled: project.enabled_since_s.is_some(),
            enabled_since: project.enabled_since_s.map(rfc3339),
            disabled_at: project.disabled_at_s.map(rfc3339),
            app_key: project.app_keys.as_ref().map(|keys| keys.app_key.to_string()),
            app_secret: None,
            used_while_disabled: None,
            events: None,
        }
    }

    /// The same with all customers that the project was said to have.
    fn with_customers(project: &Project, customers: Vec<HistoryEntry<CustomerId>>) -> Self {
        let shown = |id: &CustomerId| OwnerView { customer_id: id.to_string() };
        Self {
            customers: Some(
                customers.iter().map(|said| HistoryEntryView::new(said, shown)).collect(),
            ),
            customer_timeline: (!customers.is_empty())
                .then(|| timeline(&customers.into_iter().collect())),
            ..Self::new(project)
        }
    }

    fn print(&self, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
        shell.print(self, |out| {
            let mut properties = vec![
                ("project", self.project_id.clone()),
                (
                    "customer",
                    or_dash(self.customer_timeline.as_ref().or(self.customer_id.as_ref())),
                ),
                ("first seen", self.first_seen_at.clone()),
                ("announced", or_never(self.announced_at.as_ref())),
                ("enabled since", or_dash(self.enabled_since.as_ref())),
            ];
            properties.extend(self.disabled_at.clone().map(|at| ("disabled", at)));
            if let Some(used) = &self.used_while_disabled {
                let words = format!(
                    "{} in {} records, reported and billed like any other",
                    used.amount, used.records
                );
                properties.push(("used while disabled", words));
            }
            properties.push(("appKey", or_dash(self.app_key.as_ref())));
            properties.extend(self.app_secret.clone().map(|secret| ("appSecret", secret)));
            print_properties(out, &properties)?;
            print_events(out, self.events.as_deref().unwrap_or_default())
        })?;
        Ok(Exit::Done)
    }
}

/// Finds a project, or says that there is none.
pub(super) fn find(tx: &ReadTx<'_>, id: &ProjectId) -> Result<Project, Failure> {
    match project::find(tx, id)? {
        Some(project) => Ok(project),
        None => {
            let near = near(id, project::ids(tx)?);
            let missing = Failure::not_found(format!("there is no project {id}{near}"));
            Err(missing.hint("project list", "shows them"))
        }
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::List => list(shell),
        Args::Show(args) => show(args, shell),
        Args::Add(args) => add(args, shell),
        Args::Disable(args) => disable(args, shell),
        Args::Enable(args) => enable(args, shell),
        Args::Verify(args) => verify(args, shell),
    }
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let projects = shell.open()?.read(project::list)?;
    let projects: Vec<ProjectView> = projects.iter().map(ProjectView::new).collect();
    let mut left_out = Vec::new();
    shell.print(&projects, |out| {
        let mut columns = Columns::new(&[
            "project!",
            "customer!",
            "first seen",
            "announced",
            "enabled since",
            "disabled",
        ]);
        for project in &projects {
            columns.row([
                project.project_id.clone(),
                or_dash(project.customer_id.as_ref()),
                project.first_seen_at.clone(),
                or_never(project.announced_at.as_ref()),
                or_dash(project.enabled_since.as_ref()),
                or_dash(project.disabled_at.as_ref()),
            ]);
        }
        left_out = columns.leave_out(&["first seen", "announced"], None, out.screen);
        columns.print(out)
    })?;
    shell.point_out_left_out(&left_out, "project show P", "shows all of a project");
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let id = &args.project;
    let (project, used, customers, events) = shell.open()?.read(|tx| {
        let project = find(tx, id)?;
        let mut used = UsageSum::default();
        for window in project::disabled_in(tx, id)? {
            usage::by_project(tx, window, Some(id))?.values().for_each(|sum| used.add(sum));
        }
        Ok::<_, Failure>((project, used, project::customers_of(tx, id)?, event::of(tx, id)?))
    })?;
    let secret = project
        .app_keys
        .as_ref()
        .filter(|_| args.secret)
        .map(|keys| keys.app_secret.reveal().to_owned());
    if args.secret && secret.is_none() {
        shell.note(&format!("project {id} has no appSecret: it gets one when Agora creates it"));
    }
    ProjectView {
        app_secret: secret,
        used_while_disabled: (used.records != 0)
            .then_some(UsedWhileDisabled { amount: used.amount, records: used.records }),
        events: Some(events.iter().map(EventView::new).collect()),
        ..ProjectView::with_customers(&project, customers)
    }
    .print(shell)
}

fn disable(args: &DisableArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let id = &args.project;
    let (before, after, customers) = shell.open()?.write(|tx| {
        let before = find(tx, id)?;
        project::disable(tx, &before, &shell.stamp())?;
        Ok::<_, Failure>((before, find(tx, id)?, project::customers_of(tx, id)?))
    })?;
    if before == after {
        shell.note("it is not enabled; nothing was changed");
    }
    ProjectView::with_customers(&after, customers).print(shell)
}

fn enable(args: &EnableArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let id = &args.project;
    let (before, was_inactive, after, customers) = shell.open()?.write(|tx| {
        let before = find(tx, id)?;
        let Some(owner) = &before.customer_id else {
            let add = format!("project add {} --customer C", shell_quoted(id.as_str()));
            let missing = Failure::failed(format!("project {id} has no customer yet"));
            return Err(missing.hint(add, "says whose it is, and enables it"));
        };
        let is_inactive =
            customer::find(tx, owner)?.is_some_and(|owner| owner.deactivated_at_s.is_some());
        let after = project::announce(tx, id, owner, None, &shell.stamp())?;
        Ok((before, is_inactive, after, project::customers_of(tx, id)?))
    })?;
    if before == after && !was_inactive {
        shell.note("it is enabled already; nothing was changed");
    }
    if let (true, Some(owner)) = (was_inactive, &after.customer_id) {
        shell.note(&format!("customer {owner} was deactivated, and is active again"));
    }
    ProjectView::with_customers(&after, customers).print(shell)
}

fn verify(args: &VerifyArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let given_secret = secret::read_any(&args.app_secret_file, "the appSecret")?;
    let project =
        shell.open().and_then(|mut store| Ok(store.read(|tx| project::find(tx, &args.project))?));
    // A backend must not take an outage for a wrong secret.
    let project = project.map_err(Failure::into_passing)?;
    // Whether there are keys to compare with, and which half is wrong, is not to be told by the
    // time it takes.
    let (app_key, app_secret) = match project.as_ref().and_then(|project| project.app_keys.as_ref())
    {
        Some(keys) => (keys.app_key.as_str(), keys.app_secret.reveal()),
        None => ("", ""),
    };
    let agree = signature::is_same(app_key, &args.app_key)
        & signature::is_same(app_secret, &given_secret)
        & !app_key.is_empty();
    let enabled = project.as_ref().is_some_and(|project| project.enabled_since_s.is_some());
    let reason = match (agree, enabled) {
        (true, true) => format!("the keys are project {}'s", args.project),
        (true, false) => format!("the keys are project {}'s, which is not enabled", args.project),
        (false, _) => format!("the keys are not those of an enabled project {}", args.project),
    };
    let verified = agree && enabled;
    let document =
        json!({ "projectId": args.project.as_str(), "verified": verified, "reason": reason });
    shell.print(&document, |out| writeln!(out, "{reason}"))?;
    Ok(if verified { Exit::Done } else { Exit::Failed })
}

fn add(args: &AddArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let (id, customer_id) = (&args.project, &args.customer);
    let mut store = shell.open()?;
    let (before, unknown, project, said, (is_changed, billed)) = store.write(|tx| {
        let stamp = shell.stamp();
        let before = project::find(tx, id)?;
        let unknown = match customer::find(tx, customer_id)? {
            Some(_) => None,
            None => Some(near(customer_id, customer::ids(tx)?)),
        };
        let customers_before: History<CustomerId> =
            project::customers_of(tx, id)?.into_iter().collect();
        let seen_at_s = before.as_ref().map_or(stamp.at_s, |project| project.first_seen_at_s);
        let from_s =
            args.start.of(tx, &customers_before, customer_id, Some(seen_at_s), stamp.at_s)?;
        let project = project::announce(tx, id, customer_id, Some(from_s), &stamp)?;
        let said = project::customers_of(tx, id)?;
        let is_changed = said.iter().cloned().collect::<History<_>>() != customers_before;
        let billed = billed_words(tx, from_s)?;
        Ok::<_, Failure>((before, unknown, project, said, (is_changed, billed)))
    })?;
    let customers: History<CustomerId> = said.iter().cloned().collect();
    // Also where nothing changed: a command that was killed may have left months unpriced.
    if billed.is_some() {
        settle(shell)?;
    }
    if let Some(near) = unknown {
        shell.note(&format!("customer {customer_id} was not known and is registered{near}"));
    }
    if let Some(billed) = billed.filter(|_| is_changed && before.is_some()) {
        shell.point_out(billed);
    }
    if is_changed && before.is_some() {
        let read = store.read(|tx| license::uncovered_before(tx, id, customer_id, shell.now_s));
        let uncovered = shell.uncovered_or_note(read);
        uncovered_words(id, customer_id, &uncovered)
            .into_iter()
            .for_each(|words| shell.note(&words));
    }
    match before.map(|before| before.customer_id) {
        Some(Some(owner)) if owner != *customer_id => shell.note(&format!(
            "project {id} was customer {owner}'s and is {customer_id}'s now; its usage is billed \
             to these customers: {}; in the same months it draws from their licenses",
            timeline(&customers)
        )),
        Some(None) => shell.note(&format!(
            "project {id} had no customer so far: {customer_id} is billed for {}",
            first_months(customers.iter().next().map_or(0, |(from_s, _)| from_s))
        )),
        None => {
            if let Some((from_s, _)) = customers.iter().next().filter(|(from_s, _)| *from_s > 0) {
                shell.note(&format!(
                    "project {id} is new: {customer_id} is billed for {}",
                    first_months(from_s)
                ));
            }
        }
        Some(Some(_)) => {}
    }
    ProjectView::with_customers(&project, said).print(shell)
}
