//! One call from its arrival to its answer.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::answer::{Answer, Headers, header, respond};
use super::ask::{self, Ask, Endpoint};
use super::desk::{Desk, RunningCall};
use super::docket::{Arrival, Place};
use super::failure;
use super::fault::Fault;
use super::pace::Plan;
use super::refusal::{self, Case};
use super::reply::Reply;
use super::{standing, stream};
use crate::judge::{Counts, Dialect, Refusal};

const LARGEST_BODY_BYTES: usize = 64 << 20;
const SLOW_FACTOR: u64 = 10;
const WRONG_HINT_DIVISOR: u64 = 10;

/// Marks a response that the server replaces by a reset of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResetConnection;

/// Answers one call; `model` is the one that the path names.
pub(super) async fn answer(
    desk: Arc<Desk>,
    endpoint: Endpoint,
    model: Option<String>,
    request: Request,
) -> Response {
    let dialect = desk.config.rules.dialect;
    let (parts, body) = request.into_parts();
    let Some(key) = ask::key(&parts) else {
        desk.docket().note_unauthorized();
        return failure::unauthorized(dialect).into_response();
    };
    let body = to_bytes(body, LARGEST_BODY_BYTES).await.map_err(|error| error.to_string());
    match body.and_then(|body| Ask::read(endpoint, model.as_deref(), &parts.headers, &body)) {
        Ok(ask) => judge(&desk, key, ask).await,
        Err(reason) => {
            desk.docket().note_malformed();
            failure::failure(dialect, 400, &reason).into_response()
        }
    }
}

/// Lists the models that have limits of their own, and one that has not.
pub(super) fn models(desk: &Desk, parts: &Parts) -> Answer {
    let dialect = desk.config.rules.dialect;
    if ask::key(parts).is_none() {
        desk.docket().note_unauthorized();
        return failure::unauthorized(dialect);
    }
    let names = desk.config.models.keys().map(String::as_str).chain(["fake-1"]);
    Answer::new(200, super::models::list(dialect, names))
}

async fn judge(desk: &Arc<Desk>, key: &str, ask: Ask) -> Response {
    let fault = desk.fault(&ask);
    let plan = desk.config.pace.plan(desk.config.seed, &ask);
    let plan = if fault == Some(Fault::Slow) { plan.slowed(SLOW_FACTOR) } else { plan };
    let Arrival { account, standings, verdict } = desk.arrive(key, &ask, &plan);
    let unix_us = desk.clock.unix_us(desk.clock.now_us());
    let headers = standing::headers(desk.config.rules.dialect, &standings, unix_us);
    if let Some(fault) = fault.filter(|&fault| (fault == Fault::WrongRetryAfter) == verdict.is_err()) {
        desk.docket().note_fault(fault);
    }
    match verdict {
        Ok(place) => Admitted { desk: desk.clone(), ask, plan, fault, place, headers }.serve().await,
        Err(refusal) => refuse(desk, &ask, account, &refusal, fault).with(headers).into_response(),
    }
}

fn refuse(desk: &Desk, ask: &Ask, account: usize, refusal: &Refusal, fault: Option<Fault>) -> Answer {
    let wrong = fault == Some(Fault::WrongRetryAfter);
    let words = refusal::write(&Case {
        dialect: desk.config.rules.dialect,
        account,
        model: &ask.model,
        refusal,
        hint_divisor: if wrong { WRONG_HINT_DIVISOR } else { 1 },
    });
    desk.docket().note_refusal_text(words.message);
    words.answer
}

/// A call that every limit agreed to.
struct Admitted {
    desk: Arc<Desk>,
    ask: Ask,
    plan: Plan,
    fault: Option<Fault>,
    place: Place,
    headers: Headers,
}

impl Admitted {
    async fn serve(self) -> Response {
        let dialect = self.dialect();
        let mut call = RunningCall::new(self.desk.clone(), self.place, &self.ask, &self.plan);
        if self.fault == Some(Fault::Reset) {
            call.fail();
            return reset();
        }
        if let Some(status) = self.fault.and_then(Fault::status) {
            call.sleep_until(self.plan.first_token_us).await;
            call.fail();
            return failure::server_fault(dialect, status).with(self.headers).into_response();
        }
        if self.ask.stream { self.stream(call).await } else { self.whole(call).await }
    }

    async fn stream(self, call: RunningCall) -> Response {
        call.sleep_until(self.plan.first_token_us).await;
        let (plan, choices, cut) = (self.plan, self.ask.choices, self.is_cut());
        let (reply, headers) = self.reply();
        respond(200, "text/event-stream", &headers, stream::body(call, reply, plan, choices, cut))
    }

    async fn whole(self, mut call: RunningCall) -> Response {
        call.sleep_until(self.plan.total_us).await;
        let cut = self.is_cut();
        let (reply, mut headers) = self.reply();
        if cut {
            call.produce_rest();
            call.fail();
            return respond(200, "application/json", &headers, stream::cut_short(&reply.whole().to_string()));
        }
        headers.extend(query_cost(&reply, call.serve().as_ref()));
        Answer::new(200, reply.whole()).with(headers).into_response()
    }

    /// Makes the reply and its headers, both with the same number.
    fn reply(self) -> (Reply, Headers) {
        let dialect = self.dialect();
        let unix_us = self.desk.clock.unix_us(self.desk.clock.now_us());
        let number = self.desk.docket().next_reply();
        let name = if dialect == Dialect::Anthropic { "request-id" } else { "x-request-id" };
        let mut headers = self.headers;
        headers.push(header(name, format!("req_{number:016x}")));
        (Reply::new(dialect, self.ask, self.plan, unix_us, number), headers)
    }

    fn is_cut(&self) -> bool {
        self.fault == Some(Fault::Cut)
    }

    fn dialect(&self) -> Dialect {
        self.desk.config.rules.dialect
    }
}

/// Mistral says what an answer cost, where the whole cost is known.
fn query_cost(reply: &Reply, cost: Option<&Counts>) -> Headers {
    let cost = cost.filter(|_| reply.dialect() == Dialect::Mistral);
    cost.map(|cost| header("x-ratelimit-tokens-query-cost", cost.tokens)).into_iter().collect()
}

fn reset() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(ResetConnection);
    response
}
