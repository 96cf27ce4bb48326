//! Nothing leaks, what is repeated is done once, and bytes lose nothing.

mod exam;

use exam::generate::world;
use exam::story::{MOVES, check, config, tell, without};
use exam::{Move, Saying, World};
use paceline_core::{Algorithm, Boundaries, Configuration, Ledger, SessionId};
use paceline_sim::exam::{Answer, Ask, InMemory, Subject};
use proptest::prelude::*;

/// Promises 7 to 9: once everything has ended and time has passed, everything is back.
fn no_leak(world: &World) -> Result<InMemory, String> {
    let mut now = 0;
    let mut ledger = tell(world, |_, at, _, _, _| {
        now = now.max(at);
        Ok(())
    })?;
    for session in 1..=3 {
        ledger.apply(now, Ask::Close { session: SessionId(session) });
    }
    for _ in 0..1_000 {
        if ledger.next_wakeup() != Some(0) {
            break;
        }
        ledger.batch(now, &[]);
    }
    now += 1_000_000_000_000;
    ledger.batch(now, &[]);
    for (name, limit) in ledger.view(now).limits {
        if limit.left != i64::try_from(limit.most).unwrap_or(0) || limit.held != 0 {
            return Err(format!("{name}: {limit:?}"));
        }
    }
    for (name, resource) in ledger.view(now).resources {
        if resource.waiting + resource.in_flight > 0 {
            return Err(format!("{name}: {resource:?}"));
        }
    }
    Ok(ledger)
}

/// Promise 7: what is said twice at one instant is done once.
fn twice_is_once(world: &World) -> Result<InMemory, String> {
    tell(world, |ledger, now, asks, answers, _| {
        let [ask] = asks else { return Ok(()) };
        let once_only =
            matches!(ask, Ask::Record { .. } | Ask::Configure(_) | Ask::Purge { .. } | Ask::Transfer { .. });
        if ledger.next_wakeup() == Some(0) || once_only {
            return Ok(());
        }
        let before = ledger.dump();
        let mut again = ledger.clone();
        let answer = again.apply(now, ask.clone());
        let settled = |ask: &Ask| matches!(ask, Ask::Settle { .. } | Ask::Cancel { .. });
        if settled(ask) && answers != [Answer::Over] && answer != Answer::Over {
            return Err(format!("again -> {answer:?}"));
        }
        if again.dump() == before || matches!(ask, Ask::Resume { .. } | Ask::Close { .. } | Ask::Amend { .. })
        {
            return Ok(());
        }
        Err(format!("before:\n{}\nafter:\n{}", before.unwrap_or_default(), again.dump().unwrap_or_default()))
    })
}

/// A ledger that went through its bytes is the same ledger, and goes on in the same way.
fn round_trip(world: &World) -> Result<InMemory, String> {
    let mut twin: Option<InMemory> = None;
    let mut step = 0;
    tell(world, |ledger, now, asks, answers, _| {
        step += 1;
        if let Some(twin) = &mut twin {
            let said = twin.batch(now, asks);
            if said != answers {
                return Err(format!("the twin answers {said:?}"));
            }
        }
        let bytes = ledger.ledger.encode();
        let decoded = Ledger::decode(&bytes).map_err(|error| format!("{error:?}"))?;
        if decoded.encode() != bytes {
            return Err("the bytes differ".into());
        }
        let mut copy = ledger.clone();
        copy.ledger = decoded;
        if copy.dump() != ledger.dump() || copy.next_wakeup() != ledger.next_wakeup() {
            return Err("the dumps differ".into());
        }
        if step % 7 == 1 {
            twin = Some(copy);
        }
        Ok(())
    })
}

/// Lists of boundaries end some day, and nothing comes back after that.
fn without_lists(mut world: World) -> World {
    let periodic = |configuration: &mut Configuration| {
        for limit in &mut configuration.limits {
            if let Algorithm::FixedWindow { boundaries, .. } = &mut limit.algorithm
                && matches!(boundaries, Boundaries::At(_))
            {
                *boundaries = Boundaries::Every { period: 50, phase: 0 };
            }
        }
    };
    periodic(&mut world.configuration);
    for one in &mut world.moves {
        match one {
            Move::Say(Saying::Configure(configuration)) => periodic(configuration),
            Move::Batch(sayings) => sayings.iter_mut().for_each(|saying| {
                if let Saying::Configure(configuration) = saying {
                    periodic(configuration);
                }
            }),
            _ => {}
        }
    }
    world
}

proptest! {
    #![proptest_config(config(6_000))]

    #[test]
    fn promises_07_to_09_nothing_leaks(world in world(MOVES)) {
        let pauses = |saying: &Saying| matches!(saying, Saying::Pause { lasting: None, .. });
        check(no_leak(&without(without_lists(world), pauses)))?;
    }

    #[test]
    fn promise_07_twice_is_once(world in world(MOVES)) {
        check(twice_is_once(&world))?;
    }

    #[test]
    fn bytes_and_back(world in world(MOVES)) {
        check(round_trip(&world))?;
    }
}
