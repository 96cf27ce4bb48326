//! The session protocol as the twin keeps it: numbered batches, outboxes, time, death, loss and configuration.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod exam;
mod twin;

use paceline::wire::{self, Answer, Ask, Decided, Header, Reply, Status};
use paceline_core::{Algorithm, Boundaries, LimitSpec, Name, ResourceSpec, SessionId};
use twin::Server;
use twin::client::{Client, TIME_OUT, ask, left, of, only, settle};
use twin::server::Embedded;

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;
const START: u64 = 1_800_000_000_000;

/// Two slots, a hundred requests a minute, a thousand a day.
fn limits() -> Vec<LimitSpec> {
    let day = Algorithm::FixedWindow { boundaries: Boundaries::Every { period: DAY, phase: 0 }, margin: 0 };
    vec![
        LimitSpec::new("slots", "concurrent_requests", 2, Algorithm::Concurrency).member("m"),
        LimitSpec::new("rpm", "requests", 100, Algorithm::TokenBucket { window: MINUTE, burst: 100 })
            .member("m"),
        LimitSpec::new("rpd", "requests", 1_000, day).member("m"),
    ]
}

struct Config {
    limits: Vec<LimitSpec>,
    resources: Vec<ResourceSpec>,
    digests: Vec<(Name, String)>,
    revision: u64,
}

impl Config {
    fn new(limits: Vec<LimitSpec>, digest: &str, revision: u64) -> Self {
        Self {
            limits,
            resources: vec![ResourceSpec::new("m")],
            digests: vec![("m".into(), digest.into())],
            revision,
        }
    }

    fn ask(&self) -> Ask<'_> {
        Ask::Configure {
            limits: &self.limits,
            resources: &self.resources,
            removed: &[],
            revision: Some(self.revision),
            digests: &self.digests,
        }
    }
}

fn open(server: &mut Embedded, id: u128, now: u64) -> Client {
    let mut client = Client::new(id);
    let reply = client.say(server, now, &[Config::new(limits(), "d1", 0).ask()]);
    assert_eq!(*only(&reply), Answer::Configured { applied: true, differs: vec![] });
    client
}

fn granted(reply: &Reply) -> Vec<u64> {
    let numbers = reply.outbox.iter().filter_map(|entry| match entry.decided {
        Decided::Granted { number, .. } => Some(number),
        _ => None,
    });
    numbers.collect()
}

fn left_of(server: &mut Embedded, name: &str, now: u64) -> i64 {
    left(server, now).into_iter().find(|(limit, _)| &**limit == name).unwrap().1
}

#[test]
fn a_batch_that_is_sent_again_gets_the_same_reply_and_does_nothing() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.n += 1;
    let batch = client.batch(START, &[ask(1), ask(2), ask(3)]);
    let first = server.eval(&batch);
    let dump = twin::dump(&mut server);
    assert_eq!(server.eval(&batch), first, "the kept reply");
    assert_eq!(twin::dump(&mut server), dump, "nothing was applied");
    let reply = wire::read_reply(&first).unwrap();
    assert_eq!(reply.outcomes, [Answer::Granted, Answer::Granted, Answer::Queued { ahead: 0 }]);
}

#[test]
fn an_older_batch_is_stale_and_an_unknown_session_is_expired() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.say(&mut server, START, &[ask(1)]);
    client.say(&mut server, START, &[ask(2)]);
    let mut late = client.clone();
    late.n = 0;
    assert_eq!(late.say(&mut server, START, &[ask(9)]).status, Status::Stale);
    let mut stranger = Client::new(7);
    (stranger.n, stranger.epoch) = (4, client.epoch.clone());
    assert_eq!(stranger.say(&mut server, START, &[ask(1)]).status, Status::Expired);
}

#[test]
fn a_ticket_number_that_was_used_is_over_without_a_tombstone() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.say(&mut server, START, &[ask(1)]);
    client.say(&mut server, START, &[settle(1)]);
    assert_eq!(*only(&client.say(&mut server, START, &[ask(1)])), Answer::Over);
    assert_eq!(*only(&client.say(&mut server, START, &[settle(1)])), Answer::Over);
}

#[test]
fn decisions_come_in_every_reply_until_they_were_seen_and_are_pushed_to_others() {
    let mut server = Embedded::new();
    let mut holder = open(&mut server, 1, START);
    let mut waiter = open(&mut server, 2, START);
    holder.say(&mut server, START, &[ask(1), ask(2)]);
    waiter.say(&mut server, START, &[ask(1), ask(2)]);
    server.pushed();
    holder.say(&mut server, START + 5, &[settle(1)]);
    let pushes = waiter.pushes(&server.pushed());
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0].session, waiter.id);
    assert_eq!(pushes[0].outbox[0].decided, Decided::Granted { number: 1, waited: 5, wall: START + 5 });
    holder.say(&mut server, START + 6, &[settle(2)]);
    let seen = waiter.seen;
    let reply = waiter.say(&mut server, START + 7, &[]);
    assert_eq!(
        (granted(&reply), reply.outbox.iter().map(|entry| entry.k).collect::<Vec<_>>()),
        (vec![1, 2], vec![1, 2])
    );
    waiter.seen = seen;
    assert_eq!(granted(&waiter.say(&mut server, START + 8, &[])), [1, 2], "not seen, so told again");
    assert!(waiter.say(&mut server, START + 9, &[]).outbox.is_empty(), "seen, so forgotten");
}

#[test]
fn the_owner_of_the_head_that_is_due_first_keeps_time() {
    let mut server = Embedded::new();
    let mut one = open(&mut server, 1, START);
    let mut two = open(&mut server, 2, START);
    let hundred: &'static [(&str, u64)] = &[("requests", 100)];
    assert_eq!(*only(&one.say(&mut server, START, &[of(1, hundred)])), Answer::Granted);
    let reply = one.say(&mut server, START, &[of(2, &[("requests", 10)])]);
    assert_eq!(reply.due, Some(6_000), "ten of a hundred a minute");
    assert_eq!(
        two.say(&mut server, START, &[of(1, &[("requests", 5)])]).due,
        None,
        "another's head is due first"
    );
    server.pushed();
    one.say(&mut server, START + 1_000, &[Ask::Cancel { session: None, number: 2 }]);
    let pushes = two.pushes(&server.pushed());
    assert_eq!(pushes.last().unwrap().due, Some(2_000), "five of a hundred a minute, a second later");
    assert_eq!(granted(&two.say(&mut server, START + 3_000, &[])), [1]);
}

#[test]
fn a_dead_session_returns_its_slots_and_is_told_when_it_comes_back() {
    let mut server = Embedded::new();
    let mut dead = open(&mut server, 1, START);
    let mut alive = open(&mut server, 2, START);
    dead.say(&mut server, START, &[ask(1), ask(2), ask(3)]);
    alive.say(&mut server, START, &[ask(1)]);
    let mut now = START;
    let mut got = Vec::new();
    while got.is_empty() && now < START + 3 * TIME_OUT {
        now += TIME_OUT / 3;
        got = granted(&alive.say(&mut server, now, &[]));
    }
    assert_eq!(got, [1]);
    assert!(now <= START + TIME_OUT + TIME_OUT / 3, "{} ms", now - START);
    assert_eq!(
        left_of(&mut server, "rpm", now),
        100 - 3 + ((now - START) * 100 / MINUTE).min(2) as i64,
        "tokens stay spent"
    );
    assert_eq!(dead.say(&mut server, now, &[settle(1)]).status, Status::Expired);
    assert_eq!(left_of(&mut server, "slots", now), 1);
}

#[test]
fn after_a_stall_of_the_store_everybody_gets_a_fresh_time_out() {
    let mut server = Embedded::new();
    let mut one = open(&mut server, 1, START);
    let mut two = open(&mut server, 2, START);
    one.say(&mut server, START, &[ask(1)]);
    let back = START + 3 * TIME_OUT;
    two.say(&mut server, back, &[]);
    assert_eq!(one.say(&mut server, back + TIME_OUT / 2, &[settle(1)]).status, Status::Ok);
}

#[test]
fn a_permit_that_was_handed_over_outlives_its_session_and_is_settled_by_anybody() {
    let mut server = Embedded::new();
    let mut one = open(&mut server, 1, START);
    let mut two = open(&mut server, 2, START);
    one.say(&mut server, START, &[ask(1)]);
    let keeper = SessionId(77);
    let hand = Ask::Transfer { session: None, number: 1, to: keeper, time_out: Some(20 * MINUTE) };
    assert_eq!(*only(&one.say(&mut server, START, &[hand])), Answer::Done);
    one.say(&mut server, START, &[Ask::Close { session: None }]);
    two.say(&mut server, START + 1, &[]);
    assert_eq!(left_of(&mut server, "slots", START + 1), 1, "still out");
    let header = Header { fresh: "ff", on_lost: "elapsed", now: Some(START + 2), ..Header::default() };
    let by_id = Ask::Settle { session: Some(one.id), number: 1, usage: Some(&[("requests", 1)]) };
    let reply = wire::read_reply(&server.eval(&wire::write_batch(&header, &[by_id]))).unwrap();
    assert!(matches!(only(&reply), Answer::Settled { .. }), "{reply:?}");
    assert_eq!(left_of(&mut server, "slots", START + 2), 2);
}

#[test]
fn a_ledger_that_is_missing_before_its_time_is_lost_and_recovered_from_what_sessions_know() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.say(&mut server, START, &[ask(1), of(2, &[("requests", 50)])]);
    server.flush();
    let now = START + 1_000;
    let lost = client.say(&mut server, now, &[settle(2)]);
    assert_eq!((lost.status, lost.restored), (Status::Lost, Some(-1)));
    client.begin_again(&lost);
    let reserved = &[("requests", 1), ("concurrent_requests", 1)];
    let reply = client.say(
        &mut server,
        now,
        &[
            Config::new(limits(), "d1", 0).ask(),
            Ask::Restore { number: 1, resource: "m", lane: None, reserved, extra: &[], age: 1_000 },
            Ask::Spent { resource: "m", lane: None, amounts: &[("requests", 51)] },
            Ask::Recovered,
        ],
    );
    assert_eq!(reply.status, Status::Ok);
    assert_eq!(left_of(&mut server, "rpm", now), 0, "what fills within a minute begins empty");
    let elapsed = ((now % DAY) * 1_000 / DAY) as i64;
    assert_eq!(
        left_of(&mut server, "rpd", now),
        1_000 - elapsed.max(51),
        "at least the elapsed share of the day"
    );
    assert_eq!(left_of(&mut server, "slots", now), 0, "taken until everybody has spoken");
    let later = now + TIME_OUT;
    for at in [now + 3_000, now + 6_000, later] {
        client.say(&mut server, at, &[]);
    }
    assert_eq!(left_of(&mut server, "slots", later), 1, "one is out");
    assert!(matches!(client.say(&mut server, later, &[settle(1)]).outcomes[..], [Answer::Settled { .. }]));
    assert_eq!(left_of(&mut server, "slots", later), 2);
}

#[test]
fn a_first_start_and_a_lawful_expiry_are_full() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    assert_eq!(left_of(&mut server, "slots", START), 2);
    client.say(&mut server, START, &[ask(1)]);
    let promised = client.promised;
    assert!(promised >= START + DAY, "kept while something could be forgotten: {}", promised - START);
    server.flush();
    let reply = client.say(&mut server, promised + 1, &[ask(2)]);
    assert_eq!(reply.status, Status::Expired, "the session is long gone, but nothing was lost");
    let mut fresh = open(&mut server, 2, promised + 2);
    assert_eq!(*only(&fresh.say(&mut server, promised + 2, &[ask(1)])), Answer::Granted);
}

#[test]
fn an_older_state_is_noticed_and_what_was_granted_since_is_counted() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.say(&mut server, START, &[of(1, &[("requests", 10)])]);
    let saved = server.saved();
    let seq = client.seq;
    client.say(&mut server, START, &[of(2, &[("requests", 20)])]);
    server.restore(&saved);
    let lost = client.say(&mut server, START, &[]);
    assert_eq!((lost.status, lost.restored), (Status::Lost, Some(i64::try_from(seq).unwrap())));
    let mut other = Client::new(2);
    assert_eq!(other.say(&mut server, START, &[Config::new(limits(), "d1", 0).ask()]).status, Status::Ok);
    client.begin_again(&lost);
    let reply = client.say(
        &mut server,
        START,
        &[
            Config::new(limits(), "d1", 0).ask(),
            Ask::Restore {
                number: 2,
                resource: "m",
                lane: None,
                reserved: &[("requests", 20)],
                extra: &[],
                age: 0,
            },
            Ask::Spent { resource: "m", lane: None, amounts: &[("requests", 20)] },
            Ask::Recovered,
        ],
    );
    assert_eq!(reply.status, Status::Ok);
    assert_eq!(left_of(&mut server, "rpd", START), 1_000 - 30);
    assert_eq!(left_of(&mut server, "rpm", START), 0);
    assert_eq!(
        *only(&client.say(&mut server, START, &[settle(1)])),
        Answer::Over,
        "it was not said to be out any more"
    );
}

#[test]
fn a_session_whose_batches_are_missing_makes_the_ledger_lost() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.n = 7;
    assert_eq!(client.say(&mut server, START, &[ask(1)]).status, Status::Lost);
}

#[test]
fn after_another_server_took_over_nothing_is_granted_before_sessions_could_speak() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.run_id = "another".into();
    let reply = client.say(&mut server, START, &[ask(1)]);
    assert_eq!(*only(&reply), Answer::Queued { ahead: 0 });
    let due = reply.due.unwrap();
    assert!((1..=TIME_OUT / 3).contains(&due), "{due}");
    assert_eq!(granted(&client.say(&mut server, START + due, &[])), [1]);
}

#[test]
fn a_configuration_of_a_higher_revision_wins_and_replaced_content_does_not_come_back() {
    let mut server = Embedded::new();
    let mut one = open(&mut server, 1, START);
    let mut other_limits = limits();
    other_limits[0].amount = 9;
    let another = Config::new(other_limits, "d2", 0);
    let mut two = Client::new(2);
    assert_eq!(
        *only(&two.say(&mut server, START, &[another.ask()])),
        Answer::Configured { applied: true, differs: vec![] }
    );
    assert_eq!(left_of(&mut server, "slots", START), 9);
    let told = one.say(&mut server, START, &[]);
    assert_eq!(told.outbox.last().unwrap().decided, Decided::Differs { resource: "m".into() });
    let back = one.say(&mut server, START, &[Config::new(limits(), "d1", 0).ask()]);
    assert_eq!(*only(&back), Answer::Configured { applied: false, differs: vec!["m".into()] });
    assert_eq!(left_of(&mut server, "slots", START), 9);
    let newer = one.say(&mut server, START, &[Config::new(limits(), "d1", 1).ask()]);
    assert_eq!(*only(&newer), Answer::Configured { applied: true, differs: vec![] });
    assert_eq!(left_of(&mut server, "slots", START), 2);
    let older = two.say(&mut server, START, &[another.ask()]);
    assert_eq!(*only(&older), Answer::Configured { applied: false, differs: vec!["m".into()] });
}

#[test]
fn what_is_looked_at_stays_as_it_is() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.say(&mut server, START, &[ask(1), ask(2), ask(3)]);
    let dump = twin::dump(&mut server);
    let header = Header { fresh: "ff", on_lost: "elapsed", now: Some(START + MINUTE), ..Header::default() };
    let looks = [
        Ask::View,
        Ask::Explain { resource: "m", lane: None, amounts: &[("requests", 1)] },
        Ask::Permits { session: None, number: 0, most: 10 },
        Ask::Status,
    ];
    let reply = wire::read_reply(&server.eval(&wire::write_batch(&header, &looks))).unwrap();
    assert!(
        matches!(&reply.outcomes[2], Answer::Permitted(permits, false) if permits.len() == 2),
        "{reply:?}"
    );
    assert_eq!(twin::dump(&mut server), dump);
}

#[test]
fn a_look_at_what_is_lost_leaves_it_to_be_noticed() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    server.flush();
    assert_eq!(left(&mut server, START), []);
    assert_eq!(client.say(&mut server, START, &[ask(1)]).status, Status::Lost);
}

#[test]
fn a_ticket_that_waited_longer_than_a_permit_was_out_is_asked_for_again_after_a_loss() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    client.say(
        &mut server,
        START,
        &[of(1, &[("requests", 100)]), ask(2), of(3, &[("concurrent_requests", 1)])],
    );
    server.flush();
    let lost = client.say(&mut server, START + 1, &[]);
    client.begin_again(&lost);
    let restore = |number| Ask::Restore {
        number,
        resource: "m",
        lane: None,
        reserved: &[("requests", 1)],
        extra: &[],
        age: 0,
    };
    let config = Config::new(limits(), "d1", 0);
    client.say(&mut server, START + 1, &[config.ask(), restore(1), restore(3), Ask::Recovered]);
    assert_eq!(*only(&client.say(&mut server, START + 1, &[ask(2)])), Answer::Queued { ahead: 0 });
}

#[test]
fn a_permit_is_found_by_its_id_also_where_it_was_handed_over() {
    let mut server = Embedded::new();
    let mut client = open(&mut server, 1, START);
    let hand = Ask::Transfer { session: None, number: 1, to: SessionId(9), time_out: Some(MINUTE) };
    client.say(&mut server, START, &[ask(1), ask(2), ask(3), hand]);
    let found = |session: Option<u128>, number, most| {
        let session = session.map(SessionId);
        Ask::Permits { session, number, most }
    };
    let reply = client.say(
        &mut server,
        START,
        &[found(Some(1), 1, 1), found(Some(9), 0, 5), found(None, 0, 2), found(None, 2, 2)],
    );
    let rows = |at: usize| match &reply.outcomes[at] {
        Answer::Permitted(rows, more) => {
            (rows.iter().map(|row| (row.id.number, row.owner.0)).collect::<Vec<_>>(), *more)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(rows(0).0, [(1, 9)], "by its id");
    assert_eq!(rows(1), (vec![(1, 9)], false), "by its owner");
    assert_eq!(rows(2), (vec![(2, 1)], true), "the first two rows, of which one waits");
    assert_eq!(rows(3), (vec![(1, 9)], false));
}

#[test]
fn what_is_reported_of_a_long_bucket_is_not_taken_from_nothing() {
    let mut server = Embedded::new();
    let hour =
        LimitSpec::new("tph", "tokens", 3_600, Algorithm::TokenBucket { window: 60 * MINUTE, burst: 3_600 });
    let config = Config::new(vec![hour.member("m")], "d1", 0);
    let mut client = Client::new(1);
    client.say(&mut server, START, &[config.ask()]);
    client.say(&mut server, START, &[of(1, &[("tokens", 1_800)])]);
    server.flush();
    let lost = client.say(&mut server, START + 1, &[]);
    client.begin_again(&lost);
    let spent = Ask::Spent { resource: "m", lane: None, amounts: &[("tokens", 1_800)] };
    client.say(&mut server, START + 1, &[config.ask(), spent, Ask::Recovered]);
    assert_eq!(left_of(&mut server, "tph", START + 1), 0);
    assert_eq!(left_of(&mut server, "tph", START + 10_001), 10);
}

#[test]
fn after_a_loss_every_session_has_a_time_out_to_speak() {
    let mut server = Embedded::new();
    let mut one = open(&mut server, 1, START);
    let mut two = open(&mut server, 2, START);
    two.say(&mut server, START, &[ask(1), ask(2)]);
    let saved = server.saved();
    one.say(&mut server, START + 4_000, &[]);
    two.say(&mut server, START + 4_500, &[]);
    one.say(&mut server, START + 4_600, &[]);
    server.restore(&saved);
    let lost = one.say(&mut server, START + 4_700, &[]);
    assert_eq!(lost.status, Status::Lost);
    one.begin_again(&lost);
    let config = Config::new(limits(), "d1", 0);
    one.say(&mut server, START + 4_700, &[config.ask(), Ask::Recovered]);
    for at in [7_000, 9_000, 11_000, 13_000] {
        let reply = one.say(&mut server, START + at, &[ask(at)]);
        assert!(matches!(only(&reply), Answer::Queued { .. }) && granted(&reply).is_empty(), "{reply:?}");
    }
    let lost = two.say(&mut server, START + 14_000, &[settle(1)]);
    assert_eq!(lost.status, Status::Lost, "and not expired");
}

#[test]
fn a_grant_that_was_not_heard_of_before_a_loss_is_asked_for_again() {
    let mut server = Embedded::new();
    let mut holder = open(&mut server, 1, START);
    let mut waiter = open(&mut server, 2, START);
    holder.say(&mut server, START, &[ask(1), ask(2)]);
    waiter.say(&mut server, START, &[ask(1), ask(2)]);
    holder.say(&mut server, START + 1, &[settle(1)]);
    // Another session knows of a later step than this ledger, which keeps its rows.
    let mut third = open(&mut server, 3, START + 1);
    third.seq += 100;
    assert_eq!(third.say(&mut server, START + 2, &[]).status, Status::Lost);
    let lost = waiter.say(&mut server, START + 3, &[]);
    assert_eq!(lost.status, Status::Lost);
    waiter.begin_again(&lost);
    let config = Config::new(limits(), "d1", 0);
    waiter.say(&mut server, START + 3, &[config.ask(), Ask::Recovered]);
    let reply = waiter.say(&mut server, START + 3, &[ask(1), ask(2)]);
    assert!(matches!(reply.outcomes[..], [Answer::Queued { .. }, Answer::Queued { .. }]), "{reply:?}");
    assert_eq!(
        granted(&waiter.say(&mut server, START + 1_000, &[])),
        [2],
        "the one that kept its place goes first"
    );
    assert_eq!(granted(&waiter.say(&mut server, START + 2_000, &[])), [1]);
}
