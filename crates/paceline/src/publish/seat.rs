//! The socket of one name in this process, and the limiters that are seen through it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use tokio::net::UnixListener;
use tokio::sync::oneshot;

use super::{ENDING, serve};
use crate::fork::OfProcess;
use crate::limiter::{Limiter, Shared};
use crate::store::remote::place;
use crate::store::shared::io;
use crate::sync::lock;

/// A socket that is there as long as a limiter keeps this.
pub(crate) struct Seat {
    process: u32,
    limiters: Arc<Limiters>,
    /// Tells the task at the socket to end, by being dropped.
    ends: Option<oneshot::Sender<()>>,
}

/// The limiters that are seen.
#[derive(Default)]
pub(super) struct Limiters(Mutex<Vec<Weak<Shared>>>);

/// By name. A forked child has none of its parent's.
type Seats = Mutex<BTreeMap<String, Weak<Seat>>>;

fn seats() -> &'static Seats {
    static SEATS: OnceLock<OfProcess<Seats>> = OnceLock::new();
    SEATS.get_or_init(|| OfProcess::new(Seats::default())).get(Seats::default)
}

impl Seat {
    /// Returns the seat of a name; its socket is made where there is none yet.
    pub(super) fn of(name: &str) -> Result<Arc<Self>, String> {
        let mut seats = lock(seats());
        if let Some(seat) = seats.get(name).and_then(Weak::upgrade) {
            return Ok(seat);
        }
        let seat = Arc::new(Self::open(name)?);
        seats.insert(name.to_owned(), Arc::downgrade(&seat));
        Ok(seat)
    }

    fn open(name: &str) -> Result<Self, String> {
        let process = std::process::id();
        let folder = place::secured().map_err(|error| error.reason().to_owned())?;
        let socket = folder.join(format!("{name}@{process}{ENDING}"));
        if socket.as_os_str().len() > place::LONGEST {
            return Err(format!("the path {} is too long for a socket", socket.display()));
        }
        // One is there if a process of this number was killed.
        let _ = fs::remove_file(&socket);
        let unusable = |error: std::io::Error| format!("{} cannot be used: {error}", socket.display());
        let listener = std::os::unix::net::UnixListener::bind(&socket).map_err(unusable)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map_err(unusable)?;
        listener.set_nonblocking(true).map_err(unusable)?;
        let (ends, ended) = oneshot::channel::<()>();
        let limiters = Arc::new(Limiters::default());
        let seen = Arc::clone(&limiters);
        io::spawn(async move {
            match UnixListener::from_std(listener) {
                Ok(listener) => tokio::select! {
                    () = serve::receive(listener, seen) => {}
                    _ = ended => {}
                },
                Err(error) => log::warn!("a socket for paceline top cannot be used: {error}"),
            }
            remove(&socket);
        });
        Ok(Self { process, limiters, ends: Some(ends) })
    }

    pub(super) fn add(&self, limiter: &Arc<Shared>) {
        let mut limiters = lock(&self.limiters.0);
        limiters.retain(|other| other.strong_count() > 0);
        let limiter = Arc::downgrade(limiter);
        if !limiters.iter().any(|other| other.ptr_eq(&limiter)) {
            limiters.push(limiter);
        }
    }
}

fn remove(socket: &PathBuf) {
    // It may be gone with its folder.
    let _ = fs::remove_file(socket);
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // The task is the parent's.
            std::mem::forget(self.ends.take());
        }
    }
}

impl Limiters {
    /// Returns those that are open.
    pub(super) fn open(&self) -> Vec<Limiter> {
        let all = lock(&self.0).iter().filter_map(Weak::upgrade).map(Limiter::over).collect::<Vec<_>>();
        all.into_iter().filter(|limiter| !limiter.is_closed()).collect()
    }
}
