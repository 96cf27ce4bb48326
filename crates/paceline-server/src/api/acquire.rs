//! Asking for a permit, and keeping a place in line.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Json as Written;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use paceline::PermitId;

use super::answers::{Asking, Ending, Polling};
use super::bodies::{AcquireBody, PollQuery};
use super::views::{GrantedView, SettledView, WaitingView};
use crate::access::{Acquires, Waiting};
use crate::app::App;
use crate::clock;
use crate::doors::Door;
use crate::extract::{Asked, Json, Named, text};
use crate::kind::Kind;
use crate::problem::Problem;
use paceline::plain::{Plain, PlainAsk, PlainEnd};

static IDEMPOTENCY: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST_IDEMPOTENCY: usize = 255;

/// Asks for a permit
///
/// It waits in line for `wait_seconds` and answers 200 with a permit, or 202 with a ticket that is polled from then on. A
/// ticket keeps its place while it is polled every 30 seconds, whatever becomes of the connection. The same
/// `Idempotency-Key` again answers how that request stands, and asks for nothing new.
#[utoipa::path(
    post, path = "/v1/acquire", tag = "permits", request_body = AcquireBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of up to 255 characters that is unlike those of other requests")),
    responses(
        (status = 200, description = "Granted.", body = GrantedView),
        (status = 202, description = "It waits in line.", body = WaitingView),
        Asking,
    )
)]
pub(crate) async fn acquire(
    State(app): State<Arc<App>>,
    Acquires(caller): Acquires,
    headers: HeaderMap,
    Json(body): Json<AcquireBody>,
) -> Response {
    let door = match app.doors.find(&app.limiter, &app.meters, &body.resource) {
        Ok(door) => door,
        Err(error) => return Problem::from(error).into_response(),
    };
    let asked = async {
        caller.may_use(door.resource.name())?;
        let idempotency = text(&headers, &IDEMPOTENCY, LONGEST_IDEMPOTENCY)?;
        let session = caller.session(idempotency.as_deref())?;
        let demand = body.demand()?;
        let ask = ask(&app, &body)?;
        let until = ask.timeout.map(|timeout| clock::written(clock::unix_ms() + millis(timeout)));
        let _waiting = OpenWait::begin(&app, (!body.at_once).then(|| caller.wait(&app)).transpose()?);
        let stood = app.unless_stopped(door.resource.plain(session, demand, &ask)).await?;
        Ok((stood, Terms { lease: ask.lease, until }))
    };
    let mut response = match asked.await {
        Ok((stood, terms)) => standing(&app, &stood, &terms),
        Err(problem) => refused(&app, Some(&door), problem),
    };
    door.write_policy(response.headers_mut(), clock::unix_ms());
    response
}

/// Polls a ticket
///
/// Each poll keeps the place for another 30 seconds.
#[utoipa::path(
    get, path = "/v1/tickets/{ticket}", tag = "permits",
    params(("ticket" = String, Path, description = "The ticket"), PollQuery),
    responses(
        (status = 200, description = "Granted.", body = GrantedView),
        (status = 202, description = "It waits in line.", body = WaitingView),
        Polling,
    )
)]
pub(crate) async fn poll(
    State(app): State<Arc<App>>,
    Acquires(caller): Acquires,
    Named(ticket): Named,
    Asked(query): Asked<PollQuery>,
) -> Response {
    let polled = async {
        let ticket = permit_id(&ticket)?;
        let timeout = query.timeout(clock::unix_ms())?;
        let (poll, lease) = (query.wait()?, query.lease()?);
        let ask = PlainAsk { poll, lease, timeout, patience: app.patience, ..PlainAsk::default() };
        let _waiting = OpenWait::begin(&app, Some(caller.wait(&app)?));
        let stood = app.unless_stopped(app.limiter.plain_poll(&ticket, &ask)).await?;
        Ok((stood, Terms { lease, until: query.until.clone() }))
    };
    match polled.await {
        Ok((stood, terms)) => standing(&app, &stood, &terms),
        Err(problem) => refused(&app, None, problem),
    }
}

/// Polls a ticket
///
/// As `GET` does, for clients that keep answers to `GET`.
#[utoipa::path(
    post, path = "/v1/tickets/{ticket}", tag = "permits", operation_id = "poll_again",
    params(("ticket" = String, Path, description = "The ticket"), PollQuery),
    responses(
        (status = 200, description = "Granted.", body = GrantedView),
        (status = 202, description = "It waits in line.", body = WaitingView),
        Polling,
    )
)]
pub(crate) async fn poll_again(
    state: State<Arc<App>>,
    caller: Acquires,
    ticket: Named,
    query: Asked<PollQuery>,
) -> Response {
    poll(state, caller, ticket, query).await
}

/// Cancels a ticket
///
/// The place is free again; a grant that crossed the request goes back in full.
#[utoipa::path(
    delete, path = "/v1/tickets/{ticket}", tag = "permits",
    params(("ticket" = String, Path, description = "The ticket")),
    responses((status = 200, description = "Cancelled.", body = SettledView), Ending)
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    _: Acquires,
    Named(ticket): Named,
) -> Result<Written<SettledView>, Problem> {
    let ticket = permit_id(&ticket)?;
    let settled = app.limiter.plain_end(&ticket, PlainEnd::GiveBack).await?;
    Ok(Written(SettledView::from(&settled)))
}

/// Reads the id of a permit or a ticket.
pub(crate) fn permit_id(text: &str) -> Result<PermitId, Problem> {
    text.parse().map_err(|error: paceline::InvalidPermitId| Problem::new(Kind::NotAPermit, error.to_string()))
}

/// A request that waits, counted while it does.
struct OpenWait<'a> {
    app: &'a App,
    _of_key: Option<Waiting>,
}

impl<'a> OpenWait<'a> {
    fn begin(app: &'a App, of_key: Option<Waiting>) -> Self {
        app.meters.waiting.fetch_add(1, Relaxed);
        Self { app, _of_key: of_key }
    }
}

impl Drop for OpenWait<'_> {
    fn drop(&mut self) {
        self.app.meters.waiting.fetch_sub(1, Relaxed);
    }
}

fn ask(app: &App, body: &AcquireBody) -> Result<PlainAsk, Problem> {
    Ok(PlainAsk {
        lane: body.lane.clone(),
        timeout: body.timeout()?,
        head_start: body.head_start()?,
        max_expected_wait: body.max_expected_wait()?,
        wait: !body.at_once,
        poll: body.wait()?,
        patience: app.patience,
        lease: body.lease()?,
    })
}

/// What a ticket was asked for with, which its polls say again.
struct Terms {
    lease: Duration,
    until: Option<String>,
}

fn standing(app: &App, stood: &Plain, terms: &Terms) -> Response {
    let lease = terms.lease.as_secs_f64();
    match stood {
        Plain::Granted { permit, waited, news_of } => {
            if let Some(resource) = news_of {
                app.meters.of_resource(resource).granted(*waited);
            }
            let view = GrantedView {
                status: "granted",
                permit: permit.to_string(),
                waited_seconds: waited.as_secs_f64(),
                lease_seconds: lease,
            };
            Written(view).into_response()
        }
        Plain::Waiting { ticket, ahead, expected } => {
            let ticket = ticket.to_string();
            let until = terms.until.as_ref().map_or_else(String::new, |until| format!("&until={until}"));
            let view = WaitingView {
                status: "waiting",
                poll: format!("/v1/tickets/{}?lease_seconds={lease}{until}", in_path(&ticket)),
                ticket,
                ahead: *ahead,
                expected_wait_seconds: expected.map(|expected| expected.as_secs_f64()),
                keep_seconds: app.patience.as_secs_f64(),
            };
            (StatusCode::ACCEPTED, Written(view)).into_response()
        }
    }
}

fn refused(app: &App, door: Option<&Arc<Door>>, problem: Problem) -> Response {
    if problem.kind() == Kind::StoreUnavailable {
        app.meters.store_errors.fetch_add(1, Relaxed);
    }
    if let Some(door) = door {
        door.meters.refused(problem.kind());
        app.lookout.refused(door.resource.name(), problem.detail());
    }
    problem.into_response()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Writes a text as one part of an address.
fn in_path(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut written, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "%{byte:02X}");
        }
        written
    })
}
