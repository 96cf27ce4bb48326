//! A small account that tests of the protocol share.

use paceline::wire::{Answer, Ask, Decided, Reply};
use paceline_core::{Algorithm, Boundaries, LimitSpec, Name, ResourceSpec};

use super::client::{Client, left, only};
use super::sessions::Sessions;

pub const MINUTE: u64 = 60_000;
pub const DAY: u64 = 86_400_000;
pub const START: u64 = 1_800_000_000_000;

/// Two slots, a hundred requests a minute, a thousand a day.
pub fn limits() -> Vec<LimitSpec> {
    let day = Algorithm::FixedWindow { boundaries: Boundaries::Every { period: DAY, phase: 0 }, margin: 0 };
    vec![
        LimitSpec::new("slots", "concurrent_requests", 2, Algorithm::Concurrency).member("m"),
        LimitSpec::new("rpm", "requests", 100, Algorithm::TokenBucket { window: MINUTE, burst: 100 })
            .member("m"),
        LimitSpec::new("rpd", "requests", 1_000, day).member("m"),
    ]
}

pub struct Config {
    pub limits: Vec<LimitSpec>,
    pub resources: Vec<ResourceSpec>,
    digests: Vec<(Name, String)>,
    revision: u64,
}

impl Config {
    pub fn new(limits: Vec<LimitSpec>, digest: &str, revision: u64) -> Self {
        Self {
            limits,
            resources: vec![ResourceSpec::new("m")],
            digests: vec![("m".into(), digest.into())],
            revision,
        }
    }

    pub fn ask(&self) -> Ask<'_> {
        Ask::Configure {
            limits: &self.limits,
            resources: &self.resources,
            removed: &[],
            revision: Some(self.revision),
            digests: &self.digests,
        }
    }
}

pub fn open(server: &mut dyn Sessions, id: u128, now: u64) -> Client {
    let mut client = Client::new(id);
    let reply = client.say(server, now, &[Config::new(limits(), "d1", 0).ask()]);
    assert_eq!(*only(&reply), Answer::Configured { applied: true, differs: vec![] });
    client
}

pub fn granted(reply: &Reply) -> Vec<u64> {
    let numbers = reply.outbox.iter().filter_map(|entry| match entry.decided {
        Decided::Granted { number, .. } => Some(number),
        _ => None,
    });
    numbers.collect()
}

pub fn left_of(server: &mut dyn Sessions, name: &str, now: u64) -> i64 {
    left(server, now).into_iter().find(|(limit, _)| &**limit == name).unwrap().1
}
