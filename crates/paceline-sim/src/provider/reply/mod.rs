//! The body of a served call, whole or as server-sent events, in each API's own format.

mod chat;
mod embeddings;
mod generate;
mod messages;
mod responses;

use serde_json::Value;

use super::ask::{Ask, Endpoint};
use super::pace::Plan;
use crate::judge::Dialect;

/// Everything that a body says.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    dialect: Dialect,
    ask: Ask,
    plan: Plan,
    id: u64,
    created: u64,
}

/// A part of a stream: the tokens `from..to` of the answer, as its `index`th part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) index: u64,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Reply {
    /// Makes a reply at a Unix time in microseconds; `number` tells it from others.
    pub(super) fn new(dialect: Dialect, ask: Ask, plan: Plan, unix_us: u64, number: u64) -> Self {
        Self { dialect, ask, plan, id: number, created: unix_us / 1_000_000 }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Writes the body of a call that does not stream.
    pub(super) fn whole(&self) -> Value {
        match self.ask.endpoint {
            Endpoint::Chat => chat::whole(self),
            Endpoint::Responses => responses::whole(self),
            Endpoint::Embeddings => embeddings::whole(self),
            Endpoint::Messages => messages::whole(self),
            Endpoint::Generate { .. } => generate::whole(self),
        }
    }

    /// Writes the events that come before the first token.
    pub(super) fn head(&self) -> String {
        match self.ask.endpoint {
            Endpoint::Chat => chat::head(self),
            Endpoint::Responses => responses::head(self),
            Endpoint::Messages => messages::head(self),
            Endpoint::Embeddings | Endpoint::Generate { .. } => String::new(),
        }
    }

    /// Writes the events of one part.
    pub(super) fn part(&self, part: Part) -> String {
        match self.ask.endpoint {
            Endpoint::Chat => chat::part(self, part),
            Endpoint::Responses => responses::part(self, part),
            Endpoint::Messages => messages::part(self, part),
            Endpoint::Generate { .. } => generate::part(self, part),
            Endpoint::Embeddings => String::new(),
        }
    }

    /// Writes the events that come after the last of `parts` parts.
    pub(super) fn tail(&self, parts: u64) -> String {
        match self.ask.endpoint {
            Endpoint::Chat => chat::tail(self),
            Endpoint::Responses => responses::tail(self, parts),
            Endpoint::Messages => messages::tail(self),
            Endpoint::Generate { .. } => generate::tail(self),
            Endpoint::Embeddings => String::new(),
        }
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:016x}", self.id)
    }

    fn text(&self) -> String {
        self.text_of(Part { index: 0, from: 0, to: self.plan.output_tokens })
    }

    /// The visible text of some tokens, four characters each: reasoning comes first and shows nothing.
    fn text_of(&self, part: Part) -> String {
        let shown = |token: u64| token.max(self.plan.reasoning_tokens);
        let tokens = shown(part.to).saturating_sub(shown(part.from));
        "tok ".repeat(usize::try_from(tokens).unwrap_or_default())
    }

    /// Tokens of all choices.
    fn output_tokens(&self) -> u64 {
        self.plan.output_tokens * self.ask.choices
    }

    fn reasoning_tokens(&self) -> u64 {
        self.plan.reasoning_tokens * self.ask.choices
    }

    fn uncached_tokens(&self) -> u64 {
        self.ask.prompt_tokens - self.plan.cached_tokens
    }
}

/// An event without a name.
fn data(json: &Value) -> String {
    format!("data: {json}\n\n")
}

/// An event that is named by its own `type` field.
fn event(json: &Value) -> String {
    let name = json["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {json}\n\n")
}
