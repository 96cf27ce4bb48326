//! A reply as server-sent events, paced by the clock.

use std::io;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};

use super::desk::RunningCall;
use super::pace::Plan;
use super::reply::{Part, Reply};

/// The shortest time between two parts.
const PART_US: u64 = 20_000;

/// The fewest parts of an answer that has as many tokens.
const FEWEST_PARTS: u64 = 8;

/// A stream in progress.
#[derive(Debug)]
struct Telling {
    call: RunningCall,
    reply: Reply,
    plan: Plan,
    choices: u64,
    parts: u64,
    /// After how many parts the connection breaks, if a fault wants it.
    cut_after: Option<u64>,
    step: u64,
}

/// Makes the body of a stream: what comes before the first token, the parts, and what comes after the last.
pub(super) fn body(call: RunningCall, reply: Reply, plan: Plan, choices: u64, cut: bool) -> Body {
    let span_us = plan.total_us - plan.first_token_us;
    let parts = (span_us / PART_US).max(FEWEST_PARTS).min(plan.output_tokens);
    let cut_after = cut.then_some(parts / 2);
    let telling = Telling { call, reply, plan, choices, parts, cut_after, step: 0 };
    Body::from_stream(stream::unfold(telling, |telling| async { telling.next().await }))
}

/// Makes the body of an answer that breaks off in the middle.
pub(super) fn cut_short(text: &str) -> Body {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let end = stream::once(async { Err(broken().await) });
    Body::from_stream(stream::iter([Ok(half)]).chain(end))
}

impl Telling {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let step = self.step;
        self.step += 1;
        if self.cut_after.is_some_and(|parts| step > parts) {
            self.call.fail();
            return Some((Err(broken().await), self));
        }
        let text = match step {
            0 => self.reply.head(),
            _ if step <= self.parts => self.part(step - 1).await,
            _ if step == self.parts + 1 => self.tail().await,
            _ => return None,
        };
        Some((Ok(text.into()), self))
    }

    async fn part(&mut self, index: u64) -> String {
        self.call.sleep_until(self.part_us(index)).await;
        let part = Part { index, from: self.token(index), to: self.token(index + 1) };
        self.call.produce((part.to - part.from) * self.choices);
        self.reply.part(part)
    }

    async fn tail(&mut self) -> String {
        self.call.sleep_until(self.plan.total_us).await;
        self.call.serve();
        self.reply.tail(self.parts)
    }

    /// When a part is due: the first with the first token, the last at the end.
    fn part_us(&self, index: u64) -> u64 {
        let span_us = self.plan.total_us - self.plan.first_token_us;
        self.plan.first_token_us + (span_us * index).checked_div(self.parts - 1).unwrap_or(0)
    }

    /// The first token of a part.
    fn token(&self, index: u64) -> u64 {
        self.plan.output_tokens * index / self.parts
    }
}

/// Breaks off only when what was said before has been sent.
async fn broken() -> io::Error {
    tokio::task::yield_now().await;
    io::ErrorKind::ConnectionReset.into()
}
