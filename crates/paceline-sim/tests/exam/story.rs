//! Stories told to a ledger, step by step.

use paceline_core::{Millis, TicketId, Verdict};
use paceline_sim::exam::{Answer, Ask, InMemory, Subject};
use proptest::prelude::*;

use super::generate::cases;
use super::{Move, Saying, Teller, World, open};

pub const MOVES: usize = 60;

pub fn config(steps: usize) -> ProptestConfig {
    ProptestConfig {
        cases: cases(MOVES, steps),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..Default::default()
    }
}

/// Tells a story to a ledger and has `look` at every step: what was asked, the answers, and who was granted, the
/// asking ones first.
pub fn tell(
    world: &World,
    mut look: impl FnMut(&mut InMemory, Millis, &[Ask], &[Answer], &[TicketId]) -> Result<(), String>,
) -> Result<InMemory, String> {
    let mut ledger = InMemory::new();
    let mut teller = Teller::new(world);
    for (ask, answer) in open(world, &mut ledger) {
        teller.note(&[ask], &[answer]);
    }
    for one in &world.moves {
        let asks = teller.asks(one, ledger.next_wakeup());
        let answers = ledger.batch(teller.now, &asks);
        teller.note(&asks, &answers);
        let mut granted: Vec<TicketId> =
            asks.iter().zip(&answers).filter_map(|(ask, answer)| own(ask, answer)).collect();
        for decision in ledger.drain() {
            if matches!(decision.verdict, Verdict::Granted { .. }) {
                granted.push(decision.ticket);
            }
        }
        look(&mut ledger, teller.now, &asks, &answers, &granted)
            .map_err(|error| format!("{}\n# {error}", teller.trace()))?;
    }
    Ok(ledger)
}

pub fn own(ask: &Ask, answer: &Answer) -> Option<TicketId> {
    match (ask, answer) {
        (Ask::Acquire(want), Answer::Granted) => Some(want.ticket),
        _ => None,
    }
}

pub fn check(told: Result<InMemory, String>) -> Result<(), TestCaseError> {
    told.map(drop).map_err(TestCaseError::fail)
}

/// The same story without some kinds of sayings.
pub fn without(mut world: World, unwanted: impl Fn(&Saying) -> bool) -> World {
    world.moves.retain(|one| !matches!(one, Move::Say(saying) if unwanted(saying)));
    for one in &mut world.moves {
        if let Move::Batch(sayings) = one {
            sayings.retain(|saying| !unwanted(saying));
        }
    }
    world
}
