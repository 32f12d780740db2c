//! `setup`: what it asks, what it makes, and what it leaves alone.

use crate::docs::free_port;
use crate::packaging::is_closed_with;
use crate::vendor::{API_KEY, API_SECRET, Ended, Vendor, signal, skipped};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Two users that are neither root nor each other.
const NOBODY: u32 = 65_534;
const SOMEBODY: u32 = 65_533;
const BOOKS: &str = "machine/var/lib/agora-vendor/agora-vendor.db";
const ENVIRONMENT: &str = "machine/etc/agora-vendor/agora-vendor.env";
const OF_SERVICE: &str = "machine/etc/systemd/system/agora-vendor.service.d/setup.conf";
const OF_DOCTOR: &str = "machine/etc/systemd/system/agora-vendor-doctor.service.d/setup.conf";
const OF_SOCKET: &str = "machine/etc/systemd/system/agora-vendor.socket.d/setup.conf";
/// What stands for systemctl: it notes what it is asked for.
const SYSTEMCTL: &str = "#!/bin/sh
echo \"$*\" >> \"$(dirname \"$0\")/asked\"
[ \"$1\" != is-active ] || ! [ -e \"$(dirname \"$0\")/stopped\" ]
";

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A machine on which the package is installed and systemd runs, in a folder.
fn machine() -> Vendor {
    let vendor = Vendor::without_books();
    for folder in [
        "machine/var/lib/agora-vendor",
        "machine/usr/lib/systemd/system",
        "machine/run/systemd/system",
        "bin",
    ] {
        fs::create_dir_all(vendor.path(folder)).expect("a folder");
    }
    set_mode(&vendor.path("."), 0o755);
    let data = vendor.path("machine/var/lib/agora-vendor");
    set_mode(&data, 0o700);
    if is_root() {
        chown(&data, Some(NOBODY), Some(NOBODY)).expect("an owner");
    }
    for unit in ["agora-vendor.service", "agora-vendor.socket"] {
        fs::write(vendor.path("machine/usr/lib/systemd/system").join(unit), "").expect("a unit");
    }
    fs::write(vendor.path("bin/systemctl"), SYSTEMCTL).expect("a file");
    set_mode(&vendor.path("bin/systemctl"), 0o755);
    fs::write(vendor.path("secret"), format!("{API_SECRET}\n")).expect("a file");
    vendor
}

/// `setup` on this machine.
fn setup(vendor: &Vendor, arguments: &[&str]) -> Command {
    let mut command = vendor.command(["setup", "--root", "machine"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.args(arguments).env("PATH", format!("{}:{path}", vendor.path("bin").display()));
    command.env_remove("AGORA_VENDOR_DB");
    command
}

fn ended(mut command: Command) -> Ended {
    command.output().expect("it runs").into()
}

/// Tells whether a setup failed at most over its request: mostly nobody serves on this machine.
fn is_all_but_served(code: i32, shown: &str) -> bool {
    let ill: Vec<&str> = shown.lines().filter(|line| line.starts_with('✗')).collect();
    (code == 0 || !ill.is_empty()) && ill.iter().all(|line| line.starts_with("✗ request "))
}

fn set_up(vendor: &Vendor, arguments: &[&str]) -> Value {
    let ended = ended(setup(vendor, &[arguments, &["--yes", "--json"]].concat()));
    let document: Value = serde_json::from_str(&ended.out).expect("JSON");
    let checks = document["checks"].as_array().into_iter().flatten();
    let ill: Vec<&Value> = checks.filter(|check| check["state"] == "failed").collect();
    let is_served = ended.code == 0 || !ill.is_empty();
    assert!(is_served && ill.iter().all(|check| check["name"] == "request"), "{}", ended.err);
    document
}

/// What a verb says of the machine's books.
fn said(vendor: &Vendor, arguments: &[&str]) -> Value {
    vendor.json([&["--db", BOOKS], arguments].concat())
}

/// What systemctl was asked for, and is forgotten by this.
fn asked(vendor: &Vendor) -> Vec<String> {
    let asked = fs::read_to_string(vendor.path("bin/asked")).unwrap_or_default();
    let _forgotten = fs::remove_file(vendor.path("bin/asked"));
    asked.lines().map(str::to_owned).collect()
}

fn text(vendor: &Vendor, path: &str) -> String {
    fs::read_to_string(vendor.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below the machine, each with what tells whether it was written.
fn tree(vendor: &Vendor) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![vendor.path("machine")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let metadata = path.symlink_metadata().expect("it is there");
            if metadata.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().ends_with("-shm") {
                found.insert(path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
            }
        }
    }
    found
}

/// A command on a terminal, and somebody who types.
struct Dialog {
    terminal: File,
    child: Child,
    shown: String,
    /// How much of it was read before.
    seen: usize,
}

impl Dialog {
    fn start(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let name = OsStr::from_bytes(name.as_bytes());
        let slave = File::options().read(true).write(true).open(name).expect("a terminal");
        let end = || slave.try_clone().expect("a terminal");
        command.env("TERM", "xterm").env("PAGER", "").env("NO_COLOR", "1");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it runs");
        // The command holds the terminal's other end too.
        drop(command);
        Self { terminal: master.into(), child, shown: String::new(), seen: 0 }
    }

    /// Waits for words.
    fn sees(&mut self, words: &str) {
        while !self.shown[self.seen..].contains(words) {
            assert!(self.reads_on(), "{words}: {}", self.shown);
        }
        let at = self.shown[self.seen..].find(words).expect("it is there");
        self.seen += at + words.len();
    }

    fn reads_on(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        // Once nobody holds the other end, reading fails.
        match self.terminal.read(&mut bytes) {
            Ok(read @ 1..) => {
                self.shown += &String::from_utf8_lossy(&bytes[..read]).replace('\r', "");
                true
            }
            _ => false,
        }
    }

    /// Tells whether the terminal shows what is typed.
    fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.terminal).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Waits for a question, and answers it.
    fn answers(&mut self, question: &str, answer: &str) {
        self.sees(question);
        self.terminal.write_all(format!("{answer}\n").as_bytes()).expect("it listens");
    }

    /// All that was shown, and the exit code; -1 where a signal ended it.
    fn end(mut self) -> (String, i32) {
        while self.reads_on() {}
        let code = self.child.wait().expect("an end").code().unwrap_or(-1);
        (self.shown, code)
    }
}

#[test]
fn setup_asks_and_leads_to_a_service_that_runs() {
    let vendor = machine();
    fs::create_dir_all(vendor.path("machine/etc/agora-vendor")).expect("a folder");
    let example = "# Where to listen.\n#AGORA_VENDOR_LISTEN=127.0.0.1:8080\nOTHER=1\n";
    fs::write(vendor.path(ENVIRONMENT), example).expect("a file");
    let mut dialog = Dialog::start(setup(&vendor, &[]));
    dialog.sees("Agora signs each request with an apiKey");
    dialog.answers("apiKey [make one]: ", "");
    dialog.answers("TLS by proxy, acme or files [proxy]: ", "caddy");
    dialog.answers("\"caddy\": answer proxy, acme or files", "acme");
    dialog.answers("Host, such as extension.example.com: ", "https://ext.example.com");
    dialog.answers("write a host's name alone", "Ext.example.com");
    dialog.sees("that money is lost");
    dialog.answers("Late usage: report or carry [report]: ", "carry");
    dialog.sees("no bill asks for money");
    dialog.answers("Name of the plan, such as Standard [no plan yet]: ", "Standard");
    dialog.answers("One unit of usage in a word [Minute]: ", "Call");
    dialog.answers("Price of one Call, such as 0.01: ", "0,01");
    dialog.answers("\"0,01\": ", "0.01");
    dialog.answers("Set it up so [yes]: ", "");
    let (shown, code) = dialog.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("https://ext.example.com") && shown.contains("GET /usage"), "{shown}");
    let keys = said(&vendor, &["key", "list"]);
    let live = keys.as_array().expect("keys").iter().find(|key| key["purpose"] == "live");
    let live = live.expect("a key")["apiKey"].as_str().expect("a text").to_owned();
    let secret = said(&vendor, &["key", "show", &live, "--secret"])["apiSecret"].clone();
    // It was made just now, on a terminal.
    assert!(shown.contains(&live) && shown.contains(secret.as_str().expect("a text")), "{shown}");
    assert!(vendor.ok(["--db", BOOKS, "setting", "list"]).out.contains("late              carry"));
    let plan = said(&vendor, &["plan", "show", "default"]);
    assert_eq!((&plan["name"], &plan["price"]), (&json!("Standard"), &json!("0.01")));
    assert_eq!((&plan["unit"], &plan["from"]), (&json!("Call"), &Value::Null));
    let environment = text(&vendor, ENVIRONMENT);
    let lines = "AGORA_VENDOR_LISTEN=0.0.0.0:443\nOTHER=1\nAGORA_VENDOR_ACME=ext.example.com\n";
    assert!(environment.ends_with(lines), "{environment}");
    assert!(text(&vendor, OF_SERVICE).contains("\nPrivateNetwork=no\nIPAddressAllow=any\n"));
    assert!(text(&vendor, OF_SOCKET).contains("\nListenStream=\nListenStream=443\n"));
    let units = "agora-vendor.socket agora-vendor.service";
    let started = [
        "daemon-reload".to_owned(),
        format!("stop agora-vendor.service {units}"),
        format!("enable --now {units}"),
    ];
    assert_eq!(asked(&vendor), started);
    // Stopped by hand, it is not started for what is about the books alone.
    fs::write(vendor.path("bin/stopped"), "").expect("a file");
    let Ended { code, err, .. } = ended(setup(&vendor, &["--late", "report"]));
    assert!(code == 0 && err.contains("`systemctl enable --now agora-vendor.socket"), "{err}");
    assert_eq!(asked(&vendor), ["is-active --quiet agora-vendor.service"]);
    assert_eq!(set_up(&vendor, &[])["running"], true);
    assert_eq!(asked(&vendor)[1..], started);
    if is_root() {
        assert_eq!(vendor.path(BOOKS).metadata().expect("books").uid(), NOBODY);
        assert_eq!(vendor.path(ENVIRONMENT).metadata().expect("a file").uid(), 0);
    }
    vendor.ok(["--db", BOOKS, "check"]);
}

#[test]
fn enter_takes_what_is_proposed_and_a_given_pair_is_never_shown() {
    let vendor = machine();
    let mut dialog = Dialog::start(setup(&vendor, &[]));
    dialog.answers("apiKey [make one]: ", "a key");
    dialog.answers("\"a key\": ", API_KEY);
    // What is no secret is asked for again, and not shown.
    dialog.answers("its apiSecret (it is not shown): ", "");
    dialog.sees("this is not a secret: it must be 1 to ");
    dialog.answers("its apiSecret (it is not shown): ", &format!("'{API_SECRET}'"));
    dialog.sees("this is not a secret: it is in quotes; type the secret and nothing else\n");
    dialog.answers("its apiSecret (it is not shown): ", API_SECRET);
    for question in ["[proxy]: ", "[not known yet]: ", "[report]: ", "[no plan yet]: ", "[yes]: "] {
        dialog.answers(question, "");
    }
    let (shown, code) = dialog.end();
    assert!(is_all_but_served(code, &shown) && !shown.contains(API_SECRET), "{shown}");
    assert!(shown.contains(&format!("`agora-vendor key show {API_KEY} --secret` shows it")));
    assert_eq!(said(&vendor, &["key", "show", API_KEY, "--secret"])["apiSecret"], API_SECRET);
    assert_eq!(said(&vendor, &["plan", "list"]), json!([]));
    assert_eq!(text(&vendor, ENVIRONMENT), "AGORA_VENDOR_LISTEN=127.0.0.1:8080\n");
    assert!(!vendor.path(OF_SERVICE).exists() && !vendor.path(OF_SOCKET).exists());
    // Again: what stands is proposed, and nothing changes.
    let before = tree(&vendor);
    let _forgotten = asked(&vendor);
    let mut dialog = Dialog::start(setup(&vendor, &[]));
    dialog.sees("set up already: ");
    for question in ["[proxy]: ", "[not known yet]: ", "[report]: ", "[no plan yet]: ", "[yes]: "] {
        dialog.answers(question, "");
    }
    let (shown, code) = dialog.end();
    assert!(is_all_but_served(code, &shown) && !shown.contains("[make one]"), "{shown}");
    assert_eq!(tree(&vendor), before);
    assert_eq!(asked(&vendor), ["is-active --quiet agora-vendor.service"]);
}

/// What stands for systemctl where it does start the server, by the file of its environment.
const STARTING: &str = "#!/bin/sh
case $1 in
  stop) kill $(cat bin/pid 2>/dev/null) 2>/dev/null ;;
  is-active) kill -0 $(cat bin/pid) ;;
  enable)
    rm -f bin/ready
    mkfifo bin/ready
    set -a
    . machine/etc/agora-vendor/agora-vendor.env
    EXECUTABLE --db BOOKS serve >bin/ready 2>>bin/log </dev/null &
    echo $! >bin/pid
    read -r line <bin/ready
    ;;
esac
exit 0
";

/// A machine whose systemctl starts the server, and which ends it.
struct Serving(Vendor);

impl Serving {
    fn new() -> Self {
        let vendor = machine();
        let script = STARTING.replace("EXECUTABLE", env!("CARGO_BIN_EXE_agora-vendor"));
        fs::write(vendor.path("bin/systemctl"), script.replace("BOOKS", BOOKS)).expect("a file");
        for unit in ["agora-vendor.service", "agora-vendor.socket", "agora-vendor-doctor.service"] {
            let path = vendor.path("machine/usr/lib/systemd/system").join(unit);
            fs::write(path, "").expect("a unit");
        }
        Self(vendor)
    }

    /// Ends the server where one runs.
    fn stop(&self) {
        let mut stop = Command::new(self.0.path("bin/systemctl"));
        let _stopped = stop.arg("stop").current_dir(self.0.path(".")).status();
    }

    /// `doctor` that is told nothing but the books.
    fn doctor(&self) -> Ended {
        let mut command = self.0.command(["--db", BOOKS, "doctor"]);
        command.env("SSL_CERT_FILE", self.0.path("cert.pem"));
        ended(command)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn setup_ends_with_what_doctor_found_and_what_to_paste() {
    let serving = Serving::new();
    let vendor = &serving.0;
    let listen = format!("127.0.0.1:{}", free_port());
    let first = ["--yes", "--tls", "proxy", "--listen", &listen, "--host", "ext.example.com"];
    let Ended { code, out, err } = ended(setup(vendor, &first));
    assert_eq!(code, 0, "{out}{err}");
    let found = out.find("What `doctor` found:\n").expect("it looked");
    assert!(found < out.find("For Agora's console:\n").expect("it ends with that"), "{out}");
    assert!(out.contains(&format!("http://{listen} answered a signed request with 200")), "{out}");
    // What nobody can have done yet is told, and is no failure.
    assert!(out.contains("! backup ") && out.contains("! usage "), "{out}");
    // By the configuration doctor knows where to ask, without a flag.
    let Ended { code, out, .. } = serving.doctor();
    assert!(code == 0 && out.contains(&format!("http://{listen} answered")), "{out}");
    assert!(!vendor.path(OF_DOCTOR).exists());
    // As JSON it is one document, with the checks as `doctor` has them.
    let Ended { code, out, err } = ended(setup(vendor, &["--yes", "--json"]));
    assert!(code == 0 && !err.contains('✓'), "{err}");
    let document: Value = serde_json::from_str(&out).expect("JSON");
    let known = |document: &Value| -> Vec<(String, Value)> {
        let checks = document["checks"].as_array().expect("checks").iter();
        checks.map(|check| (check["name"].to_string(), check["remedy"].clone())).collect()
    };
    assert_eq!(known(&document), known(&said(vendor, &["doctor"])));
    // With a certificate it is asked by its name, over TLS, as Agora asks.
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    fs::write(vendor.path("cert.pem"), pair.cert.pem()).expect("a file");
    fs::write(vendor.path("key.pem"), pair.signing_key.serialize_pem()).expect("a file");
    let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--host", "localhost"];
    let mut command = setup(vendor, &[&files[..], &["--listen", &listen]].concat());
    command.env("SSL_CERT_FILE", vendor.path("cert.pem"));
    let Ended { code, out, err } = ended(command);
    assert_eq!(code, 0, "{out}{err}");
    let port = listen.rsplit(':').next().expect("a port");
    let asked = format!("https://localhost:{port} answered a signed request with 200");
    assert!(out.contains(&asked) && serving.doctor().out.contains(&asked), "{out}");
    assert!(out.contains("cert.pem is good until"), "{out}");
    // Agora has to come to this very port, and to the path that the server is mounted under.
    assert!(out.contains(&format!("address    https://localhost:{port}\n")), "{out}");
    let mounted = text(vendor, ENVIRONMENT) + "AGORA_VENDOR_BASE_PATH=/agora\n";
    fs::write(vendor.path(ENVIRONMENT), mounted).expect("a file");
    // The daily one has to get there as well.
    assert!(text(vendor, OF_DOCTOR).ends_with("\nIPAddressAllow=any\n"));
    // A server that does not answer is a failure, and all is set up.
    let mut command = setup(vendor, &["--yes"]);
    command.env_remove("SSL_CERT_FILE").env("SUDO_USER", "ann");
    let Ended { code, out, err } = ended(command);
    assert!(!is_root() || out.contains("apiSecret  `sudo agora-vendor key show "), "{out}");
    assert!(code == 1 && out.contains("✗ request ") && out.contains("\napiKey "), "{out}");
    assert!(out.contains(&format!("address    https://localhost:{port}/agora\n")), "{out}");
    assert!(err.contains("everything is set up; what `doctor` marks with ✗ is left to do"));
    serving.stop();
    let Ended { code, out, .. } = serving.doctor();
    assert!(code == 1 && out.contains("✗ request "), "{out}");
}

#[test]
fn a_socket_that_cannot_be_had_is_told_with_the_journal_that_says_why() {
    let vendor = machine();
    let busy =
        "#!/bin/sh\n[ $1 != enable ] || { echo Job for agora-vendor.socket failed. >&2; false; }\n";
    fs::write(vendor.path("bin/systemctl"), busy).expect("a file");
    let ended = ended(setup(&vendor, &["--yes"]));
    assert_eq!(ended.code, 1, "{}", ended.out);
    // What Agora's console is to be told stands all the same.
    let (_, console) = ended.out.split_once("For Agora's console:\n").expect("it is told");
    assert!(
        console.contains("address    https://HOST") && console.contains("\napiKey "),
        "{console}"
    );
    assert!(ended.err.contains("(Job for agora-vendor.socket failed.)"), "{}", ended.err);
    // The socket's lines are not among the service's.
    let why = " -u agora-vendor.socket -u agora-vendor` says why";
    assert!(ended.err.contains(why), "{}", ended.err);
}

#[test]
fn a_certificate_that_is_on_its_way_is_no_failure() {
    let vendor = machine();
    let flags = ["--yes", "--tls", "acme", "--host", "ext.invalid"];
    let Ended { code, out, err } = ended(setup(&vendor, &flags));
    assert!(code == 0 && out.contains("✗ request "), "{code} {out}{err}");
    assert!(err.contains("the certificate is not there yet: `journalctl -u agora-vendor -f`"));
}

#[test]
fn with_its_drop_ins_each_service_is_open_no_wider_than_1() {
    let serving = Serving::new();
    let vendor = &serving.0;
    // Nothing is started.
    fs::write(vendor.path("bin/systemctl"), "#!/bin/sh\n").expect("a file");
    set_up(vendor, &["--tls", "acme", "--host", "ext.invalid"]);
    for (unit, drop_in) in
        [("agora-vendor.service", OF_SERVICE), ("agora-vendor-doctor.service", OF_DOCTOR)]
    {
        match is_closed_with(unit, &text(vendor, drop_in)) {
            Some((is_closed, said)) => assert!(is_closed, "{unit}: {said}"),
            None => skipped("this machine has no systemd-analyze"),
        }
    }
}

#[test]
fn a_setup_that_was_killed_is_run_again() {
    if Command::new("strace").arg("-V").output().is_err() {
        skipped("strace kills at a step");
        return;
    }
    let flags = ["--tls", "acme", "--host", "ext.example.com", "--late", "carry"];
    let flags = [&flags[..], &["--plan", "P", "--price", "2"]].concat();
    // Making a folder, writing a draft, taking a name; and in the process that makes the books.
    let steps = [("mkdir", 6, None), ("fsync", 6, None), ("rename", 3, None)];
    for (call, last, follows) in steps.into_iter().chain([("pwrite64", 9, Some("-f"))]) {
        for number in 1..=last {
            let vendor = machine();
            let told = setup(&vendor, &[&flags[..], &["--yes"]].concat());
            let mut killed = Command::new("strace");
            killed.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
            killed.arg(format!("inject={call}:signal=KILL:when={number}")).args(follows);
            killed.arg(told.get_program()).args(told.get_args()).current_dir(vendor.path("."));
            for (name, value) in told.get_envs() {
                match value {
                    Some(value) => killed.env(name, value),
                    None => killed.env_remove(name),
                };
            }
            let killed = killed.output().expect("strace");
            assert!(number > 1 || !killed.status.success(), "{call}");
            let again = set_up(&vendor, &flags);
            assert_eq!(again["late"], "carry", "{call} {number}");
            assert_eq!(again["plan"][1], "2 per Minute", "{call} {number}");
            assert!(text(&vendor, ENVIRONMENT).contains("_ACME=ext.example.com\n"));
            assert!(vendor.path(OF_SERVICE).exists() && vendor.path(OF_SOCKET).exists());
            let left = tree(&vendor).into_keys().map(|path| path.to_string_lossy().into_owned());
            let is_left = |name: &String| name.ends_with(".new") || name.contains("draft");
            assert_eq!(left.filter(is_left).collect::<Vec<_>>(), [""; 0], "{call} {number}");
            vendor.ok(["--db", BOOKS, "check"]);
        }
    }
}

#[test]
fn whoever_stops_before_the_end_has_changed_nothing() {
    let vendor = machine();
    let before = tree(&vendor);
    let mut dialog = Dialog::start(setup(&vendor, &["--tls", "proxy", "--late", "carry"]));
    dialog.answers("apiKey [make one]: ", "");
    dialog.answers("[not known yet]: ", "ext.example.com");
    dialog.sees("[no plan yet]: ");
    signal("INT", &dialog.child.id().to_string());
    assert_eq!(dialog.end().1, -1);
    assert_eq!(tree(&vendor), before);
    let flags = ["--tls", "proxy", "--host", "h.example.com", "--plan", "P", "--price", "1"];
    for (last, code, words) in
        [("no", 1, "nothing was changed"), ("\u{4}", 1, "stopped: nothing was changed")]
    {
        let mut dialog = Dialog::start(setup(&vendor, &flags));
        dialog.answers("apiKey [make one]: ", "");
        dialog.answers("report or carry [report]: ", "");
        dialog.answers("Set it up so [yes]: ", last);
        let (shown, ended) = dialog.end();
        assert!(ended == code && shown.contains(words), "{shown}");
        assert_eq!(tree(&vendor), before);
    }
    let mut dialog = Dialog::start(setup(&vendor, &flags));
    dialog.answers("apiKey [make one]: ", API_KEY);
    dialog.answers("its apiSecret (it is not shown): ", "\u{4}");
    let (shown, code) = dialog.end();
    assert!(code == 1 && shown.contains("stopped: nothing was changed"), "{shown}");
    assert_eq!(tree(&vendor), before);
    let without = ended(setup(&vendor, &flags));
    assert!(without.code == 2 && without.err.contains("add --yes"), "{}", without.err);
    assert_eq!(tree(&vendor), before);
    assert_eq!(asked(&vendor), [""; 0]);
}

#[test]
fn interrupted_at_whatever_question_it_changes_nothing_and_the_terminal_echoes() {
    let vendor = machine();
    let before = tree(&vendor);
    let questions = [
        ("apiKey [make one]: ", API_KEY),
        ("its apiSecret (it is not shown): ", API_SECRET),
        ("TLS by proxy, acme or files [proxy]: ", "files"),
        ("with those that sign it: ", "secret"),
        ("PEM file of its key: ", "secret"),
        ("[not known yet]: ", ""),
        ("report or carry [report]: ", ""),
        ("[no plan yet]: ", "Standard"),
        ("[Minute]: ", ""),
        ("Price of one Minute, such as 0.01: ", "1"),
        ("Set it up so [yes]: ", ""),
    ];
    for (last, (question, _)) in questions.iter().enumerate() {
        let is_hidden = question.contains("not shown");
        let names = if is_hidden { &["INT", "TERM", "HUP"][..] } else { &["INT"] };
        for name in names {
            let mut dialog = Dialog::start(setup(&vendor, &[]));
            // Held open, so that its modes can be looked at.
            let terminal = dialog.terminal.try_clone().expect("a terminal");
            questions[..last].iter().for_each(|(asked, answer)| dialog.answers(asked, answer));
            dialog.sees(question);
            assert_eq!(dialog.echoes(), !is_hidden, "{question}");
            signal(name, &dialog.child.id().to_string());
            let (shown, code) = dialog.end();
            assert_eq!(code, -1, "{question} {shown}");
            let modes = tcgetattr(&terminal).expect("a terminal").local_modes;
            assert!(modes.contains(LocalModes::ECHO), "{question} {name}");
            assert_eq!(tree(&vendor), before, "{question}");
        }
    }
    assert_eq!(asked(&vendor), [""; 0]);
}

#[test]
fn run_again_with_flags_it_changes_these_things_alone() {
    let vendor = machine();
    let pair = ["--api-key", API_KEY, "--api-secret-file", "secret"];
    let flags = ["--tls", "acme", "--host", "ext.example.com", "--plan", "P", "--price", "2"];
    let first = set_up(&vendor, &[&pair[..], &flags].concat());
    assert_eq!((&first["created"], &first["apiSecret"]), (&json!(true), &Value::Null));
    assert_eq!((&first["running"], &first["host"]), (&json!(true), &json!("ext.example.com")));
    assert_eq!(first["endpoints"][1], json!({"method": "GET", "path": "/bill"}));
    let _forgotten = asked(&vendor);
    // The same, and nothing at all.
    let before = tree(&vendor);
    for again in [&[&pair[..], &flags].concat()[..], &[]] {
        let said = set_up(&vendor, again);
        assert_eq!((&said["created"], &said["done"]), (&json!(false), &json!([])));
        assert_eq!(tree(&vendor), before);
    }
    // By hand, and not by setup.
    let own = format!("{}AGORA_VENDOR_LOG=debug\n", text(&vendor, ENVIRONMENT));
    fs::write(vendor.path(ENVIRONMENT), &own).expect("a file");
    let _forgotten = asked(&vendor);
    let late = set_up(&vendor, &["--late", "carry"]);
    assert_eq!(late["done"], json!(["late usage: carry, before report"]));
    assert_eq!((&late["plan"], text(&vendor, ENVIRONMENT)), (&first["plan"], own.clone()));
    assert_eq!(asked(&vendor), ["is-active --quiet agora-vendor.service"]);
    // Another way takes the words of the first one away.
    let proxy = set_up(&vendor, &["--tls", "proxy"]);
    assert_eq!(proxy["late"], "carry");
    let environment = text(&vendor, ENVIRONMENT);
    assert!(!environment.contains("ACME") && environment.contains("LOG=debug"), "{environment}");
    assert!(environment.contains("LISTEN=127.0.0.1:8080\n"), "{environment}");
    assert!(environment.contains("HOST=ext.example.com\n"), "{environment}");
    assert!(!vendor.path(OF_SERVICE).exists() && !vendor.path(OF_SOCKET).exists());
    assert!(asked(&vendor).iter().any(|line| line.starts_with("stop ")));
    // A price holds from next month on; a second pair stands beside the first.
    let more = ["--plan", "P", "--price", "3", "--api-key", "k2", "--api-secret-file", "secret"];
    let more = set_up(&vendor, &more);
    assert_eq!((&more["apiKey"], &more["done"][0]), (&json!("k2"), &more["done"][0]));
    assert_eq!(said(&vendor, &["key", "list"]).as_array().map(Vec::len), Some(3));
    let twice = ended(setup(&vendor, &["--yes", "--api-key", "k2", "--api-secret-file", "other"]));
    assert!(twice.code == 1 && twice.err.contains("cannot be read"), "{}", twice.err);
    vendor.ok(["--db", BOOKS, "check"]);
}

#[test]
fn what_cannot_be_is_told_before_anything_is_made() {
    let vendor = machine();
    let before = tree(&vendor);
    for (flags, code, words) in [
        (&["--tls", "acme"][..], 2, "--tls acme needs --host HOST"),
        (&["--tls", "files"], 2, "--tls files needs --tls-cert F and --tls-key F"),
        (&["--plan", "P"], 2, "--plan has no price"),
        (&["--price", "1"], 2, "the price has no plan"),
        (&["--plan", "P", "--price", "1", "--package", "0:1"], 2, "a package holds 0 units"),
        (&["--tls-cert", "secret", "--tls-key", "secret"], 1, "cannot be used by the owner"),
        (&["--api-key", "k", "--api-secret-file", "none"], 1, "cannot be read from none"),
    ] {
        let refused = ended(setup(&vendor, &[flags, &["--yes"]].concat()));
        assert!(refused.code == code && refused.err.contains(words), "{flags:?} {}", refused.err);
        assert_eq!(tree(&vendor), before, "{flags:?}");
    }
    assert!(!vendor.path("machine/etc").exists());
    // What stands in the way of the configuration stands in the way of the books.
    fs::create_dir(vendor.path("machine/etc")).expect("a folder");
    fs::write(vendor.path("machine/etc/systemd"), "").expect("a file");
    let before = tree(&vendor);
    let flags = ["--yes", "--tls", "acme", "--host", "ext.example.com"];
    let refused = ended(setup(&vendor, &flags));
    assert!(refused.code == 1 && refused.err.contains("cannot be written"), "{}", refused.err);
    assert_eq!(tree(&vendor), before);
}

#[test]
fn a_key_that_the_services_user_may_not_read_is_refused() {
    if !is_root() {
        skipped("only root can make a file that another may not read");
        return;
    }
    let vendor = machine();
    let pair = rcgen::generate_simple_self_signed(["ext.example.com".to_owned()]).expect("a pair");
    fs::write(vendor.path("cert.pem"), pair.cert.pem()).expect("a file");
    fs::write(vendor.path("key.pem"), pair.signing_key.serialize_pem()).expect("a file");
    set_mode(&vendor.path("key.pem"), 0o600);
    let flags = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--host", "ext.example.com"];
    let refused = ended(setup(&vendor, &[&flags[..], &["--yes"]].concat()));
    assert!(refused.code == 1 && refused.err.contains("key.pem: Permission"), "{}", refused.err);
    assert!(!vendor.path(BOOKS).exists() && !vendor.path(ENVIRONMENT).exists());
    chown(vendor.path("key.pem"), Some(NOBODY), None).expect("an owner");
    // What the unit's ProtectHome= hides can be read here, and not by the service.
    let hidden = vendor.path("machine/home/ann");
    fs::create_dir_all(&hidden).expect("a folder");
    std::os::unix::fs::symlink(vendor.path("cert.pem"), hidden.join("cert.pem")).expect("a link");
    let flags_hidden = ["--tls-cert", "machine/home/ann/cert.pem", "--tls-key", "key.pem", "--yes"];
    let refused = ended(setup(&vendor, &flags_hidden));
    assert!(refused.code == 1 && refused.err.contains("systemd hides /home"), "{}", refused.err);
    assert!(!vendor.path(BOOKS).exists() && !vendor.path(ENVIRONMENT).exists());
    let done = set_up(&vendor, &flags);
    assert_eq!((&done["tls"], &done["listen"]), (&json!("files"), &json!("0.0.0.0:443")));
    let environment = text(&vendor, ENVIRONMENT);
    for (name, file) in [("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem")] {
        let path = vendor.path(file).canonicalize().expect("a path");
        let line = format!("AGORA_VENDOR_{name}={}\n", path.display());
        assert!(environment.contains(&line), "{environment}");
    }
    // The socket is open to the world, and the service need not be: it dials nobody.
    assert!(vendor.path(OF_SOCKET).exists() && !vendor.path(OF_SERVICE).exists());
    fs::remove_file(vendor.path("machine/usr/lib/systemd/system/agora-vendor.socket")).expect("it");
    set_up(&vendor, &["--tls", "files"]);
    assert!(text(&vendor, OF_SERVICE).contains("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"));
    assert!(!vendor.path(OF_SOCKET).exists());
}

#[test]
fn elsewhere_it_makes_books_and_says_what_it_did_not_do() {
    let vendor = Vendor::without_books();
    let flags = ["setup", "--yes", "--listen", "127.0.0.1:9", "--late", "carry"];
    let Ended { code, out, err } = vendor.run(flags);
    assert_eq!(code, 0, "{err}");
    let serve = "`agora-vendor serve --listen 127.0.0.1:9` serves them";
    assert!(err.contains("no service was set up") && err.contains(serve), "{err}");
    assert!(out.contains("For Agora's console:\n") && out.contains("https://HOST"), "{out}");
    assert!(vendor.ok(["setting", "list"]).out.contains("late              carry"));
    assert_eq!(vendor.path("agora-vendor.db").metadata().expect("books").mode() & 0o777, 0o600);
    // A machine without systemd has its configuration written all the same.
    let vendor = machine();
    fs::remove_dir(vendor.path("machine/run/systemd/system")).expect("it was there");
    let said = ended(setup(&vendor, &["--yes", "--json"]));
    assert!(said.err.contains("systemd does not run here; where it does: `systemctl enable --now"));
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&document["running"], document.get("checks")), (&json!(false), Some(&Value::Null)));
    assert!(vendor.path(ENVIRONMENT).exists() && asked(&vendor).is_empty());
    // Where systemctl fails, all else stands, and that is said.
    let vendor = machine();
    fs::write(vendor.path("bin/systemctl"), "#!/bin/sh\necho no bus >&2\nexit 1\n").expect("it");
    let said = ended(setup(&vendor, &["--yes"]));
    let words = "`systemctl daemon-reload` failed (no bus); all else is set up";
    assert!(said.code == 1 && said.err.contains(words), "{}", said.err);
    vendor.ok(["--db", BOOKS, "check"]);
}

#[test]
fn somebody_else_is_told_to_run_it_as_root() {
    if !is_root() {
        skipped("only root can be somebody else");
        return;
    }
    let vendor = machine();
    let mut command = setup(&vendor, &["--yes"]);
    let refused = ended({
        command.uid(SOMEBODY).gid(SOMEBODY);
        command
    });
    assert!(refused.code == 1 && refused.err.contains("`sudo agora-vendor setup`"));
    // By the resolved path as well.
    let mut command = vendor.command(["setup", "--yes"]);
    command.env("AGORA_VENDOR_DB", vendor.path(BOOKS)).uid(SOMEBODY).gid(SOMEBODY);
    let refused = ended(command);
    assert!(refused.code == 1 && refused.err.contains("is another user's"), "{}", refused.err);
    assert!(!vendor.path(BOOKS).exists());
}

#[test]
fn flags_of_serve_may_stand_in_the_environment() {
    let vendor = Vendor::new();
    let mut command = vendor.command(["serve"]);
    for (name, value) in [
        ("LISTEN", "127.0.0.1:0"),
        ("BASE_PATH", "/first"),
        ("ENVELOPE", "flat"),
        // As a line without a value: none.
        ("ACME", ""),
        ("TLS_CERT", ""),
        ("TLS_KEY", ""),
        ("LOG", ""),
    ] {
        command.env(format!("AGORA_VENDOR_{name}"), value);
    }
    let server = vendor.serve_by(command);
    let window = [("fromTs", "1793491200"), ("toTs", "1793577599"), ("pageNum", "1")];
    let answer = server.ask("/first/usage", &window);
    assert!(answer.status == 200 && answer.json()["data"].is_array(), "{answer:?}");
    // A flag goes before the variable.
    let mut command = vendor.command(["serve", "--base-path", "/second"]);
    command.env("AGORA_VENDOR_LISTEN", "127.0.0.1:0").env("AGORA_VENDOR_BASE_PATH", "/first");
    assert_eq!(vendor.serve_by(command).ask("/second/usage", &window).status, 200);
    for (name, value, words) in [
        ("LISTEN", "here", "AGORA_VENDOR_LISTEN is \"here\": write an address and a port"),
        ("ENVELOPE", "round", "AGORA_VENDOR_ENVELOPE is \"round\", which is not one of nested"),
        ("ACME", "a.example.com,*", "AGORA_VENDOR_ACME is \"*\": TLS-ALPN-01 gives no"),
        ("ACME", "a.example.com", "--acme needs --listen"),
        ("TLS_CERT", "f", "not given: --tls-key"),
    ] {
        let mut command = vendor.command(["serve"]);
        command.env(format!("AGORA_VENDOR_{name}"), value);
        let refused = ended(command);
        assert!(refused.code == 2 && refused.err.contains(words), "{name}: {}", refused.err);
    }
}
