//! Where connections come in: on an address of our own, or on sockets that the service manager has
//! opened and passed. Such sockets outlive the server: whoever connects while it is started again
//! waits for the next one.

use crate::http::door::CONNECTIONS;
use listenfd::ListenFd;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::task::Poll;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How many connections the system may hold until they are accepted: they are, at once, so that
/// this is for a burst while both processors are at work on something else.
const BACKLOG: u32 = 4_096;
/// The name of the sockets for the admin listener (`FileDescriptorName=` of systemd.socket(5)).
const ADMIN: &str = "admin";

/// Where connections are to come in.
#[derive(Debug)]
pub enum Entrance {
    /// An address; port 0 is a free one.
    Address(SocketAddr),
    /// Sockets that were passed.
    Passed(Vec<net::TcpListener>),
}

/// The sockets that the service manager has passed (sd_listen_fds(3)).
#[derive(Debug, Default)]
pub struct PassedSockets {
    /// Those for everybody: all but the admin listener's, whatever their names.
    pub public: Vec<net::TcpListener>,
    /// Those named `admin`.
    pub admin: Vec<net::TcpListener>,
}

impl PassedSockets {
    /// Takes what was passed to this process. To be called once, before there are threads.
    ///
    /// # Errors
    /// When one of them is no socket of TCP.
    pub fn take() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut passed = ListenFd::from_env();
        let mut sockets = Self::default();
        for place in 0..passed.len() {
            let name = names.get(place).copied().unwrap_or_default();
            let taken = passed.take_tcp_listener(place).map_err(|error| {
                io::Error::other(format!(
                    "the socket {name:?} that the service manager passed is not one of TCP \
                     ({error}): give its .socket unit ListenStream=ADDRESS:PORT"
                ))
            })?;
            let named = if name == ADMIN { &mut sockets.admin } else { &mut sockets.public };
            named.extend(taken);
        }
        Ok(sockets)
    }
}

/// What accepts connections.
pub(super) struct Listener {
    sockets: Vec<TcpListener>,
    /// Whether others hold the sockets too, and hand them to the next server.
    is_passed: bool,
    /// Which socket is asked first, so that none waits behind another.
    first: usize,
}

impl Listener {
    /// Listens.
    pub(super) fn open(entrance: Entrance) -> io::Result<Self> {
        match entrance {
            Entrance::Address(address) => {
                let listening = listen(address).map_err(|error| {
                    let kind = error.kind();
                    io::Error::new(kind, format!("cannot serve on {address}: {error}"))
                });
                Ok(Self { sockets: vec![listening?], is_passed: false, first: 0 })
            }
            Entrance::Passed(passed) => {
                let ours = |socket: net::TcpListener| {
                    socket.set_nonblocking(true)?;
                    TcpListener::from_std(socket)
                };
                let sockets = passed.into_iter().map(ours).collect::<io::Result<_>>()?;
                Ok(Self { sockets, is_passed: true, first: 0 })
            }
        }
    }

    /// The addresses that are listened on, the ports filled in.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Accepts a connection.
    pub(super) async fn accept(&mut self) -> io::Result<TcpStream> {
        let (sockets, first) = (&self.sockets, self.first);
        let (accepted, place) = poll_fn(|cx| {
            for place in (first..sockets.len()).chain(0..first) {
                if let Poll::Ready(accepted) = sockets[place].poll_accept(cx) {
                    return Poll::Ready((accepted, place));
                }
            }
            Poll::Pending
        })
        .await;
        self.first = (place + 1) % self.sockets.len();
        accepted.map(|(stream, _)| stream)
    }

    /// Closes it, and returns the connections that the system has accepted and nobody has taken
    /// yet; of sockets that others hold too they are the next server's.
    pub(super) fn close(self) -> Vec<TcpStream> {
        if self.is_passed {
            return Vec::new();
        }
        let ours = |(stream, _): (net::TcpStream, SocketAddr)| {
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream)
        };
        let sockets = self.sockets.into_iter().filter_map(|socket| socket.into_std().ok());
        // They do not block: an error says that there are no more.
        let accepted = sockets.flat_map(|socket| std::iter::from_fn(move || socket.accept().ok()));
        accepted.take(CONNECTIONS).filter_map(|accepted| ours(accepted).ok()).collect()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that is started again must not wait for what is left of the last one's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
