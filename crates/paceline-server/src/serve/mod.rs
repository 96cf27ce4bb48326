//! A server: started, run, and stopped.

mod connection;
mod listen;
mod settings;
mod tls;

pub use settings::{Backing, Settings, StartError, TlsFiles};

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::host::{Host, HostOptions};
use paceline::link::Link;
use paceline::remote::{Service, link_to};
use paceline::{Limiter, Mode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::access::{Access, Audit, Bounds, KeyFile};
use crate::app::App;
use crate::catalog::{Catalog, CatalogError};
use crate::doors::Doors;
use crate::feed::Feed;
use crate::history::History;
use crate::lookout::{self, Lookout};
use crate::meters::Meters;
use crate::persist;
use crate::router;
use listen::{Desk, Socket};
use tls::Tls;

/// A server that listens, and answers once it is run.
pub struct Server {
    app: Arc<App>,
    tcp: Option<TcpListener>,
    address: Option<SocketAddr>,
    socket: Option<Socket>,
    tls: Option<Arc<Tls>>,
    host: Option<Arc<Host>>,
    settings: Settings,
    /// Keeps others off the state directory.
    _lock: Option<File>,
}

/// Ends a server from elsewhere.
#[derive(Clone)]
pub struct Stop(Arc<App>);

/// How long the server's own tickets may take to say farewell to their ledgers.
const FAREWELL: Duration = Duration::from_millis(100);

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Server {
    /// Opens the store, reads what there is to read, and listens. Needs a tokio runtime of several threads.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let state = settings.backing.state().cloned();
        let lock = state.as_deref().map(own).transpose()?;
        let keys = settings.keys.clone().or_else(|| state.as_ref().map(|state| state.join("keys.json")));
        let open = settings.listen.is_none_or(|listen| listen.ip().is_loopback());
        let bounds = Bounds {
            requests_per_second: settings.requests_per_second.max(1),
            open_waits: settings.open_waits,
        };
        let access = Access::new(keys.clone().map(KeyFile::at), open, bounds);
        let access = access.map_err(|error| StartError::Settings(error.to_string()))?;
        check_bind(&settings, &access, keys.as_deref())?;
        let tls = settings.tls.clone().map(|files| Tls::open(files).map(Arc::new));
        let tls = tls.transpose().map_err(StartError::io("TLS"))?;
        let (limiter, sessions, host) = limiter(&settings)?;
        let audit = state.as_ref().map(|state| state.join("audit.jsonl"));
        let audit = Audit::open(audit.as_deref()).map_err(StartError::io("audit log"))?;
        let catalog = catalog(&limiter, &settings)?;
        let history = History::open(state.as_ref().map(|state| state.join("history")));
        let app = Arc::new(App {
            limiter,
            sessions,
            doors: Doors::default(),
            access,
            audit,
            catalog,
            feed: Feed::new(),
            lookout: Lookout::new(host.clone(), history),
            meters: Meters::default(),
            seen: Mutex::default(),
            stopping: watch::Sender::new(false),
            patience: settings.patience,
            read_timeout: settings.read_timeout,
            openapi: router::openapi().into(),
        });
        let mut server =
            Self { app, tcp: None, address: None, socket: None, tls, host, settings, _lock: lock };
        server.listen().await?;
        Ok(server)
    }

    /// Returns where it listens for TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns what ends it.
    pub fn stop(&self) -> Stop {
        Stop(Arc::clone(&self.app))
    }

    /// Returns what people want to know of a server that was started, in lines.
    pub fn greeting(&self) -> String {
        let mut lines = Vec::new();
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = self.address.map(|address| format!("{scheme}://{address}"));
        let socket = self.settings.socket.as_ref();
        if let Some(url) = &url {
            lines.push(format!("Paceline answers at {url}"));
        }
        if let Some(socket) = socket {
            lines.push(format!("Paceline answers on the unix socket {}", socket.display()));
        }
        lines.push(match &self.settings.backing {
            Backing::Memory => "Its state is in memory, and gone when it stops (--state keeps it)".to_owned(),
            Backing::Disk(state) => format!("Its state is in {}", state.display()),
            Backing::Store { .. } => "Its state is on the store that --store names".to_owned(),
        });
        let open = self.app.access.is_open();
        lines.push(if open {
            "No key is needed: it listens on this machine alone (`paceline serve keys create` makes a key)"
                .to_owned()
        } else {
            format!(
                "A key is needed ({} there are): Authorization: Bearer pk_...",
                self.app.access.list().len()
            )
        });
        let key = if open { "" } else { " -H \"Authorization: Bearer $PACELINE_API_KEY\"" };
        let ca = if self.tls.is_some() { " --cacert CA.pem" } else { "" };
        let (way, base) = match (url, socket) {
            (Some(url), _) => (String::new(), url),
            (None, Some(socket)) => {
                (format!(" --unix-socket {}", socket.display()), "http://localhost".to_owned())
            }
            (None, None) => (String::new(), String::new()),
        };
        if let Some(resource) = self.app.limiter.resources().first() {
            lines.push(format!(
                "Try: curl{way}{ca}{key} {base}/v1/acquire --json '{{\"resource\": \"{resource}\", \"tokens\": 100}}'"
            ));
        } else {
            lines.push("It has no limits yet. Name a file by --config, or add one:".to_owned());
            lines.push(format!(
                "  curl{way}{ca}{key} -X PUT {base}/v1/resources/openai/gpt-4o --json \
                 '{{\"requests_per_minute\": 500, \"tokens_per_minute\": 30000}}'"
            ));
        }
        lines.join("\n") + "\n"
    }

    /// Serves until SIGTERM or SIGINT, and reads all files again at SIGHUP. `ready` is called once signals are heeded: who
    /// is told that it runs may end it at once.
    pub async fn run_until_signalled(self, ready: impl FnOnce(&Self)) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        ready(&self);
        let (app, tls) = (Arc::clone(&self.app), self.tls.clone());
        let reloads = tokio::spawn(async move {
            while hang_up.recv().await.is_some() {
                look(&app, tls.as_deref(), true);
            }
        });
        let stop = self.stop();
        let signals = tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            log::info!("stopping");
            stop.now();
            // Whoever asks twice does not want to wait.
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
        self.run().await;
        reloads.abort();
        signals.abort();
        Ok(())
    }

    /// Serves until it is stopped: open requests end, those that wait are told to ask again, and state is written.
    pub async fn run(self) {
        let Self { app, tcp, socket, tls, host, settings, _lock, .. } = self;
        let desk = Desk {
            app: Arc::clone(&app),
            router: router::router(Arc::clone(&app)),
            seats: Arc::new(Semaphore::new(usize::try_from(settings.connections).unwrap_or(usize::MAX >> 4))),
            tasks: TaskTracker::new(),
            read_timeout: settings.read_timeout,
        };
        let tasks = desk.tasks.clone();
        if let Some(tcp) = tcp {
            tasks.spawn(desk.clone().take_tcp(tcp, tls.clone()));
        }
        if let Some(socket) = socket {
            tasks.spawn(desk.take_unix(socket));
        }
        let followed = Arc::clone(&app);
        let follow = tokio::spawn(async move {
            let hear = |event: &paceline::Event| followed.lookout.hear(event);
            followed.feed.follow(followed.limiter.events(), hear).await;
        });
        let lookout = tokio::spawn(lookout::run(Arc::clone(&app)));
        let remembered = Arc::clone(&app);
        let history = tokio::spawn(async move { remembered.lookout.history.keep().await });
        let looked = Arc::clone(&app);
        let looks = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(LOOK);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                look(&looked, tls.as_deref(), false);
                look_for_near(&looked).await;
            }
        });
        app.stops().await;
        tasks.close();
        if tokio::time::timeout(settings.stop_within, last_answers(&app, &tasks)).await.is_err() {
            log::warn!("{} connections did not end in time, and are cut", tasks.len());
        }
        looks.abort();
        follow.abort();
        lookout.abort();
        history.abort();
        tokio::task::block_in_place(|| app.lookout.history.write());
        app.limiter.close();
        if let Some(host) = host {
            tokio::time::sleep(FAREWELL).await;
            tokio::task::block_in_place(|| host.close());
        }
        log::info!("stopped");
    }

    async fn listen(&mut self) -> Result<(), StartError> {
        if let Some(listen) = self.settings.listen {
            let tcp = TcpListener::bind(listen).await.map_err(StartError::io(listen.to_string()))?;
            self.address = tcp.local_addr().ok();
            self.tcp = Some(tcp);
        }
        if let Some(path) = &self.settings.socket {
            let socket = Socket::bind(path).map_err(StartError::io(path.display().to_string()))?;
            self.socket = Some(socket);
        }
        if self.tcp.is_none() && self.socket.is_none() {
            let said = "it listens nowhere: name an address by --listen, or a unix socket by --socket";
            return Err(StartError::Settings(said.to_owned()));
        }
        Ok(())
    }
}

impl Stop {
    /// Begins the end.
    pub fn now(&self) {
        self.0.stopping.send_replace(true);
    }
}

/// Waits for the open requests, and ends the polls among them, those too that begin at the last moment.
async fn last_answers(app: &App, tasks: &TaskTracker) {
    let mut answered = std::pin::pin!(tasks.wait());
    loop {
        app.limiter.end_polls();
        tokio::select! {
            () = answered.as_mut() => return,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// Takes over what changed on the disk.
fn look(app: &App, tls: Option<&Tls>, anyhow: bool) {
    tokio::task::block_in_place(|| {
        app.access.look();
        if let Some(tls) = tls {
            tls.look();
        }
        let Some(file) = app.catalog.file() else { return };
        match app.catalog.look(&app.limiter, anyhow) {
            Ok(false) => {}
            Ok(true) => log::info!("{} is in force", file.display()),
            Err(error) => {
                app.meters.reloads_refused.fetch_add(1, Relaxed);
                log::error!("{} changed and is refused, what was in force stays: {error}", file.display());
                app.feed.put("configuration-refused", None, json!({"reason": error.to_string()}));
            }
        }
    });
}

/// Looks which limits are nearly used up; what changed comes back as an event.
async fn look_for_near(app: &App) {
    if app.limiter.warns() {
        match app.limiter.near_limits().await {
            Ok(near) => app.meters.near(near),
            Err(error) => log::debug!("limits cannot be looked at: {error}"),
        }
    }
}

/// Makes the state directory, and keeps others off it.
fn own(state: &Path) -> Result<File, StartError> {
    let named = || state.display().to_string();
    persist::folder(state).map_err(StartError::io(named()))?;
    let lock = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(state.join("server.lock"));
    let lock = lock.map_err(StartError::io(named()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => Err(StartError::Settings(format!(
            "another server uses {}: stop it, or name another directory by --state",
            named()
        ))),
    }
}

fn check_bind(settings: &Settings, access: &Access, keys: Option<&Path>) -> Result<(), StartError> {
    let Some(listen) = settings.listen.filter(|listen| !listen.ip().is_loopback()) else { return Ok(()) };
    if !access.list().is_empty() {
        return Ok(());
    }
    let make = match keys {
        Some(keys) => format!("make one by `paceline serve keys create NAME --keys {}`", keys.display()),
        None => {
            "name a file of keys by --keys, and make one by `paceline serve keys create NAME --keys FILE`"
                .to_owned()
        }
    };
    Err(StartError::Settings(format!(
        "{listen} can be reached from other machines, and there is no key: {make}, or listen on 127.0.0.1"
    )))
}

type Opened = (Limiter, Arc<Service>, Option<Arc<Host>>);

/// Opens the store: what decides here, what serves sessions of SDKs, and the ledgers where they are the server's own.
fn limiter(settings: &Settings) -> Result<Opened, StartError> {
    let builder = Limiter::builder().name("server").mode(Mode::from_env()?);
    let host = match &settings.backing {
        Backing::Store { url, prefix, .. } => {
            let limiter = builder.store(url).key_prefix(prefix).build()?;
            return Ok((limiter, Service::new(link_to(url, prefix)?, "redis"), None));
        }
        Backing::Memory => Host::new(HostOptions::default()),
        Backing::Disk(state) => Host::open(&state.join("ledgers"), HostOptions::default())
            .map_err(|error| StartError::Settings(error.to_string()))?,
    };
    // The server's own tickets go by the protocol of shared stores, as those of any other.
    let link: Arc<dyn Link> = Arc::clone(&host) as Arc<dyn Link>;
    let limiter = builder.link(Arc::clone(&link)).build()?;
    Ok((limiter, Service::new(link, "server"), Some(host)))
}

fn catalog(limiter: &Limiter, settings: &Settings) -> Result<Catalog, StartError> {
    let manages = !matches!(settings.backing, Backing::Store { .. });
    let kept: Option<PathBuf> = settings.backing.state().map(|state| state.join("resources.json"));
    Catalog::open(limiter, settings.config.clone(), kept, manages).map_err(|error| match error {
        CatalogError::Paceline(error) => StartError::Paceline(error),
        CatalogError::Io(error) => StartError::Settings(error.to_string()),
    })
}
