//! The ledger against a twin: the same random story, the same answers, decisions, wake-ups, views, and the same state.

use paceline_core::NEVER;
use paceline_sim::exam::{InMemory, Subject, write_decision, write_duration};

use crate::exam::{Teller, World, open};

fn part(teller: &Teller, what: &str, meant: String, said: String) -> Result<(), String> {
    Err(format!("{}\n# {what}\n# ledger: {meant}\n#   twin: {said}", teller.trace()))
}

/// Tells both the story; the error is where they part, as a trace.
pub fn compare(world: &World, other: &mut dyn Subject) -> Result<(), String> {
    let mut ledger = InMemory::new();
    let mut teller = Teller::new(world);
    for ((ask, one), (_, other)) in open(world, &mut ledger).into_iter().zip(open(world, other)) {
        teller.note(&[ask], std::slice::from_ref(&one));
        if one != other {
            return Err(format!("{}\n# the twin: {other:?}", teller.trace()));
        }
    }
    for one in &world.moves {
        let asks = teller.asks(one, ledger.next_wakeup());
        let now = teller.now;
        let (meant, said) = (ledger.batch(now, &asks), other.batch(now, &asks));
        teller.note(&asks, &meant);
        if said != meant {
            return part(&teller, "answers", format!("{meant:?}"), format!("{said:?}"));
        }
        let tell = |decisions: Vec<_>| decisions.iter().map(write_decision).collect::<Vec<_>>().join("; ");
        let (meant, said) = (tell(ledger.drain()), tell(other.drain()));
        if said != meant {
            return part(&teller, "decisions", meant, said);
        }
        if !meant.is_empty() {
            teller.told.extend(meant.split("; ").map(|decision| format!("=> {decision}")));
        }
        let (meant, said) = (ledger.next_wakeup(), other.next_wakeup());
        if said != meant {
            let [meant, said] = [meant, said].map(|due| write_duration(due.unwrap_or(NEVER)));
            return part(&teller, "next wake-up", meant, said);
        }
        if ledger.view(now) != other.view(now) {
            return part(
                &teller,
                "views",
                format!("{:?}", ledger.view(now)),
                format!("{:?}", other.view(now)),
            );
        }
        let (meant, said) = (ledger.dump().unwrap_or_default(), other.dump().unwrap_or_default());
        if said != meant {
            let only = |a: &str, b: &str| {
                a.lines()
                    .filter(|line| !b.lines().any(|other| other == *line))
                    .collect::<Vec<_>>()
                    .join("\n# ")
            };
            return part(&teller, "state", only(&meant, &said), only(&said, &meant));
        }
    }
    Ok(())
}
