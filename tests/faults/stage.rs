//! Where the executable is watched: books on a disk of their own, and what was done to them.

use crate::disk::{Disk, Fate};
use crate::shim::{self, Call};
use crate::vendor::{
    API_KEY, API_SECRET, Answer, Ended, Server, Vendor, second, signed, signed_body, with_body,
};
use crate::{clock, judge};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The number from which on calls are counted of which none is to fail; `shim.c` knows it.
pub const HELD: u32 = 0x8000_0000;

/// The time at which everything happens.
pub const NOW: &str = "2026-11-23T10:00:00Z";

/// A folder for inputs, and in it the disk: the folder that is watched.
pub struct Stage {
    pub vendor: Vendor,
}

/// What goes wrong with the disk.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// A call that fails: `NUMBER KIND once|forever`.
    pub fails: Option<String>,
    /// A fault that is planted.
    pub plant: Option<&'static str>,
}

impl Stage {
    /// A disk without books.
    pub fn new() -> Self {
        let stage = Self { vendor: Vendor::without_books() };
        fs::create_dir(stage.root()).expect("a folder");
        fs::write(stage.vendor.path("secret"), format!("{API_SECRET}\n")).expect("a file");
        stage.vendor.at(NOW);
        stage
    }

    /// The disk.
    pub fn root(&self) -> PathBuf {
        // The shim knows files by the paths that the system tells.
        let folder = self.vendor.path("").canonicalize().expect("a folder");
        folder.join("disk")
    }

    pub fn db(&self) -> PathBuf {
        self.root().join("agora-vendor.db")
    }

    fn account(&self) -> PathBuf {
        self.vendor.path("account")
    }

    /// How long the account is by now.
    pub fn told(&self) -> usize {
        let length = self.account().metadata().map_or(0, |metadata| metadata.len());
        length.try_into().expect("a size")
    }

    /// What was done since the account had this length.
    pub fn calls(&self, from: usize) -> Vec<Call> {
        shim::calls(&self.account(), from)
    }

    /// The executable at work on this disk; `DISK` in an argument stands for its path.
    pub fn command(&self, arguments: &[String]) -> Command {
        let root = self.root().display().to_string();
        let arguments = arguments.iter().map(|argument| argument.replace("DISK", &root));
        let mut command = self.vendor.command(arguments);
        command.env("AGORA_VENDOR_DB", self.db());
        command
    }

    /// The same with the shim between it and the disk.
    pub fn watched(&self, arguments: &[String], trouble: &Trouble) -> Command {
        self.count_anew();
        self.watched_too(arguments, trouble)
    }

    /// Lets the calls of what is watched from now on count from 1.
    fn count_anew(&self) {
        fs::write(self.vendor.path("shared"), [0; 4096]).expect("a file");
    }

    /// Lets calls fail by their number from now on, counted from 1, or no more.
    pub fn let_fail(&self, may: bool) {
        let first: u32 = if may { 0 } else { HELD };
        let shared = fs::File::options().write(true).open(self.vendor.path("shared"));
        shared.and_then(|shared| shared.write_all_at(&first.to_le_bytes(), 4)).expect("a count");
    }

    /// A server at work on this disk, none of whose calls fails before [`Self::let_fail`].
    pub fn watched_server(&self, trouble: &Trouble) -> Server {
        self.count_anew();
        self.let_fail(false);
        self.vendor.serve_by(self.watched_too(&words(SERVE), trouble))
    }

    /// The same while others are watched: all of them count together.
    fn watched_too(&self, arguments: &[String], trouble: &Trouble) -> Command {
        let mut command = self.command(arguments);
        let preloaded = format!("{}:{}", shim::LIBRARY.display(), clock::LIBRARY.display());
        command.env("LD_PRELOAD", preloaded).env("FAULTS_ROOT", self.root());
        command.env("FAULTS_LOG", self.account());
        command.env("FAULTS_SHARED", self.vendor.path("shared"));
        command.envs(trouble.fails.iter().map(|fails| ("FAULTS_FAIL", fails)));
        command.envs(trouble.plant.iter().map(|plant| ("FAULTS_PLANT", plant)));
        command
    }

    pub fn run(&self, arguments: &[String]) -> Ended {
        self.command(arguments).output().expect("the executable runs").into()
    }

    /// Puts files on the disk, in the place of what is there.
    pub fn lay(&self, image: &crate::disk::Image) {
        fs::remove_dir_all(self.root()).expect("a folder");
        fs::create_dir(self.root()).expect("a folder");
        image.lay(&self.root());
    }
}

/// Commands whose promises are looked at.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    /// What is done before, unwatched.
    pub before: Vec<Vec<String>>,
    pub commands: Vec<Vec<String>>,
    /// Whether a command commits more than once, so that a part of what it records may be there.
    pub in_parts: bool,
    /// Whether the command makes a file and refuses to where there is one.
    pub refuses_again: bool,
    /// Whether a server has the books open meanwhile; it answers the commands that are requests.
    pub served: bool,
    /// Whether the log is first filled until it is about to be moved into the file.
    pub filled: bool,
    /// Whether the bill of October was told before.
    pub billed: bool,
    /// Whether what billed months cost may be worked out after a command, by whoever is next.
    pub settles: bool,
    /// Makes the books where they are of an earlier version.
    pub old_books: Option<fn(&Path)>,
    /// Files that commands read.
    pub inputs: Vec<(&'static str, String)>,
}

/// The words of a command line; `+` stands for a blank in a word.
pub fn words(line: &str) -> Vec<String> {
    line.split(' ').map(|word| word.replace('+', " ")).collect()
}

impl Case {
    pub fn new(name: &'static str, before: &[&str], commands: &[&str]) -> Self {
        let init = format!("init --api-key {API_KEY} --api-secret-file secret");
        let before = std::iter::once(&*init).chain(before.iter().copied());
        Self {
            name,
            before: before.map(words).collect(),
            commands: commands.iter().map(|line| words(line)).collect(),
            in_parts: false,
            refuses_again: false,
            served: false,
            filled: false,
            billed: false,
            settles: false,
            old_books: None,
            inputs: Vec::new(),
        }
    }

    /// A stage with this case's books.
    fn stage(&self) -> Stage {
        let stage = Stage::new();
        for (name, text) in &self.inputs {
            fs::write(stage.vendor.path(name), text).expect("a file");
        }
        for command in &self.before {
            let ended = stage.run(command);
            assert_eq!(ended.code, 0, "{command:?}: {}", ended.err);
        }
        if self.billed {
            let server = stage.vendor.serve_by(stage.command(&words(SERVE)));
            do_command(&stage, &words(BILL), Some(&server), &Trouble::default());
            server.signal("TERM");
            assert_eq!(server.wait(), Some(0));
        }
        if let Some(make) = self.old_books {
            make(&stage.db());
        }
        stage
    }
}

/// How a server is started.
pub const SERVE: &str = "serve --listen 127.0.0.1:0";

/// Asks for the bill of October.
pub const BILL: &str = "BILL 2026-10-01T00:00:00Z 2026-10-31T23:59:59Z";

/// A request as it is sent: `POST PATH FIELDS`, `PUT PATH`, or `BILL FIRST LAST`; `None` of a
/// command.
fn request(words: &[String]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (method, path, fields) = match words[..] {
        ["BILL", from, to] => {
            let (from, to) = (second(from).to_string(), second(to).to_string());
            let fields = [("fromTs", &*from), ("toTs", &*to), ("pageNum", "1")];
            let target = signed(API_KEY, API_SECRET, "/bill", &fields);
            return Some(format!("GET {target} HTTP/1.1\r\nHost: vendor\r\n\r\n"));
        }
        [method @ ("POST" | "PUT"), path] => (method, path, ""),
        [method @ ("POST" | "PUT"), path, fields] => (method, path, fields),
        _ => return None,
    };
    let body = signed_body(API_KEY, API_SECRET, method, path, fields);
    Some(with_body(method, path, &body))
}

/// Tells whether the words are a request, and not a command.
pub fn is_request(words: &[String]) -> bool {
    request(words).is_some()
}

/// Has a request answered; `None` where the server hangs up, or the words are none. Where a slow
/// machine has no answer in time it asks again, as Agora does.
pub fn ask(server: &Server, words: &[String]) -> Option<Answer> {
    const AGAIN: usize = 20;
    let request = request(words)?;
    let is_late = |answer: &Answer| answer.body.contains("cannot be had in time");
    let mut answer = server.send(request.as_bytes());
    for _ in 0..AGAIN {
        if !answer.as_ref().is_some_and(is_late) {
            break;
        }
        answer = server.send(request.as_bytes());
    }
    answer
}

/// Records until the log is a few frames short of the thousand at which SQLite moves it.
fn fill_log(stage: &Stage, trouble: &Trouble) {
    const ALMOST: u64 = 975 * (24 + 4096);
    let length = || stage.root().join("agora-vendor.db-wal").metadata().map_or(0, |log| log.len());
    for number in 0.. {
        if length() > ALMOST {
            break;
        }
        do_command(stage, &words(&format!("record f{number} 1 --id f{number}")), None, trouble);
    }
    assert!(length() < 1_000 * (24 + 4096), "the log is moved already");
}

/// Does what a case says, all of it watched.
fn do_command(stage: &Stage, command: &[String], server: Option<&Server>, trouble: &Trouble) {
    if is_request(command) {
        let answer = server.and_then(|server| ask(server, command));
        assert_eq!(answer.as_ref().map(|answer| answer.status), Some(200), "{answer:?}");
        return;
    }
    let ended =
        Ended::from(stage.watched_too(command, trouble).output().expect("the executable runs"));
    assert_eq!(ended.code, 0, "{command:?}: {}{}", ended.out, ended.err);
}

/// What commands did to a disk.
pub struct History {
    pub case: Case,
    /// The file of the books.
    pub db: PathBuf,
    /// The disk before all of it.
    pub disk: Disk,
    pub before: judge::State,
    pub calls: Vec<Call>,
    pub steps: Vec<Step>,
}

/// One command of a history.
pub struct Step {
    pub command: Vec<String>,
    /// Which calls are its own.
    pub calls: Range<usize>,
    /// The call with which it told that it was done.
    pub answered: usize,
    pub after: judge::State,
}

impl History {
    /// Runs a case, and keeps account of it.
    pub fn of(case: &Case, trouble: &Trouble) -> Self {
        let stage = case.stage();
        let disk = Disk::of(&stage.root());
        stage.count_anew();
        let server = case.served.then(|| {
            let command = stage.watched_too(&words(SERVE), trouble);
            stage.vendor.serve_by(command)
        });
        if case.filled {
            fill_log(&stage, trouble);
        }
        let before = judge::State::of_copy(&stage.root());
        let mut calls = stage.calls(0);
        let mut steps = Vec::new();
        for command in &case.commands {
            let first = calls.len();
            do_command(&stage, command, server.as_ref(), trouble);
            calls = stage.calls(0);
            let own = &calls[first..];
            assert!(own.iter().any(Call::changes_disk), "{command:?} does nothing that is seen");
            // A server that was late answers more than once.
            let answered = if is_request(command) {
                own.iter().rposition(Call::is_answer)
            } else {
                own.iter().position(Call::is_answer)
            };
            let answered = answered.map_or(calls.len(), |n| first + n);
            steps.push(Step {
                command: command.clone(),
                calls: first..calls.len(),
                answered,
                after: judge::State::of_copy(&stage.root()),
            });
        }
        Self { case: case.clone(), db: stage.db(), disk, before, calls, steps }
    }

    /// What was there before a step.
    pub fn before(&self, step: usize) -> &judge::State {
        step.checked_sub(1).map_or(&self.before, |step| &self.steps[step].after)
    }

    /// The disk before a step, which begins with files that nobody has open.
    pub fn disk_before(&self, step: usize) -> crate::disk::Image {
        let mut disk = self.disk.clone();
        self.calls[..self.steps[step].calls.start].iter().for_each(|call| disk.apply(call));
        disk.image(Fate::Kept)
    }
}

#[test]
fn a_server_that_is_late_is_asked_again() {
    let case = Case::new("late", &crate::cuts::CUSTOMER, &[]);
    let stage = case.stage();
    let server = stage.vendor.serve_by(stage.command(&words(SERVE)));
    let other = rusqlite::Connection::open(stage.db()).expect("the books");
    other.execute_batch("begin immediate").expect("the lock");
    let command = words(r#"POST /customers/new "planId":"default","customerId":"late""#);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&server, &command));
        server.log_with("/customers/new");
        other.execute_batch("rollback").expect("an end");
        assert_eq!(asked.join().expect("an answer").map(|answer| answer.status), Some(200));
    });
}
