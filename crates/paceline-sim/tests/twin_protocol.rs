//! The session protocol as the twin keeps it: numbered batches, outboxes, time, death and configuration.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_wrap, reason = "tests may panic")]

mod exam;
mod twin;

use paceline::wire::{self, Answer, Ask, Decided, Header, Status};
use paceline_core::SessionId;
use twin::account::{Config, MINUTE, START, granted, left_of, limits, open};
use twin::client::{Client, TIME_OUT, ask, of, only, settle};
use twin::sessions::{Hosted, Scripted, Sessions};

fn a_batch_that_is_sent_again_gets_the_same_reply_and_does_nothing(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    client.n += 1;
    let batch = client.batch(START, &[ask(1), ask(2), ask(3)]);
    let first = server.eval(&batch);
    let dump = twin::dump(server);
    assert_eq!(server.eval(&batch), first, "the kept reply");
    assert_eq!(twin::dump(server), dump, "nothing was applied");
    let reply = wire::read_reply(&first).unwrap();
    assert_eq!(reply.outcomes, [Answer::Granted, Answer::Granted, Answer::Queued { ahead: 0 }]);
}

fn an_older_batch_is_stale_and_an_unknown_session_is_expired(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    client.say(server, START, &[ask(1)]);
    client.say(server, START, &[ask(2)]);
    let mut late = client.clone();
    late.n = 0;
    assert_eq!(late.say(server, START, &[ask(9)]).status, Status::Stale);
    let mut stranger = Client::new(7);
    (stranger.n, stranger.epoch) = (4, client.epoch.clone());
    assert_eq!(stranger.say(server, START, &[ask(1)]).status, Status::Expired);
}

fn a_ticket_number_that_was_used_is_over_without_a_tombstone(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    client.say(server, START, &[ask(1)]);
    client.say(server, START, &[settle(1)]);
    assert_eq!(*only(&client.say(server, START, &[ask(1)])), Answer::Over);
    assert_eq!(*only(&client.say(server, START, &[settle(1)])), Answer::Over);
}

fn decisions_come_in_every_reply_until_they_were_seen_and_are_pushed_to_others(server: &mut dyn Sessions) {
    let mut holder = open(server, 1, START);
    let mut waiter = open(server, 2, START);
    holder.say(server, START, &[ask(1), ask(2)]);
    waiter.say(server, START, &[ask(1), ask(2)]);
    server.pushed();
    holder.say(server, START + 5, &[settle(1)]);
    let pushes = waiter.pushes(&server.pushed());
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0].session, waiter.id);
    assert_eq!(pushes[0].outbox[0].decided, Decided::Granted { number: 1, waited: 5, wall: START + 5 });
    holder.say(server, START + 6, &[settle(2)]);
    let seen = waiter.seen;
    let reply = waiter.say(server, START + 7, &[]);
    assert_eq!(
        (granted(&reply), reply.outbox.iter().map(|entry| entry.k).collect::<Vec<_>>()),
        (vec![1, 2], vec![1, 2])
    );
    waiter.seen = seen;
    assert_eq!(granted(&waiter.say(server, START + 8, &[])), [1, 2], "not seen, so told again");
    assert!(waiter.say(server, START + 9, &[]).outbox.is_empty(), "seen, so forgotten");
}

fn the_owner_of_the_head_that_is_due_first_keeps_time(server: &mut dyn Sessions) {
    let mut one = open(server, 1, START);
    let mut two = open(server, 2, START);
    let hundred: &'static [(&str, u64)] = &[("requests", 100)];
    assert_eq!(*only(&one.say(server, START, &[of(1, hundred)])), Answer::Granted);
    let reply = one.say(server, START, &[of(2, &[("requests", 10)])]);
    assert_eq!(reply.due, Some(6_000), "ten of a hundred a minute");
    assert_eq!(two.say(server, START, &[of(1, &[("requests", 5)])]).due, None, "another's head is due first");
    server.pushed();
    one.say(server, START + 1_000, &[Ask::Cancel { session: None, number: 2 }]);
    let pushes = two.pushes(&server.pushed());
    assert_eq!(pushes.last().unwrap().due, Some(2_000), "five of a hundred a minute, a second later");
    assert_eq!(granted(&two.say(server, START + 3_000, &[])), [1]);
}

fn a_dead_session_returns_its_slots_and_is_told_when_it_comes_back(server: &mut dyn Sessions) {
    let mut dead = open(server, 1, START);
    let mut alive = open(server, 2, START);
    dead.say(server, START, &[ask(1), ask(2), ask(3)]);
    alive.say(server, START, &[ask(1)]);
    let mut now = START;
    let mut got = Vec::new();
    while got.is_empty() && now < START + 3 * TIME_OUT {
        now += TIME_OUT / 3;
        got = granted(&alive.say(server, now, &[]));
    }
    assert_eq!(got, [1]);
    assert!(now <= START + TIME_OUT + TIME_OUT / 3, "{} ms", now - START);
    assert_eq!(
        left_of(server, "rpm", now),
        100 - 3 + ((now - START) * 100 / MINUTE).min(2) as i64,
        "tokens stay spent"
    );
    assert_eq!(dead.say(server, now, &[settle(1)]).status, Status::Expired);
    assert_eq!(left_of(server, "slots", now), 1);
}

fn after_a_stall_of_the_store_everybody_gets_a_fresh_time_out(server: &mut dyn Sessions) {
    let mut one = open(server, 1, START);
    let mut two = open(server, 2, START);
    one.say(server, START, &[ask(1)]);
    let back = START + 3 * TIME_OUT;
    two.say(server, back, &[]);
    assert_eq!(one.say(server, back + TIME_OUT / 2, &[settle(1)]).status, Status::Ok);
}

fn a_permit_that_was_handed_over_outlives_its_session_and_is_settled_by_anybody(server: &mut dyn Sessions) {
    let mut one = open(server, 1, START);
    let mut two = open(server, 2, START);
    one.say(server, START, &[ask(1)]);
    let keeper = SessionId(77);
    let hand = Ask::Transfer { session: None, number: 1, to: keeper, time_out: Some(20 * MINUTE) };
    assert_eq!(*only(&one.say(server, START, &[hand])), Answer::Done);
    one.say(server, START, &[Ask::Close { session: None }]);
    two.say(server, START + 1, &[]);
    assert_eq!(left_of(server, "slots", START + 1), 1, "still out");
    let header = Header { fresh: "ff", on_lost: "elapsed", now: Some(START + 2), ..Header::default() };
    let by_id = Ask::Settle { session: Some(one.id), number: 1, usage: Some(&[("requests", 1)]) };
    let reply = wire::read_reply(&server.eval(&wire::write_batch(&header, &[by_id]))).unwrap();
    assert!(matches!(only(&reply), Answer::Settled { .. }), "{reply:?}");
    assert_eq!(left_of(server, "slots", START + 2), 2);
}

fn a_configuration_of_a_higher_revision_wins_and_replaced_content_does_not_come_back(
    server: &mut dyn Sessions,
) {
    let mut one = open(server, 1, START);
    let mut other_limits = limits();
    other_limits[0].amount = 9;
    let another = Config::new(other_limits, "d2", 0);
    let mut two = Client::new(2);
    assert_eq!(
        *only(&two.say(server, START, &[another.ask()])),
        Answer::Configured { applied: true, differs: vec![] }
    );
    assert_eq!(left_of(server, "slots", START), 9);
    let told = one.say(server, START, &[]);
    assert_eq!(told.outbox.last().unwrap().decided, Decided::Differs { resource: "m".into() });
    let back = one.say(server, START, &[Config::new(limits(), "d1", 0).ask()]);
    assert_eq!(*only(&back), Answer::Configured { applied: false, differs: vec!["m".into()] });
    assert_eq!(left_of(server, "slots", START), 9);
    let newer = one.say(server, START, &[Config::new(limits(), "d1", 1).ask()]);
    assert_eq!(*only(&newer), Answer::Configured { applied: true, differs: vec![] });
    assert_eq!(left_of(server, "slots", START), 2);
    let older = two.say(server, START, &[another.ask()]);
    assert_eq!(*only(&older), Answer::Configured { applied: false, differs: vec!["m".into()] });
}

fn what_is_looked_at_stays_as_it_is(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    client.say(server, START, &[ask(1), ask(2), ask(3)]);
    let dump = twin::dump(server);
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
    assert_eq!(twin::dump(server), dump);
}

fn a_permit_is_found_by_its_id_also_where_it_was_handed_over(server: &mut dyn Sessions) {
    let mut client = open(server, 1, START);
    let hand = Ask::Transfer { session: None, number: 1, to: SessionId(9), time_out: Some(MINUTE) };
    client.say(server, START, &[ask(1), ask(2), ask(3), hand]);
    let found = |session: Option<u128>, number, most| {
        let session = session.map(SessionId);
        Ask::Permits { session, number, most }
    };
    let reply = client.say(
        server,
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
    a_batch_that_is_sent_again_gets_the_same_reply_and_does_nothing
    an_older_batch_is_stale_and_an_unknown_session_is_expired
    a_ticket_number_that_was_used_is_over_without_a_tombstone
    decisions_come_in_every_reply_until_they_were_seen_and_are_pushed_to_others
    the_owner_of_the_head_that_is_due_first_keeps_time
    a_dead_session_returns_its_slots_and_is_told_when_it_comes_back
    after_a_stall_of_the_store_everybody_gets_a_fresh_time_out
    a_permit_that_was_handed_over_outlives_its_session_and_is_settled_by_anybody
    a_configuration_of_a_higher_revision_wins_and_replaced_content_does_not_come_back
    what_is_looked_at_stays_as_it_is
    a_permit_is_found_by_its_id_also_where_it_was_handed_over
}
