//! The promises themselves, stated against the ledger alone under random stories.

mod exam;

use std::collections::BTreeMap;

use exam::{Move, Saying, Teller, World, cases, open, world};
use paceline_core::{
    Algorithm, Boundaries, Configuration, Counting, LaneSpec, Ledger, LimitSpec, Millis, NEVER, ResourceSpec,
    SessionId, TicketId, Verdict,
};
use paceline_sim::exam::{Answer, Ask, InMemory, Subject, Want, write_ticket};
use proptest::prelude::*;

const MOVES: usize = 60;

fn config(steps: usize) -> ProptestConfig {
    ProptestConfig {
        cases: cases(MOVES, steps),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..Default::default()
    }
}

/// Tells a story to a ledger and has `look` at every step: what was asked, the answers, and who was granted, the
/// asking ones first.
fn tell(
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

fn own(ask: &Ask, answer: &Answer) -> Option<TicketId> {
    match (ask, answer) {
        (Ask::Acquire(want), Answer::Granted) => Some(want.ticket),
        _ => None,
    }
}

fn check(told: Result<InMemory, String>) -> Result<(), TestCaseError> {
    told.map(drop).map_err(TestCaseError::fail)
}

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
    tell(world, |ledger, now, asks, _, _| {
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
        if settled(ask) && answer != Answer::Over {
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

/// The same story without some kinds of sayings.
fn without(mut world: World, unwanted: impl Fn(&Saying) -> bool) -> World {
    world.moves.retain(|one| !matches!(one, Move::Say(saying) if unwanted(saying)));
    for one in &mut world.moves {
        if let Move::Batch(sayings) = one {
            sayings.retain(|saying| !unwanted(saying));
        }
    }
    world
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

/// A call in a story of two lanes, of which `high` goes first.
#[derive(Debug, Clone)]
struct Call {
    at: Millis,
    high: bool,
    other: bool,
    demand: [u8; 3],
}

/// When a call was granted: at which time, in which step.
type Grants = BTreeMap<usize, (Millis, usize)>;

/// A store with two resources of two lanes, and what it granted.
struct Stage {
    ledger: InMemory,
    now: Millis,
    step: usize,
    granted: Grants,
}

impl Stage {
    fn new(limits: &[LimitSpec]) -> Self {
        let lanes = |name: &str| {
            let high = LaneSpec::new("high").priority(1);
            ResourceSpec::new(name).lane(high).lane(LaneSpec::new("low"))
        };
        let mut ledger = InMemory::new();
        let configuration = Configuration::new(limits.iter().cloned(), [lanes("a"), lanes("b")]);
        ledger.apply(0, Ask::Configure(configuration));
        ledger.apply(0, Ask::Touch { session: SessionId(1), time_out: None });
        Self { ledger, now: 0, step: 0, granted: Grants::new() }
    }

    fn note(&mut self) {
        self.step += 1;
        for decision in self.ledger.drain() {
            if matches!(decision.verdict, Verdict::Granted { .. }) {
                let number = usize::try_from(decision.ticket.number).unwrap_or(0);
                self.granted.insert(number, (self.now, self.step));
            }
        }
    }

    /// Lets time pass from wake-up to wake-up.
    fn pass(&mut self, until: Millis) {
        loop {
            let now = self.now;
            self.now = self.ledger.next_wakeup().map_or(until, |due| (now + due).min(until));
            self.ledger.batch(self.now, &[]);
            self.note();
            if self.now >= until {
                return;
            }
        }
    }

    fn acquire(&mut self, number: usize, call: &Call) {
        let demand =
            exam::METRICS.iter().zip(call.demand).map(|(metric, amount)| ((*metric).into(), amount.into()));
        let want = Want {
            ticket: TicketId { session: SessionId(1), number: number as u64 },
            resource: if call.other { "b" } else { "a" }.into(),
            lane: Some(if call.high { "high" } else { "low" }.into()),
            demand: demand.collect(),
            head_start: 0,
            within: NEVER,
            wait: true,
        };
        let answer = self.ledger.apply(self.now, Ask::Acquire(want));
        self.note();
        if answer == Answer::Granted {
            self.granted.insert(number, (self.now, self.step));
        }
    }
}

/// Tells when each call was granted and in which step each came, without those that are left out.
fn grants(limits: &[LimitSpec], calls: &[Call], left_out: &[usize]) -> (Grants, Vec<usize>) {
    let mut stage = Stage::new(limits);
    let mut came = Vec::new();
    for (number, call) in (1..).zip(calls) {
        stage.pass(call.at);
        if !left_out.contains(&number) {
            stage.acquire(number, call);
        }
        came.push(stage.step);
    }
    stage.pass(calls.last().map_or(0, |call| call.at) + 20_000);
    (stage.granted, came)
}

/// Promise 4, for the lane that goes first: had nobody of a later lane been granted anything while its head waited, it
/// would have gone no earlier.
fn no_head_delayed(limits: &[LimitSpec], calls: &[Call]) -> Result<(), String> {
    let (all, came) = grants(limits, calls, &[]);
    let numbered = || (1..).zip(calls);
    for ((number, head), came) in numbered().zip(&came).filter(|((_, call), _)| call.high) {
        let Some((went, step)) = all.get(&number).copied().filter(|(_, step)| step > came) else { continue };
        let before = numbered().take(number - 1).filter(|(_, other)| other.high && other.other == head.other);
        let since = before.filter_map(|(before, _)| Some(all.get(&before)?.1)).max().unwrap_or(0).max(*came);
        let rival = numbered().any(|(other, call)| {
            call.high && call.other != head.other && all.get(&other).is_none_or(|(_, step)| *step >= since)
        });
        if rival {
            continue;
        }
        let passed = |number: &usize| all.get(number).is_some_and(|(_, at)| (since..=step).contains(at));
        let behind: Vec<usize> =
            numbered().filter(|(_, call)| !call.high).map(|(number, _)| number).filter(passed).collect();
        let alone = grants(limits, calls, &behind).0.get(&number).map(|(time, _)| *time);
        if alone.is_some_and(|alone| alone < went) {
            return Err(format!("call {number} went at {went}, without {behind:?} it would at {alone:?}"));
        }
    }
    Ok(())
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (0u64..30, any::<bool>(), any::<bool>(), prop::array::uniform3(0u8..8));
    prop::collection::vec(call, 2..25).prop_map(|calls| {
        let mut at = 0;
        let told = calls.into_iter().map(|(gap, high, other, demand)| {
            at += gap;
            Call { at, high, other, demand }
        });
        told.collect()
    })
}

fn rate_limits() -> impl Strategy<Value = Vec<LimitSpec>> {
    let limits = exam::whole().prop_map(|whole| {
        let rates = whole.limits.into_iter().filter(|limit| limit.algorithm != Algorithm::Concurrency);
        let rates = rates.map(|mut limit| {
            limit.members.retain(|member| &*member.resource != "c");
            limit.members.iter_mut().for_each(|member| member.lanes = paceline_core::Lanes::All);
            limit.counting = Counting::AtGrant;
            limit
        });
        rates.filter(|limit| !limit.members.is_empty()).collect::<Vec<_>>()
    });
    limits.prop_filter("no limits", |limits| !limits.is_empty())
}

proptest! {
    #![proptest_config(config(30_000))]

    #[test]
    fn promise_04_no_head_is_delayed_from_behind(limits in rate_limits(), calls in calls()) {
        no_head_delayed(&limits, &calls).map_err(TestCaseError::fail)?;
    }
}
