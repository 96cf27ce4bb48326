//! The promises themselves, stated against the ledger alone under random stories.

mod exam;

use std::collections::BTreeMap;

use exam::generate::world;
use exam::story::{MOVES, check, config, tell, without};
use exam::{Move, Saying, World};
use paceline_core::{Algorithm, Configuration, LimitSpec, Millis, NEVER, ResourceSpec, SessionId, TicketId};
use paceline_sim::exam::{Answer, Ask, InMemory, Subject, Want, write_ticket};
use proptest::prelude::*;

/// Promise 2: an acquire takes its demand from every limit it draws on, or nothing from any.
fn all_or_nothing(world: &World) -> Result<InMemory, String> {
    let mut before: Option<(Millis, bool, BTreeMap<String, i64>)> = None;
    let specs = world.configuration.limits.clone();
    tell(world, |ledger, now, asks, answers, granted| {
        let left: BTreeMap<String, i64> =
            ledger.view(now).limits.into_iter().map(|(name, limit)| (name, limit.left)).collect();
        let quiet = ledger.next_wakeup() != Some(0);
        let last = before.replace((now, quiet, left.clone()));
        let (Some((then, true, was)), [Ask::Acquire(want)], [answer]) = (last, asks, answers) else {
            return Ok(());
        };
        if then != now || granted.len() > usize::from(*answer == Answer::Granted) {
            return Ok(());
        }
        for spec in &specs {
            let name = spec.id.to_string();
            let (Some(was), Some(left)) = (was.get(&name), left.get(&name)) else { continue };
            let mut members = spec.members.iter().filter(|member| *member.resource == *want.resource);
            let draws = members.any(|member| member.lanes.contain(want.lane.as_deref()));
            let wanted = if draws { want.demand.get(&*spec.metric).copied().unwrap_or(0) } else { 0 };
            let wanted = if *answer == Answer::Granted && !granted.is_empty() { wanted } else { 0 };
            if was - left != i64::try_from(wanted).unwrap_or(0) {
                return Err(format!("{name} went from {was} to {left}, not by {wanted}"));
            }
        }
        Ok(())
    })
}

/// Promise 3: within a lane, first come, first served.
fn in_line(world: &World) -> Result<InMemory, String> {
    let mut order: Vec<Want> = Vec::new();
    tell(world, |ledger, _, asks, answers, granted| {
        for (ask, answer) in asks.iter().zip(answers) {
            if let (Ask::Acquire(want), Answer::Queued(_) | Answer::Granted) = (ask, answer)
                && order.iter().all(|known| known.ticket != want.ticket)
            {
                order.push(want.clone());
            }
        }
        for ticket in granted {
            let Some(at) = order.iter().position(|want| want.ticket == *ticket) else { continue };
            let want = order.remove(at);
            let before = order.iter().take(at).find(|other| {
                other.resource == want.resource && other.lane == want.lane && waits(ledger, other.ticket)
            });
            if let Some(before) = before {
                return Err(format!("{} overtook {}", write_ticket(*ticket), write_ticket(before.ticket)));
            }
        }
        Ok(())
    })
}

/// Whether a ticket still waits: repeated, it is queued again.
fn waits(ledger: &InMemory, ticket: TicketId) -> bool {
    let mut copy = ledger.clone();
    let now = copy.now();
    matches!(copy.apply(now, Ask::Cancel { ticket }), Answer::Cancelled)
}

/// Promise 5, for a single lane: after a step nobody waits whom all limits cover.
fn nothing_idles(world: &World) -> Result<InMemory, String> {
    let mut order: Vec<Want> = Vec::new();
    let specs = world.configuration.limits.clone();
    tell(world, |ledger, now, asks, _, _| {
        order.extend(asks.iter().filter_map(|ask| match ask {
            Ask::Acquire(want) => Some(want.clone()),
            _ => None,
        }));
        order.retain(|want| waits(ledger, want.ticket));
        if ledger.next_wakeup() == Some(0) {
            return Ok(());
        }
        let view = ledger.view(now);
        let Some(head) = order.first() else { return Ok(()) };
        let paused = view.resources.get(&head.resource).is_none_or(|resource| resource.paused.is_some());
        let short = specs.iter().filter(|spec| !spec.shadow).any(|spec| {
            let mut members = spec.members.iter().filter(|member| *member.resource == *head.resource);
            let wanted = head.demand.get(&*spec.metric).copied().unwrap_or(0);
            let Some(limit) = view.limits.get(&*spec.id) else { return false };
            let short = limit.paused.is_some() || limit.left < i64::try_from(wanted).unwrap_or(0);
            wanted > 0 && short && members.any(|member| member.lanes.contain(head.lane.as_deref()))
        });
        if paused || short { Ok(()) } else { Err(format!("{} could go", write_ticket(head.ticket))) }
    })
}

fn changes_limits(saying: &Saying) -> bool {
    matches!(saying, Saying::Configure(_) | Saying::Again { .. })
}

/// All callers in one lane of one resource, without head starts.
fn one_lane(world: World) -> World {
    let mut world = without(world, |saying| changes_limits(saying) || matches!(saying, Saying::Purge { .. }));
    let plain = |saying: &mut Saying| {
        if let Saying::Acquire { resource, lane, head, .. } = saying {
            (*resource, *lane, *head) = (0, 0, 0);
        }
    };
    for one in &mut world.moves {
        match one {
            Move::Say(saying) => plain(saying),
            Move::Batch(sayings) => sayings.iter_mut().for_each(plain),
            _ => {}
        }
    }
    world
}

fn without_head_starts(mut world: World) -> World {
    for resource in &mut world.configuration.resources {
        resource.lanes.iter_mut().for_each(|lane| lane.max_head_start = 0);
    }
    without(world, changes_limits)
}

proptest! {
    #![proptest_config(config(6_000))]

    #[test]
    fn promise_02_all_or_nothing(world in world(MOVES)) {
        check(all_or_nothing(&without(world, changes_limits)))?;
    }

    #[test]
    fn promise_03_in_line(world in world(MOVES)) {
        check(in_line(&without_head_starts(world)))?;
    }

    #[test]
    fn promise_05_nothing_idles(world in world(MOVES)) {
        check(nothing_idles(&one_lane(world)))?;
    }
}

/// Promise 12: ten thousand tickets freed at once are granted in line, 64 a step.
#[test]
fn promise_12_ten_thousand_freed_at_once() {
    let mut ledger = InMemory::new();
    let slots = LimitSpec::new("calls", "slots", 10_000, Algorithm::Concurrency).member("a");
    ledger.apply(0, Ask::Configure(Configuration::new([slots], [ResourceSpec::new("a")])));
    ledger.apply(0, Ask::Touch { session: SessionId(1), time_out: None });
    let ticket = |number| TicketId { session: SessionId(1), number };
    let acquire = |number, slots| {
        let demand = [("slots".to_string(), slots)].into();
        let (ticket, resource) = (ticket(number), "a".to_string());
        Ask::Acquire(Want { ticket, resource, lane: None, demand, head_start: 0, within: NEVER, wait: true })
    };
    assert_eq!(ledger.apply(0, acquire(1, 10_000)), Answer::Granted);
    for number in 2..=10_001 {
        assert_eq!(ledger.apply(0, acquire(number, 1)), Answer::Queued(number - 2));
    }
    ledger.apply(0, Ask::Settle { permit: ticket(1), usage: None });
    let mut next = 2;
    for step in 1..=157 {
        let granted: Vec<u64> = ledger.drain().iter().map(|decision| decision.ticket.number).collect();
        let most = 64.min(10_002 - next);
        assert_eq!(granted, (next..next + most).collect::<Vec<_>>(), "step {step}");
        next += most;
        ledger.batch(0, &[]);
    }
    assert_eq!((next, ledger.next_wakeup()), (10_002, None));
}
