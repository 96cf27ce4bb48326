//! What answers sessions: the script in an embedded Lua, or a host.

use std::sync::{Arc, Mutex};

use paceline::ManualClock;
use paceline::host::{Host, HostOptions};
use paceline::link::PushSink;

use super::Server;
use super::server::{Embedded, Saved};

type Pushes = Vec<(Vec<u8>, Vec<u8>)>;

/// The ledger of a host.
pub const LEDGER: &str = "ledger";

/// A store of sessions that can lose what it has.
pub trait Sessions: Server {
    /// Takes the pushes since the last call: channel and payload.
    fn pushed(&mut self) -> Pushes;
    /// Loses everything.
    fn flush(&mut self);
    /// Keeps a copy of everything.
    fn save(&mut self);
    /// Goes back to the copy.
    fn restore(&mut self);
}

/// The script, and a copy of its rows.
pub struct Scripted {
    server: Embedded,
    saved: Option<Saved>,
}

impl Scripted {
    pub fn new() -> Self {
        Self { server: Embedded::new(), saved: None }
    }
}

impl Server for Scripted {
    fn eval(&mut self, batch: &[u8]) -> Vec<u8> {
        self.server.eval(batch)
    }
}

impl Sessions for Scripted {
    fn pushed(&mut self) -> Pushes {
        self.server.pushed()
    }

    fn flush(&mut self) {
        self.server.flush();
    }

    fn save(&mut self) {
        self.saved = Some(self.server.saved());
    }

    fn restore(&mut self) {
        if let Some(saved) = &self.saved {
            self.server.restore(saved);
        }
    }
}

/// A host that is told the time, and who listens to all inboxes of the tests.
pub struct Hosted {
    pub host: Arc<Host>,
    pub clock: ManualClock,
    saved: Option<Arc<Host>>,
    pushed: Arc<Mutex<Pushes>>,
}

impl Hosted {
    pub fn new() -> Self {
        let (clock, pushed) = (ManualClock::default(), Arc::default());
        Self { host: listening(empty(&clock), &pushed), clock, saved: None, pushed }
    }
}

fn empty(clock: &ManualClock) -> Arc<Host> {
    let mut options = HostOptions::default();
    options.clock = clock.clone().into();
    Host::new(options)
}

fn listening(host: Arc<Host>, pushed: &Arc<Mutex<Pushes>>) -> Arc<Host> {
    for number in 1..10 {
        let (channel, pushed) = (format!("inbox{number}"), Arc::clone(pushed));
        let to = channel.clone().into_bytes();
        let sink: PushSink =
            Arc::new(move |payload: &[u8]| pushed.lock().unwrap().push((to.clone(), payload.to_vec())));
        host.hear(&channel, sink);
    }
    host
}

impl Server for Hosted {
    fn eval(&mut self, batch: &[u8]) -> Vec<u8> {
        self.host.answer(LEDGER, batch).unwrap()
    }
}

impl Sessions for Hosted {
    fn pushed(&mut self) -> Pushes {
        std::mem::take(&mut self.pushed.lock().unwrap())
    }

    fn flush(&mut self) {
        self.host = listening(empty(&self.clock), &self.pushed);
    }

    fn save(&mut self) {
        self.saved = Some(self.host.copy());
    }

    fn restore(&mut self) {
        if let Some(saved) = &self.saved {
            self.host = listening(saved.copy(), &self.pushed);
        }
    }
}
