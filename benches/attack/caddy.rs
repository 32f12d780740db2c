//! The proxy of `packaging/Caddyfile`, without TLS, so that what is measured is the way through it.

use crate::Outcome;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SHIPPED: &str = include_str!("../../packaging/Caddyfile");

/// A running proxy; killed when dropped.
pub struct Caddy {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Caddy {
    /// Starts it before a server; `None` where there is no `caddy` in PATH.
    pub fn start(folder: &Path, server: SocketAddr) -> Outcome<Option<Self>> {
        if Command::new("caddy").arg("version").stdout(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // Of a site that has a name, Caddy answers the requests for any other itself: an empty 200.
        let site = format!("\nhttp://:{} {{\n\tbind {}\n", address.port(), address.ip());
        let file = folder.join("Caddyfile");
        let shipped = SHIPPED
            .replacen("\nextension.example.com {\n", &site, 1)
            .replacen("127.0.0.1:8080", &server.to_string(), 1)
            .replacen("\n{\n", "\n{\n\tadmin off\n", 1);
        fs::write(&file, shipped)?;
        let child = Command::new("caddy")
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&file)
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let caddy = Self { child, address };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                return Err("caddy did not start".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(caddy))
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
