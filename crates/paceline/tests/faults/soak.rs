//! Faults at random, one after another, for as long as is wanted.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use paceline_testkit::{Fault, FaultProxy, Redis, RedisServer, pause};

use crate::crew::Crew;
use crate::plan::{Plan, measured, now};

/// Numbers at random that a seed repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        let at = self.below(choices.len().try_into().unwrap());
        choices[usize::try_from(at).unwrap()].clone()
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Does one thing, and says what.
fn fail(
    dice: &mut Dice,
    crew: &mut Crew,
    server: &mut RedisServer,
    ways: &[FaultProxy],
    long: bool,
) -> String {
    let way = &ways[usize::try_from(dice.below(3)).unwrap()];
    let lasting = Duration::from_millis(20 + dice.below(300));
    let at = dice.of(&crew.alive());
    match dice.below(if long { 11 } else { 10 }) {
        0 => {
            crew.kill(at);
            let joined = crew.join(&way.url());
            crew.tell(joined, LOAD);
            "a worker is killed, another joins".to_owned()
        }
        1 => {
            crew.freeze(at);
            pause(Duration::from_millis(dice.of(&[300, 2_000])));
            crew.thaw(at);
            "a worker is stopped".to_owned()
        }
        2 => {
            server.kill();
            pause(lasting);
            server.start_again();
            "the server is killed".to_owned()
        }
        3 => {
            server.cli(&["SCRIPT", "FLUSH"]);
            "scripts are flushed".to_owned()
        }
        4 => {
            server.cli(&["CLIENT", "KILL", "TYPE", dice.of(&["normal", "pubsub"]), "SKIPME", "yes"]);
            "clients are dropped".to_owned()
        }
        5 => {
            server.cli(&["DEBUG", "SLEEP", dice.of(&["0.2", "1.5"])]);
            "the server sleeps".to_owned()
        }
        6 if long => {
            // For 10 s slots are taken after that, which is too long for a short run.
            server.cli(&["FLUSHALL"]);
            "all state is lost".to_owned()
        }
        _ => {
            let cut = usize::try_from(dice.below(200)).unwrap();
            let delay = Fault::Delay(Duration::from_millis(30));
            let faults =
                [Fault::DropRequests, Fault::DropReplies, Fault::Reset, Fault::CutReplyAfter(cut), delay];
            let fault = dice.of(&faults);
            way.set(fault);
            pause(lasting);
            way.set(Fault::None);
            format!("{fault:?} for {lasting:?}")
        }
    }
}

const LOAD: &str = "load 3 5 2";

#[test]
fn random_faults() {
    let seed = setting("PACELINE_SOAK_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) | 1);
    let length = setting("PACELINE_SOAK_S").unwrap_or(10) * 1_000;
    eprintln!("PACELINE_SOAK_SEED={seed}");
    let mut dice = Dice(seed);
    let mut server = Redis::default().append_only().start();
    let ways: Vec<_> = (0..3).map(|_| FaultProxy::to(server.port())).collect();
    let plan = Plan::slots(server.url(), 4).tokens(400, 1_000);
    let mut crew = Crew::by(&plan, &ways.iter().map(FaultProxy::url).collect::<Vec<_>>());
    crew.tell_all(LOAD);
    let (began, mut faults) = (now(), 0_u64);
    while now() - began < length {
        let what = fail(&mut dice, &mut crew, &mut server, &ways, length > 60_000);
        eprintln!("{:>6} ms: {what}", now() - began);
        crew.goes_on(2);
        faults += 1;
    }
    let story = crew.finish();
    measured(
        &format!("{faults} faults, {} grants, the longest gap", story.grants.len()),
        story.longest_gap(),
    );
}
