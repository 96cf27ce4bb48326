//! The twin as a subject of the exam, on whatever runs it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test binary uses a part of it; tests may panic"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::needless_for_each,
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    clippy::cast_sign_loss,
    reason = "numbers below 2^53"
)]

pub mod account;
pub mod client;
pub mod compare;
pub mod msgpack;
pub mod served;
pub mod server;
pub mod sessions;
pub mod wired;

use std::collections::BTreeSet;

use paceline::wire::{self, Answer as Said, Ask as Asked, Decided, Header};
use paceline_core::{
    Configuration, Decision, Ledger, MAX_AMOUNT, Millis, NEVER, Outcome, Refusal, ResourceSpec, SessionId,
    TicketId, Verdict,
};
use paceline_sim::exam::{Answer, Ask, LimitFacts, On, ResourceFacts, Subject, View, Wants};

/// What runs the script.
pub trait Server {
    fn eval(&mut self, batch: &[u8]) -> Vec<u8>;
}

/// The twin, asked by name.
pub struct Twin<S> {
    pub server: S,
    resources: BTreeSet<String>,
    limits: BTreeSet<String>,
    decisions: Vec<Decision>,
    due: Option<Millis>,
}

pub type Named<'a> = Vec<(&'a str, u64)>;

impl<S: Server> Twin<S> {
    pub fn on(server: S) -> Self {
        Self { server, resources: BTreeSet::new(), limits: BTreeSet::new(), decisions: Vec::new(), due: None }
    }

    fn eval(&mut self, now: Millis, asks: &[Asked<'_>]) -> (wire::Reply, Vec<u8>) {
        let header =
            Header { fresh: "0123456789abcdef", on_lost: "elapsed", now: Some(now), ..Header::default() };
        let bytes = self.server.eval(&wire::write_batch(&header, asks));
        (
            wire::read_reply(&bytes)
                .unwrap_or_else(|error| panic!("{error:?} in {:?}", wire::read_value(&bytes))),
            bytes,
        )
    }

    /// Whether names mean something: what never was is answered without asking.
    fn is_known(&self, ask: &Ask) -> bool {
        let on = |on: &On| match on {
            On::Resource(name) => self.resources.contains(name),
            On::Limit(name) => self.limits.contains(name),
        };
        match ask {
            Ask::Acquire(want) => self.resources.contains(&want.resource),
            Ask::Record { resource, .. } | Ask::Purge { resource, .. } => self.resources.contains(resource),
            Ask::Observe { limit, .. } => self.limits.contains(limit),
            Ask::Pause { on: target, .. } | Ask::Resume { on: target } => on(target),
            _ => true,
        }
    }
}

impl<S: Server> Subject for Twin<S> {
    fn batch(&mut self, now: Millis, asks: &[Ask]) -> Vec<Answer> {
        let amounts: Vec<Named<'_>> = asks.iter().map(amounts).collect();
        let mut answers: Vec<Option<Answer>> = asks.iter().map(|ask| self.refused_unasked(ask)).collect();
        let open = asks.iter().zip(&amounts).zip(&answers).filter(|(_, answer)| answer.is_none());
        let asked: Vec<Asked<'_>> = open.map(|((ask, amounts), _)| wired(ask, amounts)).collect();
        let (reply, bytes) = self.eval(now, &asked);
        for (ask, answer) in asks.iter().zip(&answers) {
            if let (Ask::Configure(configuration), None) = (ask, answer) {
                self.resources
                    .extend(configuration.resources.iter().map(|resource| resource.name.to_string()));
                self.limits.extend(configuration.limits.iter().map(|limit| limit.id.to_string()));
            }
        }
        self.due = reply.due.filter(|due| *due != NEVER);
        self.decisions.extend(decisions(&reply, &bytes));
        let mut said = reply.outcomes.into_iter();
        for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
            *answer = Some(answered(said.next().expect("an outcome for each command")));
        }
        answers.into_iter().flatten().collect()
    }

    fn next_wakeup(&mut self) -> Option<Millis> {
        self.due
    }

    fn drain(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }

    fn view(&mut self, now: Millis) -> View {
        match self.eval(now, &[Asked::View]).0.outcomes.pop() {
            Some(Said::Viewed(view)) => facts(view),
            other => panic!("not a view: {other:?}"),
        }
    }

    fn dump(&mut self) -> Option<String> {
        Some(dump(&mut self.server))
    }
}

impl<S: Server> Twin<S> {
    fn refused_unasked(&self, ask: &Ask) -> Option<Answer> {
        if let Ask::Configure(configuration) = ask {
            return rehearse(configuration).map(Answer::Invalid);
        }
        (!self.is_known(ask)).then_some(Answer::Refused(Refusal::NoResource))
    }
}

/// The whole state of a ledger as text.
pub fn dump<S: Server + ?Sized>(server: &mut S) -> String {
    let header = Header { fresh: "0123456789abcdef", on_lost: "elapsed", now: Some(0), ..Header::default() };
    let reply = wire::read_reply(&server.eval(&wire::write_batch(&header, &[Asked::Dump]))).unwrap();
    match &reply.outcomes[..] {
        [Said::Dumped(text)] => {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.join("\n")
        }
        other => panic!("not a dump: {other:?}"),
    }
}

/// What a client refuses itself: a configuration that no ledger could have.
pub fn rehearse(configuration: &Configuration) -> Option<paceline_core::SpecError> {
    let mut rehearsed = configuration.clone();
    let members: BTreeSet<_> = configuration
        .limits
        .iter()
        .flat_map(|limit| limit.members.iter().map(|member| member.resource.clone()))
        .filter(|name| !configuration.removed.contains(name))
        .filter(|name| !configuration.resources.iter().any(|resource| resource.name == *name))
        .collect();
    rehearsed.resources.extend(members.iter().map(|name| ResourceSpec::new(name)));
    match Ledger::new().apply(0, paceline_core::Command::configure(rehearsed)) {
        Outcome::Invalid(error) => Some(error),
        _ => None,
    }
}

pub fn amounts(ask: &Ask) -> Named<'_> {
    let wants: Option<&Wants> = match ask {
        Ask::Acquire(want) => Some(&want.demand),
        Ask::Settle { usage, .. } => usage.as_ref(),
        Ask::Amend { reserve, .. } => Some(reserve),
        Ask::Record { usage, .. } => Some(usage),
        _ => None,
    };
    wants.into_iter().flatten().map(|(name, amount)| (name.as_str(), (*amount).min(MAX_AMOUNT))).collect()
}

pub fn wired<'a>(ask: &'a Ask, amounts: &'a Named<'a>) -> Asked<'a> {
    let on = |on: &'a On| match on {
        On::Resource(name) => wire::On::Resource(name),
        On::Limit(name) => wire::On::Limit(name),
    };
    let of = |ticket: &TicketId| (Some(ticket.session), ticket.number);
    match ask {
        Ask::Touch { session, time_out } => {
            Asked::Touch { session: *session, time_out: *time_out, inbox: None }
        }
        Ask::Close { session } => Asked::Close { session: Some(*session) },
        Ask::Acquire(want) => Asked::Acquire {
            session: Some(want.ticket.session),
            number: want.ticket.number,
            resource: &want.resource,
            lane: want.lane.as_deref(),
            amounts,
            within: want.within,
            head_start: want.head_start,
            wait: want.wait,
            why: false,
        },
        Ask::Cancel { ticket } => Asked::Cancel { session: of(ticket).0, number: ticket.number },
        Ask::Settle { permit, usage } => Asked::Settle {
            session: of(permit).0,
            number: permit.number,
            usage: usage.as_ref().map(|_| amounts.as_slice()),
        },
        Ask::Amend { permit, .. } => Asked::Amend { session: of(permit).0, number: permit.number, amounts },
        Ask::Record { resource, lane, .. } => Asked::Record { resource, lane: lane.as_deref(), amounts },
        Ask::Transfer { permit, to, time_out } => {
            Asked::Transfer { session: of(permit).0, number: permit.number, to: *to, time_out: *time_out }
        }
        Ask::Observe { limit, remaining, amount } => {
            Asked::Observe { limit, remaining: *remaining, amount: *amount }
        }
        Ask::Pause { on: target, lasting, refuse } => {
            Asked::Pause { on: on(target), lasting: *lasting, refuse: *refuse }
        }
        Ask::Resume { on: target } => Asked::Resume { on: on(target) },
        Ask::Purge { resource, lane } => Asked::Purge { resource, lane: lane.as_deref() },
        Ask::Configure(Configuration { limits, resources, removed }) => {
            Asked::Configure { limits, resources, removed, revision: None, digests: &[] }
        }
    }
}

fn answered(said: Said) -> Answer {
    let named = |amounts: Vec<(paceline_core::Name, u64)>| -> Wants {
        amounts
            .into_iter()
            .filter(|(_, amount)| *amount > 0)
            .map(|(name, amount)| (name.to_string(), amount))
            .collect()
    };
    match said {
        Said::Granted => Answer::Granted,
        Said::Queued { ahead } => Answer::Queued(ahead),
        Said::Refused(refusal, _) => Answer::Refused(refusal),
        Said::Settled { returned, charged } => {
            Answer::Settled { returned: named(returned), charged: named(charged) }
        }
        Said::Amended { returned, charged } => {
            Answer::Amended { returned: named(returned), charged: named(charged) }
        }
        Said::Cancelled => Answer::Cancelled,
        Said::Done => Answer::Done,
        Said::Over => Answer::Over,
        Said::Expired => Answer::Expired,
        Said::Invalid(error) => Answer::Invalid(error),
        other => panic!("not an answer to a command: {other:?}"),
    }
}

fn decisions(reply: &wire::Reply, bytes: &[u8]) -> Vec<Decision> {
    let wire::Value::List(values) = wire::read_value(bytes).unwrap() else { panic!("not a reply") };
    let Some(wire::Value::List(whose)) = values.get(10) else { return Vec::new() };
    let sessions = whose.iter().map(|id| match id {
        wire::Value::Bytes(id) => SessionId(u128::from_be_bytes(id.as_slice().try_into().unwrap())),
        other => panic!("not a session: {other:?}"),
    });
    let decided = reply.outbox.iter().zip(sessions).map(|(entry, session)| match &entry.decided {
        Decided::Granted { number, waited, .. } => Decision {
            ticket: TicketId { session, number: *number },
            verdict: Verdict::Granted { waited: *waited },
        },
        Decided::Refused { number, refusal } => Decision {
            ticket: TicketId { session, number: *number },
            verdict: Verdict::Refused(refusal.clone()),
        },
        other => panic!("not a decision: {other:?}"),
    });
    decided.collect()
}

fn facts(view: wire::View) -> View {
    let limits = view.limits.into_iter().map(|limit| {
        let facts = LimitFacts {
            left: limit.left,
            held: limit.held,
            amount: limit.amount,
            most: limit.most,
            paused: limit.paused_for,
        };
        (limit.name.to_string(), facts)
    });
    let resources = view.resources.into_iter().map(|resource| {
        let lanes = resource.lanes.iter().filter(|lane| lane.waiting > 0);
        let lanes = lanes.map(|lane| (lane.name.as_ref().map(ToString::to_string), lane.waiting)).collect();
        let facts = ResourceFacts {
            waiting: resource.waiting,
            in_flight: resource.in_flight,
            paused: resource.paused_for,
            lanes,
        };
        (resource.name.to_string(), facts)
    });
    View { limits: limits.collect(), resources: resources.collect() }
}
