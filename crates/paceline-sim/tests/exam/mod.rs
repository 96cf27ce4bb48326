//! Random stories: small worlds in which everything collides, and moves that make sense in any of them.
#![allow(dead_code, reason = "each test uses its part of this")]

use std::collections::BTreeMap;

use paceline_core::{
    Algorithm, Boundaries, Configuration, LaneSpec, Lanes, LimitSpec, Member, Millis, NEVER, ResourceSpec,
    SessionId, TicketId,
};
use paceline_sim::exam::{Answer, Ask, On, Subject, Want, Wants, write_answer, write_ask, write_duration};
use proptest::prelude::*;

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
                let recent = self.tickets.len().min(12).max(1);
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
        *last += &format!(" -> {}", write_answer(answer));
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

const TIMES: [Millis; 12] = [0, 1, 2, 5, 10, 15, 20, 30, 60, 100, 250, 1_000];

pub(crate) fn time() -> impl Strategy<Value = Millis> {
    prop_oneof![8 => prop::sample::select(&TIMES[..]), 1 => 0u64..5_000, 1 => Just(4_000_000u64)]
}

fn small() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0u8..2, 2 => 0u8..6, 1 => 0u8..30]
}

fn some_amounts() -> impl Strategy<Value = [Option<u8>; 4]> {
    prop::array::uniform4(prop::option::of(small()))
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    let window = prop::sample::select(vec![10u64, 20, 30, 60, 100]);
    prop_oneof![
        4 => (window.clone(), 1u64..20).prop_map(|(window, burst)| Algorithm::TokenBucket { window, burst }),
        2 => (window.clone(), 1u32..7).prop_map(|(window, slots)| Algorithm::SlidingWindow { window, slots }),
        2 => (window.clone(), 0u64..60, 0u64..6).prop_map(|(period, phase, margin)| Algorithm::FixedWindow {
            boundaries: Boundaries::Every { period, phase },
            margin,
        }),
        1 => (prop::collection::btree_set(1u64..300, 1..5), 0u64..4).prop_map(|(at, margin)| Algorithm::FixedWindow {
            boundaries: Boundaries::At(at.into_iter().collect()),
            margin,
        }),
        3 => Just(Algorithm::Concurrency),
        1 => (1u64..10).prop_map(|burst| Algorithm::TokenBucket { window: 172_800_000, burst }),
    ]
}

fn member() -> impl Strategy<Value = Member> {
    let lanes = prop_oneof![
        6 => Just(Lanes::All),
        1 => Just(Lanes::Only(vec!["x".into()])),
        1 => Just(Lanes::Only(vec!["x".into(), "y".into()])),
        1 => Just(Lanes::Except(vec!["x".into()])),
    ];
    (prop::sample::select(&RESOURCES[..]), lanes)
        .prop_map(|(resource, lanes)| Member { resource: resource.into(), lanes })
}

fn limit(id: usize) -> impl Strategy<Value = LimitSpec> {
    let members = prop::collection::vec(member(), 1..4);
    let transit = prop_oneof![4 => Just(0u64), 1 => 1u64..8];
    (algorithm(), prop::sample::select(&METRICS[..]), 1u64..20, any::<bool>(), 0u8..8, transit, members)
        .prop_map(move |(algorithm, metric, amount, settled, shadow, transit, mut members)| {
            members.sort_by(|one, other| one.resource.cmp(&other.resource));
            members.dedup_by(|one, other| one.resource == other.resource);
            let metric = if algorithm == Algorithm::Concurrency && id % 2 == 0 { METRICS[2] } else { metric };
            let mut spec = LimitSpec::new(&format!("l{id}"), metric, amount, algorithm).transit(transit);
            if settled && spec.algorithm != Algorithm::Concurrency {
                spec = spec.until_settled();
            }
            spec.shadow = shadow == 0;
            spec.members = members;
            spec
        })
}

fn resource(name: &'static str) -> impl Strategy<Value = ResourceSpec> {
    let lane = |name: &'static str| {
        (0i32..3, 1u32..4, prop::sample::select(vec![0u64, 10, 50])).prop_map(
            move |(priority, weight, head)| {
                LaneSpec::new(name).priority(priority).weight(weight).max_head_start(head)
            },
        )
    };
    let lanes = prop_oneof![
        2 => Just(Vec::new()),
        2 => (lane("x"), lane("y"), lane("*")).prop_map(|(x, y, z)| vec![x, y, z]),
        1 => (lane("x"), lane("y")).prop_map(|(x, y)| vec![x, y]),
    ];
    (lanes, prop::sample::select(vec![2u32, 4, 1_000_000])).prop_map(move |(lanes, most)| {
        let spec = ResourceSpec::new(name).line_max(most);
        lanes.into_iter().fold(spec, ResourceSpec::lane)
    })
}

/// A configuration of all three resources.
pub(crate) fn whole() -> impl Strategy<Value = Configuration> {
    let limits = (limit(0), limit(1), limit(2), limit(3), limit(4), 1usize..6)
        .prop_map(|(a, b, c, d, e, count)| vec![a, b, c, d, e].into_iter().take(count).collect::<Vec<_>>());
    (limits, resource("a"), resource("b"), resource("c"))
        .prop_map(|(limits, a, b, c)| Configuration::new(limits, [a, b, c]))
}

/// A configuration of some of it.
fn part() -> impl Strategy<Value = Configuration> {
    let named = prop::array::uniform3(0u8..3);
    (whole(), named, 0u8..32).prop_map(|(mut whole, named, limits)| {
        for (name, what) in RESOURCES.iter().zip(named) {
            if what != 0 {
                whole.resources.retain(|resource| &*resource.name != *name);
            }
            if what == 2 && *name == "c" {
                whole.removed.push((*name).into());
                for limit in &mut whole.limits {
                    limit.members.retain(|member| &*member.resource != *name);
                }
            }
        }
        let mut bit = 0;
        whole.limits.retain(|limit| {
            bit += 1;
            limits & (1 << (bit - 1)) != 0 && !limit.members.is_empty()
        });
        whole
    })
}

pub(crate) fn acquire() -> impl Strategy<Value = Saying> {
    let demand = prop::array::uniform4(small());
    let head = prop_oneof![3 => Just(0u64), 1 => prop::sample::select(vec![5u64, 20, 1_000])];
    let within = prop_oneof![6 => Just(None), 1 => time().prop_map(Some)];
    (0u8..3, 0u8..3, 0u8..4, demand, head, within, 0u8..6).prop_map(
        |(session, resource, lane, demand, head, within, wait)| {
            let wait = wait > 0;
            Saying::Acquire { session, resource, lane, demand, head, within, wait }
        },
    )
}

pub(crate) fn settle() -> impl Strategy<Value = Saying> {
    (any::<u8>(), some_amounts()).prop_map(|(ticket, used)| Saying::Settle { ticket, used })
}

fn saying() -> impl Strategy<Value = Saying> {
    let lasting = prop::option::weighted(0.8, time());
    prop_oneof![
        30 => acquire(),
        12 => settle(),
        2 => any::<u8>().prop_map(|ticket| Saying::Again { ticket }),
        5 => any::<u8>().prop_map(|ticket| Saying::Cancel { ticket }),
        3 => any::<u8>().prop_map(|ticket| Saying::GiveBack { ticket }),
        4 => (any::<u8>(), some_amounts()).prop_map(|(ticket, reserve)| Saying::Amend { ticket, reserve }),
        2 => (0u8..3, 0u8..4, prop::array::uniform4(small()))
            .prop_map(|(resource, lane, used)| Saying::Record { resource, lane, used }),
        1 => (any::<u8>(), 0u8..3).prop_map(|(ticket, to)| Saying::Transfer { ticket, to }),
        3 => (0u8..3, prop::option::of(time())).prop_map(|(session, time_out)| Saying::Touch { session, time_out }),
        1 => (0u8..3).prop_map(|session| Saying::Close { session }),
        2 => (0u8..5, prop::option::of(small()), prop::option::of(small()))
            .prop_map(|(limit, remaining, amount)| Saying::Observe { limit, remaining, amount }),
        2 => (any::<u8>(), lasting, 0u8..4)
            .prop_map(|(on, lasting, refuse)| Saying::Pause { on, lasting, refuse: refuse == 0 }),
        1 => any::<u8>().prop_map(|on| Saying::Resume { on }),
        1 => (0u8..3, 0u8..4).prop_map(|(resource, lane)| Saying::Purge { resource, lane }),
        1 => prop_oneof![part(), whole()].prop_map(Saying::Configure),
    ]
}

fn one_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        10 => saying().prop_map(Move::Say),
        2 => time().prop_map(Move::Pass),
        2 => Just(Move::Wake),
        1 => prop::collection::vec(saying(), 2..6).prop_map(Move::Batch),
        1 => prop_oneof![9 => 1u64..40, 1 => Just(10_000u64)].prop_map(Move::Back),
    ]
}

/// A world with everything in it.
pub(crate) fn world(moves: usize) -> impl Strategy<Value = World> {
    (whole(), prop::collection::vec(one_move(), 1..moves))
        .prop_map(|(configuration, moves)| World { configuration, moves })
}

/// How many cases of `moves` each make up the steps asked for.
pub(crate) fn cases(moves: usize, default_steps: usize) -> u32 {
    let steps = std::env::var("PACELINE_EXAM_STEPS").ok().and_then(|steps| steps.parse().ok());
    u32::try_from((steps.unwrap_or(default_steps) * 2 / moves).max(1)).unwrap_or(u32::MAX)
}
