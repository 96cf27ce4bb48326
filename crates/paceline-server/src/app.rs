//! What all answers stand on.

use std::sync::Arc;
use std::time::Duration;

use paceline::Limiter;
use paceline::remote::Service;
use tokio::sync::watch;

use crate::access::{Access, Audit};
use crate::catalog::Catalog;
use crate::doors::Doors;
use crate::feed::Feed;
use crate::kind::Kind;
use crate::lookout::Lookout;
use crate::meters::Meters;
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
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) patience: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) openapi: Arc<str>,
}

impl App {
    /// Does something that may wait, and ends with a problem when the server stops first.
    pub(crate) async fn unless_stopped<T, E: Into<Problem>>(
        &self,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        tokio::select! {
            biased;
            done = doing => done.map_err(Into::into),
            () = self.stops() => Err(stopped()),
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
