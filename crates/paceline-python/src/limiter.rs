//! The limiter as Python sees it: names resolved once, demands read, everything else handed to the library.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use paceline::{PermitId, Resource};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::acquire::{Acquire, Asked, Asking, Terms, Together};
use crate::amounts::{Amounts, amount, seconds};
use crate::errors::{exception, not_a_permit};
use crate::events::Events;
use crate::logging;
use crate::lookup::Seats;
use crate::options::{MODES, ON_LOST_STATE, ON_STORE_FAILURE, choice, config};
use crate::permit::read;
use crate::reply::Reply;
use crate::seat::Seat;
use crate::views;
use crate::wish::{self, Said, Wish, complete, pause, wish};

/// Keeps callers inside the limits of a configuration; from any thread and any event loop.
#[pyclass(frozen, subclass, weakref, module = "paceline._native")]
pub(crate) struct Limiter {
    pub(crate) core: paceline::Limiter,
    pub(crate) id: u64,
    pub(crate) lease: Duration,
    pub(crate) only: RwLock<Option<String>>,
    pub(crate) seats: RwLock<Seats>,
}

static LAST: AtomicU64 = AtomicU64::new(0);

impl Limiter {
    fn ask(
        &self,
        py: Python<'_>,
        resource: Said<'_, '_>,
        said: Option<&Bound<'_, PyDict>>,
        how: fn(&Resource, paceline::Demand) -> paceline::Acquire,
    ) -> PyResult<(paceline::Acquire, Arc<Seat>, Terms)> {
        let (mut wish, terms, model) = wish(py, said)?;
        let seat = self.seat_of(py, resource, model.as_deref())?;
        self.check(&wish.amounts)?;
        complete(&seat, &mut wish.amounts)?;
        let acquire = wish.on(how(&seat.resource, wish.amounts.demand()));
        Ok((acquire, seat, terms))
    }

    /// Takes requests as they are, and makes one of each name with what else is said.
    fn asked_together(
        &self,
        py: Python<'_>,
        asked: &Bound<'_, PyAny>,
        said: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Vec<(paceline::Acquire, Arc<Seat>)>> {
        if asked.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("resources are given as a list of names, or of requests"));
        }
        let mut all = Vec::new();
        for one in asked.try_iter()? {
            let one = one?;
            all.push(match one.cast::<Acquire>() {
                Ok(acquire) => acquire.get().take_one()?,
                Err(_) => self
                    .ask(py, Some(&one), said, Resource::acquire)
                    .map(|(acquire, seat, _)| (acquire, seat))?,
            });
        }
        if all.is_empty() {
            return Err(PyValueError::new_err("nothing is asked for: name at least one resource"));
        }
        Ok(all)
    }

    fn permit_id(&self, py: Python<'_>, id: &str) -> PyResult<PermitId> {
        let _ = self;
        id.parse().map_err(|error| not_a_permit(py, id, &format!("{error}")))
    }
}

#[pymethods]
impl Limiter {
    #[new]
    #[pyo3(signature = (*, text=None, path=None, store=None, private=false, lease=None, store_timeout=None,
                        session_timeout=None, on_store_failure="refuse", on_lost_state="elapsed", key_prefix=None,
                        name=None, mode=None, clock=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of the constructor")]
    fn new(
        py: Python<'_>,
        text: Option<(String, String)>,
        path: Option<PathBuf>,
        store: Option<String>,
        private: bool,
        lease: Said<'_, '_>,
        store_timeout: Said<'_, '_>,
        session_timeout: Said<'_, '_>,
        on_store_failure: &str,
        on_lost_state: &str,
        key_prefix: Option<String>,
        name: Option<String>,
        mode: Option<&str>,
        clock: Option<PyRef<'_, crate::clock::ManualClock>>,
    ) -> PyResult<Self> {
        let lease = wish::lease(lease)?.unwrap_or(Duration::from_mins(15));
        let mut builder = paceline::Limiter::builder()
            .lease(lease)
            .on_store_failure(choice("on_store_failure", on_store_failure, &ON_STORE_FAILURE)?)
            .on_lost_state(choice("on_lost_state", on_lost_state, &ON_LOST_STATE)?);
        if let Some(clock) = clock {
            builder = builder.clock(clock.clock());
        }
        if let Some(timeout) = seconds("store_timeout", store_timeout)? {
            builder = builder.store_timeout(timeout);
        }
        if let Some(timeout) = seconds("session_timeout", session_timeout)? {
            builder = builder.session_timeout(timeout);
        }
        if let Some(prefix) = key_prefix {
            builder = builder.key_prefix(prefix);
        }
        if let Some(name) = name {
            builder = builder.name(name);
        }
        if let Some(mode) = mode {
            builder = builder.mode(choice("mode", mode, &MODES)?);
        }
        if private {
            builder = builder.private();
        } else if let Some(store) = store {
            builder = builder.store(store);
        }
        let config = config(text, path.as_ref()).map_err(|error| exception(py, &error))?;
        if let Some(config) = config {
            builder = builder.config(config);
        }
        let core = py.detach(|| builder.build()).map_err(|error| exception(py, &error))?;
        logging::deliver(py);
        if let Some(path) = path {
            core.watch_file(path);
        }
        Ok(Self::over(core, lease))
    }

    /// Asks for a permit; nothing is asked before the request is awaited, entered, or waited for.
    #[pyo3(signature = (resource=None, /, *, request=None, lane=None, head_start=None, timeout=None,
                        max_expected_wait=None, lease=None, on_error=None, tokens=None, input_tokens=None,
                        max_output_tokens=None, output_tokens=None, **metrics))]
    #[expect(clippy::too_many_arguments, reason = "each keyword that is read here saves a dictionary a call")]
    fn acquire(
        &self,
        py: Python<'_>,
        resource: Said<'_, '_>,
        request: Said<'_, '_>,
        lane: Option<&str>,
        head_start: Said<'_, '_>,
        timeout: Said<'_, '_>,
        max_expected_wait: Said<'_, '_>,
        lease: Said<'_, '_>,
        on_error: Option<Py<PyAny>>,
        tokens: Said<'_, '_>,
        input_tokens: Said<'_, '_>,
        max_output_tokens: Said<'_, '_>,
        output_tokens: Said<'_, '_>,
        metrics: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Acquire> {
        let mut amounts = Amounts::default();
        let said = |name, value: Said<'_, '_>| {
            value.filter(|value| !value.is_none()).map(|value| amount(name, value)).transpose()
        };
        amounts.tokens = said("tokens", tokens)?;
        amounts.input = said("input_tokens", input_tokens)?;
        amounts.max_output = said("max_output_tokens", max_output_tokens)?;
        amounts.output = said("output_tokens", output_tokens)?;
        if let Some(metrics) = metrics {
            amounts.extend(metrics)?;
        }
        let mut model = None;
        if let Some(body) = request.filter(|body| !body.is_none()) {
            model = wish::request(py, body, &mut amounts)?;
        }
        let seat = self.seat_of(py, resource, model.as_deref())?;
        self.check(&amounts)?;
        complete(&seat, &mut amounts)?;
        let wish = Wish {
            lane: lane.map(str::to_owned),
            head_start: seconds("head_start", head_start)?,
            timeout: seconds("timeout", timeout)?,
            max_expected_wait: seconds("max_expected_wait", max_expected_wait)?,
            amounts,
        };
        let acquire = wish.on(seat.resource.acquire(wish.amounts.demand()));
        Ok(Acquire::one(acquire, seat, Terms { on_error, lease: wish::lease(lease)? }))
    }

    /// Asks for a permit without waiting in line: granted at once, or refused with ``Busy``.
    #[pyo3(signature = (resource=None, /, **said))]
    fn try_acquire(
        &self,
        py: Python<'_>,
        resource: Said<'_, '_>,
        said: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Acquire> {
        let (acquire, seat, terms) = self.ask(py, resource, said, Resource::try_acquire)?;
        Ok(Acquire::one(acquire, seat, terms))
    }

    /// Stands in line for each of several resources; the first permit that is granted wins, the other places are left.
    #[pyo3(signature = (resources, /, **said))]
    fn acquire_any(
        &self,
        py: Python<'_>,
        resources: &Bound<'_, PyAny>,
        said: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Acquire> {
        let (_, terms, _) = wish(py, said)?;
        let asked = self.asked_together(py, resources, said)?;
        Ok(Acquire::new(Asking::Any(asked.into_iter().map(Some).collect()), terms))
    }

    /// Asks for several permits, which come together or not at all, as a list.
    #[pyo3(signature = (requests, /, **said))]
    fn acquire_many(
        &self,
        py: Python<'_>,
        requests: &Bound<'_, PyAny>,
        said: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Acquire> {
        let (_, terms, _) = wish(py, said)?;
        let asked = self.asked_together(py, requests, said)?;
        let asked = asked.into_iter().map(|(acquire, seat)| Asked::Waiting(acquire, seat));
        Ok(Acquire::new(Asking::Many(Together(asked.collect())), terms))
    }

    /// Charges use that nobody asked for; it may lead to debt, which callers wait out.
    #[pyo3(signature = (resource=None, usage=None, /, **amounts))]
    fn record(
        &self,
        py: Python<'_>,
        resource: Said<'_, '_>,
        usage: Said<'_, '_>,
        amounts: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Reply> {
        let seat = self.named(py, resource)?;
        let used = read(py, usage, amounts, true)?;
        seat.learn(&used);
        Ok(Reply::done(seat.resource.record(used.usage())))
    }

    /// Says whether a call would go at present, and if not, when, what binds, and who is ahead.
    #[pyo3(signature = (resource=None, /, **said))]
    fn explain(
        &self,
        py: Python<'_>,
        resource: Said<'_, '_>,
        said: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Reply> {
        let (mut wish, _, model) = wish(py, said)?;
        let seat = self.seat_of(py, resource, model.as_deref())?;
        // A question needs no number: what nobody knows yet is asked as a call of which nothing is known.
        let _ = complete(&seat, &mut wish.amounts);
        let name = seat.resource.name().to_owned();
        let outlook = wish.on(seat.resource.acquire(wish.amounts.demand())).explain();
        Ok(Reply::new(outlook, move |py, outlook| views::outlook(py, &name, &outlook)))
    }

    /// Returns all accounts as they are: ``{account: {"limits": {...}, "resources": {...}}}``.
    fn snapshot(&self) -> Reply {
        Reply::new(self.core.snapshot(), |py, accounts| views::accounts(py, &accounts))
    }

    /// Looks which limits are used beyond their ``warn_at``, and tells what changed since the last look as events. Each is
    /// ``{"limit": ..., "metric": ..., "used": ..., "most": ..., "warn_at": ...}``.
    fn near_limits(&self) -> Reply {
        Reply::new(self.core.near_limits(), |py, near| views::near(py, &near))
    }

    /// Returns all permits that are out.
    fn permits(&self) -> Reply {
        Reply::new(self.core.permits(), |py, permits| views::permits(py, &permits))
    }

    /// Subscribes to what happens from now on.
    fn events(&self) -> Events {
        Events::new(self.core.events())
    }

    /// Lets all callers of a resource wait, for so many seconds or until it is resumed; or refuses them.
    #[pyo3(signature = (resource=None, seconds=None, *, refuse=false))]
    fn pause(
        &self,
        py: Python<'_>,
        resource: Said<'_, '_>,
        seconds: Said<'_, '_>,
        refuse: bool,
    ) -> PyResult<Reply> {
        let pause = pause(seconds, refuse)?;
        Ok(Reply::done(self.named(py, resource)?.resource.pause(pause)))
    }

    /// Ends a pause. Token buckets under it restart empty.
    #[pyo3(signature = (resource=None))]
    fn resume(&self, py: Python<'_>, resource: Said<'_, '_>) -> PyResult<Reply> {
        Ok(Reply::done(self.named(py, resource)?.resource.resume()))
    }

    /// Lets all callers that draw on a limit wait, or refuses them.
    #[pyo3(signature = (limit, seconds=None, *, refuse=false))]
    fn pause_limit(
        &self,
        py: Python<'_>,
        limit: &str,
        seconds: Said<'_, '_>,
        refuse: bool,
    ) -> PyResult<Reply> {
        Ok(Reply::done(self.limit(py, limit)?.pause(pause(seconds, refuse)?)))
    }

    /// Ends the pause of a limit.
    fn resume_limit(&self, py: Python<'_>, limit: &str) -> PyResult<Reply> {
        Ok(Reply::done(self.limit(py, limit)?.resume()))
    }

    /// Takes over what the provider reported of a limit; it only lowers.
    #[pyo3(signature = (limit, *, remaining=None, amount=None))]
    fn observe(
        &self,
        py: Python<'_>,
        limit: &str,
        remaining: Said<'_, '_>,
        amount: Said<'_, '_>,
    ) -> PyResult<Reply> {
        let said = |name, value: Said<'_, '_>| {
            value.filter(|value| !value.is_none()).map(|value| self::amount(name, value)).transpose()
        };
        let (remaining, amount) = (said("remaining", remaining)?, said("amount", amount)?);
        if remaining.is_none() && amount.is_none() {
            return Err(PyTypeError::new_err("observe() takes remaining=, amount=, or both"));
        }
        Ok(Reply::done(self.limit(py, limit)?.observe(remaining, amount)))
    }

    /// Refuses all that wait for a resource, or all in one lane of it.
    #[pyo3(signature = (resource=None, *, lane=None))]
    fn purge(&self, py: Python<'_>, resource: Said<'_, '_>, lane: Option<&str>) -> PyResult<Reply> {
        Ok(Reply::done(self.named(py, resource)?.resource.purge(lane)))
    }

    /// Settles a permit by its id, from any process.
    #[pyo3(signature = (permit, usage=None, /, *, strict=false, **amounts))]
    fn settle(
        &self,
        py: Python<'_>,
        permit: &str,
        usage: Said<'_, '_>,
        strict: bool,
        amounts: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Reply> {
        let id = self.permit_id(py, permit)?;
        let used = read(py, usage, amounts, strict)?;
        Ok(Reply::settled(self.core.settle(&id, used.usage())))
    }

    /// Gives a permit back by its id.
    fn give_back(&self, py: Python<'_>, permit: &str) -> PyResult<Reply> {
        Ok(Reply::settled(self.core.give_back(&self.permit_id(py, permit)?)))
    }

    /// Lets a permit live for this many seconds from now on, by its id.
    fn renew(&self, py: Python<'_>, permit: &str, seconds: Said<'_, '_>) -> PyResult<Reply> {
        let lease = crate::amounts::seconds("seconds", seconds)?.unwrap_or(Duration::MAX);
        Ok(Reply::done(self.core.renew(&self.permit_id(py, permit)?, lease)))
    }

    /// Returns the resource that a model is configured as, under its provider's name or its own; ``None`` where it is not.
    #[pyo3(signature = (model, provider=None))]
    pub(crate) fn resolve(&self, model: &str, provider: Option<&str>) -> Option<String> {
        let qualified = provider.and_then(|provider| self.core.configured(&format!("{provider}/{model}")));
        let found = qualified.or_else(|| self.core.configured(model)).map(|name| name.to_string());
        found.or_else(|| {
            if provider.is_some() {
                return None;
            }
            // A bare model means the one account that has it.
            let mut accounts: Vec<String> = self
                .core
                .resources()
                .iter()
                .filter_map(|name| name.split_once('/').map(|(account, _)| account.to_owned()))
                .collect();
            accounts.dedup();
            let mut found =
                accounts.iter().filter_map(|account| self.core.configured(&format!("{account}/{model}")));
            let first = found.next()?;
            found.next().is_none().then(|| first.to_string())
        })
    }

    /// Puts another configuration into force, live.
    #[pyo3(signature = (*, text=None, path=None))]
    fn reconfigure(
        &self,
        py: Python<'_>,
        text: Option<(String, String)>,
        path: Option<PathBuf>,
    ) -> PyResult<()> {
        let changed = config(text, path.as_ref()).and_then(|config| match config {
            Some(config) => self.core.configure(&config),
            None => Ok(()),
        });
        changed.map_err(|error| exception(py, &error))?;
        self.note_only();
        logging::deliver(py);
        Ok(())
    }

    /// Refuses everybody who waits and everybody who asks from now on; permits are kept until they are settled.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.core.close());
        logging::deliver(py);
    }

    /// The names of all configured resources, in order.
    #[getter]
    fn resources(&self) -> Vec<String> {
        self.core.resources().iter().map(ToString::to_string).collect()
    }

    /// How much the limits say: ``enforce``, ``shadow`` or ``off``.
    #[getter]
    fn mode(&self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self.core.mode()).map_or("enforce", |(name, _)| name)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core.is_closed()
    }

    fn __repr__(&self) -> String {
        format!("<paceline.Limiter {}>", self.resources().join(", "))
    }
}

impl Limiter {
    pub(crate) fn over(core: paceline::Limiter, lease: Duration) -> Self {
        let limiter = Self {
            core,
            id: LAST.fetch_add(1, Ordering::Relaxed),
            lease,
            only: RwLock::default(),
            seats: RwLock::default(),
        };
        limiter.note_only();
        limiter
    }

    fn note_only(&self) {
        let names = self.core.resources();
        let only = if let [only] = names.as_slice() { Some(only.to_string()) } else { None };
        *self.only.write().unwrap_or_else(PoisonError::into_inner) = only;
    }

    fn limit(&self, py: Python<'_>, name: &str) -> PyResult<paceline::Limit> {
        self.core.limit(name).map_err(|error| exception(py, &error))
    }
}
