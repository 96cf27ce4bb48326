//! Local stores: whoever holds the lock hosts, the others join; when the host is gone the next takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::connect::{self, Stream};
use super::place::{Files, Lock, unusable};
use super::url::Address;
use crate::fork::OfProcess;
use crate::remote::{Service, Terms, serve_stream};
use crate::store::shared::io;
use crate::store::shared::link::{Doing, Link, LinkError, PushSink};
use crate::sync::lock;
use crate::wire::read_passing;

/// What this process is for a local store.
pub(super) enum Joined {
    /// Its host.
    Here(Arc<dyn Link>),
    /// One of those that are connected to its host.
    There(Box<dyn Stream>),
}

/// What a process keeps of a local store.
struct Seat {
    lock: Arc<Lock>,
    hosts: Option<Arc<dyn Link>>,
}

/// By the paths of their sockets. Held while this process stands for election.
type Seats = tokio::sync::Mutex<BTreeMap<PathBuf, Seat>>;

/// A forked child has none of its parent's locks, and stands for election anew.
fn seats() -> &'static Seats {
    static SEATS: OnceLock<OfProcess<Seats>> = OnceLock::new();
    SEATS.get_or_init(|| OfProcess::new(Seats::default())).get(Seats::default)
}

/// How long somebody who answers at the socket of a lock that is free may take to say who he is.
const PROBE: Duration = Duration::from_millis(250);

/// How long those who knew a host that is gone have to speak first.
const GRACE: Duration = Duration::from_secs(1);

/// Hosts the store, or connects to who does.
pub(super) async fn join(address: &Address, name: &str) -> Result<Joined, LinkError> {
    let files = Files::of(name)?;
    let mut seats = seats().lock().await;
    let seat = sit(&mut seats, &files)?;
    if let Some(link) = &seat.hosts {
        return Ok(Joined::Here(Arc::clone(link)));
    }
    if seat.lock.take().map_err(|error| unusable(&files.socket, &error))? {
        if !is_hosted(address, &files.socket).await {
            let begun = begin(name, &files, &seat.lock);
            if begun.is_err() {
                seat.lock.release();
            }
            let link = begun?;
            seat.hosts = Some(Arc::clone(&link));
            return Ok(Joined::Here(link));
        }
        seat.lock.release();
    }
    drop(seats);
    Ok(Joined::There(connect::open_socket(&files.socket).await?))
}

/// Returns whether nobody hosts the store, although a connection to its host may still stand: a child that the host
/// forked off keeps what it inherited open.
pub(super) async fn is_orphaned(name: &str) -> bool {
    let Ok(files) = Files::of(name) else { return false };
    let mut seats = seats().lock().await;
    let Ok(seat) = sit(&mut seats, &files) else { return false };
    let free = seat.hosts.is_none() && seat.lock.take().unwrap_or(false);
    if free {
        seat.lock.release();
    }
    free
}

/// Returns the seat of this process, with a lock that is of the file that is there.
fn sit<'a>(seats: &'a mut BTreeMap<PathBuf, Seat>, files: &Files) -> Result<&'a mut Seat, LinkError> {
    let fits = |seat: &Seat| seat.hosts.is_some() || files.is_lock(&seat.lock);
    if !seats.get(&files.socket).is_some_and(fits) {
        // The old one goes before another is opened: closing one drops the locks of all.
        seats.remove(&files.socket);
        let seat = Seat { lock: Arc::new(files.open_lock()?), hosts: None };
        seats.insert(files.socket.clone(), seat);
    }
    seats.get_mut(&files.socket).ok_or_else(|| LinkError::Retry("the store's lock is gone".to_owned()))
}

/// Somebody hosts although the lock is free, where something removed the file of the lock.
async fn is_hosted(address: &Address, socket: &Path) -> bool {
    let Ok(stream) = connect::open_socket(socket).await else { return false };
    connect::take_up(address, "", stream, PROBE).await.is_ok()
}

/// Begins to host on the thread for input and output, where it goes on for as long as the process lives.
fn begin(name: &str, files: &Files, lock: &Arc<Lock>) -> Result<Arc<dyn Link>, LinkError> {
    let socket = &files.socket;
    let host = crate::host::Host::new(crate::host::HostOptions::default());
    let link: Arc<dyn Link> = if lock.had_others() { Heir::of(host) } else { host };
    // Nobody listens there any more.
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket).map_err(|error| unusable(socket, &error))?;
    let private = fs::set_permissions(socket, fs::Permissions::from_mode(0o600));
    private.map_err(|error| unusable(socket, &error))?;
    lock.note_others(false);
    log::info!("this process hosts local://{name} on {}", socket.display());
    let hall = Hall {
        service: Service::new(Arc::clone(&link), "local"),
        lock: Arc::clone(lock),
        guests: AtomicUsize::new(0),
    };
    io::spawn(receive(listener, Arc::new(hall)));
    Ok(link)
}

/// Where others are received.
struct Hall {
    service: Arc<Service>,
    lock: Arc<Lock>,
    guests: AtomicUsize,
}

/// One of them, until it leaves.
struct Guest(Arc<Hall>);

async fn receive(listener: UnixListener, hall: Arc<Hall>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_own(&stream) => {
                let guest = Guest::new(&hall);
                tokio::spawn(async move {
                    let ended = serve_stream(&guest.0.service, stream, &Terms::default()).await;
                    log::debug!("a connection to a local store ended: {ended}");
                });
            }
            Ok(_) => log::warn!("another user's process tried to join a local store"),
            // There are too many descriptors, for instance, until somebody leaves.
            Err(error) => {
                log::warn!("a local store takes no connections: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

impl Guest {
    fn new(hall: &Arc<Hall>) -> Self {
        if hall.guests.fetch_add(1, Ordering::Relaxed) == 0 {
            hall.lock.note_others(true);
        }
        Self(Arc::clone(hall))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.0.guests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.lock.note_others(false);
        }
    }
}

/// Ledgers whose host before is gone, and with it all that they knew: who did not know them waits for a moment, so that
/// those who did can say what they hold.
struct Heir {
    host: Arc<dyn Link>,
    until: Instant,
    told: Mutex<BTreeSet<String>>,
    bell: Notify,
}

impl Heir {
    fn of(host: Arc<dyn Link>) -> Arc<Self> {
        let until = Instant::now() + GRACE;
        Arc::new(Self { host, until, told: Mutex::default(), bell: Notify::new() })
    }

    /// Waits until somebody who knew the ledger has spoken, or nobody did in time.
    async fn wait(&self, ledger: &str) {
        while Instant::now() < self.until {
            let rung = self.bell.notified();
            if lock(&self.told).contains(ledger) {
                return;
            }
            let _ = timeout_at(self.until, rung).await;
        }
    }
}

impl Link for Heir {
    fn call<'a>(&'a self, ledger: &'a str, batch: Vec<u8>) -> Doing<'a, Vec<u8>> {
        Box::pin(async move {
            if Instant::now() >= self.until {
                return self.host.call(ledger, batch).await;
            }
            let knew = read_passing(&batch).is_ok_and(|passing| !passing.epoch.is_empty());
            if !knew {
                self.wait(ledger).await;
            }
            let answer = self.host.call(ledger, batch).await;
            if knew {
                lock(&self.told).insert(ledger.to_owned());
                self.bell.notify_waiters();
            }
            answer
        })
    }

    fn ready<'a>(&'a self, ledger: &'a str) -> Doing<'a, ()> {
        self.host.ready(ledger)
    }

    fn listen<'a>(&'a self, channel: &'a str, sink: PushSink) -> Doing<'a, ()> {
        self.host.listen(channel, sink)
    }

    fn unlisten(&self, channel: &str, sink: &PushSink) {
        self.host.unlisten(channel, sink);
    }

    fn channel(&self, ledger: &str, inbox: &str) -> String {
        self.host.channel(ledger, inbox)
    }

    fn sharded(&self) -> bool {
        self.host.sharded()
    }

    fn run_id(&self, ledger: &str) -> String {
        self.host.run_id(ledger)
    }

    fn url(&self) -> &str {
        self.host.url()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, HostOptions};
    use crate::wire::{Ask, Header, write_batch};

    fn heir() -> Arc<Heir> {
        Heir::of(Host::new(HostOptions::default()))
    }

    fn batch(epoch: &str) -> Vec<u8> {
        write_batch(&Header { epoch, ..Header::default() }, &[Ask::Status])
    }

    #[tokio::test(start_paused = true)]
    async fn who_did_not_know_the_host_before_waits_for_those_who_did() {
        let heir = heir();
        let began = Instant::now();
        let knew = async {
            sleep(Duration::from_millis(100)).await;
            heir.call("openai", batch("1-a")).await.unwrap();
        };
        let (answer, ()) = tokio::join!(heir.call("openai", batch("")), knew);
        answer.unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(100));
        heir.call("openai", batch("")).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(100), "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_did_it_waits_for_a_moment() {
        let heir = heir();
        let began = Instant::now();
        heir.call("openai", batch("")).await.unwrap();
        assert!(began.elapsed() >= GRACE && began.elapsed() < GRACE * 2);
        heir.call("another", batch("")).await.unwrap();
        assert!(began.elapsed() < GRACE * 2, "the moment is over for all ledgers");
    }
}
