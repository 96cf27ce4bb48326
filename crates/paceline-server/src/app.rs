//! What all answers stand on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::Limiter;
use paceline::plain::Plain;
use paceline::remote::Service;
use tokio::sync::watch;

use crate::access::{Access, Audit};
use crate::catalog::Catalog;
use crate::doors::Doors;
use crate::feed::Feed;
use crate::kind::Kind;
use crate::lookout::Lookout;
use crate::meters::Meters;
use crate::observed::Sessions;
use crate::problem::{Problem, STOP_RETRY};

/// What all answers stand on.
pub(crate) struct App {
    pub(crate) limiter: Limiter,
    /// Serves sessions of SDKs.
    pub(crate) sessions: Arc<Service>,
    pub(crate) doors: Doors,
    pub(crate) access: Access,
    pub(crate) audit: Audit,
    pub(crate) catalog: Catalog,
    pub(crate) feed: Feed,
    pub(crate) lookout: Lookout,
    pub(crate) meters: Meters,
    /// What is remembered of sessions of SDKs.
    pub(crate) seen: Mutex<Sessions>,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) patience: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) openapi: Arc<str>,
}

impl App {
    /// Asks or polls; a problem where it waits and the server stops, which ends all polls.
    pub(crate) async fn unless_stopped(
        &self,
        polls: impl Future<Output = Result<Plain, paceline::Error>>,
    ) -> Result<Plain, Problem> {
        if self.is_stopping() {
            return Err(stopped());
        }
        match polls.await? {
            Plain::Waiting { .. } if self.is_stopping() => Err(stopped()),
            stood => Ok(stood),
        }
    }

    /// Waits until the server stops.
    pub(crate) async fn stops(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as the app does.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Returns whether the server is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// What is answered to those whose wait the server's end cuts short.
pub(crate) fn stopped() -> Problem {
    Problem::new(Kind::Stopping, "the server is stopping; a ticket keeps its place: poll it again")
        .retry_after(STOP_RETRY)
}
