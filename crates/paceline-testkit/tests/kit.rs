//! The kit itself: servers start and die, the network fails as told, workers talk.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use paceline_testkit::{
    Fault, FaultProxy, Processes, Redis, RedisCluster, RedisSentinel, RedisServer, Reply, Talk, pause,
    slot_of, until, worker,
};

fn text(text: &str) -> Reply {
    Reply::Text(text.to_owned())
}

#[test]
fn a_server_that_appends_keeps_what_it_had_when_it_is_killed() {
    let mut server = Redis::default().append_only().start();
    server.cli(&["SET", "k", "v"]);
    server.restart();
    assert_eq!(server.cli(&["GET", "k"]), text("v"));
    server.shut_down();
    server.start_again();
    assert_eq!(server.cli(&["GET", "k"]), text("v"));
}

#[test]
fn a_server_that_keeps_nothing_is_empty_when_it_comes_back() {
    let mut server = Redis::default().password("geheim").start();
    server.cli(&["SET", "k", "v"]);
    server.restart();
    assert_eq!(server.cli(&["GET", "k"]), Reply::Nil);
    assert!(Talk::to(server.port()).unwrap().ask(&["GET", "k"]).unwrap().to_string().contains("NOAUTH"));
}

#[test]
fn a_frozen_server_answers_when_it_is_thawed() {
    let server = RedisServer::start();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    server.freeze();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut answer = [0; 7];
    assert!(stream.read(&mut answer).is_err());
    server.thaw();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn a_cluster_serves_all_slots_and_moves_one() {
    let cluster = RedisCluster::start();
    let slot = slot_of("{ledger}:x");
    assert_eq!(i64::from(slot), number(&cluster.nodes()[0].cli(&["CLUSTER", "KEYSLOT", "ledger"])));
    let from = cluster.owner_of(slot);
    cluster.nodes()[from].cli(&["SET", "{ledger}:x", "1"]);
    let to = (from + 1) % 3;
    cluster.migrate(slot, to);
    assert_eq!(cluster.owner_of(slot), to);
    assert_eq!(cluster.nodes()[to].cli(&["GET", "{ledger}:x"]), text("1"));
}

fn number(reply: &Reply) -> i64 {
    reply.to_string().parse().unwrap()
}

#[test]
fn sentinels_call_the_replica_the_primary() {
    let mut all = RedisSentinel::start(1);
    let before = all.primary_port();
    all.primary_mut().cli(&["SET", "k", "v"]);
    until("the replica has it", || (all.servers()[1].cli(&["GET", "k"]) == text("v")).then_some(()));
    all.fail_over();
    assert_ne!(all.primary_port(), before);
    assert_eq!(all.primary_mut().cli(&["GET", "k"]), text("v"));
}

#[test]
fn requests_that_are_dropped_are_not_done_and_replies_that_are_dropped_are() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let ask = |command: &[&str]| Talk::to(proxy.port()).unwrap().ask(command);
    assert_eq!(ask(&["INCR", "n"]).unwrap(), Reply::Number(1));
    for (fault, after) in [(Fault::DropRequests, "1"), (Fault::DropReplies, "2")] {
        proxy.set(fault);
        let port = proxy.port();
        let lost = std::thread::spawn(move || Talk::to(port).unwrap().ask(&["INCR", "n"]));
        pause(Duration::from_millis(100));
        proxy.set(Fault::None);
        assert!(lost.join().unwrap().is_err(), "{fault:?}");
        assert_eq!(server.cli(&["GET", "n"]), text(after), "{fault:?}");
    }
    assert_eq!(proxy.commands("INCR"), 3);
    assert_eq!(proxy.connections(), 3);
    assert!(proxy.bytes_sent() > 0 && proxy.bytes_answered() > 0);
}

#[test]
fn a_reply_is_cut_once_and_connections_are_reset_while_told() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    server.cli(&["SET", "k", "a long value"]);
    proxy.set(Fault::CutReplyAfter(6));
    assert!(Talk::to(proxy.port()).unwrap().ask(&["GET", "k"]).is_err());
    assert_eq!(Talk::to(proxy.port()).unwrap().ask(&["GET", "k"]).unwrap(), text("a long value"));
    let mut open = Talk::to(proxy.port()).unwrap();
    open.ask(&["PING"]).unwrap();
    proxy.set(Fault::Reset);
    assert!(open.ask(&["PING"]).is_err());
    assert!(Talk::to(proxy.port()).and_then(|mut talk| talk.ask(&["PING"])).is_err());
    proxy.set(Fault::Delay(Duration::from_millis(20)));
    assert_eq!(Talk::to(proxy.port()).unwrap().ask(&["PING"]).unwrap(), text("PONG"));
}

#[test]
fn workers_talk_stop_and_die() {
    if let Some(worker) = worker() {
        worker.say(&worker.role);
        while let Some(line) = worker.hear() {
            worker.say(&format!("{line}{line}"));
        }
        return;
    }
    let mut workers = Processes::of_test("workers_talk_stop_and_die", "echo", 2);
    assert_eq!(workers.hear(), ["echo", "echo"]);
    workers.tell("ab");
    assert_eq!(workers.hear(), ["abab", "abab"]);
    let first = workers.worker(0);
    first.freeze();
    first.tell("x");
    assert_eq!(first.hear_within(Duration::from_millis(100)), None);
    first.thaw();
    assert_eq!(first.hear(), "xx");
    first.kill();
    assert!(workers.worker(1).finish());
}
