//! What a ledger that was lost, or is only older than its sessions know, restarts with.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_wrap, reason = "tests may panic")]

mod exam;
mod twin;

use paceline::wire::{Answer, Ask, Status};
use paceline_core::{Algorithm, LimitSpec};
use twin::account::{Config, DAY, MINUTE, START, granted, left_of, limits, open};
use twin::client::{Client, TIME_OUT, ask, left, of, only, settle};
use twin::sessions::{Hosted, Scripted, Sessions};

fn a_ledger_that_is_missing_before_its_time_is_lost_and_recovered_from_what_sessions_know(
    server: &mut dyn Sessions,
) {
    let mut client = open(server, 1, START);
    client.say(server, START, &[ask(1), of(2, &[("requests", 50)])]);
    server.flush();
    let now = START + 1_000;
    let lost = client.say(server, now, &[settle(2)]);
    assert_eq!((lost.status, lost.restored), (Status::Lost, Some(-1)));
    client.begin_again(&lost);
    let reserved = &[("requests", 1), ("concurrent_requests", 1)];
    let reply = client.say(
        server,
        now,
        &[
            Config::new(limits(), "d1", 0).ask(),
            Ask::Restore { number: 1, resource: "m", lane: None, reserved, extra: &[], age: 1_000 },
            Ask::Spent { resource: "m", lane: None, amounts: &[("requests", 51)] },
            Ask::Recovered,
        ],
    );
    assert_eq!(reply.status, Status::Ok);
    assert_eq!(left_of(server, "rpm", now), 0, "what fills within a minute begins empty");
    let elapsed = ((now % DAY) * 1_000 / DAY) as i64;
    assert_eq!(left_of(server, "rpd", now), 1_000 - elapsed.max(51), "at least the elapsed share of the day");
    assert_eq!(left_of(server, "slots", now), 0, "taken until everybody has spoken");
    let later = now + TIME_OUT;
    for at in [now + 3_000, now + 6_000, later] {
        client.say(server, at, &[]);
    }
    assert_eq!(left_of(server, "slots", later), 1, "one is out");
    assert!(matches!(client.say(server, later, &[settle(1)]).outcomes[..], [Answer::Settled { .. }]));
    assert_eq!(left_of(server, "slots", later), 2);
}

fn a_first_start_and_a_lawful_expiry_are_full(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    assert_eq!(left_of(server, "slots", START), 2);
    client.say(server, START, &[ask(1)]);
    let promised = client.promised;
    assert!(promised >= START + DAY, "kept while something could be forgotten: {}", promised - START);
    server.flush();
    let reply = client.say(server, promised + 1, &[ask(2)]);
    assert_eq!(reply.status, Status::Expired, "the session is long gone, but nothing was lost");
    let mut fresh = open(server, 2, promised + 2);
    assert_eq!(*only(&fresh.say(server, promised + 2, &[ask(1)])), Answer::Granted);
}

fn an_older_state_is_noticed_and_what_was_granted_since_is_counted(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    client.say(server, START, &[of(1, &[("requests", 10)])]);
    server.save();
    let seq = client.seq;
    client.say(server, START, &[of(2, &[("requests", 20)])]);
    server.restore();
    let lost = client.say(server, START, &[]);
    assert_eq!((lost.status, lost.restored), (Status::Lost, Some(i64::try_from(seq).unwrap())));
    let mut other = Client::new(2);
    assert_eq!(other.say(server, START, &[Config::new(limits(), "d1", 0).ask()]).status, Status::Ok);
    client.begin_again(&lost);
    let reply = client.say(
        server,
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
    assert_eq!(left_of(server, "rpd", START), 1_000 - 30);
    assert_eq!(left_of(server, "rpm", START), 0);
    assert_eq!(
        *only(&client.say(server, START, &[settle(1)])),
        Answer::Over,
        "it was not said to be out any more"
    );
}

fn a_session_whose_batches_are_missing_makes_the_ledger_lost(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    client.n = 7;
    assert_eq!(client.say(server, START, &[ask(1)]).status, Status::Lost);
}

fn after_another_server_took_over_nothing_is_granted_before_sessions_could_speak(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    client.run_id = "another".into();
    let reply = client.say(server, START, &[ask(1)]);
    assert_eq!(*only(&reply), Answer::Queued { ahead: 0 });
    let due = reply.due.unwrap();
    assert!((1..=TIME_OUT / 3).contains(&due), "{due}");
    assert_eq!(granted(&client.say(server, START + due, &[])), [1]);
}

fn a_look_at_what_is_lost_leaves_it_to_be_noticed(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    server.flush();
    assert_eq!(left(server, START), []);
    assert_eq!(client.say(server, START, &[ask(1)]).status, Status::Lost);
}

fn a_ticket_that_waited_longer_than_a_permit_was_out_is_asked_for_again_after_a_loss(
    server: &mut dyn Sessions,
) {
    let mut client = open(server, 1, START);
    client.say(server, START, &[of(1, &[("requests", 100)]), ask(2), of(3, &[("concurrent_requests", 1)])]);
    server.flush();
    let lost = client.say(server, START + 1, &[]);
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
    client.say(server, START + 1, &[config.ask(), restore(1), restore(3), Ask::Recovered]);
    assert_eq!(*only(&client.say(server, START + 1, &[ask(2)])), Answer::Queued { ahead: 0 });
}

fn what_is_reported_of_a_long_bucket_is_not_taken_from_nothing(server: &mut dyn Sessions) {
    let hour =
        LimitSpec::new("tph", "tokens", 3_600, Algorithm::TokenBucket { window: 60 * MINUTE, burst: 3_600 });
    let config = Config::new(vec![hour.member("m")], "d1", 0);
    let mut client = Client::new(1);
    client.say(server, START, &[config.ask()]);
    client.say(server, START, &[of(1, &[("tokens", 1_800)])]);
    server.flush();
    let lost = client.say(server, START + 1, &[]);
    client.begin_again(&lost);
    let spent = Ask::Spent { resource: "m", lane: None, amounts: &[("tokens", 1_800)] };
    client.say(server, START + 1, &[config.ask(), spent, Ask::Recovered]);
    assert_eq!(left_of(server, "tph", START + 1), 0);
    assert_eq!(left_of(server, "tph", START + 10_001), 10);
    let more = |amounts| Ask::Spent { resource: "m", lane: None, amounts };
    client.say(server, START + 10_001, &[more(&[("tokens", 2_200)]), more(&[("tokens", 100)])]);
    assert_eq!(left_of(server, "tph", START + 10_001), 10 - 400 - 100, "what is above what was assumed");
}

fn after_a_loss_every_session_has_a_time_out_to_speak(server: &mut dyn Sessions) {
    let mut one = open(server, 1, START);
    let mut two = open(server, 2, START);
    two.say(server, START, &[ask(1), ask(2)]);
    server.save();
    one.say(server, START + 4_000, &[]);
    two.say(server, START + 4_500, &[]);
    one.say(server, START + 4_600, &[]);
    server.restore();
    let lost = one.say(server, START + 4_700, &[]);
    assert_eq!(lost.status, Status::Lost);
    one.begin_again(&lost);
    let config = Config::new(limits(), "d1", 0);
    one.say(server, START + 4_700, &[config.ask(), Ask::Recovered]);
    for at in [7_000, 9_000, 11_000, 13_000] {
        let reply = one.say(server, START + at, &[ask(at)]);
        assert!(matches!(only(&reply), Answer::Queued { .. }) && granted(&reply).is_empty(), "{reply:?}");
    }
    let lost = two.say(server, START + 14_000, &[settle(1)]);
    assert_eq!(lost.status, Status::Lost, "and not expired");
}

fn a_grant_that_was_not_heard_of_before_a_loss_is_asked_for_again(server: &mut dyn Sessions) {
    let mut holder = open(server, 1, START);
    let mut waiter = open(server, 2, START);
    holder.say(server, START, &[ask(1), ask(2)]);
    waiter.say(server, START, &[ask(1), ask(2)]);
    holder.say(server, START + 1, &[settle(1)]);
    // Another session knows of a later step than this ledger, which keeps its rows.
    let mut third = open(server, 3, START + 1);
    third.seq += 100;
    assert_eq!(third.say(server, START + 2, &[]).status, Status::Lost);
    let lost = waiter.say(server, START + 3, &[]);
    assert_eq!(lost.status, Status::Lost);
    waiter.begin_again(&lost);
    let config = Config::new(limits(), "d1", 0);
    waiter.say(server, START + 3, &[config.ask(), Ask::Recovered]);
    let reply = waiter.say(server, START + 3, &[ask(1), ask(2)]);
    assert!(matches!(reply.outcomes[..], [Answer::Queued { .. }, Answer::Queued { .. }]), "{reply:?}");
    assert_eq!(
        granted(&waiter.say(server, START + 1_000, &[])),
        [2],
        "the one that kept its place goes first"
    );
    assert_eq!(granted(&waiter.say(server, START + 2_000, &[settle(2)])), [1]);
}

/// Each story, told to the script and to the host.
macro_rules! tell {
    ($($story:ident)*) => {
        mod script {
            $(#[test] fn $story() { super::$story(&mut super::Scripted::new()) })*
        }

        mod host {
            $(#[test] fn $story() { super::$story(&mut super::Hosted::new()) })*
        }
    };
}

tell! {
    a_ledger_that_is_missing_before_its_time_is_lost_and_recovered_from_what_sessions_know
    a_first_start_and_a_lawful_expiry_are_full
    an_older_state_is_noticed_and_what_was_granted_since_is_counted
    a_session_whose_batches_are_missing_makes_the_ledger_lost
    after_another_server_took_over_nothing_is_granted_before_sessions_could_speak
    a_look_at_what_is_lost_leaves_it_to_be_noticed
    a_ticket_that_waited_longer_than_a_permit_was_out_is_asked_for_again_after_a_loss
    what_is_reported_of_a_long_bucket_is_not_taken_from_nothing
    after_a_loss_every_session_has_a_time_out_to_speak
    a_grant_that_was_not_heard_of_before_a_loss_is_asked_for_again
}
