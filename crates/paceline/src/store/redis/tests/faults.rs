//! A network that loses things, and a server that stands still.

use std::time::Duration;

use paceline_testkit::{Fault, FaultProxy, RedisServer};

use super::{ECHO, PUBLISH, call, call_until_answered, link, listen, told_to_retry};

#[tokio::test]
async fn a_server_that_stands_still_is_given_up_in_time() {
    let server = RedisServer::start();
    let link = link(&server.url(), ECHO);
    assert_eq!(call(&link, "x").await.unwrap(), "x");
    server.freeze();
    let reason = told_to_retry(&link).await;
    assert!(reason.contains("did not answer"), "{reason}");
    server.thaw();
    assert_eq!(call_until_answered(&link, "y").await, "y");
}

#[tokio::test]
async fn no_answer_is_ever_taken_for_another() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let link = link(&proxy.url(), ECHO);
    for (at, fault) in [
        Fault::DropReplies,
        Fault::DropRequests,
        Fault::CutReplyAfter(3),
        Fault::Reset,
        Fault::Delay(Duration::from_millis(700)),
    ]
    .into_iter()
    .enumerate()
    {
        let (before, lost, after) = (format!("before {at}"), format!("lost {at}"), format!("after {at}"));
        assert_eq!(call_until_answered(&link, &before).await, before, "{fault:?}");
        proxy.set(fault);
        assert!(call(&link, &lost).await.is_err(), "{fault:?}");
        proxy.set(Fault::None);
        assert_eq!(call_until_answered(&link, &after).await, after, "{fault:?}");
    }
    assert!(proxy.connections() >= 5);
}

#[tokio::test]
async fn many_calls_at_once_share_one_connection_and_one_new_one() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let link = std::sync::Arc::new(link(&proxy.url(), ECHO));
    for round in 1..=2_u64 {
        let calls = (0..50).map(|at| {
            let link = std::sync::Arc::clone(&link);
            tokio::spawn(async move { (format!("{at}"), call_until_answered(&link, &format!("{at}")).await) })
        });
        for called in calls.collect::<Vec<_>>() {
            let (sent, answered) = called.await.unwrap();
            assert_eq!(sent, answered);
        }
        assert_eq!(proxy.connections(), round);
        proxy.reset_all();
    }
    assert_eq!(proxy.commands("EVALSHA"), 100);
}

#[tokio::test]
async fn a_connection_that_is_reset_while_nobody_calls_is_made_anew_for_those_who_listen() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let link = link(&proxy.url(), PUBLISH);
    let heard = listen(&link).await;
    proxy.reset_all();
    let channel = crate::store::shared::link::Link::channel(&link, super::LEDGER, "0f");
    heard.hears("hint", async || drop(server.cli(&["PUBLISH", &channel, "hint"]))).await;
    assert_eq!(proxy.connections(), 2);
}
