//! A host with a file: what outlives a crash, and what is said of a file that cannot be used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Algorithm, LimitSpec, Millis, Name, ResourceSpec, SessionId};

use super::{Host, HostError, HostOptions};
use crate::ManualClock;
use crate::link::LinkError;
use crate::wire::{self, Answer, Ask, Header, Reply, Status};

const START: Millis = 1_800_000_000_000;
const HOUR: Millis = 3_600_000;
const AMOUNT: u64 = 1_000;

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("paceline-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path, now: Millis) -> (Arc<Host>, ManualClock) {
    let clock = ManualClock::at(now);
    let options = HostOptions { clock: clock.clone().into(), ..HostOptions::default() };
    (Host::open(path, options).unwrap(), clock)
}

/// A session, and what it remembers.
#[derive(Default)]
struct Client {
    n: u64,
    number: u64,
    epoch: String,
    seq: u64,
    promised: u64,
}

impl Client {
    fn say(&mut self, host: &Host, asks: &[Ask<'_>]) -> Result<Reply, LinkError> {
        self.n += 1;
        let header = Header {
            session: Some(SessionId(7)),
            n: self.n,
            epoch: &self.epoch,
            seq: self.seq,
            promised: self.promised,
            time_out: 10_000,
            fresh: "0123456789abcdef",
            on_lost: "elapsed",
            ..Header::default()
        };
        let reply = wire::read_reply(&host.answer("l", &wire::write_batch(&header, asks))?).unwrap();
        (self.epoch, self.seq, self.promised) = (reply.epoch.clone(), reply.seq, reply.kept_until);
        Ok(reply)
    }

    fn configure(&mut self, host: &Host, algorithm: Algorithm) {
        let limits = [LimitSpec::new("l", "requests", AMOUNT, algorithm).member("m")];
        let (resources, digests) = ([ResourceSpec::new("m")], [(Name::from("m"), "d".to_owned())]);
        let (removed, revision, digests) = (&[][..], Some(3), &digests[..]);
        let ask = Ask::Configure { limits: &limits, resources: &resources, removed, revision, digests };
        let reply = self.say(host, &[ask]).unwrap();
        assert_eq!(reply.outcomes, [Answer::Configured { applied: true, differs: vec![] }]);
    }

    /// Asks for so many requests, and says whether they were granted.
    fn ask(&mut self, host: &Host, amount: u64) -> bool {
        self.number += 1;
        let (number, amounts) = (self.number, &[("requests", amount)][..]);
        let (within, head_start, wait, why) = (u64::MAX, 0, false, false);
        let ask = Ask::Acquire {
            session: None,
            number,
            resource: "m",
            lane: None,
            amounts,
            within,
            head_start,
            wait,
            why,
        };
        self.say(host, &[ask]).unwrap().outcomes == [Answer::Granted]
    }
}

fn left(host: &Host) -> i64 {
    let header = Header { fresh: "ff", on_lost: "elapsed", ..Header::default() };
    let reply = host.answer("l", &wire::write_batch(&header, &[Ask::View])).unwrap();
    match &wire::read_reply(&reply).unwrap().outcomes[..] {
        [Answer::Viewed(view)] => view.limits.first().map_or(i64::MIN, |limit| limit.left),
        other => panic!("{other:?}"),
    }
}

fn long() -> [Algorithm; 3] {
    let boundaries = paceline_core::Boundaries::Every { period: HOUR, phase: 0 };
    [
        Algorithm::TokenBucket { window: HOUR, burst: AMOUNT },
        Algorithm::SlidingWindow { window: HOUR, slots: 60 },
        Algorithm::FixedWindow { boundaries, margin: 0 },
    ]
}

#[test]
fn a_crash_at_any_instant_grants_nothing_twice_and_costs_a_step_at_most() {
    for (which, algorithm) in long().into_iter().enumerate() {
        let folder = Folder::new(&format!("crash{which}"));
        let (host, _) = open(&folder.file(), START);
        let mut client = Client::default();
        client.configure(&host, algorithm.clone());
        let mut granted = 0;
        for (round, amount) in [1, 7, 3, 40, 2, 2, 9, 1, 1, 30, 5].into_iter().cycle().take(60).enumerate() {
            granted += if client.ask(&host, amount) { i64::try_from(amount).unwrap() } else { 0 };
            // What is on the disk at this instant is what a crash would leave.
            let copy = folder.0.join(format!("copy{round}"));
            std::fs::copy(folder.file(), &copy).unwrap();
            let (again, _) = open(&copy, START);
            let lost = i64::try_from(AMOUNT).unwrap() - granted - left(&again);
            assert!((0..=20).contains(&lost), "{algorithm:?}: after {granted}, {lost} are lost");
        }
        assert!(granted > 400, "{granted}");
        drop(host);
    }
}

#[test]
fn marks_move_back_after_much_was_given_back_and_time_brings_them_forward() {
    let folder = Folder::new("back");
    let (host, clock) = open(&folder.file(), START);
    let mut client = Client::default();
    client.configure(&host, Algorithm::TokenBucket { window: HOUR, burst: AMOUNT });
    assert!(client.ask(&host, 600));
    clock.jump_to(START + 2_000);
    client.say(&host, &[Ask::Cancel { session: None, number: 1 }]).unwrap();
    clock.jump_to(START + 4_000);
    assert!(client.ask(&host, 1));
    host.close();
    drop(host);
    let (again, clock) = open(&folder.file(), START + 4_000);
    assert!(left(&again) >= i64::try_from(AMOUNT).unwrap() - 21, "{}", left(&again));
    clock.jump_to(START + 2 * HOUR);
    assert_eq!(left(&again), i64::try_from(AMOUNT).unwrap());
}

#[test]
fn configurations_pauses_and_epochs_outlive_a_restart() {
    let folder = Folder::new("kept");
    let (host, _) = open(&folder.file(), START);
    let mut client = Client::default();
    client.configure(&host, Algorithm::TokenBucket { window: HOUR, burst: AMOUNT });
    let pause = Ask::Pause { on: wire::On::Resource("m"), lasting: Some(60_000), refuse: true };
    client.say(&host, &[pause]).unwrap();
    assert!(matches!(Host::open(&folder.file(), HostOptions::default()), Err(HostError::Busy { .. })));
    drop(host);
    let (host, clock) = open(&folder.file(), START + 1_000);
    assert_eq!(host.ledgers(), [paceline_core::Name::from("l")]);
    let (seq, reply) = (client.seq, client.say(&host, &[]).unwrap());
    assert_eq!((reply.status, reply.restored), (Status::Lost, Some(i64::try_from(seq).unwrap())));
    assert!(reply.epoch.starts_with("2-"), "{}", reply.epoch);
    client.n = 0;
    assert_eq!(client.say(&host, &[Ask::Recovered]).unwrap().outcomes, [Answer::Done]);
    assert!(!client.ask(&host, 1), "still paused");
    // At its end the bucket restarts empty.
    clock.jump_to(START + 120_000);
    assert!(client.ask(&host, 1));
    client.configure_again_is_known(&host);
}

impl Client {
    fn configure_again_is_known(&mut self, host: &Host) {
        let digests = [(Name::from("m"), "other".to_owned())];
        let (limits, resources, removed) = (&[][..], &[ResourceSpec::new("m")][..], &[][..]);
        let ask = Ask::Configure { limits, resources, removed, revision: Some(2), digests: &digests };
        let reply = self.say(host, &[ask]).unwrap();
        assert_eq!(reply.outcomes, [Answer::Configured { applied: false, differs: vec!["m".into()] }]);
    }
}

#[test]
fn a_file_that_cannot_be_written_refuses_loudly_and_recovers() {
    let folder = Folder::new("full");
    let (host, _) = open(&folder.file(), START);
    let mut client = Client::default();
    client.configure(&host, Algorithm::TokenBucket { window: HOUR, burst: AMOUNT });
    host.break_file(true);
    client.number += 1;
    let (number, amounts) = (client.number, &[("requests", 100)][..]);
    let (within, head_start, wait, why) = (u64::MAX, 0, false, false);
    let ask = Ask::Acquire {
        session: None,
        number,
        resource: "m",
        lane: None,
        amounts,
        within,
        head_start,
        wait,
        why,
    };
    let refused = client.say(&host, &[ask]).unwrap_err();
    assert!(
        matches!(&refused, LinkError::Retry(reason) if reason.contains("cannot be written")),
        "{refused:?}"
    );
    host.break_file(false);
    client.n -= 1;
    let mut told = Err(refused);
    for _ in 0..600 {
        told = client.say(&host, &[ask]);
        if told.is_ok() {
            break;
        }
        client.n -= 1;
        host.await_writer(Duration::from_millis(50));
    }
    assert_eq!(told.unwrap().outcomes, [Answer::Granted], "the reply that was held back");
    drop(host);
    let (again, _) = open(&folder.file(), START);
    assert!((880..=900).contains(&left(&again)), "{}", left(&again));
}

#[test]
fn an_older_file_is_upgraded_and_a_newer_or_damaged_one_is_refused_with_what_to_do() {
    let folder = Folder::new("format");
    let (host, _) = open(&folder.file(), START);
    let mut client = Client::default();
    client.configure(&host, Algorithm::TokenBucket { window: HOUR, burst: AMOUNT });
    assert!(client.ask(&host, 500));
    drop(host);
    let whole = std::fs::read(folder.file()).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(folder.file(), bytes).unwrap();
        Host::open(&folder.file(), HostOptions::default()).map(drop).unwrap_err().to_string()
    };
    let mut changed = whole.clone();
    changed[8] = 9;
    let newer = refused(&changed);
    assert!(newer.contains("newer version") && newer.contains("name another file"), "{newer}");
    for at in [0, 13, 40, whole.len() / 2] {
        changed.clone_from(&whole);
        changed[at] ^= 0x10;
        let damaged = refused(&changed);
        assert!(
            damaged.contains("cannot be read from byte") && damaged.contains("move the"),
            "{at}: {damaged}"
        );
    }
    assert!(refused(b"hello").contains("from byte 0"));
    changed.clone_from(&whole);
    changed[8] = 0;
    std::fs::write(folder.file(), &changed).unwrap();
    let (host, _) = open(&folder.file(), START);
    assert!((480..=500).contains(&left(&host)), "{}", left(&host));
    drop(host);
    assert_eq!(std::fs::read(folder.file()).unwrap()[8], 1, "it is written as it is written today");
    // A crash in the midst of an append leaves the beginning of a group.
    std::fs::write(folder.file(), [&whole[..], &whole[12..60]].concat()).unwrap();
    drop(open(&folder.file(), START));
}
