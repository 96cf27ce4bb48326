//! Where connections come from: TCP, encrypted or not, and a unix socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::connection::{self, Open};
use super::tls::Tls;
use crate::app::App;

/// What all listeners share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) app: Arc<App>,
    pub(crate) router: Router,
    pub(crate) seats: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) read_timeout: Duration,
}

/// A unix socket whose file is gone when it is dropped.
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
}

impl Desk {
    /// Takes TCP connections until the server stops.
    pub(crate) async fn take_tcp(self, listener: TcpListener, tls: Option<Arc<Tls>>) {
        loop {
            let taken = tokio::select! {
                taken = listener.accept() => taken,
                () = self.app.stops() => return,
            };
            match taken {
                Ok((stream, _)) => self.seat_tcp(stream, tls.as_ref()),
                Err(error) => rest(&error).await,
            }
        }
    }

    /// Takes connections of a unix socket until the server stops.
    pub(crate) async fn take_unix(self, socket: Socket) {
        loop {
            let taken = tokio::select! {
                taken = socket.listener.accept() => taken,
                () = self.app.stops() => return,
            };
            match taken {
                Ok((stream, _)) => {
                    let Some(open) = self.open() else { continue };
                    self.tasks.spawn(connection::serve(stream, self.router.clone(), open, self.read_timeout));
                }
                Err(error) => rest(&error).await,
            }
        }
    }

    fn seat_tcp(&self, stream: TcpStream, tls: Option<&Arc<Tls>>) {
        let Some(open) = self.open() else { return };
        // Options that make it better: without them it works as well.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(self.read_timeout));
        let (router, read_timeout) = (self.router.clone(), self.read_timeout);
        match tls.map(|tls| tls.acceptor()) {
            None => {
                self.tasks.spawn(connection::serve(stream, router, open, read_timeout));
            }
            Some(acceptor) => {
                self.tasks.spawn(async move {
                    match tokio::time::timeout(read_timeout, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => connection::serve(stream, router, open, read_timeout).await,
                        Ok(Err(error)) => log::debug!("a handshake failed: {error}"),
                        Err(_) => log::debug!("a handshake took too long"),
                    }
                });
            }
        }
    }

    /// Counts a connection; nothing where too many are open.
    fn open(&self) -> Option<Open> {
        if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            return Some(Open::new(Arc::clone(&self.app), seat));
        }
        let before = self.app.meters.connections_refused.fetch_add(1, Relaxed);
        if before.is_multiple_of(1_000) {
            log::warn!("as many connections are open as may be; more are closed at once (--connections)");
        }
        None
    }
}

/// Waits before the next connection is taken: the system has no room for one.
async fn rest(error: &io::Error) {
    log::warn!("a connection cannot be taken: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

impl Socket {
    /// Listens on a socket that its owner alone may use. What a dead server left behind is cleared.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        if let Ok(metadata) = fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is a file that is no socket",
                ));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens on it"));
            }
            fs::remove_file(path)?;
        }
        // The socket is born with these permissions: nobody can be quicker.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = listener?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may have been removed by hand.
        let _ = fs::remove_file(&self.path);
    }
}
