//! Random stories: small worlds in which everything collides, and moves that make sense in any of them.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

pub mod generate;
pub mod provider;
pub mod story;

use std::collections::BTreeMap;

use paceline_core::{Configuration, Millis, NEVER, SessionId, TicketId};
use paceline_sim::exam::{Answer, Ask, On, Subject, Want, Wants, write_answer, write_ask, write_duration};

pub(crate) const METRICS: [&str; 4] = ["requests", "tokens", "concurrent_requests", "slots"];
pub(crate) const RESOURCES: [&str; 3] = ["a", "b", "c"];
pub(crate) const LANES: [Option<&str>; 4] = [None, Some("x"), Some("y"), Some("z")];

/// One thing that happens. Tickets and limits are named by numbers that are taken modulo what there is.
#[derive(Debug, Clone)]
pub(crate) enum Move {
    Pass(Millis),
    /// Time passes to the next wake-up.
    Wake,
    Back(Millis),
    Say(Saying),
    Batch(Vec<Saying>),
}

#[derive(Debug, Clone)]
pub(crate) enum Saying {
    Acquire {
        session: u8,
        resource: u8,
        lane: u8,
        demand: [u8; 4],
        head: Millis,
        within: Option<Millis>,
        wait: bool,
    },
    Again {
        ticket: u8,
    },
    Cancel {
        ticket: u8,
    },
    Settle {
        ticket: u8,
        used: [Option<u8>; 4],
    },
    GiveBack {
        ticket: u8,
    },
    Amend {
        ticket: u8,
        reserve: [Option<u8>; 4],
    },
    Record {
        resource: u8,
        lane: u8,
        used: [u8; 4],
    },
    Transfer {
        ticket: u8,
        to: u8,
    },
    Touch {
        session: u8,
        time_out: Option<Millis>,
    },
    Close {
        session: u8,
    },
    Observe {
        limit: u8,
        remaining: Option<u8>,
        amount: Option<u8>,
    },
    Pause {
        on: u8,
        lasting: Option<Millis>,
        refuse: bool,
    },
    Resume {
        on: u8,
    },
    Purge {
        resource: u8,
        lane: u8,
    },
    Configure(Configuration),
}

/// The world of a story: configured first, talked about later.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub configuration: Configuration,
    pub moves: Vec<Move>,
}

/// Tells a story to subjects in turn, and keeps it as a trace.
pub(crate) struct Teller {
    pub now: Millis,
    pub told: Vec<String>,
    /// Whether a session ever had a time-out: a store may look after such more often than it must.
    pub timed: bool,
    highest: BTreeMap<SessionId, u64>,
    tickets: Vec<Want>,
    limits: Vec<String>,
}

impl Teller {
    pub(crate) fn new(world: &World) -> Self {
        let limits = world.configuration.limits.iter().map(|limit| limit.id.to_string()).collect();
        Self { now: 0, told: Vec::new(), timed: false, highest: BTreeMap::new(), tickets: Vec::new(), limits }
    }

    /// Returns the asks of one move, and moves the time; `due` is the next wake-up.
    pub(crate) fn asks(&mut self, one: &Move, due: Option<Millis>) -> Vec<Ask> {
        let asks = match one {
            Move::Pass(time) => {
                self.now += time;
                Vec::new()
            }
            Move::Wake => {
                self.now += due.unwrap_or(1).min(10_000_000);
                Vec::new()
            }
            Move::Back(time) => {
                self.now = self.now.saturating_sub(*time);
                Vec::new()
            }
            Move::Say(saying) => self.ask(saying).into_iter().collect(),
            Move::Batch(sayings) => sayings.iter().filter_map(|saying| self.ask(saying)).collect(),
        };
        self.told.push(format!("at {}", write_duration(self.now)));
        asks
    }

    /// Notes what was asked and answered.
    pub(crate) fn note(&mut self, asks: &[Ask], answers: &[Answer]) {
        self.timed |= asks.iter().any(|ask| match ask {
            Ask::Touch { time_out, .. } | Ask::Transfer { time_out, .. } => time_out.is_some(),
            _ => false,
        });
        match asks {
            [] => self.told.push("tick".into()),
            [ask] => self.told.extend(answered(ask, answers.first())),
            _ => {
                self.told.push("batch".into());
                let lines = asks.iter().zip(answers).flat_map(|(ask, answer)| answered(ask, Some(answer)));
                self.told.extend(lines.map(|line| format!("  {line}")));
            }
        }
    }

    pub(crate) fn trace(&self) -> String {
        self.told.join("\n")
    }

    fn ticket(&self, at: u8) -> Option<TicketId> {
        let recent = self.tickets.len().min(12);
        let at = self.tickets.len() - 1 - usize::from(at) % recent.max(1);
        self.tickets.get(at).map(|want| want.ticket)
    }

    fn ask(&mut self, saying: &Saying) -> Option<Ask> {
        let session = |at: u8| SessionId(u128::from(at % 3) + 1);
        let lane = |at: u8| LANES[usize::from(at) % LANES.len()].map(String::from);
        let resource = |at: u8| RESOURCES[usize::from(at) % RESOURCES.len()].to_string();
        let known = || !self.tickets.is_empty();
        Some(match saying {
            Saying::Acquire { session: by, resource: what, lane: which, demand, head, within, wait } => {
                let by = session(*by);
                let number = self.highest.entry(by).or_insert(0);
                *number += 1;
                let want = Want {
                    ticket: TicketId { session: by, number: *number },
                    resource: resource(*what),
                    lane: lane(*which),
                    demand: wants(demand.map(Some)),
                    head_start: *head,
                    within: within.unwrap_or(NEVER),
                    wait: *wait,
                };
                self.tickets.push(want.clone());
                Ask::Acquire(want)
            }
            Saying::Again { ticket } => {
                let recent = self.tickets.len().clamp(1, 12);
                let at = (self.tickets.len().checked_sub(1)?).checked_sub(usize::from(*ticket) % recent)?;
                Ask::Acquire(self.tickets.get(at)?.clone())
            }
            Saying::Cancel { ticket } if known() => Ask::Cancel { ticket: self.ticket(*ticket)? },
            Saying::Settle { ticket, used } if known() => {
                Ask::Settle { permit: self.ticket(*ticket)?, usage: Some(wants(*used)) }
            }
            Saying::GiveBack { ticket } if known() => {
                Ask::Settle { permit: self.ticket(*ticket)?, usage: None }
            }
            Saying::Amend { ticket, reserve } if known() => {
                Ask::Amend { permit: self.ticket(*ticket)?, reserve: wants(*reserve) }
            }
            Saying::Record { resource: what, lane: which, used } => {
                Ask::Record { resource: resource(*what), lane: lane(*which), usage: wants(used.map(Some)) }
            }
            Saying::Transfer { ticket, to } if known() => {
                Ask::Transfer { permit: self.ticket(*ticket)?, to: session(*to), time_out: Some(20_000) }
            }
            Saying::Touch { session: by, time_out } => {
                Ask::Touch { session: session(*by), time_out: *time_out }
            }
            Saying::Close { session: by } => Ask::Close { session: session(*by) },
            Saying::Observe { limit, remaining, amount } => Ask::Observe {
                limit: self.limits.get(usize::from(*limit) % self.limits.len().max(1))?.clone(),
                remaining: remaining.map(u64::from),
                amount: amount.map(u64::from),
            },
            Saying::Pause { on, lasting, refuse } => {
                Ask::Pause { on: self.on(*on)?, lasting: *lasting, refuse: *refuse }
            }
            Saying::Resume { on } => Ask::Resume { on: self.on(*on)? },
            Saying::Purge { resource: what, lane: which } => {
                Ask::Purge { resource: resource(*what), lane: lane(*which) }
            }
            Saying::Configure(configuration) => Ask::Configure(configuration.clone()),
            _ => return None,
        })
    }

    fn on(&self, at: u8) -> Option<On> {
        let at = usize::from(at);
        if at % 2 == 0 {
            return Some(On::Resource(RESOURCES[at / 2 % RESOURCES.len()].into()));
        }
        self.limits.get(at / 2 % self.limits.len().max(1)).cloned().map(On::Limit)
    }
}

fn answered(ask: &Ask, answer: Option<&Answer>) -> Vec<String> {
    let mut lines = write_ask(ask);
    if let (Some(last), Some(answer)) = (lines.last_mut(), answer) {
        *last = format!("{last} -> {}", write_answer(answer));
    }
    lines
}

fn wants(amounts: [Option<u8>; 4]) -> Wants {
    let named = METRICS.iter().zip(amounts);
    named.filter_map(|(metric, amount)| Some(((*metric).to_string(), u64::from(amount?)))).collect()
}

/// Opens the three sessions and applies the first configuration.
pub(crate) fn open(world: &World, subject: &mut dyn Subject) -> Vec<(Ask, Answer)> {
    let touch = |id| Ask::Touch { session: SessionId(id), time_out: None };
    let asks = [Ask::Configure(world.configuration.clone()), touch(1), touch(2), touch(3)];
    asks.into_iter().map(|ask| (ask.clone(), subject.apply(0, ask))).collect()
}
