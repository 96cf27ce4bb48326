//! Everything here that reads what others wrote: what fuzzers throw bytes at. Nothing may panic, hang or take more memory
//! than the bytes are worth, whatever they are.

use crate::PermitId;
use crate::config::Config;
use crate::host::{Host, HostOptions, fuzzing};
use crate::wire::{
    self, Ask, Header, Route, Sketch, read_batch, read_down, read_key, read_passing, read_push, read_reply,
    read_sketch, read_up, read_value, write_key, write_sketch,
};
use paceline_core::{Algorithm, Configuration, LimitSpec, Mark, ResourceSpec, SessionId};

/// What reads bytes, by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("batch", batch),
    ("reply", reply),
    ("push", push),
    ("frames", frames),
    ("route", route),
    ("permit_id", permit_id),
    ("state_file", state_file),
    ("sketch", sketch),
    ("configuration", configuration),
];

/// The time at which configurations are compiled, in milliseconds since the Unix epoch.
const NOW: u64 = 1_800_000_000_000;

/// Reads a batch of commands, and has a host carry it out twice.
pub fn batch(bytes: &[u8]) {
    let Ok(_) = read_batch(bytes) else { return };
    let host = Host::new(HostOptions::default());
    // What it answers is its own affair; that it is an answer is not.
    let configured = host.answer("l", &configured());
    assert!(configured.is_ok_and(|reply| read_reply(&reply).is_ok()), "a host answers");
    for _ in 0..2 {
        if let Ok(reply) = host.answer("l", bytes) {
            assert!(read_reply(&reply).is_ok(), "what a host answers can be read");
        }
    }
}

/// Reads a reply, and any value.
pub fn reply(bytes: &[u8]) {
    let _ = (read_reply(bytes), read_value(bytes));
}

/// Reads a push.
pub fn push(bytes: &[u8]) {
    let _ = read_push(bytes);
}

/// Reads frames of either side.
pub fn frames(bytes: &[u8]) {
    if let Ok(up) = read_up(bytes) {
        assert_eq!(read_up(&wire::write_up(&up)), Ok(up), "a frame is read as it was written");
    }
    let _ = read_down(bytes);
}

/// Reads the head of a batch that passes; whatever passes is read alike on both sides.
pub fn route(bytes: &[u8]) {
    let Ok(passing) = read_passing(bytes) else { return };
    let passed = passing.by(&Route { inbox: "here", sharded: false, run_id: "run" });
    assert_eq!(read_batch(bytes).is_ok(), read_batch(&passed).is_ok(), "a batch stays one on its way");
}

/// Reads the id of a permit.
pub fn permit_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<PermitId>() {
        assert_eq!(id.to_string().parse(), Ok(id), "an id is read as it was written");
    }
}

/// Reads the file of a host.
pub fn state_file(bytes: &[u8]) {
    fuzzing::read(bytes);
    // A checksum stands before what is in it.
    fuzzing::read(&fuzzing::framed(bytes));
}

/// Reads what the file of a host keeps: names, configurations and marks.
pub fn sketch(bytes: &[u8]) {
    let _ = (read_key(bytes), Mark::decode(bytes));
    if let Ok(sketch) = read_sketch(bytes) {
        fuzzing::read(&fuzzing::written(&[(write_key("outline", "l", ""), write_sketch(&sketch))]));
    }
}

/// Reads a configuration, and makes of it what ledgers know.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse("limits.yaml", text) {
        Ok(config) => drop(config.compile(NOW)),
        Err(error) => assert!(!error.to_string().is_empty(), "it says what is wrong"),
    }
}

/// Returns bytes that each target understands, for mutation.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "batch" | "route" => vec![configured(), asked()],
        "reply" => answers(),
        "frames" => vec![
            wire::write_up(&wire::Up::Hello { protocol: wire::PROTOCOL, library: "0.1.0", name: "a@b:1" }),
            wire::write_up(&wire::Up::Call { id: 7, ledger: "l", batch: &asked() }),
            wire::write_up(&wire::Up::Listen { id: 8, channel: "paceline:{l}:to:00ff" }),
            wire::write_down(&wire::Down::Reply { id: 7, reply: b"reply" }),
            wire::write_down(&wire::Down::Failed { id: 7, lasting: true, reason: "no" }),
            wire::write_down(&wire::Down::Push { channel: "c", payload: b"push" }),
        ],
        "permit_id" => vec![b"openai.7c9e6679f1b94c0fb0a55d5c1d2e3f40.1".to_vec(), b"a.b.c.00.1".to_vec()],
        "state_file" => vec![
            fuzzing::written(&[(write_key("outline", "l", ""), write_sketch(&plain()))]),
            fuzzing::content(&[(write_key("epoch", "l", ""), b"7".to_vec())]),
        ],
        "sketch" => vec![write_sketch(&plain()), write_key("outline", "l", "")],
        "configuration" => vec![
            b"openai:\n  gpt-4o:\n    requests_per_minute: 500\n    tokens_per_minute: 30_000\n    lanes:\n      a: {reserve: 10%}\n      \"t-*\": {weight: 2}\n".to_vec(),
            b"resources:\n  own:\n    limits:\n      - {metric: requests, amount: 100, window: 10s, algorithm: sliding_window, slots: 20}\n      - {metric: tokens, amount: 1M, window: day, zone: Asia/Tokyo}\n".to_vec(),
            br#"{"resources": {"a/b": {"requests_per_day": 10, "concurrent_requests": 3}}}"#.to_vec(),
        ],
        _ => vec![vec![0x93, 1, 0xa1, b'x', 0xc4, 2, 1, 2]],
    }
}

fn header() -> Header<'static> {
    Header {
        session: Some(SessionId(7)),
        n: 1,
        time_out: 10_000,
        inbox: "inbox",
        fresh: "00112233445566778899aabbccddeeff",
        on_lost: "elapsed",
        ..Header::default()
    }
}

fn plain() -> Sketch {
    let limits = [
        LimitSpec::new("t", "tokens", 1_000, Algorithm::TokenBucket { window: 60_000, burst: 1_000 }),
        LimitSpec::new("s", "requests", 100, Algorithm::SlidingWindow { window: 600_000, slots: 10 }),
        LimitSpec::new("c", "concurrent_requests", 2, Algorithm::Concurrency),
    ];
    let limits = limits.map(|limit| limit.member("m"));
    let configuration = Configuration::new(limits, [ResourceSpec::new("m")]);
    let in_force = vec![("m".into(), "digest".into(), 3, vec!["before".into()])];
    Sketch { configuration, in_force, pauses: vec![(false, "m".into(), Some(NOW + 5), true)] }
}

fn configured() -> Vec<u8> {
    let Configuration { limits, resources, removed } = &plain().configuration;
    let digests = &[("m".into(), "digest".to_owned())];
    let ask = Ask::Configure { limits, resources, removed, revision: Some(1), digests };
    wire::write_batch(&header(), &[ask])
}

/// A batch of one command of each kind.
fn asked() -> Vec<u8> {
    let amounts = &[("tokens", 10), ("requests", 1)][..];
    let (resource, lane, session, number) = ("m", Some("a"), None, 3);
    let asks = [
        Ask::Acquire {
            session,
            number,
            resource,
            lane,
            amounts,
            within: 9_000,
            head_start: 5,
            wait: true,
            why: true,
        },
        Ask::Settle { session, number, usage: Some(amounts) },
        Ask::Cancel { session: Some(SessionId(9)), number },
        Ask::Amend { session, number, amounts },
        Ask::Record { resource, lane, amounts },
        Ask::Touch { session: SessionId(9), time_out: Some(1_000), inbox: Some("i") },
        Ask::Transfer { session, number, to: SessionId(9), time_out: None },
        Ask::Observe { limit: "t", remaining: Some(5), amount: Some(900) },
        Ask::Pause { on: wire::On::Limit("t"), lasting: Some(10), refuse: false },
        Ask::Resume { on: wire::On::Resource("m") },
        Ask::Purge { resource, lane },
        Ask::Restore { number: 4, resource, lane, reserved: amounts, extra: &[], age: 7 },
        Ask::Spent { resource, lane, amounts },
        Ask::Recovered,
        Ask::Explain { resource, lane, amounts },
        Ask::View,
        Ask::Permits { session, number: 0, most: 5 },
        Ask::Status,
        Ask::Close { session },
    ];
    wire::write_batch(&header(), &asks)
}

/// What a host answers to the batches above.
fn answers() -> Vec<Vec<u8>> {
    let host = Host::new(HostOptions::default());
    [configured(), asked()].iter().filter_map(|batch| host.answer("l", batch).ok()).collect()
}
