//! `plan`: what usage costs, and from when.

use crate::billing::amount::Amount;
use crate::billing::event::Stamp;
use crate::billing::history::{History, HistoryEntry};
use crate::billing::id::{Label, PlanId};
use crate::billing::period::Grain;
use crate::billing::plan::{Plan, describe_line};
use crate::billing::price::{Package, Part, Price, Tiers, charge, total};
use crate::cli::command::Shell;
use crate::cli::database::shell_quoted;
use crate::cli::failure::{Exit, Failure};
use crate::cli::input::read_text;
use crate::cli::json::exact;
use crate::cli::moment::{Month, month};
use crate::cli::named::NamedFile;
use crate::cli::near::near;
use crate::cli::plan_file::{EXAMPLE, PlanFile, PriceTerms};
use crate::cli::sentence::Sentence;
use crate::cli::start::{HistoryEntryView, Start, changed_words, from_month, settle};
use crate::cli::table::{Columns, or_dash, print_properties};
use crate::store::{WriteTx, balance, bill, plan};
use serde::Serialize;
use std::path::PathBuf;

/// Price plans: set one up, list them, show one
///
/// A project is priced by its customer's plan; the plan called `default` prices projects whose
/// customer has no plan named, and those without a customer.
#[derive(clap::Subcommand)]
pub(super) enum Args {
    /// Set a plan up, or change it from a month on
    ///
    /// A plan is a sum of parts: a flat fee a month, a price per unit, tiers that are each at their
    /// own price (graduated), tiers of which the one that is reached prices all (volume), started
    /// packages. A tier goes up to its end, which is inside; the last has no end. An allowance
    /// comes off first, and the other parts count what remains. All counts per project and calendar
    /// month (UTC), for usage that no license covers.
    ///
    /// The first version of a plan holds for all time, or from the month after those that were
    /// billed. A later one holds from the next month on, or from --from. Where that is a month that
    /// was billed, or this month or a past one that has a price, --rewrite says that its bill may
    /// change. What holds already is not set again.
    Set(Box<SetArgs>),
    /// List all plans as they are this month
    List,
    /// Show a plan in words, its versions, and what usage would cost
    Show(ShowArgs),
}

#[derive(clap::Args)]
#[command(after_help = help())]
#[command(
    override_usage = "agora-vendor plan set <ID> --name <TEXT> --unit <TEXT> <PRICE> [OPTIONS]\n  \
             \
    where <PRICE> is --file <F>, or any of --price, --flat, --graduated, --volume, --package"
)]
#[command(group = clap::ArgGroup::new("priced").required(true).multiple(true)
    .args(["file", "price", "flat", "graduated", "volume", "package"]))]
pub(super) struct SetArgs {
    /// Agora's planId, at most 16 characters, or `default`
    id: PlanId,

    /// The plan's name in descriptions, e.g. Standard; may stand in the file, and need not be told
    /// again
    #[arg(long, value_name = "TEXT")]
    name: Option<Label>,

    /// One unit of usage in words, e.g. Minute; may stand in the file, and need not be told again
    #[arg(long, value_name = "TEXT")]
    unit: Option<Label>,

    /// Read the price from this JSON document; - is standard input
    #[arg(
        long,
        value_name = "F",
        conflicts_with_all = [
            "price", "flat", "graduated", "volume", "package", "free", "minimum"
        ]
    )]
    file: Option<PathBuf>,

    #[command(flatten)]
    price: PriceFlags,

    #[command(flatten)]
    start: Start,
}

/// A price in flags.
#[derive(clap::Args)]
pub(super) struct PriceFlags {
    /// What one unit costs, in the currency agreed with Agora; 0 is free
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    price: Option<Amount>,

    /// What a month costs, whatever is used
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    flat: Option<Amount>,

    /// Tiers, each at its own price, e.g. 1000:0.01,10000:0.008,rest:0.005
    #[arg(long, value_name = "TIERS", allow_hyphen_values = true)]
    graduated: Option<Tiers>,

    /// Tiers, all at the price of the one that is reached
    #[arg(long, value_name = "TIERS", allow_hyphen_values = true)]
    volume: Option<Tiers>,

    /// What a started package of so many units costs, e.g. 1000:5
    #[arg(long, value_name = "SIZE:PRICE", allow_hyphen_values = true)]
    package: Option<Package>,

    /// Units of a month that cost nothing
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    free: Option<Amount>,

    /// What a month costs at least
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    minimum: Option<Amount>,
}

impl PriceFlags {
    /// Tells whether any is given.
    pub(super) fn is_given(&self) -> bool {
        let Self { price, flat, graduated, volume, package, free, minimum } = self;
        price.is_some()
            || flat.is_some()
            || graduated.is_some()
            || volume.is_some()
            || package.is_some()
            || free.is_some()
            || minimum.is_some()
    }

    /// The price.
    pub(super) fn read(&self) -> Result<Price, Failure> {
        let parts = [
            self.flat.clone().map(Part::Flat),
            self.price.clone().map(Part::PerUnit),
            self.graduated.clone().map(Part::Graduated),
            self.volume.clone().map(Part::Volume),
            self.package.clone().map(|Package { size, price }| Part::Package { size, price }),
        ];
        let amount = |told: &Option<Amount>| told.clone().unwrap_or_default();
        let price = Price::new(
            parts.into_iter().flatten().collect(),
            amount(&self.free),
            amount(&self.minimum),
        );
        price.map_err(|error| Failure::words(format!("the price cannot be so: {error}")))
    }
}

fn help() -> String {
    format!(
        "Example: agora-vendor plan set default --name Standard --unit Minute --price 0.01\n\n\
        A file for --file holds one JSON object. Its parts are flat, perUnit, graduated, volume \
            and package\n\
        ({{\"package\": {{\"size\": \"1000\", \"price\": \"5\"}}}}), any number of them; amounts \
            are texts or numbers:\n\n{EXAMPLE}"
    )
}

#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor plan show default --for 12500")]
pub(super) struct ShowArgs {
    /// The plan's id
    id: PlanId,

    /// Show what so much usage of a project in a month costs, line by line
    #[arg(long = "for", value_name = "AMOUNT", allow_hyphen_values = true)]
    usage: Option<Amount>,

    /// Show the plan as it is in this month; by default the present one
    #[arg(long)]
    month: Option<Month>,
}

/// A version of a plan.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanVersionView {
    plan_id: String,
    name: String,
    unit: String,
    /// The price of a unit, where that is all there is to it.
    price: Option<String>,
    #[serde(flatten)]
    terms: PriceTerms,
    words: Vec<String>,
}

impl PlanVersionView {
    fn new(plan: &Plan) -> Self {
        Self {
            plan_id: plan.id.to_string(),
            name: plan.name.to_string(),
            unit: plan.unit.to_string(),
            price: plan.price.per_unit_alone().map(ToString::to_string),
            terms: PriceTerms::new(&plan.price),
            words: plan.terms(),
        }
    }

    fn properties(&self, from: Option<&String>) -> Vec<(&'static str, String)> {
        let mut properties = vec![
            ("plan", self.plan_id.clone()),
            ("name", self.name.clone()),
            ("unit", self.unit.clone()),
        ];
        properties.extend(from.map(|month| ("from", month.clone())));
        let labels = std::iter::once("price").chain(std::iter::repeat(""));
        properties.extend(labels.zip(self.words.iter().cloned()));
        properties
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanView {
    #[serde(flatten)]
    version: PlanVersionView,
    /// Null: for all time.
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<HistoryEntryView<ListedVersionView>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Example>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedVersionView {
    #[serde(flatten)]
    version: PlanVersionView,
    /// Whether another version was set for the same month later.
    replaced: bool,
    #[serde(skip)]
    text: String,
}

/// What some usage of a month costs.
#[derive(Serialize)]
struct Example {
    #[serde(serialize_with = "exact")]
    usage: Amount,
    lines: Vec<ExampleLine>,
    #[serde(serialize_with = "exact")]
    total: Amount,
}

#[derive(Serialize)]
struct ExampleLine {
    #[serde(serialize_with = "exact")]
    quantity: Amount,
    #[serde(serialize_with = "exact")]
    price: Amount,
    #[serde(serialize_with = "exact")]
    amount: Amount,
    description: String,
}

impl Example {
    fn new(plan: &Plan, usage: &Amount) -> Self {
        let lines = charge(&plan.price, usage);
        let total = total(&lines);
        let line = |line: &crate::billing::price::ChargeLine| ExampleLine {
            quantity: line.quantity.clone(),
            price: line.price.clone(),
            amount: line.amount.clone(),
            description: describe_line(plan, line),
        };
        Self { usage: usage.clone(), lines: lines.iter().map(line).collect(), total }
    }
}

impl Args {
    /// The files that are named.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        match self {
            Self::Set(args) => args.file.iter().cloned().map(NamedFile::Input).collect(),
            Self::List | Self::Show(_) => Vec::new(),
        }
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    match args {
        Args::Set(args) => set(args, shell),
        Args::List => list(shell),
        Args::Show(args) => show(args, shell),
    }
}

/// What `plan set` is told, but for what stands already.
struct PlanInput {
    name: Option<Label>,
    unit: Option<Label>,
    price: Price,
}

fn told(args: &SetArgs) -> Result<PlanInput, Failure> {
    let Some(file) = &args.file else {
        let price = args.price.read()?;
        return Ok(PlanInput { name: args.name.clone(), unit: args.unit.clone(), price });
    };
    let document = PlanFile::read(&read_text(file, "the plan")?).map_err(|error| {
        let file = file.display();
        let refused = Failure::words(format!("{file} is not a plan: {error}"));
        refused.hint("plan set --help", "shows one")
    })?;
    let once = |what: &str, flag: &Option<Label>, file: Option<Label>| match (flag, file) {
        (Some(_), Some(_)) => Err(Failure::words(format!(
            "{what} is given by --{what} and in the file: give it once"
        ))),
        (Some(flag), None) => Ok(Some(flag.clone())),
        (None, file) => Ok(file),
    };
    Ok(PlanInput {
        name: once("name", &args.name, document.name)?,
        unit: once("unit", &args.unit, document.unit)?,
        price: document.price,
    })
}

impl PlanInput {
    /// The plan that was told; what was not told is as in the version that is known.
    fn plan(self, id: &PlanId, known: Option<&Plan>) -> Result<Plan, Failure> {
        let missing = |what: &str| {
            Failure::words(format!(
                "plan {id} has no {what} yet: tell it by --{what}, or in the file"
            ))
        };
        Ok(Plan {
            id: id.clone(),
            name: self
                .name
                .or_else(|| known.map(|plan| plan.name.clone()))
                .ok_or_else(|| missing("name"))?,
            unit: self
                .unit
                .or_else(|| known.map(|plan| plan.unit.clone()))
                .ok_or_else(|| missing("unit"))?,
            price: self.price,
        })
    }
}

/// What came of setting a plan.
struct PlanChange {
    plan: Plan,
    history: History<Plan>,
    from_s: i64,
    is_news: bool,
    billed: Option<Sentence>,
}

fn set(args: &SetArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let told = told(args)?;
    let write = |tx: &WriteTx<'_>| write_version(tx, &args.id, &args.start, told, &shell.stamp());
    let done = shell.open()?.write(write)?;
    settle(shell)?;
    point_out_change(args, &done, shell);
    let PlanChange { plan, from_s, billed, .. } = done;
    if let Some(billed) = billed {
        shell.point_out(billed);
    }
    for warning in plan.warnings() {
        shell.note(&format!("warning: {warning}"));
    }
    let shown = PlanView {
        version: PlanVersionView::new(&plan),
        from: from_month(from_s),
        versions: None,
        example: None,
    };
    shell.print(&shown, |out| {
        print_properties(out, &shown.version.properties(shown.from.as_ref()))
    })?;
    Ok(Exit::Done)
}

/// Writes a plan's new version, unless it is so already.
fn write_version(
    tx: &WriteTx<'_>,
    id: &PlanId,
    start: &Start,
    told: PlanInput,
    stamp: &Stamp,
) -> Result<PlanChange, Failure> {
    let history: History<Plan> = plan::versions(tx, id)?.into_iter().collect();
    let plan = told.plan(id, history.at_or_first(start.month_s(stamp.at_s)))?;
    let from_s = start.of(tx, &history, &plan, None, stamp.at_s)?;
    if !plan::set(tx, &plan, from_s, stamp)? {
        return Ok(PlanChange { plan, history, from_s, is_news: false, billed: None });
    }
    // Those that change: another version may follow, and nobody may have the plan.
    let mut months = balance::billed_from(tx, from_s)?;
    months.retain(|month_s| history.until(from_s).is_none_or(|until_s| *month_s < until_s));
    let months = bill::months_priced_by(tx, id, &months)?;
    let billed = changed_words(tx, &months)?;
    Ok(PlanChange { plan, history, from_s, is_news: true, billed })
}

/// The command that sets a price up. For a month that was billed it holds only where that is said.
pub(super) fn price_command(plan: Option<&PlanId>, billed_s: Option<i64>) -> String {
    let plan = shell_quoted(plan.map_or("default", |plan| plan.as_str()));
    let from = billed_s.map(|month_s| format!(" --from {} --rewrite", month(month_s)));
    format!("plan set {plan} --name NAME --unit UNIT --price PRICE{}", from.unwrap_or_default())
}

/// Sets a plan as a document has it, from the month on from which a new version holds. Tells
/// whether that changes anything, and from which second on.
pub(super) fn set_from_document(
    tx: &WriteTx<'_>,
    id: &PlanId,
    document: PlanFile,
    stamp: &Stamp,
) -> Result<(bool, i64), Failure> {
    let PlanFile { name, unit, price } = document;
    let done = write_version(tx, id, &Start::default(), PlanInput { name, unit, price }, stamp)?;
    Ok((done.is_news, done.from_s))
}

/// Says from when a new version holds, and what holds before and after it.
fn point_out_change(args: &SetArgs, done: &PlanChange, shell: &mut Shell<'_>) {
    let PlanChange { history, from_s, is_news, .. } = done;
    let (id, from_s) = (&args.id, *from_s);
    if !is_news {
        shell.note(&format!(
            "plan {id} is so from {} on already; nothing was changed",
            month(from_s)
        ));
    } else if let Some(before) = history.at(from_s) {
        shell.note(&format!(
            "plan {id} changes from {} on; without this it would be {}: {}",
            month(from_s),
            before.name,
            before.terms().join("; ")
        ));
        if !args.start.is_told() {
            shell.note(&format!(
                "to change this month too: --from {} --rewrite",
                month(Grain::Month.floor(shell.now_s))
            ));
        }
    } else if history.is_empty() {
        point_out_first_version(args, from_s, shell);
    } else {
        shell.note(&format!(
            "plan {id} has a price from {} on; without this it would have none until {}",
            month(from_s),
            history.until(from_s).map(month).unwrap_or_default()
        ));
    }
    if let Some(until_s) = history.until(from_s) {
        shell.note(&format!(
            "from {} on another version of plan {id} holds, which was set before",
            month(until_s)
        ));
    }
}

/// Says from when a plan's first version holds, where that is not what one expects.
fn point_out_first_version(args: &SetArgs, from_s: i64, shell: &mut Shell<'_>) {
    if !args.start.is_told() && from_s == 0 {
        return;
    }
    let holds = match from_month(from_s) {
        None => "for all time, not from --from alone".to_owned(),
        Some(from) if args.start.is_rewrite() => format!("from {from} on"),
        Some(from) => format!("from {from} on; bills of earlier months stay as they are"),
    };
    shell.note(&format!("this is the first version of plan {}: it holds {holds}", args.id));
    if from_s > 0 && args.start.month_s(shell.now_s) < from_s {
        shell.note("to reach further back: --from MONTH --rewrite");
    }
}

fn list(shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let book = shell.open()?.read(plan::book)?;
    let month_s = Grain::Month.floor(shell.now_s);
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct PlanRow {
        #[serde(flatten)]
        version: PlanVersionView,
        /// The next month in which it changes.
        changes: Option<String>,
        #[serde(skip)]
        text: String,
    }
    let row = |history: &History<_>| {
        let plan: &std::sync::Arc<Plan> = history.at_or_first(month_s)?;
        let changes = history.until(month_s).map(month);
        Some(PlanRow { version: PlanVersionView::new(plan), changes, text: plan.price.to_string() })
    };
    let rows: Vec<PlanRow> = book.plans().filter_map(row).collect();
    shell.print(&rows, |out| {
        let mut columns = Columns::new(&["plan!", "name", "unit", "price", "changes"]);
        for row in &rows {
            let PlanVersionView { plan_id, name, unit, .. } = &row.version;
            let changes = or_dash(row.changes.as_ref());
            columns.row([plan_id.clone(), name.clone(), unit.clone(), row.text.clone(), changes]);
        }
        columns.print(out)
    })?;
    Ok(Exit::Done)
}

fn show(args: &ShowArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let (said, near) = shell.open()?.read(|tx| {
        let said = plan::versions(tx, &args.id)?;
        let near =
            if said.is_empty() { near(&args.id, plan::book(tx)?.ids()) } else { String::new() };
        Ok::<_, Failure>((said, near))
    })?;
    let month_s = args.month.unwrap_or_else(|| Month::around(shell.now_s)).period().first_s();
    let history: History<&HistoryEntry<Plan>> =
        said.iter().map(|said| (said.from_s, said)).collect();
    let in_force = *history.at_or_first(month_s).ok_or_else(|| {
        Failure::not_found(format!("there is no plan {}{near}", args.id))
            .hint("plan list", "shows them")
    })?;
    let mut versions: Vec<&HistoryEntry<Plan>> = said.iter().collect();
    versions.sort_by_key(|said| said.from_s);
    let is_replaced = |said: &HistoryEntry<Plan>| history.at(said.from_s) != Some(&said);
    let shown = PlanView {
        version: PlanVersionView::new(&in_force.value),
        from: from_month(in_force.from_s),
        versions: Some(
            versions
                .iter()
                .map(|said| {
                    HistoryEntryView::new(said, |plan| ListedVersionView {
                        version: PlanVersionView::new(plan),
                        replaced: is_replaced(said),
                        text: plan.price.to_string(),
                    })
                })
                .collect(),
        ),
        example: args.usage.as_ref().map(|usage| Example::new(&in_force.value, usage)),
    };
    shell.print(&shown, |out| {
        print_properties(out, &shown.version.properties(shown.from.as_ref()))?;
        if let Some(versions) = shown.versions.as_ref().filter(|versions| versions.len() > 1) {
            writeln!(out)?;
            let mut columns = Columns::new(&["from", "name", "unit", "price", "set", "by", ""]);
            for said in versions {
                let ListedVersionView { version, replaced, text } = &said.value;
                columns.row([
                    said.from.clone().unwrap_or_else(|| "always".to_owned()),
                    version.name.clone(),
                    version.unit.clone(),
                    text.clone(),
                    or_dash(said.at.as_ref()),
                    said.by.clone(),
                    if *replaced { "replaced".to_owned() } else { String::new() },
                ]);
            }
            columns.print(out)?;
        }
        if let Some(example) = &shown.example {
            writeln!(
                out,
                "\n{} {} of a project in a month cost {}:",
                example.usage, shown.version.unit, example.total
            )?;
            let mut columns = Columns::new(&["amount#", "for"]);
            for line in &example.lines {
                columns.row([line.amount.to_string(), line.description.clone()]);
            }
            columns.print(out)?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}
