//! Power cuts: behind each call that changes the disk, and behind each answer.

use crate::disk::Fate;
use crate::judge::Judge;
use crate::shim::{Act, Call};
use crate::stage::{BILL, Case, History, Stage, Step, Trouble};
use crate::vendor::long;
use std::collections::BTreeSet;

/// How many writes of one command the long form cuts at most: all of any command's but of an import
/// and a migration, whose writes are many of a kind. Whatever is no write is always cut.
const LONG_ENOUGH: usize = 400;

/// What cuts of a history came to.
#[derive(Default)]
pub struct Found {
    /// At how many places the power was cut.
    pub points: usize,
    /// How many disks were looked at that are not the same.
    pub images: usize,
    /// What was wrong.
    pub faults: Vec<String>,
}

impl Found {
    /// Says how much was tried, where what tests print is shown (`--nocapture`).
    #[expect(clippy::print_stdout, reason = "it is the table of docs/reliability.md")]
    pub fn tell(&self, what: &str, tried: &str) {
        println!("{what}: {} points, {} {tried}", self.points, self.images);
    }
}

/// What becomes of the disk at each point: all of it in the long form. What a command leaves when
/// it has ended is always looked at as it is, whatever number its last point has.
fn fates(point: usize, is_last: bool) -> Vec<Fate> {
    let seed = u64::try_from(point).expect("a number") << 8;
    if long() {
        let mixed = (0..24).map(|n| Fate::Mixed(seed + n));
        return [Fate::Kept, Fate::Lost, Fate::NamesKept, Fate::BytesKept]
            .into_iter()
            .chain(mixed)
            .collect();
    }
    let simple = [Fate::Kept, Fate::NamesKept, Fate::BytesKept][point / 2 % 3];
    let other = if point.is_multiple_of(2) { Fate::Mixed(seed) } else { simple };
    let whole = is_last.then_some(Fate::Kept);
    [Fate::Lost, other].into_iter().chain(whole).collect()
}

/// Cuts the power everywhere in a history. Of a command's writes, the short form cuts `enough`.
pub fn cut(history: &History, enough: usize) -> Found {
    let stage = Stage::new();
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    let mut disk = history.disk.clone();
    history.calls[..history.steps[0].calls.start].iter().for_each(|call| disk.apply(call));
    for (number, step) in history.steps.iter().enumerate() {
        let mut points: Vec<usize> = step
            .calls
            .clone()
            .filter(|n| history.calls[*n].changes_disk() || *n == step.answered)
            .collect();
        points.insert(0, step.calls.start);
        let enough = if long() { LONG_ENOUGH } else { enough };
        let thinned = points.len().div_ceil(enough);
        for at in step.calls.clone() {
            disk.apply(&history.calls[at]);
            let Some(point) = points.iter().position(|point| *point == at) else {
                continue;
            };
            let is_plain = matches!(history.calls[at].act, Act::Written { .. });
            if is_plain && point % thinned != 0 {
                continue;
            }
            found.points += 1;
            let answered = at >= step.answered;
            for fate in fates(point, point + 1 == points.len()) {
                let image = disk.image(fate);
                if !seen.insert((image.digest(), number, answered)) {
                    continue;
                }
                found.images += 1;
                stage.lay(&image);
                let judge = Judge { history, step: number, answered, anew: false };
                if let Err(fault) = judge.verdict(&stage) {
                    let (command, call) = (&step.command, &history.calls[at]);
                    let (act, path) = (format!("{:?}", call.act), call.path.display());
                    let act = act.split([' ', '(']).next().unwrap_or_default();
                    found.faults.push(format!(
                        "{command:?} cut after call {} ({act} of {path}), {fate:?}: {fault}",
                        at - step.calls.start
                    ));
                }
            }
        }
    }
    found
}

/// Cuts a case everywhere, and wants nothing to be wrong.
pub fn survives(case: &Case, enough: usize) {
    let found = cut(&History::of(case, &Trouble::default()), enough);
    found.tell(case.name, "disks");
    assert!(found.images > 0);
    assert!(found.faults.is_empty(), "{}: {}", found.faults.len(), found.faults[0]);
}

/// A customer with a plan and a project.
pub const CUSTOMER: [&str; 3] = [
    "plan set default --name Standard --unit Minute --price 0.01",
    "customer add c --name Ann",
    "project add p --customer c",
];

pub fn records() -> Case {
    let commands = [
        "record p 1.5 --id a",
        "record q 2 --id b --note a+note",
        "record p 3 --id c --at 2026-10-03",
        "void b --reason a+mistake",
    ];
    Case::new("record and void", &CUSTOMER, &commands)
}

pub fn licenses() -> Case {
    let commands = [
        "license issue c --expires 2026-12-31 --count 10 --id l",
        "record p 4 --id drawn",
        "license extend l --to 2027-01-31 --op-id o1",
        "license adjust l 5 --reason more --op-id o2",
        "license consume c 3 --op-id o3",
        "license revoke l --reason refund --op-id o4",
        "license reinstate l --op-id o5",
        "license type set pro --count 1000 --name Pro",
    ];
    Case::new("licenses", &CUSTOMER, &commands)
}

pub fn customers() -> Case {
    let commands = [
        "plan set default --price 0.02 --from 2026-12",
        "plan set gold --name Gold --unit Minute --price 0.5",
        "customer add c --plan gold --email ann@example.com",
        "project add q --customer c",
        "project disable p",
        "project enable p",
        "project add p --customer d",
        "customer deactivate c",
        "setting set late carry",
        "customer forget c",
        "key add --api-key second --api-secret-file secret",
        "key revoke pzD5XinRSlmA64tZx81fL92YcBsJK0gd",
    ];
    Case::new(
        "plans, customers, projects",
        &[&CUSTOMER[..], &["record p 1 --id r"]].concat(),
        &commands,
    )
}

/// What may change months that were billed: they are priced anew before the command ends.
pub fn rewrites() -> Case {
    let before = [
        &CUSTOMER[..],
        &[
            "plan set gold --name Gold --unit Minute --price 0.5",
            "setting set late carry",
            "record p 7 --id old --at 2026-10-05",
        ],
    ]
    .concat();
    let commands = [
        "plan set default --price 0.03 --from 2026-10 --rewrite",
        "customer add c --plan gold --from 2026-10 --rewrite",
        "project add p --customer d --from 2026-10 --rewrite",
        "record p 1 --id late --at 2026-10-06",
    ];
    Case { billed: true, settles: true, ..Case::new("rewritten months", &before, &commands) }
}

/// A backup in the place of the books.
pub fn restore() -> Case {
    let before = ["record p 1 --id r", "backup DISK/copy.db", "record p 2 --id lost"];
    let before = [&CUSTOMER[..], &before].concat();
    Case::new("restore", &before, &["restore DISK/copy.db"])
}

/// Agora's calls, a bill's last page, and the shell beside the server that answers them.
pub fn served() -> Case {
    let before = [&CUSTOMER[..], &["record p 7 --id old --at 2026-10-05"]].concat();
    let commands = [
        "record p 1 --id beside",
        r#"POST /customers/new "planId":"default","customerId":"new""#,
        r#"POST /customers/new/projects/new "projectId":"n""#,
        r#"PUT /license/customers/new/activate "platform":"ios","expire":"1735689600-4102444799""#,
        "PUT /customers/new/projects/n/deactivate",
        "PUT /customers/new/deactivate",
        "void beside --reason mistake",
        BILL,
    ];
    Case { served: true, settles: true, ..Case::new("serve", &before, &commands) }
}

/// Agora's calls while the log is full: the server moves it into the file, and the shell beside it
/// begins the log anew.
pub fn moved() -> Case {
    let customer = |id| format!(r#"POST /customers/new "planId":"default","customerId":"{id}""#);
    let mut commands: Vec<String> = (0..7).map(customer).collect();
    commands.push("record p 1 --id beside".to_owned());
    commands.push("void beside --reason mistake".to_owned());
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    Case { served: true, filled: true, ..Case::new("the log is moved", &CUSTOMER, &commands) }
}

pub fn import(rows: usize) -> Case {
    let mut text = "id,projectId,amount,at\n".to_owned();
    for number in 0..rows {
        let (project, day) = (number % 40, number % 20 + 1);
        text += &format!("i{number},p{project},{number}.5,2026-11-{day:02}\n");
    }
    let mut case = Case::new("import", &CUSTOMER, &["import rows.csv"]);
    case.inputs.push(("rows.csv", text));
    case.in_parts = true;
    case
}

pub fn init() -> Case {
    let mut case = Case::new("init", &[], &["init"]);
    case.before.clear();
    case.refuses_again = true;
    case
}

pub fn backup() -> Case {
    let before = [&CUSTOMER[..], &["record p 1 --id r"]].concat();
    let mut case = Case::new("backup", &before, &["backup DISK/copy.db"]);
    case.refuses_again = true;
    case
}

pub fn migrate() -> Case {
    let mut case = Case::new("migrate", &[], &["migrate"]);
    case.before.clear();
    case.old_books = Some(|db| {
        let sql = rusqlite::Connection::open(db).expect("a file");
        sql.execute_batch(&format!(
            "pragma journal_mode = wal;
            {}
            pragma application_id = 1097291374;
            pragma user_version = 4;
            {}",
            include_str!("../it/schema-4.sql"),
            include_str!("../it/books-4.sql")
        ))
        .expect("books of version 4");
    });
    case
}

#[test]
fn records_and_voids_survive_a_power_cut() {
    survives(&records(), 12);
}

#[test]
fn licenses_survive_a_power_cut() {
    survives(&licenses(), 6);
}

#[test]
fn plans_customers_and_projects_survive_a_power_cut() {
    survives(&customers(), 6);
}

#[test]
fn months_that_are_priced_anew_survive_a_power_cut() {
    survives(&rewrites(), 5);
}

#[test]
fn a_restore_is_done_or_not_begun_after_a_power_cut() {
    survives(&restore(), 12);
}

#[test]
fn what_a_server_answered_survives_a_power_cut() {
    survives(&served(), 9);
}

#[test]
fn a_log_that_a_server_moves_beside_a_shell_survives_a_power_cut() {
    let history = History::of(&moved(), &Trouble::default());
    let moves = |step: &Step| {
        let mut own = history.calls[step.calls.clone()].iter();
        let is_move = |call: &Call| call.changes_disk() && call.path == history.db;
        step.command[0] == "POST" && own.any(is_move)
    };
    assert!(history.steps.iter().any(moves), "the server never moves the log into the file");
    let again = history.steps.iter().any(|step| {
        let begins = |call: &Call| matches!(call.act, Act::Written { offset: 0, .. });
        let of_log = |call: &Call| call.path.as_os_str().as_encoded_bytes().ends_with(b"-wal");
        history.calls[step.calls.clone()].iter().any(|call| begins(call) && of_log(call))
    });
    assert!(again, "the log never begins anew");
    let found = cut(&history, 3);
    found.tell(history.case.name, "disks");
    assert!(found.faults.is_empty(), "{}: {}", found.faults.len(), found.faults[0]);
}

#[test]
fn an_import_survives_a_power_cut() {
    survives(&import(500), 20);
}

#[test]
fn new_books_are_there_whole_or_not_at_all_after_a_power_cut() {
    survives(&init(), 12);
}

#[test]
fn a_backup_is_there_whole_or_not_at_all_after_a_power_cut() {
    survives(&backup(), 12);
}

#[test]
fn a_migration_is_done_or_not_begun_after_a_power_cut() {
    survives(&migrate(), 12);
}
