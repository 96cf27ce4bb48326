//! Strategies for worlds: few resources, few lanes, small amounts, short windows.

use paceline_core::{
    Algorithm, Boundaries, Configuration, LaneSpec, Lanes, LimitSpec, Member, Millis, ResourceSpec,
};
use proptest::prelude::*;

use super::{METRICS, Move, RESOURCES, Saying, World};

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
            let metric =
                if algorithm == Algorithm::Concurrency && id.is_multiple_of(2) { METRICS[2] } else { metric };
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
