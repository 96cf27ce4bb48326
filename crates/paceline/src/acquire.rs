//! Asking for a permit: a builder that is awaited, or waited for by a thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline_core::{Millis, NEVER, Name};

use crate::clock::whole_ms;
use crate::demand::Demand;
use crate::park::block_on;
use crate::reply::Reply;
use crate::resource::{Outlook, Resource};
use crate::store::{Answer, Grant};
use crate::{Error, Permit};

/// A request for a permit. It does nothing until awaited, polled, or waited for; dropped at any instant, it leaves no
/// trace: its place in line is free, and a permit that was granted meanwhile goes back in full.
///
/// ```
/// # use std::time::Duration;
/// # use paceline::{Demand, Limiter, Usage, core::*};
/// # let limiter = Limiter::builder().private().limits([], [ResourceSpec::new("gpt").lane(LaneSpec::new("batch"))]).build()?;
/// let resource = limiter.resource("gpt")?;
/// let permit = resource
///     .acquire(Demand::new().input_tokens(1_200).max_output_tokens(800))
///     .lane("batch")
///     .timeout(Duration::from_secs(30))
///     .wait()?;
/// permit.settle(Usage::new().input_tokens(1_180).output_tokens(212));
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use = "nothing is asked until it is awaited or waited for"]
pub struct Acquire {
    stage: Stage,
}

/// What is asked, apart from where.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) demand: Demand,
    pub(crate) lane: Option<Name>,
    pub(crate) head_start: Millis,
    /// [`NEVER`] where the wait has no bound.
    pub(crate) timeout: Millis,
    /// [`NEVER`] where any wait is accepted.
    pub(crate) max_expected_wait: Millis,
    /// Whether an immediate answer is asked for.
    pub(crate) at_once: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            demand: Demand::default(),
            lane: None,
            head_start: 0,
            timeout: NEVER,
            max_expected_wait: NEVER,
            at_once: false,
        }
    }
}

enum Stage {
    Asking(Resource, Request),
    Waiting(Resource, Request, u64),
    Answered,
}

impl Acquire {
    pub(crate) fn new(resource: Resource, request: Request) -> Self {
        Self { stage: Stage::Asking(resource, request) }
    }

    /// Waits in this lane. A [`Name`] that is kept saves an allocation a call.
    pub fn lane(self, lane: impl Into<Name>) -> Self {
        self.with(|request| request.lane = Some(lane.into()))
    }

    /// Counts as having arrived this much earlier, as far as the lane's configuration allows.
    pub fn head_start(self, head_start: Duration) -> Self {
        self.with(|request| request.head_start = whole_ms(head_start))
    }

    /// Bounds the wait: a deadline for all of it. Refused at once where even an empty line could not keep it.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout = whole_ms(timeout))
    }

    /// Refuses at once where the wait is expected to be longer.
    pub fn max_expected_wait(self, most: Duration) -> Self {
        self.with(|request| request.max_expected_wait = whole_ms(most))
    }

    /// Says whether this would go at present, and if not, when, what binds, and who is ahead. Asks for nothing.
    pub fn explain(&self) -> Reply<Outlook> {
        match &self.stage {
            Stage::Asking(resource, request) | Stage::Waiting(resource, request, _) => {
                resource.outlook(request)
            }
            Stage::Answered => Reply::from(Err(Error::Closed)),
        }
    }

    /// Waits on this thread, which parks. Not for threads that run an executor: there it is awaited.
    pub fn wait(self) -> Result<Permit, Error> {
        block_on(self)
    }

    fn with(mut self, change: impl FnOnce(&mut Request)) -> Self {
        if let Stage::Asking(_, request) = &mut self.stage {
            change(request);
        }
        self
    }

    fn ask(&mut self) -> Option<Result<Permit, Error>> {
        let Stage::Asking(resource, request) = &self.stage else { return None };
        let answer = resource.ask(request);
        let Stage::Asking(resource, request) = std::mem::replace(&mut self.stage, Stage::Answered) else {
            return None;
        };
        match answer {
            Ok(None) => Some(Ok(Permit::free(resource, request))),
            Ok(Some(Answer::Granted(number))) => {
                Some(Ok(Permit::granted(resource, request, Grant::by_ledger(number, 0))))
            }
            Ok(Some(Answer::Queued(number))) => {
                self.stage = Stage::Waiting(resource, request, number);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn answer(&mut self, context: &Context<'_>) -> Poll<Result<Permit, Error>> {
        let Stage::Waiting(resource, _, number) = &self.stage else { return Poll::Ready(Err(Error::Closed)) };
        let answer = match resource.account() {
            Some(account) => account.answer(*number, context.waker().clone()),
            None => Poll::Ready(Err(Error::Closed)),
        };
        let Poll::Ready(answer) = answer else { return Poll::Pending };
        let Stage::Waiting(resource, request, _) = std::mem::replace(&mut self.stage, Stage::Answered) else {
            return Poll::Ready(Err(Error::Closed));
        };
        Poll::Ready(answer.map(|grant| Permit::granted(resource, request, grant)))
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.ask() {
            Some(answer) => Poll::Ready(answer),
            None => self.answer(context),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Stage::Waiting(resource, _, number) = &self.stage
            && let Some(account) = resource.account()
        {
            account.abandon(*number);
        }
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Asking(..) => "asking",
            Stage::Waiting(..) => "waiting",
            Stage::Answered => "answered",
        };
        f.debug_tuple("Acquire").field(&stage).finish()
    }
}
