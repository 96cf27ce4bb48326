//! A client of the session protocol that does what it is told, mistakes included.

use paceline::wire::{self, Answer, Ask, Header, Push, Reply, Status};
use paceline_core::{Name, SessionId};

use super::sessions::Sessions;

/// A session, and what it remembers.
#[derive(Clone)]
pub struct Client {
    pub id: SessionId,
    pub n: u64,
    pub seen: u64,
    pub epoch: String,
    pub seq: u64,
    pub promised: u64,
    pub run_id: String,
    pub on_lost: &'static str,
    pub time_out: u64,
    pub inbox: String,
}

pub const TIME_OUT: u64 = 10_000;

impl Client {
    pub fn new(id: u128) -> Self {
        Self {
            id: SessionId(id),
            n: 0,
            seen: 0,
            epoch: String::new(),
            seq: 0,
            promised: 0,
            run_id: "run".into(),
            on_lost: "elapsed",
            time_out: TIME_OUT,
            inbox: format!("inbox{id}"),
        }
    }

    pub fn batch(&self, now: u64, asks: &[Ask<'_>]) -> Vec<u8> {
        let header = Header {
            session: Some(self.id),
            n: self.n,
            seen: self.seen,
            epoch: &self.epoch,
            seq: self.seq,
            promised: self.promised,
            time_out: self.time_out,
            inbox: &self.inbox,
            sharded: false,
            run_id: &self.run_id,
            fresh: "00112233445566778899aabbccddeeff",
            on_lost: self.on_lost,
            now: Some(now),
        };
        wire::write_batch(&header, asks)
    }

    /// Sends the next batch and remembers the answer, if it is one.
    pub fn say(&mut self, server: &mut dyn Sessions, now: u64, asks: &[Ask<'_>]) -> Reply {
        self.n += 1;
        let reply = wire::read_reply(&server.eval(&self.batch(now, asks))).unwrap();
        if reply.status == Status::Ok {
            self.heard(&reply);
        }
        reply
    }

    pub fn heard(&mut self, reply: &Reply) {
        (self.epoch, self.seq, self.promised) = (reply.epoch.clone(), reply.seq, reply.kept_until);
        self.seen = reply.outbox.last().map_or(self.seen, |entry| entry.k);
    }

    /// Begins anew in the epoch of a ledger that says it has lost something.
    pub fn begin_again(&mut self, reply: &Reply) {
        (self.epoch, self.seq, self.promised) = (reply.epoch.clone(), reply.seq, reply.kept_until);
        (self.n, self.seen) = (0, 0);
    }

    /// Takes the pushes to this client.
    pub fn pushes(&self, all: &[(Vec<u8>, Vec<u8>)]) -> Vec<Push> {
        let own = all.iter().filter(|(channel, _)| *channel == self.inbox.as_bytes());
        own.map(|(_, payload)| wire::read_push(payload).unwrap()).collect()
    }
}

/// An acquire of one request of `m`.
pub fn ask(number: u64) -> Ask<'static> {
    of(number, &[("requests", 1), ("concurrent_requests", 1)])
}

pub fn of(number: u64, amounts: &'static [(&'static str, u64)]) -> Ask<'static> {
    Ask::Acquire {
        session: None,
        number,
        resource: "m",
        lane: None,
        amounts,
        within: u64::MAX,
        head_start: 0,
        wait: true,
        why: false,
    }
}

pub fn settle(number: u64) -> Ask<'static> {
    Ask::Settle { session: None, number, usage: Some(&[]) }
}

/// The answer to the only command.
pub fn only(reply: &Reply) -> &Answer {
    assert_eq!(reply.outcomes.len(), 1, "{reply:?}");
    &reply.outcomes[0]
}

/// What is left of each limit, asked by nobody.
pub fn left(server: &mut dyn Sessions, now: u64) -> Vec<(Name, i64)> {
    let header = Header { fresh: "ff", on_lost: "elapsed", now: Some(now), ..Header::default() };
    let reply = wire::read_reply(&server.eval(&wire::write_batch(&header, &[Ask::View]))).unwrap();
    match &reply.outcomes[..] {
        [Answer::Viewed(view)] => view.limits.iter().map(|limit| (limit.name.clone(), limit.left)).collect(),
        other => panic!("not a view: {other:?}"),
    }
}
