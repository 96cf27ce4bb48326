//! A fake LLM provider: real HTTP on loopback, the vendors' own formats, and limits that a [`crate::judge`] enforces.
//!
//! It answers `OpenAI`'s chat completions, responses and embeddings, Azure's deployments, Anthropic's messages and Gemini's
//! `generateContent`, streamed or whole. [`ProviderConfig::rules`] says how it counts and in whose words it refuses,
//! whichever path is called. Each key is an account, and each account has its own limits on each model.
//!
//! A prompt counts one token for four characters of what the model would read, rounded up. Equal requests are answered
//! alike, with a length and a duration drawn from [`Pace`]; the header `x-paceline-seed` or the fields `user` and
//! `metadata` name a request in the place of its body. Headers dictate an answer:
//!
//! | header | meaning |
//! |---|---|
//! | `x-fake-input-tokens` | the prompt's tokens |
//! | `x-fake-cached-tokens` | how many of them are read from a cache |
//! | `x-fake-output-tokens` | the answer's tokens; `max_tokens` still cuts it |
//! | `x-fake-latency-ms` | the time from arrival to the last byte |
//! | `x-fake-fault` | one of [`Fault`], by name |
//!
//! `GET /__report` returns the [`Report`], and `POST /__reset` forgets all accounts, limits included.
//!
//! ```
//! use paceline_sim::provider::{FakeProvider, Pace, ProviderConfig};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let config = ProviderConfig::openai(500, 30_000).pace(Pace::instant(20)).seed(7);
//! let provider = FakeProvider::start(config).await?;
//! println!("http://{}/v1", provider.addr());
//! assert_eq!(provider.report().requests, 0);
//! provider.shutdown().await;
//! # std::io::Result::Ok(()) })?;
//! # std::io::Result::Ok(())
//! ```

mod answer;
mod ask;
mod clock;
mod config;
mod desk;
mod dice;
mod docket;
mod durations;
mod exchange;
mod failure;
mod fault;
mod models;
mod pace;
mod refusal;
mod reply;
mod report;
mod router;
mod server;
mod standing;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use config::ProviderConfig;
use desk::Desk;
pub use fault::Fault;
pub use pace::Pace;
pub use report::{LimitReport, Report};

/// A provider that runs until it is shut down or dropped.
#[derive(Debug)]
pub struct FakeProvider {
    desk: Arc<Desk>,
    addr: SocketAddr,
    server: JoinHandle<()>,
}

impl FakeProvider {
    /// Starts a provider on the current tokio runtime. Fails if the address cannot be listened on.
    pub async fn start(config: ProviderConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let desk = Arc::new(Desk::new(config));
        let server = tokio::spawn(server::serve(listener, router::router(desk.clone())));
        Ok(Self { desk, addr, server })
    }

    /// Returns the address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns what it has seen.
    pub fn report(&self) -> Report {
        self.desk.docket().report()
    }

    /// Closes all connections and waits until it is done.
    pub async fn shutdown(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}
