//! The script and the host of sessions: the same batches, faults included, the same replies, pushes and state.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod exam;
mod twin;

use std::collections::BTreeMap;

use exam::generate::{cases, world};
use exam::{Move, Teller, World};
use paceline::wire::{self, Answer, Ask as Asked, Header, Reply, Status};
use paceline_core::{Algorithm, Boundaries, Configuration, Millis, SessionId};
use paceline_sim::exam::Ask;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use twin::client::Client;
use twin::sessions::{Hosted, Scripted, Sessions};
use twin::{Named, Server};

const MOVES: usize = 60;
const START: Millis = 1_800_000_000_000;
const TIME_OUT: Millis = 1_500;

/// What goes wrong with a batch, or with the store before it.
#[derive(Debug, Clone, Copy)]
enum Trick {
    Nothing,
    Unseen,
    Again,
    Stale,
    Ahead,
    LaterStep,
    OtherEpoch,
    OtherRun,
    Flush,
    Save,
    Restore,
    Nobody,
}

fn trick() -> impl Strategy<Value = Trick> {
    prop_oneof![
        30 => Just(Trick::Nothing),
        4 => Just(Trick::Unseen),
        4 => Just(Trick::Again),
        1 => Just(Trick::Stale),
        1 => Just(Trick::Ahead),
        1 => Just(Trick::LaterStep),
        1 => Just(Trick::OtherEpoch),
        1 => Just(Trick::OtherRun),
        1 => Just(Trick::Flush),
        2 => Just(Trick::Save),
        1 => Just(Trick::Restore),
        4 => Just(Trick::Nobody),
    ]
}

/// A client, and what it knows of its permits.
struct Peer {
    client: Client,
    lost: bool,
    asked: BTreeMap<u64, Ask>,
    held: Vec<u64>,
    last: Vec<u8>,
    last_at: Millis,
}

/// Both stores.
struct Pair {
    script: Scripted,
    host: Hosted,
}

impl Pair {
    fn both(&mut self, what: impl Fn(&mut dyn Sessions)) {
        what(&mut self.script);
        what(&mut self.host);
    }

    /// Sends a batch to both, and returns the reply where they agree.
    fn send(&mut self, batch: &[u8]) -> Result<Reply, String> {
        let mut meant = wire::read_reply(&self.script.eval(batch)).unwrap();
        let mut said = wire::read_reply(&self.host.eval(batch)).unwrap();
        // It is told for how long it is kept by limits that a script reads and a host has at hand.
        said.kept_until = meant.kept_until;
        for reply in [&mut meant, &mut said] {
            reply.outcomes.iter_mut().for_each(sort);
        }
        if meant != said {
            return Err(format!("script: {meant:?}\nhost:   {said:?}"));
        }
        let reply = meant;
        let [meant, said] = [self.script.pushed(), self.host.pushed()].map(|pushes| {
            let mut pushes: Vec<_> = pushes
                .into_iter()
                .map(|(channel, payload)| (channel, format!("{:?}", wire::read_push(&payload))))
                .collect();
            pushes.sort();
            pushes
        });
        if meant != said {
            return Err(format!("pushes of the script: {meant:?}\npushes of the host:   {said:?}"));
        }
        let [meant, said] = [twin::dump(&mut self.script), twin::dump(&mut self.host)];
        if meant != said {
            let only = |a: &str, b: &str| {
                let lines: Vec<&str> =
                    a.lines().filter(|line| !b.lines().any(|other| other == *line)).collect();
                lines.join("\n")
            };
            return Err(format!(
                "state of the script:\n{}\nstate of the host:\n{}",
                only(&meant, &said),
                only(&said, &meant)
            ));
        }
        Ok(reply)
    }
}

fn sort(answer: &mut Answer) {
    if let Answer::Settled { returned, charged } | Answer::Amended { returned, charged } = answer {
        returned.sort();
        charged.sort();
    }
}

/// The same configuration with times so many times as long.
fn slower(mut configuration: Configuration, scale: u64) -> Configuration {
    for limit in &mut configuration.limits {
        limit.transit *= scale;
        match &mut limit.algorithm {
            Algorithm::TokenBucket { window, .. } | Algorithm::SlidingWindow { window, .. } => {
                if *window < 1_000_000 {
                    *window *= scale;
                }
            }
            Algorithm::FixedWindow { boundaries, margin } => {
                *margin *= scale;
                match boundaries {
                    Boundaries::Every { period, phase } => {
                        (*period, *phase) = (*period * scale, *phase * scale);
                    }
                    Boundaries::At(instants) => {
                        for instant in instants.iter_mut() {
                            *instant = START + *instant * scale;
                        }
                    }
                }
            }
            Algorithm::Concurrency => {}
        }
    }
    configuration
}

struct Story {
    pair: Pair,
    peers: Vec<Peer>,
    configuration: Configuration,
    scale: u64,
    on_lost: &'static str,
    told: Vec<String>,
}

impl Story {
    fn new(world: &World, scale: u64, on_lost: &'static str) -> Self {
        let peers = (1..=3).map(|id| {
            let mut client = Client::new(id);
            client.on_lost = on_lost;
            client.time_out = TIME_OUT;
            Peer {
                client,
                lost: false,
                asked: BTreeMap::new(),
                held: Vec::new(),
                last: Vec::new(),
                last_at: 0,
            }
        });
        Self {
            pair: Pair { script: Scripted::new(), host: Hosted::new() },
            peers: peers.collect(),
            configuration: slower(world.configuration.clone(), scale),
            scale,
            on_lost,
            told: Vec::new(),
        }
    }

    /// What is asked of nobody's session.
    fn nobody(&mut self, now: Millis, asks: &[Asked<'_>]) -> Result<(), String> {
        let header = Header { fresh: "ff", on_lost: self.on_lost, now: Some(now), ..Header::default() };
        self.pair.send(&wire::write_batch(&header, asks)).map(drop)
    }

    fn turn(&mut self, at: usize, trick: Trick, now: Millis, asks: &[Ask]) -> Result<(), String> {
        let figures: Vec<Named<'_>> = asks.iter().map(twin::amounts).collect();
        let wired: Vec<Asked<'_>> =
            asks.iter().zip(&figures).map(|(ask, named)| twin::wired(ask, named)).collect();
        self.told.push(format!("{now} peer {at} {trick:?}: {wired:?}"));
        let Self { pair, peers, configuration, .. } = self;
        match trick {
            Trick::Nobody => return self.nobody(now, &wired),
            Trick::Flush => pair.both(|store| store.flush()),
            Trick::Save => pair.both(|store| store.save()),
            Trick::Restore => pair.both(|store| store.restore()),
            _ => {}
        }
        let Some(peer) = peers.get_mut(at) else { return Ok(()) };
        if matches!(trick, Trick::Again) && peer.last_at == now && !peer.last.is_empty() {
            return pair.send(&peer.last).map(drop);
        }
        let digests: Vec<_> = configuration
            .resources
            .iter()
            .map(|resource| (resource.name.clone(), wire::digest(resource, configuration)))
            .collect();
        let configure = Asked::Configure {
            limits: &configuration.limits,
            resources: &configuration.resources,
            removed: &[],
            revision: Some(0),
            digests: &digests,
        };
        let restated: Vec<(u64, &Ask, Named<'_>)> = peer
            .held
            .iter()
            .filter_map(|number| peer.asked.get_key_value(number))
            .map(|(number, ask)| (*number, ask, twin::amounts(ask)))
            .collect();
        let mut sent = Vec::new();
        if peer.client.n == 0 {
            sent.push(configure);
        }
        if peer.lost {
            for (number, ask, named) in &restated {
                let Ask::Acquire(want) = ask else { continue };
                let (resource, lane) = (&*want.resource, want.lane.as_deref());
                sent.push(Asked::Restore {
                    number: *number,
                    resource,
                    lane,
                    reserved: named,
                    extra: &[],
                    age: 3,
                });
                sent.push(Asked::Spent { resource, lane, amounts: named });
            }
            sent.push(Asked::Recovered);
        }
        sent.extend(wired);
        let mut client = peer.client.clone();
        client.n += 1;
        match trick {
            Trick::Unseen => client.seen = 0,
            Trick::Stale => client.n = client.n.saturating_sub(2).max(1),
            Trick::Ahead => client.n += 3,
            Trick::LaterStep => client.seq += 1_000,
            Trick::OtherEpoch => client.epoch = "9-zz".into(),
            Trick::OtherRun => client.run_id = format!("run{now}"),
            _ => {}
        }
        let batch = client.batch(now, &sent);
        let reply = pair.send(&batch)?;
        if reply.status == Status::Ok {
            peer.last_at = now;
        }
        peer.note(client.n, batch, &reply, asks);
        Ok(())
    }
}

impl Peer {
    fn note(&mut self, n: u64, batch: Vec<u8>, reply: &Reply, asks: &[Ask]) {
        let own = self.client.id;
        match reply.status {
            Status::Ok => {
                (self.client.n, self.last, self.lost) = (n, batch, false);
                self.client.heard(reply);
                self.held.extend(twin::account::granted(reply));
                // What was answered before has the outcomes of that time.
                let Some(first) = reply.outcomes.len().checked_sub(asks.len()) else { return };
                let answers = reply.outcomes.iter().skip(first);
                for (ask, answer) in asks.iter().zip(answers) {
                    match ask {
                        Ask::Acquire(want) if want.ticket.session == own => {
                            self.asked.insert(want.ticket.number, ask.clone());
                            if *answer == Answer::Granted {
                                self.held.push(want.ticket.number);
                            }
                        }
                        Ask::Settle { permit: ticket, .. } | Ask::Cancel { ticket }
                            if ticket.session == own =>
                        {
                            self.held.retain(|number| *number != ticket.number);
                        }
                        _ => {}
                    }
                }
            }
            Status::Lost => {
                self.client.begin_again(reply);
                self.lost = true;
            }
            Status::Expired => {
                let (id, on_lost) = (self.client.id, self.client.on_lost);
                self.client = Client { on_lost, time_out: TIME_OUT, ..Client::new(id.0) };
                (self.lost, self.held) = (false, Vec::new());
            }
            _ => {}
        }
    }
}

/// Who sends each batch, and what goes wrong with it.
type Turns = Vec<(usize, Trick)>;

fn story(world: &World, turns: &Turns, scale: u64, on_lost: &'static str) -> Result<(), String> {
    let mut story = Story::new(world, scale, on_lost);
    let mut teller = Teller::new(world);
    for (one, (at, trick)) in world.moves.iter().zip(turns) {
        // A clock that goes back is compared where nothing else is lost.
        if matches!(one, Move::Back(_)) {
            continue;
        }
        let due = if matches!(one, Move::Wake) { Some(20) } else { None };
        let mut asks = teller.asks(one, due);
        for ask in &mut asks {
            if let Ask::Configure(configuration) = ask {
                *configuration = slower(configuration.clone(), scale);
            }
        }
        asks.retain(
            |ask| !matches!(ask, Ask::Configure(configuration) if twin::rehearse(configuration).is_some()),
        );
        let now = START + teller.now * story.scale.min(100);
        let told = story.turn(*at, *trick, now, &asks);
        told.map_err(|error| {
            format!(
                "{}
# {error}",
                story.told.join(
                    "
"
                )
            )
        })?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(MOVES, 6_000),
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_script_and_the_host_agree(
        world in world(MOVES),
        turns in prop::collection::vec((0usize..3, trick()), MOVES),
        scale in prop::sample::select(vec![1u64, 1, 5_000]),
        on_lost in prop::sample::select(vec!["elapsed", "elapsed", "empty", "full"]),
    ) {
        if let Err(error) = story(&world, &turns, scale, on_lost) {
            return Err(TestCaseError::fail(error));
        }
    }
}

#[test]
fn what_nobody_asks_for_is_found_by_who_opened_it() {
    let mut host = Hosted::new();
    let mut client = twin::account::open(&mut host, 1, START);
    client.say(&mut host, START, &[twin::client::ask(1), twin::client::ask(2)]);
    let header = Header { fresh: "ff", on_lost: "elapsed", ..Header::default() };
    let opened = SessionId(77);
    let touch = Asked::Touch { session: opened, time_out: Some(30_000), inbox: Some("inbox7") };
    let Asked::Acquire { number, resource, lane, amounts, within, head_start, wait, why, .. } =
        twin::client::ask(1)
    else {
        panic!("an acquire")
    };
    let ask = Asked::Acquire {
        session: Some(opened),
        number,
        resource,
        lane,
        amounts,
        within,
        head_start,
        wait,
        why,
    };
    let batch = wire::write_batch(&Header { now: None, ..header }, &[touch, ask]);
    // A batch without a time is no exam, and a host that is told the time has it from its own clock.
    host.clock.jump_to(START);
    let reply = wire::read_reply(&host.eval(&batch)).unwrap();
    assert_eq!(reply.outcomes, [Answer::Done, Answer::Queued { ahead: 0 }]);
    host.pushed();
    client.say(&mut host, START + 1, &[twin::client::settle(1)]);
    let pushes = host.pushed();
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0].0, b"inbox7");
    assert_eq!(wire::read_push(&pushes[0].1).unwrap().session, opened);
}
