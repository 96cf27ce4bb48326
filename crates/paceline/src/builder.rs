//! How a limiter is made.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Configuration, LimitSpec, ResourceSpec};

use crate::clock::{Clock, whole_ms};
use crate::config::{Compiled, CompiledLedger, CompiledResource, Config, UnknownResource};
use crate::limiter::Shared;
use crate::mode::Mode;
use crate::provider::Profile;
use crate::store::{self, Options, Store};
use crate::{Error, Limiter};

/// What a limiter is made of. Without a configuration it knows no resource until it is configured.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is made until it is built"]
pub struct Builder {
    source: Source,
    url: Option<String>,
    private: bool,
    clock: Clock,
    lease: Option<Duration>,
    mode: Option<Mode>,
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
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
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

    /// Sets how much the limits say; `PACELINE_MODE` where nothing is said here.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Opens the store, and makes the limiter.
    pub fn build(self) -> Result<Limiter, Error> {
        let mode = self.mode.map_or_else(Mode::from_env, Ok)?;
        let lease = whole_ms(self.lease.unwrap_or(LEASE)).max(1);
        let options = Options { clock: self.clock, lease, mode };
        let store = match self.url {
            _ if self.private => Store::new(options),
            Some(url) => store::open(&url, options)?,
            None => store::open("memory://", options)?,
        };
        let limiter = Limiter::over(Arc::new(Shared::new(store)));
        match self.source {
            Source::Nothing => {}
            Source::Config(config) => limiter.configure(&config)?,
            Source::Compiled(compiled) => limiter.configure_compiled(&compiled)?,
        }
        Ok(limiter)
    }
}

fn plain(configuration: Configuration) -> Compiled {
    let profile = Profile::plain();
    let resource = |spec: &ResourceSpec| CompiledResource {
        name: spec.name.to_string(),
        aliases: Vec::new(),
        profile: Arc::clone(&profile),
    };
    let resources = configuration.resources.iter().map(resource).collect();
    let ledger = CompiledLedger { name: "default".to_owned(), revision: 0, configuration, resources };
    Compiled { ledgers: vec![ledger], unknown: UnknownResource::Refuse }
}
