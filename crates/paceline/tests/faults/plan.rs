//! What a scenario is about: the limits, and how its workers are opened.

use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Clock, Limiter, OnStoreFailure};

/// The one resource.
pub(crate) const GPT: &str = "gpt";

/// A year: what is spent of such a limit does not come back while a test runs.
const YEAR: u64 = 365 * 86_400_000;

/// What all workers of a scenario are opened with.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) url: String,
    /// How long a session lives, in milliseconds.
    pub(crate) session: u64,
    /// How long a call waits for a store that cannot be reached, in milliseconds.
    pub(crate) store: u64,
    pub(crate) policy: OnStoreFailure,
    /// How many calls may be under way; 0 where that is not limited.
    pub(crate) slots: u64,
    /// How many tokens a bucket holds and earns in each window; 0 where they are not limited.
    pub(crate) tokens: u64,
    pub(crate) window: u64,
    /// How many calls there may be in a year; 0 where that is not limited.
    pub(crate) total: u64,
}

impl Plan {
    /// Slots alone, sessions of 1.2 s.
    pub(crate) fn slots(url: impl Into<String>, slots: u64) -> Self {
        Self {
            url: url.into(),
            session: 1_200,
            store: 5_000,
            policy: OnStoreFailure::Refuse,
            slots,
            tokens: 0,
            window: 0,
            total: 0,
        }
    }

    /// Adds a bucket of tokens.
    pub(crate) fn tokens(self, tokens: u64, window: u64) -> Self {
        Self { tokens, window, ..self }
    }

    /// Counts calls, so that each is seen to be counted once.
    pub(crate) fn counted(self) -> Self {
        Self { total: 1_000_000, ..self }
    }

    /// Goes to the store by another way.
    pub(crate) fn by(&self, url: impl Into<String>) -> Self {
        Self { url: url.into(), ..self.clone() }
    }

    /// Writes it as one line.
    pub(crate) fn line(&self) -> String {
        let Self { url, session, store, slots, tokens, window, total, .. } = self;
        let policy = match self.policy {
            OnStoreFailure::Refuse => "refuse",
            OnStoreFailure::Allow => "allow",
            OnStoreFailure::Local => "local",
        };
        format!("{url} {policy} {session} {store} {slots} {tokens} {window} {total}")
    }

    /// Reads what [`line`](Self::line) wrote.
    pub(crate) fn read(line: &str) -> Self {
        let mut words = line.split(' ');
        let url = words.next().unwrap().to_owned();
        let policy = match words.next().unwrap() {
            "allow" => OnStoreFailure::Allow,
            "local" => OnStoreFailure::Local,
            _ => OnStoreFailure::Refuse,
        };
        let mut number = || words.next().unwrap().parse().unwrap();
        let (session, store, slots) = (number(), number(), number());
        let (tokens, window, total) = (number(), number(), number());
        Self { url, session, store, policy, slots, tokens, window, total }
    }

    /// Opens a limiter.
    pub(crate) fn open(&self) -> Limiter {
        let mut limits = Vec::new();
        let mut limit = |id, metric, amount: u64, algorithm| {
            if amount > 0 {
                limits.push(LimitSpec::new(id, metric, amount, algorithm).member(GPT));
            }
        };
        let bucket = |amount, window| Algorithm::TokenBucket { window, burst: amount };
        limit("slots", "concurrent_requests", self.slots, Algorithm::Concurrency);
        limit("tokens", "tokens", self.tokens, bucket(self.tokens, self.window));
        limit("total", "requests", self.total, bucket(self.total, YEAR));
        Limiter::builder()
            .store(&self.url)
            .session_timeout(Duration::from_millis(self.session))
            .store_timeout(Duration::from_millis(self.store))
            .on_store_failure(self.policy)
            .limits(limits, [ResourceSpec::new(GPT)])
            .build()
            .unwrap()
    }
}

/// The time of this machine, which is that of the servers too, in milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    Clock::System.now_ms()
}

/// Says what a test measured, for those who look.
pub(crate) fn measured(what: &str, ms: u64) {
    eprintln!("measured: {what}: {ms} ms");
}
