//! The protocols of systemd, spoken by the tests themselves: what the server tells the service
//! manager (sd_notify(3)), and the sockets that it is passed (sd_listen_fds(3)).

use crate::vendor::{Vendor, day, signal};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A service manager that listens.
struct Manager {
    socket: UnixDatagram,
    /// All that was told so far, in lines.
    told: Vec<String>,
}

impl Manager {
    fn listen(vendor: &Vendor) -> Self {
        let socket = UnixDatagram::bind(vendor.path("notify")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        Self { socket, told: Vec::new() }
    }

    /// Waits until this line is told, and forgets all up to it; returns what came before.
    fn wait_for(&mut self, line: impl Fn(&str) -> bool) -> Vec<String> {
        loop {
            if let Some(place) = self.told.iter().position(|told| line(told)) {
                let rest = self.told.split_off(place + 1);
                return std::mem::replace(&mut self.told, rest);
            }
            let mut message = [0; 4_096];
            let length = self.socket.recv(&mut message).expect("something is told");
            let message = std::str::from_utf8(&message[..length]).expect("UTF-8");
            self.told.extend(message.lines().map(str::to_owned));
        }
    }

    /// All that has been told and not been waited for.
    fn drain(&mut self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a mode");
        let mut message = [0; 4_096];
        while let Ok(length) = self.socket.recv(&mut message) {
            let message = std::str::from_utf8(&message[..length]).expect("UTF-8");
            self.told.extend(message.lines().map(str::to_owned));
        }
        self.socket.set_nonblocking(false).expect("a mode");
        std::mem::take(&mut self.told)
    }
}

/// `serve` as a service manager starts it that listens.
fn notifying(vendor: &Vendor) -> Command {
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", vendor.path("notify"));
    command
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_what_it_does_and_that_it_stops() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2021-10-05"]);
    let mut manager = Manager::listen(&vendor);
    let server = vendor.serve_by(notifying(&vendor));
    // More time at first, in case there is something to migrate.
    let begun = ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=starting", "READY=1"];
    assert_eq!(manager.wait_for(|told| told == "READY=1"), begun);
    manager.wait_for(|told| told == "STATUS=not asked yet, 0 statements");
    let (from, to) = day("2021-10-05");
    let minute =
        || jiff::Timestamp::now().strftime("STATUS=last asked %H:%M, 1 statement").to_string();
    let before = minute();
    assert_eq!(server.usage(from, to).status, 200);
    let minutes = [before, minute()];
    manager.wait_for(|told| minutes.iter().any(|minute| minute == told));

    server.signal("HUP");
    manager.wait_for(|told| told == "RELOADING=1");
    let until_ready = manager.wait_for(|told| told == "READY=1");
    assert!(until_ready[0].starts_with("MONOTONIC_USEC="), "{until_ready:?}");

    server.signal("TERM");
    manager.wait_for(|told| told == "STOPPING=1");
    assert_eq!(server.wait(), Some(0));
    let told = manager.drain();
    assert!(!told.iter().any(|told| told == "WATCHDOG=1"), "nobody asked for it: {told:?}");
}

#[test]
fn a_server_that_cannot_read_the_books_is_never_ready() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2021-10-05"]);
    let mut manager = Manager::listen(&vendor);
    let page: i64 = vendor
        .sql()
        .query_row("select rootpage from sqlite_schema where name = 'usage_ledger'", [], |row| {
            row.get(0)
        })
        .expect("a table");
    vendor.sql().execute_batch("pragma wal_checkpoint(truncate)").expect("a checkpoint");
    let page = u64::try_from(page).expect("a number");
    let books = File::options().write(true).open(vendor.db()).expect("the books");
    books.write_all_at(&[0xff; 4_096], (page - 1) * 4_096).expect("spoiled");
    let ended = notifying(&vendor).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("the books cannot be read: "), "{said}");
    assert!(!manager.drain().iter().any(|told| told == "READY=1"));
}

#[test]
fn the_watchdog_hears_of_reads_that_worked_and_of_no_other() {
    let vendor = Vendor::new();
    let mut manager = Manager::listen(&vendor);
    let mut command = notifying(&vendor);
    command.env("WATCHDOG_USEC", "200000");
    let server = vendor.serve_by(command);
    for _ in 0..3 {
        manager.wait_for(|told| told == "WATCHDOG=1");
    }
    let elsewhere = vendor.path("elsewhere.db");
    std::fs::rename(vendor.db(), &elsewhere).expect("renamed");
    server.log_with("the watchdog hears nothing: the books cannot be read");
    manager.wait_for(|told| told.starts_with("STATUS=the books cannot be read"));
    manager.drain();
    let (until, heard) = (Instant::now() + Duration::from_secs(30), || {
        server.log().matches("the watchdog hears nothing").count()
    });
    let so_far = heard();
    while heard() < so_far + 4 {
        assert!(Instant::now() < until, "{}", server.log());
        std::thread::yield_now();
    }
    let told = manager.drain();
    assert!(!told.iter().any(|told| told == "WATCHDOG=1"), "{told:?}");
    std::fs::rename(&elsewhere, vendor.db()).expect("renamed back");
    manager.wait_for(|told| told == "WATCHDOG=1");
}

/// `serve` with these sockets from the third file on, under these names, as systemd passes them.
/// They come as the files of a shell, which puts them where they belong.
fn with_sockets(
    vendor: &Vendor,
    names: &str,
    public: &TcpListener,
    admin: Option<&TcpListener>,
    arguments: &[&str],
) -> Command {
    let ours = |socket: &TcpListener| OwnedFd::from(socket.try_clone().expect("a socket"));
    let inner = vendor.command([&["serve"], arguments].concat());
    let (count, places) = match admin {
        Some(_) => (2, "4<&1 3<&0 >/dev/null </dev/null"),
        None => (1, "3<&0 </dev/null"),
    };
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names}; \
         exec \"$0\" \"$@\" {places}"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().expect("a folder"));
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(ours(public));
    if let Some(admin) = admin {
        command.stdout(ours(admin));
    }
    command
}

fn socket() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// Asks on a connection of its own; all that is said until its end.
fn ask(address: SocketAddr, target: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

#[test]
fn sockets_that_are_passed_are_listened_on_in_the_place_of_addresses() {
    let vendor = Vendor::new();
    let ((public, public_address), (admin, admin_address)) = (socket(), socket());
    // What else is told is not listened on.
    let (_taken, taken) = socket();
    let taken = taken.to_string();
    let flags = ["--listen", taken.as_str(), "--admin", taken.as_str()];
    let mut command = with_sockets(&vendor, "public:admin", &public, Some(&admin), &flags);
    let log = File::create(vendor.path("log")).expect("a log");
    let mut child = command.stderr(log).spawn().expect("it starts");
    for (address, target, status) in [
        (public_address, "/healthz", "200 OK"),
        (public_address, "/metrics", "404 Not Found"),
        (public_address, "/readyz", "404 Not Found"),
        (admin_address, "/healthz", "200 OK"),
        (admin_address, "/metrics", "200 OK"),
        (admin_address, "/usage", "404 Not Found"),
    ] {
        let said = ask(address, target).expect("an answer");
        assert!(said.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{target}: {said}");
    }
    signal("TERM", &child.id().to_string());
    assert!(child.wait().expect("an end").success());
    let log = std::fs::read_to_string(vendor.path("log")).expect("a log");
    assert!(log.contains(&format!("not on --listen {taken}")), "{log}");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let vendor = Vendor::new();
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "public");
    assert_eq!(vendor.serve_by(command).get("/healthz").status, 200);
}

#[test]
fn a_passed_file_that_is_no_socket_is_said() {
    let vendor = Vendor::new();
    let mut command = Command::new("sh");
    let script =
        "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web; exec \"$0\" serve 3</dev/null";
    command.args(["-c", script, env!("CARGO_BIN_EXE_agora-vendor")]);
    let ended = command.env("AGORA_VENDOR_DB", vendor.db()).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("the socket \"web\" that the service manager passed"), "{said}");
}

/// Ends a server that was started by hand, whatever comes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as it should.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn whoever_connects_while_the_server_is_started_again_is_answered_by_the_next_one() {
    let vendor = Vendor::new();
    let (public, address) = socket();
    let start = || {
        let mut command = with_sockets(&vendor, "public", &public, None, &["--log", "warn"]);
        Running(command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("it starts"))
    };
    let (answered, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let ask_on = || {
            while !is_over.load(Ordering::Relaxed) {
                let said = ask(address, "/healthz");
                let is_whole = said.as_ref().is_ok_and(|said| {
                    said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with('}')
                });
                if !is_whole {
                    return Err(format!("{said:?}"));
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(ask_on)).collect();
        let more = |count: usize| {
            let wanted = answered.load(Ordering::Relaxed) + count;
            let until = Instant::now() + Duration::from_secs(60);
            while answered.load(Ordering::Relaxed) < wanted && Instant::now() < until {
                std::thread::yield_now();
                if clients.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                    break;
                }
            }
        };
        for _ in 0..4 {
            let mut server = start();
            more(200);
            signal("TERM", &server.0.id().to_string());
            assert!(server.0.wait().expect("an end").success());
        }
        let _server = start();
        more(50);
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no panic").expect("every answer is whole");
        }
    });
    assert!(answered.load(Ordering::Relaxed) >= 850);
}
