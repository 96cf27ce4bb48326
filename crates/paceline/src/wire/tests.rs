//! Round trips of what is said on the wire.

use paceline_core::{
    Algorithm, Boundaries, Configuration, LaneSpec, Lanes, LimitSpec, NEVER, Refusal, ResourceSpec,
    SessionId, SpecError,
};

use super::*;

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().collect())
}

macro_rules! list {
    ($($value:expr),* $(,)?) => { list([$(Value::from($value)),*]) };
}

fn table(pairs: &[(&str, i64)]) -> Value {
    Value::Table(pairs.iter().map(|(name, amount)| ((*name).into(), (*amount).into())).collect())
}

fn raw(session: u128) -> Value {
    Value::Bytes(session.to_be_bytes().to_vec())
}

/// A batch of one command, read back as values.
fn sent(ask: Ask<'_>) -> Value {
    let mut bytes = Vec::new();
    write_ask(&mut bytes, &ask);
    read_value(&bytes).unwrap()
}

/// What a reply with this outcome reads as.
fn answered(outcome: Value) -> Answer {
    let reply = list!["ok", "e", 7, 90_000, 1_000, false, list![], list![outcome], 2];
    read_reply(&write_value(&reply)).unwrap().outcomes.remove(0)
}

const FIGURES: Figures<'static> = &[("requests", 1), ("tokens", 1 << 49)];

#[test]
fn a_batch_has_its_header_and_its_commands() {
    let header = Header {
        session: Some(SessionId(5)),
        n: 3,
        seen: 2,
        epoch: "e",
        seq: 9,
        promised: 1_700_000_000_000,
        time_out: 10_000,
        inbox: "paceline:{x}:to:00",
        run_id: "r",
        fresh: "f00",
        on_lost: "elapsed",
        ..Header::default()
    };
    let batch = write_batch(&header, &[Ask::View, Ask::Cancel { session: None, number: 4 }]);
    let expected = list![
        1,
        raw(5),
        3,
        2,
        "e",
        9,
        1_700_000_000_000,
        10_000,
        "paceline:{x}:to:00",
        false,
        "r",
        "f00",
        "elapsed",
        false,
        list![list!["view"], list!["cancel", false, 4]]
    ];
    assert_eq!(read_value(&batch).unwrap(), expected);
    let many = vec![Ask::View; 200];
    let Value::List(parts) = read_value(&write_batch(&header, &many)).unwrap() else { panic!() };
    assert!(matches!(parts.last(), Some(Value::List(commands)) if commands.len() == COMMANDS));
}

#[test]
fn commands_are_said_as_the_contract_says() {
    let amounts = || table(&[("requests", 1), ("tokens", 1 << 49)]);
    let acquire = Ask::Acquire {
        session: None,
        number: 1,
        resource: "gpt",
        lane: Some("batch"),
        amounts: FIGURES,
        within: NEVER,
        head_start: 5,
        wait: true,
        why: false,
    };
    let expected = list!["acquire", false, 1, "gpt", "batch", amounts(), false, 5, true, false];
    assert_eq!(sent(acquire), expected);
    let session = Some(SessionId(1));
    let settle = |usage| sent(Ask::Settle { session, number: 2, usage });
    assert_eq!(settle(None), list!["settle", raw(1), 2, false]);
    assert_eq!(settle(Some(FIGURES)), list!["settle", raw(1), 2, amounts()]);
    assert_eq!(settle(Some(&[])), list!["settle", raw(1), 2, table(&[])]);
    assert_eq!(sent(Ask::Amend { session, number: 2, amounts: &[] }), list!["amend", raw(1), 2, table(&[])]);
    let record = Ask::Record { resource: "gpt", lane: None, amounts: FIGURES };
    assert_eq!(sent(record), list!["record", "gpt", false, amounts()]);
    let touch = Ask::Touch { session: SessionId(2), time_out: None, inbox: None };
    assert_eq!(sent(touch), list!["touch", raw(2), false]);
    assert_eq!(sent(Ask::Close { session: None }), list!["close", false]);
    let transfer = Ask::Transfer { session: None, number: 3, to: SessionId(4), time_out: Some(5) };
    assert_eq!(sent(transfer), list!["transfer", false, 3, raw(4), 5]);
    let observe = Ask::Observe { limit: "rpm", remaining: Some(1), amount: None };
    assert_eq!(sent(observe), list!["observe", "rpm", 1, false]);
    let pause = Ask::Pause { on: On::Limit("rpm"), lasting: None, refuse: true };
    assert_eq!(sent(pause), list!["pause", "limit", "rpm", false, true]);
    assert_eq!(sent(Ask::Resume { on: On::Resource("gpt") }), list!["resume", "resource", "gpt"]);
    assert_eq!(sent(Ask::Purge { resource: "gpt", lane: None }), list!["purge", "gpt", false]);
    let restore =
        Ask::Restore { number: 1, resource: "gpt", lane: None, reserved: FIGURES, extra: &[], age: 9 };
    assert_eq!(sent(restore), list!["restore", 1, "gpt", false, amounts(), table(&[]), 9]);
    let permits = Ask::Permits { session: None, number: 0, most: 10 };
    assert_eq!(sent(permits), list!["permits", false, 0, 10]);
    assert_eq!(sent(Ask::Recovered), list!["recovered"]);
    assert_eq!(sent(Ask::Status), list!["status"]);
    assert_eq!(sent(Ask::Dump), list!["dump"]);
}

#[test]
fn a_configuration_is_said_with_all_that_counts() {
    let fixed = Algorithm::FixedWindow { boundaries: Boundaries::At(vec![1, 2]), margin: 3 };
    let limits = [
        LimitSpec::new("tpm", "tokens", 9, Algorithm::TokenBucket { window: 60, burst: 7 })
            .member_lanes("gpt", Lanes::Except(vec!["batch".into()])),
        LimitSpec::new("rpd", "requests", 5, fixed).member("gpt").until_settled().shadow().transit(4),
    ];
    let resources = [ResourceSpec::new("gpt").lane(LaneSpec::new("batch").priority(-1))];
    let digests = [("gpt".into(), "d".to_owned())];
    let sent = sent(Ask::Configure {
        limits: &limits,
        resources: &resources,
        removed: &["old".into()],
        revision: Some(3),
        digests: &digests,
    });
    let pairs = |pairs: &[(&str, Value)]| {
        Value::Table(pairs.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    };
    let tpm = pairs(&[
        ("id", "tpm".into()),
        ("metric", "tokens".into()),
        ("amount", 9.into()),
        ("algorithm", "token_bucket".into()),
        ("window", 60.into()),
        ("burst", 7.into()),
        ("until_settled", false.into()),
        ("shadow", false.into()),
        ("transit", 0.into()),
        ("members", list![list!["gpt", "except", list!["batch"]]]),
    ]);
    let rpd = pairs(&[
        ("id", "rpd".into()),
        ("metric", "requests".into()),
        ("amount", 5.into()),
        ("algorithm", "fixed_window".into()),
        ("margin", 3.into()),
        ("instants", list![1, 2]),
        ("until_settled", true.into()),
        ("shadow", true.into()),
        ("transit", 4.into()),
        ("members", list![list!["gpt", "all", list![]]]),
    ]);
    let gpt = pairs(&[
        ("name", "gpt".into()),
        ("line_max", 1_000_000.into()),
        ("lanes", list![list!["batch", -1, 1, 0]]),
    ]);
    let digests = pairs(&[("gpt", "d".into())]);
    assert_eq!(sent, list!["configure", list![tpm, rpd], list![gpt], list!["old"], 3, digests]);
}

#[test]
fn outcomes_are_read() {
    assert_eq!(answered("granted".into()), Answer::Granted);
    assert_eq!(answered(list!["queued", 12]), Answer::Queued { ahead: 12 });
    let none = || Answer::Settled { returned: vec![], charged: vec![] };
    assert_eq!(answered("settled".into()), none());
    assert_eq!(answered(list!["settled", list![], list![]]), none());
    let some = answered(list!["amended", table(&[("tokens", 3)]), list![]]);
    assert_eq!(some, Answer::Amended { returned: vec![("tokens".into(), 3)], charged: vec![] });
    for (word, answer) in [
        ("cancelled", Answer::Cancelled),
        ("done", Answer::Done),
        ("over", Answer::Over),
        ("expired", Answer::Expired),
        ("unknown", Answer::Unknown),
    ] {
        assert_eq!(answered(word.into()), answer);
    }
    let invalid = answered(list!["invalid", "too_large", "tpm", "burst", 9, 5]);
    let expected = SpecError::TooLarge { id: "tpm".into(), field: "burst", value: 9, most: 5 };
    assert_eq!(invalid, Answer::Invalid(expected));
    let invalid = answered(list!["invalid", "duplicate", "tpm"]);
    assert_eq!(invalid, Answer::Invalid(SpecError::Duplicate { id: "tpm".into() }));
    let configured = answered(list!["configured", true, list!["gpt"]]);
    assert_eq!(configured, Answer::Configured { applied: true, differs: vec!["gpt".into()] });
    assert_eq!(answered(list!["dumped", "x"]), Answer::Dumped("x".into()));
    assert_eq!(answered(list!["told", table(&[("seq", 1)])]), Answer::Told(table(&[("seq", 1)])));
}

#[test]
fn refusals_are_read_with_what_explains_them() {
    let infinite = || Value::Float(f64::INFINITY);
    let busy = |limit: Option<&str>, ready_in| Refusal::Busy { limit: limit.map(Into::into), ready_in };
    let refused = |values| match answered(values) {
        Answer::Refused(refusal, explained) => (refusal, explained),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(list!["refused", "busy", "rpm", infinite()]), (busy(Some("rpm"), NEVER), None));
    assert_eq!(refused(list!["refused", "purged"]), (Refusal::Purged, None));
    let binding = list!["rpm", 1, -2, 3, 4, 50];
    let told = list!["explained", false, 50, list![binding], 6, 70, false, raw(8), 9];
    let (refusal, explained) = refused(list!["refused", "busy", false, 50, told]);
    assert_eq!(refusal, busy(None, 50));
    let explained = explained.unwrap();
    let [binding] = &explained.limits[..] else { panic!() };
    assert_eq!(
        (binding.wanted, binding.left, binding.set_aside, binding.most, binding.ready_in),
        (1, -2, 3, 4, 50)
    );
    assert_eq!((explained.ahead, explained.head_waited, explained.paused_for), (6, Some(70), None));
    assert_eq!(explained.head.map(|head| (head.session.0, head.number)), Some((8, 9)));
    for values in [
        list!["refused", "impossible", "l", 3, 2],
        list!["refused", "too_late", "l", 9],
        list!["refused", "line_full", 3, 3],
        list!["refused", "paused", 5],
        list!["refused", "unknown_lane", "x"],
        list!["refused", "no_resource"],
    ] {
        assert!(refused(values).1.is_none());
    }
}

#[test]
fn views_and_permits_are_read() {
    let limit = list!["rpm", "requests", 5, 5, 60_000, 1, 0, 4, 9, false, false, 77];
    let lane = list!["batch", 2, table(&[("requests", 2)]), 30, 4];
    let resource = list!["gpt", list!["rpm"], 2, 1, false, list![lane]];
    let Answer::Viewed(view) = answered(list!["viewed", list![limit], list![resource]]) else { panic!() };
    assert_eq!((view.limits[0].left, view.limits[0].came_back), (4, 77));
    assert_eq!(view.resources[0].lanes[0].demand, [("requests".into(), 2)]);
    let permit = list![raw(1), 2, raw(3), "gpt", false, 40, table(&[("requests", 1)])];
    let Answer::Permitted(permits, more) = answered(list!["permitted", list![permit], true]) else {
        panic!()
    };
    assert!(more);
    assert_eq!((permits[0].id.number, permits[0].owner, permits[0].age), (2, SessionId(3), 40));
}

#[test]
fn replies_and_pushes_are_read() {
    let granted = list![4, "granted", 11, 250, 1_000];
    let refused = list![5, "refused", 12, "busy", false, 3];
    let outbox =
        list![granted, refused, list![6, "differs", "gpt"], list![7, "ended", 1], list![8, "news", 1]];
    let lost = list!["lost", "e2", 1, 2, 3, 0, outbox.clone(), Value::Table(vec![]), 3, -1];
    let reply = read_reply(&write_value(&lost)).unwrap();
    assert_eq!((reply.status, reply.due, reply.restored), (Status::Lost, Some(0), Some(-1)));
    let decided: Vec<_> = reply.outbox.iter().map(|entry| (entry.k, &entry.decided)).collect();
    assert_eq!(decided[0], (4, &Decided::Granted { number: 11, waited: 250, wall: 1_000 }));
    let refusal = Refusal::Busy { limit: None, ready_in: 3 };
    assert_eq!(decided[1], (5, &Decided::Refused { number: 12, refusal }));
    assert_eq!(decided[2], (6, &Decided::Differs { resource: "gpt".into() }));
    assert_eq!(decided[3], (7, &Decided::Ended { number: 1 }));
    assert_eq!(decided[4], (8, &Decided::Other));
    let push = read_push(&write_value(&list![raw(9), "e2", outbox, false])).unwrap();
    assert_eq!((push.session, push.outbox.len(), push.due), (SessionId(9), 5, None));
}

#[test]
fn what_is_cut_short_or_wrong_is_refused() {
    let reply = write_value(&list!["ok", "e", 7, 9, 1, false, list![], list![list!["queued", 2]], 2]);
    assert!(read_reply(&reply).is_ok());
    for length in 0..reply.len() {
        assert!(read_reply(&reply[..length]).is_err(), "{length}");
    }
    let huge = [0xdd, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(read_reply(&huge), Err(WireError::Short));
    assert!(read_push(&write_value(&list![1, 2])).is_err());
}

fn bucket(id: &str, resources: &[&str]) -> LimitSpec {
    let limit = LimitSpec::new(id, "tokens", 9, Algorithm::TokenBucket { window: 60, burst: 7 });
    resources.iter().fold(limit, |limit, resource| limit.member(resource))
}

#[test]
fn a_configuration_falls_into_what_shares_limits() {
    let limits = [bucket("ab", &["a", "b"]), bucket("c", &["c"]), bucket("bd", &["d", "b"])];
    let mut whole = Configuration::new(limits, ["a", "b", "c", "d", "e"].map(ResourceSpec::new));
    whole.removed.push("old".into());
    let names = |part: &Configuration| {
        let resources: String = part.resources.iter().map(|resource| &*resource.name).collect();
        let limits: Vec<_> = part.limits.iter().map(|limit| &*limit.id).collect();
        format!("{resources} {}", limits.join(","))
    };
    let parts: Vec<_> = components(&whole).iter().map(names).collect();
    assert_eq!(parts, [" ", "abd ab,bd", "c c", "e "]);
}

#[test]
fn a_digest_tells_content_and_nothing_else_and_stays_the_same_for_ever() {
    let resource = ResourceSpec::new("gpt");
    let of = |limits: &[LimitSpec]| digest(&resource, &Configuration::new(limits.to_vec(), []));
    let (one, two) = (bucket("one", &["gpt", "x"]), bucket("two", &["gpt"]));
    let swapped = bucket("one", &["x", "gpt"]);
    assert_eq!(of(&[one.clone(), two.clone()]), of(&[two.clone(), swapped]));
    assert_eq!(of(&[one.clone(), bucket("else", &["x"])]), of(std::slice::from_ref(&one)));
    assert_ne!(of(std::slice::from_ref(&one)), of(&[one, two]));
    assert_eq!(of(&[]), "5def55dccc994cd5d6181e998445a7cf");

    let daily = |from: u64| {
        let instants = (from..from + 730).map(|day| day * 86_400_000 + 18_000_000).collect();
        let fixed = Algorithm::FixedWindow { boundaries: Boundaries::At(instants), margin: 0 };
        of(&[LimitSpec::new("rpd", "requests", 5, fixed).member("gpt")])
    };
    assert_eq!(daily(20_000), daily(20_017), "wherever the list begins");
}

/// What a client writes is what a host reads.
#[test]
fn a_batch_is_read_as_it_was_written() {
    let amounts: Figures<'_> = &[("requests", 1), ("tokens", 400)];
    let header =
        Header { session: Some(SessionId(5)), n: 3, seen: 2, epoch: "1-a", time_out: 9, ..Header::default() };
    let acquire = Ask::Acquire {
        session: None,
        number: 7,
        resource: "m",
        lane: Some("x"),
        amounts,
        within: NEVER,
        head_start: 4,
        wait: true,
        why: true,
    };
    let touch = Ask::Touch { session: SessionId(9), time_out: Some(30), inbox: Some("there") };
    let bytes = write_batch(&header, &[acquire, touch, Ask::Close { session: None }, Ask::View]);
    let batch = read_batch(&bytes).unwrap();
    assert_eq!(batch.header, header);
    let amounts = amounts.to_vec();
    let (lane, within, head_start) = (Some("x"), NEVER, 4);
    let acquire = Asked::Acquire {
        session: None,
        number: 7,
        resource: "m",
        lane,
        amounts,
        within,
        head_start,
        wait: true,
        why: true,
    };
    let touch = Asked::Touch { session: SessionId(9), time_out: Some(30), inbox: Some("there") };
    assert_eq!(batch.commands, [acquire, touch, Asked::Close { session: None }, Asked::View]);
    assert!(batch.commands.last().is_some_and(Asked::is_look));
}

#[test]
fn a_batch_that_is_cut_or_too_long_is_refused() {
    let bytes = write_batch(&Header::default(), &[Ask::View, Ask::Status]);
    for end in 0..bytes.len() {
        assert!(read_batch(&bytes[..end]).is_err(), "{end}");
    }
    let trailing = [&bytes[..], &[0xc0]].concat();
    assert_eq!(read_batch(&trailing), Err(WireError::Expected("the end")));
    let many = vec![Ask::View; COMMANDS];
    let bytes = write_batch(&Header::default(), &many);
    assert_eq!(read_batch(&bytes).unwrap().commands.len(), COMMANDS);
    let mut more = bytes.clone();
    let at = bytes.len() - 6 * COMMANDS - 2;
    more[at + 1] += 1;
    assert_eq!(read_batch(&more), Err(WireError::Expected("at most 128 commands")));
    let nested = vec![0x91; 100_000];
    assert!(read_batch(&nested).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_reader_of_batches_panic(
        changes in proptest::collection::vec((proptest::prelude::any::<u16>(), proptest::prelude::any::<u8>()), 1..6),
        cut in proptest::prelude::any::<u16>(),
    ) {
        let spec = LimitSpec::new("l", "requests", 5, paceline_core::Algorithm::SlidingWindow { window: 9, slots: 3 });
        let (limits, resources) = ([spec.member("m")], [ResourceSpec::new("m")]);
        let (removed, digests) = (&[][..], [("m".into(), "d".to_owned())]);
        let configure =
            Ask::Configure { limits: &limits, resources: &resources, removed, revision: Some(1), digests: &digests };
        let amounts: Figures<'_> = &[("requests", 1)];
        let settle = Ask::Settle { session: Some(SessionId(3)), number: 1, usage: Some(amounts) };
        let mut bytes = write_batch(&Header::default(), &[configure, settle, Ask::Recovered]);
        for (at, to) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = to;
        }
        if cut % 4 == 0 {
            bytes.truncate(usize::from(cut) % bytes.len());
        }
        let _ = read_batch(&bytes);
    }
}
