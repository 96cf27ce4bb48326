//! The ledger against the reference model: the same random story, the same answers, decisions, wake-ups and views.

mod exam;

use exam::generate::{cases, world};
use exam::{Teller, World, open};
use paceline_core::NEVER;
use paceline_sim::exam::{InMemory, Subject, model::Model, write_decision, write_duration};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const MOVES: usize = 60;

/// Tells both the story; the error is where they part, as a trace.
fn compare(world: &World) -> Result<(), String> {
    let (mut ledger, mut model) = (InMemory::new(), Model::new());
    let mut teller = Teller::new(world);
    for ((ask, one), (_, other)) in open(world, &mut ledger).into_iter().zip(open(world, &mut model)) {
        teller.note(&[ask], std::slice::from_ref(&other));
        if one != other {
            return Err(format!("{}\n# the ledger: {one:?}", teller.trace()));
        }
    }
    for one in &world.moves {
        let asks = teller.asks(one, model.next_wakeup());
        let now = teller.now;
        let (said, meant) = (ledger.batch(now, &asks), model.batch(now, &asks));
        teller.note(&asks, &meant);
        let part = |what: &str, said: String, meant: String| {
            Err(format!("{}\n# {what}\n# ledger: {said}\n#  model: {meant}", teller.trace()))
        };
        if said != meant {
            return part("answers", format!("{said:?}"), format!("{meant:?}"));
        }
        let tell = |decisions: Vec<_>| decisions.iter().map(write_decision).collect::<Vec<_>>();
        let (said, meant) = (tell(ledger.drain()), tell(model.drain()));
        teller.told.extend(meant.iter().map(|decision| format!("=> {decision}")));
        if said != meant {
            return Err(format!("{}\n# ledger: {said:?}\n#  model: {meant:?}", teller.trace()));
        }
        let (said, meant) = (ledger.next_wakeup(), model.next_wakeup());
        if said != meant && !(teller.timed && said < meant.or(Some(NEVER))) {
            let [said, meant] = [said, meant].map(|due| due.map_or("never".into(), write_duration));
            return Err(format!("{}\nexpect wakeup {meant}\n# ledger: {said}", teller.trace()));
        }
        let (said, meant) = (ledger.view(now), model.view(now));
        if said != meant {
            let limits = said.limits.iter().filter(|(name, facts)| meant.limits.get(*name) != Some(facts));
            let limits: Vec<_> = limits.map(|(name, facts)| (name, facts, meant.limits.get(name))).collect();
            let resources =
                said.resources.iter().filter(|(name, facts)| meant.resources.get(*name) != Some(facts));
            let resources: Vec<_> =
                resources.map(|(name, facts)| (name, facts, meant.resources.get(name))).collect();
            return Err(format!("{}\n# views, ledger then model: {limits:?} {resources:?}", teller.trace()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(MOVES, 20_000),
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn ledger_and_model_agree(world in world(MOVES)) {
        if let Err(error) = compare(&world) {
            return Err(TestCaseError::fail(error));
        }
    }
}
