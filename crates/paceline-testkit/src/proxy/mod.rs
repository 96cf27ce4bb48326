//! A network that loses, delays and cuts what it is given, as it is told to.

mod count;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use count::Commands;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Passes everything on.
    #[default]
    None,
    /// Loses what clients send: nothing of it is ever done.
    DropRequests,
    /// Loses what the server answers: it is done, and nobody hears of it.
    DropReplies,
    /// Passes everything on, each piece after this time, both ways.
    Delay(Duration),
    /// Passes on this many bytes of the next answer, then closes that connection and passes everything on again.
    CutReplyAfter(usize),
    /// Resets every connection, and every new one.
    Reset,
}

/// A port that leads to a server by way of such a network. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: u16,
    state: Mutex<State>,
    connections: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    over: bool,
    commands: BTreeMap<String, u64>,
    open: Vec<Arc<Pair>>,
}

/// The two halves of a connection.
#[derive(Debug)]
struct Pair {
    client: TcpStream,
    server: TcpStream,
    /// Whether something of it was lost, so that it can never make sense again.
    lossy: Mutex<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

impl FaultProxy {
    /// Listens on a free port, and leads to a port of the loopback.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback is free");
        let own = listener.local_addr().expect("a listener has an address").port();
        let shared = Arc::new(Shared {
            target: port,
            state: Mutex::default(),
            connections: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&accepting, &listener));
        Self { port: own, shared }
    }

    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its URL for a server of Redis without a password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Does this from here on. A connection that lost something is closed when the loss ends, as no network loses a
    /// piece from the middle.
    pub fn set(&self, fault: Fault) {
        let open = {
            let mut state = self.shared.state();
            state.fault = fault;
            state.open.clone()
        };
        let loses = matches!(fault, Fault::DropRequests | Fault::DropReplies);
        for pair in open.iter().filter(|pair| fault == Fault::Reset || (!loses && pair.is_lossy())) {
            pair.reset();
        }
    }

    /// Closes all connections; new ones are passed on as before.
    pub fn reset_all(&self) {
        let open = self.shared.state().open.clone();
        for pair in open {
            pair.reset();
        }
    }

    /// Returns how many connections were ever made.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Returns how many bytes clients sent.
    pub fn bytes_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Returns how many bytes the server answered.
    pub fn bytes_answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Returns how often clients sent a command, by its name in capitals.
    pub fn commands(&self, name: &str) -> u64 {
        self.shared.state().commands.get(name).copied().unwrap_or(0)
    }

    /// Returns how many commands clients sent.
    pub fn all_commands(&self) -> u64 {
        self.shared.state().commands.values().sum()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.reset_all();
        // Wakes the thread that accepts, so that it sees that it is over.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pair {
    fn is_lossy(&self) -> bool {
        *self.lossy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self) {
        *self.lossy.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Ends both halves at once, with what is under way.
    fn reset(&self) {
        for half in [&self.client, &self.server] {
            // Either half may have ended by itself.
            let _ = set_socket_linger(half, Some(Duration::ZERO));
            let _ = half.shutdown(Shutdown::Both);
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for client in listener.incoming().flatten() {
        if shared.state().over {
            return;
        }
        shared.connections.fetch_add(1, Ordering::Relaxed);
        if shared.state().fault == Fault::Reset {
            let _ = set_socket_linger(&client, Some(Duration::ZERO));
            continue;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", shared.target)) else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let pair = Arc::new(Pair { client, server, lossy: Mutex::new(false) });
        shared.state().open.push(Arc::clone(&pair));
        for way in [Way::ToServer, Way::ToClient] {
            let (shared, pair) = (Arc::clone(shared), Arc::clone(&pair));
            thread::spawn(move || {
                carry(&shared, &pair, way);
                pair.reset();
                shared.state().open.retain(|open| !Arc::ptr_eq(open, &pair));
            });
        }
    }
}

/// Carries one way until either end closes.
fn carry(shared: &Shared, pair: &Pair, way: Way) {
    let (mut from, mut to) = match way {
        Way::ToServer => (&pair.client, &pair.server),
        Way::ToClient => (&pair.server, &pair.client),
    };
    let mut seen = Commands::default();
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let mut piece = &bytes[..length];
        let fault = count(shared, way, piece, &mut seen);
        match (fault, way) {
            (Fault::DropRequests, Way::ToServer) | (Fault::DropReplies, Way::ToClient) => {
                pair.lose();
                continue;
            }
            (Fault::Delay(length), _) => crate::pause(length),
            (Fault::CutReplyAfter(most), Way::ToClient) => {
                piece = &piece[..most.min(piece.len())];
                let _ = to.write_all(piece);
                shared.state().fault = Fault::None;
                // Closed in an orderly way, so that what was passed on arrives.
                let _ = pair.client.shutdown(Shutdown::Both);
                return;
            }
            (Fault::Reset, _) => return,
            _ => {}
        }
        if to.write_all(piece).is_err() {
            return;
        }
    }
}

/// Counts a piece, and returns what is to be done with it.
fn count(shared: &Shared, way: Way, piece: &[u8], seen: &mut Commands) -> Fault {
    let counter = if way == Way::ToServer { &shared.sent } else { &shared.answered };
    counter.fetch_add(piece.len().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    let names = if way == Way::ToServer { seen.read(piece) } else { Vec::new() };
    let mut state = shared.state();
    for name in names {
        *state.commands.entry(name).or_default() += 1;
    }
    state.fault
}
