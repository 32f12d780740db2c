//! The service's configuration: the file of its environment, and the drop-ins of systemd that a
//! port open to the world needs. Files are written beside their places first, so that one which
//! cannot be written stops everything, and then take their names in one step each.

use crate::cli::failure::Failure;
use crate::cli::setup::extension::Extension;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The variables that are set here.
pub(in crate::cli) const LISTEN: &str = "AGORA_VENDOR_LISTEN";
pub(in crate::cli) const TLS_CERT: &str = "AGORA_VENDOR_TLS_CERT";
pub(super) const TLS_KEY: &str = "AGORA_VENDOR_TLS_KEY";
pub(in crate::cli) const ACME: &str = "AGORA_VENDOR_ACME";
/// Read by nobody but `setup`: the host name behind a proxy, or of a certificate's files.
pub(in crate::cli) const HOST: &str = "AGORA_VENDOR_HOST";

/// Read here alone: the path that the server is mounted under.
pub(in crate::cli) const BASE_PATH: &str = "AGORA_VENDOR_BASE_PATH";

const ENVIRONMENT: &str = "etc/agora-vendor/agora-vendor.env";
const OF_SERVICE: &str = "etc/systemd/system/agora-vendor.service.d/setup.conf";
const OF_DOCTOR: &str = "etc/systemd/system/agora-vendor-doctor.service.d/setup.conf";
const OF_SOCKET: &str = "etc/systemd/system/agora-vendor.socket.d/setup.conf";
/// Where units may stand.
const UNITS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
const HEAD: &str = "# Made by `agora-vendor setup`, which writes it anew.\n";

/// How connections are secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a proxy in front of the server.
    Proxy,
    /// By a certificate that the server gets for the host.
    Acme,
    /// By a certificate and its key.
    Files(PathBuf, PathBuf),
}

impl Way {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Acme => "acme",
            Self::Files(..) => "files",
        }
    }

    /// Where the server listens unless somebody says otherwise.
    pub(super) fn usual_address(&self) -> &'static str {
        match self {
            Self::Proxy => "127.0.0.1:8080",
            Self::Acme | Self::Files(..) => "0.0.0.0:443",
        }
    }
}

/// What the server is told of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) way: Way,
    /// Of a certificate that the server gets there may be several, with commas between.
    pub(super) host: Option<String>,
    pub(super) listen: String,
}

impl Connections {
    /// The variables, each with its value; empty ones are left out of the file.
    fn variables(&self) -> [(&'static str, String); 5] {
        let mut host = self.host.clone().unwrap_or_default();
        let (mut acme, mut files) = (String::new(), [String::new(), String::new()]);
        match &self.way {
            Way::Proxy => {}
            Way::Acme => acme = std::mem::take(&mut host),
            Way::Files(certificate, key) => {
                files = [certificate, key].map(|file| file.display().to_string());
            }
        }
        let [certificate, key] = files;
        let listen = self.listen.clone();
        [(LISTEN, listen), (ACME, acme), (TLS_CERT, certificate), (TLS_KEY, key), (HOST, host)]
    }

    /// The same as flags of `serve`.
    pub(super) fn flags(&self) -> Vec<String> {
        let of = |name| match name {
            LISTEN => Some("--listen"),
            ACME => Some("--acme"),
            TLS_CERT => Some("--tls-cert"),
            TLS_KEY => Some("--tls-key"),
            _ => None,
        };
        let given = self.variables().into_iter().filter(|(_, value)| !value.is_empty());
        let flags = given.filter_map(|(name, value)| Some([of(name)?.to_owned(), value]));
        flags.flatten().collect()
    }

    /// Where Agora reaches the server that is mounted under a path: a proxy is at port 443, and an
    /// authority of certificates asks there too.
    pub(super) fn address(&self, base_path: &str) -> String {
        let host = self.host.as_deref().and_then(|hosts| hosts.split(',').next());
        let port = self.listen.rsplit(':').next().filter(|port| *port != "443");
        let port = match (&self.way, port) {
            (Way::Files(..), Some(port)) => format!(":{port}"),
            (Way::Files(..), None) | (Way::Proxy | Way::Acme, _) => String::new(),
        };
        format!("https://{}{port}{}", host.unwrap_or("HOST"), base_path.trim_end_matches('/'))
    }

    fn is_usual(&self) -> bool {
        self.listen == Way::Proxy.usual_address()
    }

    /// Tells whether others than this machine can reach the server.
    fn is_open(&self) -> bool {
        let address = self.listen.parse::<SocketAddr>();
        let is_local = address.map_or_else(
            |_| self.listen.starts_with("localhost:"),
            |address| address.ip().is_loopback(),
        );
        !is_local
    }
}

/// The configuration of the machine below `/`, or below another folder.
pub(in crate::cli) struct Configuration {
    root: PathBuf,
    environment: String,
}

impl Configuration {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        Self::read_file(root, ENVIRONMENT)
    }

    fn read_file(root: &Path, environment: &str) -> Result<Self, Failure> {
        let path = root.join(environment);
        let environment = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| {
                Failure::failed(format!("{} cannot be read: {error}", path.display()))
            })?,
        };
        Ok(Self { root: root.to_owned(), environment })
    }

    /// That of the machine whose service these are the books of, if they are and it can be read.
    pub(in crate::cli) fn of_books(books: &Path) -> Option<Self> {
        let extension = Extension::of_books(books)?;
        Self::read_file(&extension.root, &extension.environment()).ok()
    }

    /// The value of a variable; an empty one is none.
    pub(in crate::cli) fn value(&self, name: &str) -> Option<String> {
        value_of(&self.environment, name).filter(|value| !value.is_empty())
    }

    /// What stands of connections; `None` where nothing was said yet.
    pub(super) fn connections(&self) -> Option<Connections> {
        let value = |name| self.value(name);
        let files = value(TLS_CERT).zip(value(TLS_KEY));
        let way = match (value(ACME), files) {
            (Some(_), _) => Way::Acme,
            (None, Some((certificate, key))) => Way::Files(certificate.into(), key.into()),
            (None, None) => Way::Proxy,
        };
        let is_said = [LISTEN, ACME, TLS_CERT, HOST].into_iter().any(|name| value(name).is_some());
        let listen = value(LISTEN).unwrap_or_else(|| way.usual_address().to_owned());
        let host = if way == Way::Acme { value(ACME) } else { value(HOST) };
        is_said.then_some(Connections { way, host, listen })
    }

    /// Tells whether a unit is installed.
    pub(super) fn has_unit(&self, unit: &str) -> bool {
        UNITS.iter().any(|folder| self.root.join(folder).join(unit).is_file())
    }

    /// Tells whether systemd runs this machine (sd_booted(3)).
    pub(super) fn is_booted(&self) -> bool {
        self.root.join("run/systemd/system").is_dir()
    }

    /// What has to be written for these connections, and removed; each is beside its place by now.
    pub(super) fn prepare(&self, connections: &Connections) -> Result<Vec<FileChange>, Failure> {
        let environment = connections
            .variables()
            .into_iter()
            .fold(self.environment.clone(), |text, (name, value)| with(&text, name, &value));
        let has_socket = self.has_unit("agora-vendor.socket");
        let has_doctor = self.has_unit("agora-vendor-doctor.service");
        // The environment's file comes last: it says that all else was written.
        let wanted = [
            (OF_SERVICE, of_service(connections, has_socket)),
            (OF_SOCKET, of_socket(connections).filter(|_| has_socket)),
            (OF_DOCTOR, of_doctor(connections).filter(|_| has_doctor)),
            (ENVIRONMENT, Some(environment)),
        ];
        let mut changes = Vec::new();
        for (path, text) in wanted {
            let path = self.root.join(path);
            let stands = fs::read_to_string(&path).ok();
            if stands != text {
                let change = FileChange::prepare(&path, text.as_deref());
                changes.push(change.map_err(|error| unwritten(&path, &error))?);
            }
        }
        Ok(changes)
    }
}

/// Systemd's drop-in of the service.
fn of_service(connections: &Connections, has_socket: bool) -> Option<String> {
    let dials = connections.way == Way::Acme;
    if !dials && (has_socket || !connections.is_open()) {
        return None;
    }
    let mut text = format!("{HEAD}[Service]\n");
    text += "# Agora comes from anywhere, and a certificate from its authority.\n\
             PrivateNetwork=no\n\
             IPAddressAllow=any\n\
             RestrictAddressFamilies=\n\
             RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n";
    if !has_socket {
        text += "# A port below 1024 takes this capability, and nothing else. In a user namespace\n\
                 # of its own it would be worth nothing for the machine's ports.\n\
                 CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n\
                 AmbientCapabilities=CAP_NET_BIND_SERVICE\n\
                 PrivateUsers=no\n";
    }
    Some(text)
}

/// Systemd's drop-in of the socket, which is opened for the service.
fn of_socket(connections: &Connections) -> Option<String> {
    if connections.is_usual() {
        return None;
    }
    // A port alone is of IPv6 and IPv4, as far as the machine has both.
    let stream = connections.listen.strip_prefix("0.0.0.0:").unwrap_or(&connections.listen);
    let mut text = format!("{HEAD}[Socket]\nListenStream=\nListenStream={stream}\n");
    if connections.is_open() {
        text += "# Agora comes from anywhere.\nIPAddressAllow=any\n";
    }
    Some(text)
}

/// Systemd's drop-in of the daily doctor.
fn of_doctor(connections: &Connections) -> Option<String> {
    let asks_by_name = connections.way != Way::Proxy && connections.host.is_some();
    asks_by_name.then(|| {
        format!(
            "{HEAD}[Service]\n\
             # Its request goes to the host's name, as Agora's do, and a name server is asked.\n\
             IPAddressAllow=any\n"
        )
    })
}

/// The value of a variable in a file of an environment: of several, the last.
fn value_of(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let (found, value) = line.split_once('=')?;
        (found.trim() == name).then(|| unquoted(value.trim()))
    };
    text.lines().filter_map(value).next_back()
}

fn unquoted(value: &str) -> String {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let Some(escaped) = inside('"') else {
        return inside('\'').unwrap_or(value).to_owned();
    };
    let mut is_escaped = false;
    let mut plain = escaped.to_owned();
    plain.retain(|c| {
        is_escaped = c == '\\' && !is_escaped;
        !is_escaped
    });
    plain
}

/// A file of an environment with a variable's value: in the place of the one that stands, else
/// behind the line that has it as a comment, else at the end. An empty value takes it away.
fn with(text: &str, name: &str, value: &str) -> String {
    let is_of = |line: &str| {
        let name_of = line.split_once('=').map(|(name, _)| name.trim());
        name_of == Some(name)
    };
    let is_comment = |line: &str| line.strip_prefix('#').is_some_and(|rest| is_of(rest.trim()));
    let is_set = |line: &&str| is_of(line);
    let mut lines: Vec<&str> = text.lines().collect();
    let set = format!("{name}={}", quoted(value));
    if value_of(text, name).unwrap_or_default() == value {
        return text.to_owned();
    }
    let place = lines.iter().position(|line| is_of(line));
    let place = place.or_else(|| lines.iter().position(|line| is_comment(line)).map(|at| at + 1));
    let place = place.unwrap_or(lines.len());
    let before = lines[..place].iter().filter(|line| is_set(line)).count();
    lines.retain(|line| !is_of(line));
    if !value.is_empty() {
        lines.insert(place - before, &set);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A value as systemd reads it back (systemd.exec(5), `EnvironmentFile=`).
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,[]".contains(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    let escaped = value.chars().flat_map(|c| {
        let escape = "\"\\$`".contains(c).then_some('\\');
        escape.into_iter().chain([c])
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// A file that is to have another content, or to go.
pub(super) struct FileChange {
    path: PathBuf,
    /// What takes its place; `None` where it goes.
    draft: Option<PathBuf>,
    is_made: bool,
}

impl FileChange {
    fn prepare(path: &Path, text: Option<&str>) -> io::Result<Self> {
        let Some(text) = text else {
            return Ok(Self { path: path.to_owned(), draft: None, is_made: false });
        };
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        // One that a killed run left is written over.
        let draft = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(&draft)?;
        let change = Self { path: path.to_owned(), draft: Some(draft.clone()), is_made: false };
        let mode = path.metadata().map_or(0o644, |metadata| metadata.permissions().mode());
        file.set_permissions(Permissions::from_mode(mode & 0o777))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(change)
    }

    /// Makes the change; gives what was done, in words.
    pub(super) fn make(mut self) -> Result<String, Failure> {
        let done = match &self.draft {
            Some(draft) => fs::rename(draft, &self.path),
            None => fs::remove_file(&self.path),
        };
        let folder = self.path.parent().map(Path::to_owned).unwrap_or_default();
        let synced = done.and_then(|()| File::open(folder)?.sync_all());
        synced.map_err(|error| unwritten(&self.path, &error))?;
        self.is_made = true;
        let verb = if self.draft.is_some() { "wrote" } else { "removed" };
        Ok(format!("{verb} {}", self.path.display()))
    }
}

impl Drop for FileChange {
    fn drop(&mut self) {
        if let (Some(draft), false) = (&self.draft, self.is_made) {
            let _removed = fs::remove_file(draft);
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_takes_its_place_and_the_other_lines_stay() {
        let text = "# Where to listen.\n#AGORA_VENDOR_LISTEN=127.0.0.1:8080\nOTHER=1\n";
        let set = with(text, LISTEN, "0.0.0.0:443");
        let lines: Vec<&str> = set.lines().collect();
        assert_eq!(lines[2], "AGORA_VENDOR_LISTEN=0.0.0.0:443");
        assert_eq!(lines.len(), 4);
        assert_eq!(value_of(&set, LISTEN).as_deref(), Some("0.0.0.0:443"));
        assert_eq!(with(&set, LISTEN, "0.0.0.0:443"), set);
        let again = with(&set, LISTEN, "[::]:8443");
        assert_eq!(again, set.replace("0.0.0.0:443", "[::]:8443"));
        assert_eq!(with(&again, LISTEN, ""), text);
        assert_eq!(with("A=1", HOST, "h"), "A=1\nAGORA_VENDOR_HOST=h\n");
        assert_eq!(with("", HOST, ""), "");
        // Of several the last counts: one is enough.
        let twice = "AGORA_VENDOR_HOST=a\nX=1\nAGORA_VENDOR_HOST='b'\n";
        assert_eq!(value_of(twice, HOST).as_deref(), Some("b"));
        assert_eq!(with(twice, HOST, "c"), "AGORA_VENDOR_HOST=c\nX=1\n");
        let odd = r#"a b"\$`'"#;
        assert_eq!(quoted(odd), r#""a b\"\\\$\`'""#);
        assert_eq!(value_of(&with("", TLS_KEY, odd), TLS_KEY).as_deref(), Some(odd));
    }
}
