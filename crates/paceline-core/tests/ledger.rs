//! The ledger by itself: its canonical text, its bytes, its names, and what a configuration keeps.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use paceline_core::{
    Acquire, Algorithm, Amounts, Boundaries, Command, Configuration, DecodeError, LaneSpec, Lanes, Ledger,
    LimitSpec, Metric, Outcome, ResourceSpec, SessionId, Target, TicketId, Usage,
};

const S1: SessionId = SessionId(0x1);

fn bucket(window: u64, burst: u64) -> Algorithm {
    Algorithm::TokenBucket { window, burst }
}

fn open(limits: Vec<LimitSpec>, resources: Vec<ResourceSpec>) -> Ledger {
    let mut ledger = Ledger::new();
    configure(&mut ledger, 0, limits, resources);
    ledger.apply(0, Command::Touch { session: S1, time_out: None });
    ledger
}

fn configure(ledger: &mut Ledger, now: u64, limits: Vec<LimitSpec>, resources: Vec<ResourceSpec>) {
    let outcome = ledger.apply(now, Command::configure(Configuration::new(limits, resources)));
    assert_eq!(outcome, Outcome::Done);
}

fn ask(ledger: &mut Ledger, now: u64, number: u64, lane: Option<&str>, demand: Amounts) -> Outcome {
    let resource = ledger.resource("gpt").unwrap();
    let mut acquire = Acquire::new(TicketId { session: S1, number }, resource, demand);
    acquire.lane = lane.map(Into::into);
    ledger.apply(now, Command::Acquire(acquire))
}

fn tokens(amount: u64) -> Amounts {
    Amounts::of([(Metric::TOKENS, amount)])
}

/// A ledger with something of everything.
fn varied() -> Ledger {
    let slots = LimitSpec::new("slots", "concurrent_requests", 2, Algorithm::Concurrency).member("gpt");
    let tpm = LimitSpec::new("tpm", "tokens", 40, bucket(60_000, 90)).member("gpt");
    let rpm = LimitSpec::new("rpm", "requests", 60, Algorithm::SlidingWindow { window: 60_000, slots: 60 });
    let boundaries = Boundaries::Every { period: 86_400_000, phase: 0 };
    let tpd = LimitSpec::new("tpd", "tokens", 1_000, Algorithm::FixedWindow { boundaries, margin: 1_000 });
    let otpm = LimitSpec::new("otpm", "output_tokens", 50, bucket(60_000, 50)).until_settled();
    let usd = LimitSpec::new("usd", "usd_micros", 1_000, bucket(60_000, 1_000)).shadow();
    let batch = Lanes::Only(vec!["batch".into()]);
    let limits = vec![
        slots,
        tpm,
        rpm.member("gpt"),
        tpd.member("gpt").member("other"),
        otpm.member("gpt").transit(250),
        usd.member_lanes("gpt", batch),
    ];
    let lanes = ResourceSpec::new("gpt")
        .lane(LaneSpec::new("batch").weight(3).max_head_start(5_000))
        .lane(LaneSpec::new("live-*").priority(9));
    let mut ledger = open(limits, vec![lanes, ResourceSpec::new("other")]);
    let usd = ledger.metric("usd_micros").unwrap();
    let demand = Amounts::of([
        (Metric::REQUESTS, 1),
        (Metric::CONCURRENT_REQUESTS, 1),
        (Metric::TOKENS, 10),
        (Metric::OUTPUT_TOKENS, 5),
        (usd, 3),
    ]);
    for (number, lane) in [(1, Some("batch")), (2, None), (3, Some("live-a")), (4, Some("batch"))] {
        ask(&mut ledger, 1_234, number, lane, demand.clone());
    }
    let permit = TicketId { session: S1, number: 1 };
    ledger.apply(2_000, Command::Amend { permit, reserve: tokens(15) });
    ledger.apply(2_000, Command::Touch { session: SessionId(0xab), time_out: Some(10_000) });
    ledger.apply(2_000, Command::Transfer { permit, to: SessionId(0xab), time_out: None });
    let tpm = ledger.limit("tpm").unwrap();
    ledger.apply(2_500, Command::Pause { target: Target::Limit(tpm), lasting: Some(4_000), refuse: false });
    ledger.apply(2_500, Command::Observe { limit: tpm, remaining: Some(3), amount: Some(30) });
    ledger
}

#[test]
fn the_state_as_text() {
    let expected = "\
hold 1/1 gpt lane=batch owner=ab since=1234 concurrent_requests=1 output_tokens=5 requests=1 tokens=10 usd_micros=3 \
extra tokens=5 otpm@5:0:00 rpm@3:1000:00 slots@1:0:00 tpd@4:0:00 tpm@2:0:00 usd@6:0:00
hold 1/2 gpt lane=- owner=1 since=1234 concurrent_requests=1 output_tokens=5 requests=1 tokens=10 usd_micros=3 \
otpm@5:0:00 rpm@3:1000:00 slots@1:0:00 tpd@4:0:00 tpm@2:0:00
lane gpt - priority=0 weight=1 virtual=122167958640 waiting=0
lane gpt batch priority=0 weight=3 virtual=40722652880 waiting=1
lane gpt live-a priority=9 weight=1 virtual=0 waiting=1
ledger clock=2500 wall=2500 arrivals=4 generations=6 virtual=0
limit otpm generation=5 amount=50 most=49 held=10 back=0 pause=no empty_at=never/never observed=0 level=49 rest=0 \
fills=0
limit rpm generation=3 amount=60 most=60 held=0 back=0 pause=no empty_at=never/never observed=0 1000:2
limit slots generation=1 amount=2 most=2 held=0 back=0 pause=no empty_at=never/never observed=0 level=0 rest=0 fills=0
limit tpd generation=4 amount=1000 most=1000 held=0 back=0 pause=no empty_at=never/never observed=0 start=0 \
previous=0 current=25 next=0
limit tpm generation=2 amount=30 most=30 held=0 back=0 pause=4000 empty_at=6500/never observed=3602500 level=3 \
rest=50640 fills=0
limit usd generation=6 amount=1000 most=1000 held=0 back=3 pause=no empty_at=never/never observed=0 level=1000 rest=0 \
fills=1
resource gpt gone=false waiting=2 in_flight=2 pause=0
resource other gone=false waiting=0 in_flight=0 pause=0
session 1 highest=4 time_out=never expires=0 dead=false
session ab highest=0 time_out=10000 expires=12000 dead=false
ticket 1/3 gpt lane=live-a named=live-a rank=1234 arrival=3 since=1234 concurrent_requests=1 output_tokens=5 \
requests=1 tokens=10 usd_micros=3
ticket 1/4 gpt lane=batch named=batch rank=1234 arrival=4 since=1234 concurrent_requests=1 output_tokens=5 requests=1 \
tokens=10 usd_micros=3";
    assert_eq!(varied().dump(), expected);
}

#[test]
fn bytes_come_back_as_the_same_ledger() {
    let mut ledger = varied();
    let mut again = Ledger::decode(&ledger.encode()).unwrap();
    assert_eq!(again.dump(), ledger.dump());
    assert_eq!(again.encode(), ledger.encode());
    assert_eq!(again.snapshot(2_500), ledger.snapshot(2_500));
    assert_eq!(again.next_wakeup(), ledger.next_wakeup());
    for now in [9_000, 70_000, 3_700_000] {
        for permit in [1, 2] {
            let settle = Command::Settle {
                permit: TicketId { session: S1, number: permit },
                usage: Usage::Of(tokens(4)),
            };
            assert_eq!(again.apply(now, settle.clone()), ledger.apply(now, settle));
        }
        assert_eq!(again.drain().collect::<Vec<_>>(), ledger.drain().collect::<Vec<_>>());
        assert_eq!(again.dump(), ledger.dump());
    }
}

#[test]
fn any_changed_byte_is_noticed() {
    let bytes = varied().encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(Ledger::decode(&changed).is_err(), "byte {at}");
    }
    for length in 0..bytes.len() {
        assert!(Ledger::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    let mut later = bytes;
    later[4] = 2;
    assert_eq!(Ledger::decode(&later).unwrap_err(), DecodeError::Version { found: 2, known: 1 });
}

#[test]
fn metrics_have_names_of_their_own() {
    let mut ledger = Ledger::new();
    let names = ["usd_micros", "images", "searches", "characters", "pages"];
    let metrics: Vec<Metric> = names.iter().map(|name| ledger.metric(name).unwrap()).collect();
    for (name, metric) in names.iter().zip(&metrics) {
        assert_eq!(ledger.metric(name), Some(*metric));
        assert_eq!(ledger.metric_name(*metric), *name);
    }
    assert_eq!(ledger.metric("requests"), Some(Metric::REQUESTS));
    assert_eq!(ledger.metric_name(Metric::OUTPUT_TOKENS), "output_tokens");
    let amounts = Amounts::of(metrics.iter().zip(1..).map(|(metric, amount)| (*metric, amount)));
    assert_eq!(amounts.iter().count(), 5);
    assert_eq!(amounts.get(metrics[4]), Some(5));
    assert!(metrics.iter().all(|metric| Amounts::of([(*metric, 1)]).has_others()));
    assert!(!Amounts::of([(Metric::CONCURRENT_REQUESTS, 1)]).has_others());
    assert_ne!(amounts, amounts.clone().with(metrics[4], 6));
    let known = 5 + names.len();
    assert!((known..1_000).all(|at| ledger.metric(&format!("m{at}")).is_some()));
    assert_eq!(ledger.metric("one too many"), None);
}

#[test]
fn what_was_used_stays_unless_it_is_counted_otherwise() {
    let sliding = |window, slots| Algorithm::SlidingWindow { window, slots };
    let every =
        |period, phase| Algorithm::FixedWindow { boundaries: Boundaries::Every { period, phase }, margin: 0 };
    let at = |instants: &[u64]| Algorithm::FixedWindow {
        boundaries: Boundaries::At(instants.to_vec()),
        margin: 0,
    };
    let cases = [
        (bucket(60_000, 10), bucket(60_000, 8), true),
        (bucket(60_000, 10), bucket(50_000, 10), false),
        (sliding(60_000, 60), sliding(60_000, 30), false),
        (sliding(60_000, 60), sliding(30_000, 60), false),
        (sliding(60_000, 60), sliding(60_000, 60), true),
        (every(60_000, 0), every(60_000, 1), false),
        (every(60_000, 0), every(30_000, 0), false),
        (at(&[90_000]), at(&[90_000, 180_000]), true),
        (at(&[90_000]), every(90_000, 0), false),
        (Algorithm::Concurrency, Algorithm::Concurrency, true),
        (Algorithm::Concurrency, bucket(60_000, 10), false),
    ];
    for (before, after, kept) in cases {
        let limit =
            |algorithm: &Algorithm| LimitSpec::new("l", "tokens", 10, algorithm.clone()).member("gpt");
        let mut ledger = open(vec![limit(&before)], vec![ResourceSpec::new("gpt")]);
        assert_eq!(ask(&mut ledger, 0, 1, None, tokens(4)), Outcome::Granted);
        configure(&mut ledger, 0, vec![limit(&after)], vec![ResourceSpec::new("gpt")]);
        let generation = if kept { "generation=1 " } else { "generation=2 " };
        assert!(ledger.dump().contains(generation), "{before:?} to {after:?}: {}", ledger.dump());
        let used = ledger.snapshot(0).limits[0].used;
        assert_eq!(used, 4, "{before:?} to {after:?}");
    }
}

#[test]
fn idle_lanes_are_forgotten_beyond_256() {
    let limit = LimitSpec::new("tpm", "tokens", 1_000_000, bucket(60_000, 1_000_000)).member("gpt");
    let mut ledger = open(vec![limit], vec![ResourceSpec::new("gpt")]);
    for number in 1..=1_000 {
        let lane = format!("tenant-{number}");
        assert_eq!(ask(&mut ledger, 0, number, Some(&lane), tokens(number % 7 + 1)), Outcome::Granted);
        let lanes = ledger.snapshot(0).resources[0].lanes.len();
        assert_eq!(lanes as u64, number.min(256));
    }
}

#[test]
fn amounts_compare_by_what_they_name() {
    assert_eq!(Amounts::new(), Amounts::default());
    assert!(Amounts::new().is_empty());
    assert!(!tokens(0).is_empty());
    assert_ne!(tokens(0), Amounts::new());
    assert_ne!(tokens(1), tokens(2));
    assert_eq!(tokens(u64::MAX).amount(Metric::TOKENS), paceline_core::MAX_AMOUNT);
    assert_eq!(format!("{:?}", tokens(3)), "{1: 3}");
}

#[test]
fn lanes_that_have_left_the_line_make_room_for_others() {
    let slots = LimitSpec::new("slots", "concurrent_requests", 1, Algorithm::Concurrency).member("gpt");
    let mut ledger = open(vec![slots], vec![ResourceSpec::new("gpt")]);
    let one = || Amounts::of([(Metric::CONCURRENT_REQUESTS, 1)]);
    assert_eq!(ask(&mut ledger, 0, 1, None, one()), Outcome::Granted);
    for round in 0..4 {
        let numbers = (2 + round * 200)..(202 + round * 200);
        for number in numbers.clone() {
            let lane = format!("tenant-{number}");
            assert_eq!(
                ask(&mut ledger, 0, number, Some(&lane), one()),
                Outcome::Queued { ahead: 0 },
                "{lane}"
            );
        }
        for number in numbers {
            let ticket = TicketId { session: S1, number };
            assert_eq!(ledger.apply(0, Command::Cancel { ticket }), Outcome::Cancelled);
        }
    }
}
