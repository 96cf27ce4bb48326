//! How a limiter is made.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Configuration, LimitSpec, ResourceSpec};

use crate::clock::{Clock, whole_ms};
use crate::config::{Compiled, CompiledLedger, CompiledResource, Config, UnknownResource};
use crate::limiter::Shared;
use crate::mode::Mode;
use crate::outage::{OnLostState, OnStoreFailure, Outage, Sharing};
use crate::provider::Profile;
use crate::store::{self, Options, Store};
use crate::{Error, Limiter};

/// What a limiter is made of. Without a configuration it knows no resource until it is configured.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is made until it is built"]
pub struct Builder {
    source: Source,
    url: Option<Url>,
    private: bool,
    clock: Clock,
    lease: Option<Duration>,
    outage: Outage,
    sharing: Sharing,
    #[cfg(feature = "shared")]
    link: Option<Link>,
    #[cfg(feature = "redis")]
    client: Option<crate::redis::Client>,
    mode: Option<Mode>,
    #[cfg(all(unix, feature = "host", feature = "remote"))]
    published: Option<String>,
}

/// A URL that shows no secrets.
#[derive(Clone)]
struct Url(String);

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Url").field(&store::without_secrets(&self.0)).finish()
    }
}

/// A link that says nothing of itself when a builder is shown.
#[cfg(feature = "shared")]
#[derive(Clone)]
struct Link(Arc<dyn crate::link::Link>);

#[cfg(feature = "shared")]
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.0.url()).finish()
    }
}

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    Nothing,
    Config(Box<Config>),
    Compiled(Box<Compiled>),
}

/// How long a permit lives that nobody settles or renews.
const LEASE: Duration = Duration::from_mins(15);

impl Builder {
    /// Takes a configuration.
    pub fn config(mut self, config: Config) -> Self {
        self.source = Source::Config(Box::new(config));
        self
    }

    /// Takes a configuration that is compiled already.
    pub fn compiled(mut self, compiled: Compiled) -> Self {
        self.source = Source::Compiled(Box::new(compiled));
        self
    }

    /// Takes limits and resources as a ledger knows them, in one ledger, counted plainly.
    pub fn limits(
        self,
        limits: impl IntoIterator<Item = LimitSpec>,
        resources: impl IntoIterator<Item = ResourceSpec>,
    ) -> Self {
        self.compiled(plain(Configuration::new(limits, resources)))
    }

    /// Chooses the store by its URL; `memory://`, the store of this process, where nothing is said.
    ///
    /// | URL | who shares it |
    /// |---|---|
    /// | `memory://[NAME]` | this process |
    /// | `local://NAME` | the processes of this user on this host (features `host` and `remote`) |
    /// | `http://[key:SECRET@]HOST[:PORT]`, `https://…[?ca=FILE]`, `unix:PATH` | whoever asks that control plane (feature `remote`) |
    /// | `redis://…`, `rediss://…` and those like them | whoever uses that server (feature `redis`) |
    ///
    /// A limiter without a configuration takes that of a control plane, and is not built where it cannot be reached
    /// within the store's time-out.
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.url = Some(Url(url.into()));
        self
    }

    /// Keeps everything to this limiter, in memory, shared with nobody: for tests, and for libraries that must not
    /// meet the limits of the program that uses them.
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Chooses the clock.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets how long a permit lives that nobody settles or renews; 15 minutes where nothing is said.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Chooses what becomes of callers of this limiter while a shared store cannot be reached.
    pub fn on_store_failure(mut self, policy: OnStoreFailure) -> Self {
        self.outage.policy = policy;
        self
    }

    /// Sets how long a call waits for a shared store that cannot be reached; 5 seconds where nothing is said.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.outage.timeout(timeout);
        self.sharing.store_timeout = self.outage.store_timeout;
        self
    }

    /// Sets after what silence a shared store takes this process for dead; 10 seconds where nothing is said.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.sharing.session_timeout = whole_ms(timeout).max(100);
        self
    }

    /// Sets what the names of all keys in a shared store begin with; `paceline:` where nothing is said.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.sharing.key_prefix = prefix.into();
        self
    }

    /// Names this process for the people who look at a shared store, who see it with its host and its number, as in
    /// `nightly@host7:4121`; the name of the program where nothing is said. What a name cannot have becomes a dash.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.sharing.name = Some(name.into());
        self
    }

    /// Chooses how long windows restart where a shared store lost its state.
    pub fn on_lost_state(mut self, how: OnLostState) -> Self {
        self.sharing.on_lost = how;
        self
    }

    /// Reaches a shared store as this client says; see [`redis::from_client`](crate::redis::from_client).
    #[cfg(feature = "redis")]
    pub fn redis_client(mut self, client: crate::redis::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Reaches a shared store by a way of one's own, shared with no other limiter.
    #[cfg(feature = "shared")]
    #[doc(hidden)]
    pub fn link(mut self, link: Arc<dyn crate::link::Link>) -> Self {
        self.link = Some(Link(link));
        self
    }

    /// Sets how much the limits say; `PACELINE_MODE` where nothing is said here.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Lets `paceline top` of this user look into the process under this name, as [`Limiter::publish`] does.
    #[cfg(all(unix, feature = "host", feature = "remote"))]
    pub fn publish(mut self, name: impl Into<String>) -> Self {
        self.published = Some(name.into());
        self
    }

    /// Opens the store, and makes the limiter.
    #[cfg(all(unix, feature = "host", feature = "remote"))]
    pub fn build(self) -> Result<Limiter, Error> {
        let (named, private) = (self.published.clone(), self.private);
        let limiter = self.open()?;
        match named {
            Some(name) => limiter.publish(&name)?,
            None if private => {}
            None => limiter.publish_by_variable(),
        }
        Ok(limiter)
    }

    /// Opens the store, and makes the limiter.
    #[cfg(not(all(unix, feature = "host", feature = "remote")))]
    pub fn build(self) -> Result<Limiter, Error> {
        self.open()
    }

    fn open(self) -> Result<Limiter, Error> {
        let mode = self.mode.map_or_else(Mode::from_env, Ok)?;
        let lease = whole_ms(self.lease.unwrap_or(LEASE)).max(1);
        let options = Options { clock: self.clock, lease, mode, sharing: self.sharing };
        #[cfg(feature = "shared")]
        if let Some(Link(link)) = self.link {
            return finish(Store::shared(options, link), self.outage, self.source);
        }
        #[cfg(feature = "redis")]
        if let Some(client) = self.client {
            return finish(store::redis::open_client(client, options)?, self.outage, self.source);
        }
        let store = match self.url {
            _ if self.private => Store::new(options),
            Some(Url(url)) => store::open(&url, options)?,
            None => store::open("memory://", options)?,
        };
        finish(store, self.outage, self.source)
    }
}

fn finish(store: Arc<Store>, outage: Outage, source: Source) -> Result<Limiter, Error> {
    let limiter = Limiter::over(Arc::new(Shared::new(store, outage)));
    match source {
        Source::Nothing => {
            if let Some(config) = told(&limiter)? {
                limiter.configure(&config)?;
            }
        }
        Source::Config(config) => limiter.configure(&config)?,
        Source::Compiled(compiled) => limiter.configure_compiled(&compiled)?,
    }
    Ok(limiter)
}

/// Returns the configuration that the store has for those who bring none.
#[cfg(feature = "shared")]
fn told(limiter: &Limiter) -> Result<Option<Config>, Error> {
    use crate::link::LinkError;

    let asked = limiter.store().link().map(Arc::clone).filter(|link| link.configuration().is_some());
    let (Some(link), false) = (asked, limiter.mode() == Mode::Off) else { return Ok(None) };
    let (url, patience) = (link.url().to_owned(), limiter.store_timeout());
    let text = store::shared::io::there(async move {
        let mut reason = format!("it did not answer within {patience:?}");
        let asked = async {
            // The link says when it may be tried again.
            while let Some(doing) = link.configuration() {
                match doing.await {
                    Err(LinkError::Retry(passing)) => reason = passing,
                    said => return said,
                }
            }
            Ok(None)
        };
        let said = match tokio::time::timeout(patience, asked).await {
            Ok(said) => said.map_err(|error| error.reason().to_owned()),
            Err(_) => Err(reason),
        };
        said.map_err(|reason| Error::StoreUnavailable { url: link.url().to_owned(), reason })
    });
    let text = text.wait()?;
    text.map(|text| Config::parse(&format!("the configuration of {url}"), &text))
        .transpose()
        .map_err(Into::into)
}

#[cfg(not(feature = "shared"))]
fn told(_: &Limiter) -> Result<Option<Config>, Error> {
    Ok(None)
}

fn plain(configuration: Configuration) -> Compiled {
    let profile = Profile::plain();
    let resource = |spec: &ResourceSpec| CompiledResource {
        name: spec.name.to_string(),
        aliases: Vec::new(),
        profile: Arc::clone(&profile),
    };
    let resources = configuration.resources.iter().map(resource).collect();
    let name = "default".to_owned();
    let ledger = CompiledLedger { name, revision: 0, configuration, resources, warn_at: Vec::new() };
    Compiled { ledgers: vec![ledger], unknown: UnknownResource::Refuse }
}
