//! Workers behind a server that keeps the ledgers itself, and behind one that forwards to Redis.

use std::sync::Arc;
use std::time::Duration;

use paceline::host::{Host, HostOptions};
use paceline::link::Link;
use paceline::remote::{Service, Terms, link_to, serve_stream};
use paceline_testkit::{Fault, FaultProxy, RedisServer, pause};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::crew::Crew;
use crate::plan::{Plan, measured};
use crate::processes;

/// A server in the test's process.
struct Server {
    port: u16,
    runtime: Option<Runtime>,
}

impl Server {
    fn start() -> Self {
        Self::of(Host::new(HostOptions::default()))
    }

    fn of(link: Arc<dyn Link>) -> Self {
        Self::at(0, link)
    }

    fn at(port: u16, link: Arc<dyn Link>) -> Self {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = threads.unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Service::new(link, "a test");
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = Arc::clone(&service);
                tokio::spawn(async move { serve_stream(&service, stream, &Terms::default()).await });
            }
        });
        Self { port, runtime: Some(runtime) }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[test]
fn what_a_killed_worker_held_is_free_after_a_session() {
    processes::a_holder_is_killed(&Server::start().url());
}

#[test]
fn the_next_goes_where_the_first_in_line_is_killed() {
    processes::the_first_in_line_is_killed(&Server::start().url());
}

#[test]
fn a_worker_that_comes_back_from_the_dead_is_told_and_works_on() {
    processes::a_worker_comes_back_from_the_dead(&Server::start().url());
}

#[test]
fn workers_die_and_freeze_under_load() {
    processes::some_die_and_some_freeze(&Server::start().url());
}

/// Workers behind networks of their own, which fail in one way after another.
#[test]
fn networks_that_fail_change_nothing() {
    let server = Server::start();
    let ways = [FaultProxy::to(server.port), FaultProxy::to(server.port)];
    let plan = Plan::slots(server.url(), 2).tokens(600, 1_000).counted();
    let urls = ways.each_ref().map(|way| format!("http://127.0.0.1:{}", way.port()));
    let mut crew = Crew::by(&plan, &urls);
    crew.tell_all("load 3 3 2");
    crew.goes_on(5);
    let delay = Fault::Delay(Duration::from_millis(50));
    for fault in [Fault::DropRequests, Fault::DropReplies, Fault::CutReplyAfter(9), Fault::Reset, delay] {
        for way in &ways {
            way.set(fault);
            pause(Duration::from_millis(150));
            way.set(Fault::None);
            crew.goes_on(3);
        }
    }
    let story = crew.finish();
    measured("networks that fail, the longest gap between grants", story.longest_gap());
    assert_eq!((story.events("expired"), story.events("state_lost")), (0, 0), "nothing was lost");
    assert_eq!(story.ended("over"), 0, "every permit was settled once");
}

/// Two servers before one Redis: one of them goes, and its workers go by the other.
#[test]
fn a_server_that_forwards_to_redis_can_go_and_nobody_loses_a_place() {
    let redis = RedisServer::start();
    let link = || link_to(&redis.url(), "paceline:").unwrap();
    let (first, second) = (Server::of(link()), Server::of(link()));
    let ways = [FaultProxy::to(first.port), FaultProxy::to(second.port)];
    let plan = Plan::slots(redis.url(), 2).tokens(600, 1_000).counted();
    let urls = ways.each_ref().map(|way| format!("http://127.0.0.1:{}", way.port()));
    let mut crew = Crew::by(&plan, &urls);
    crew.tell_all("load 3 3 2");
    crew.goes_on(10);
    let port = first.port;
    drop(first);
    pause(Duration::from_millis(100));
    // Another is started on the port, as whatever watches over servers does.
    let again = Server::at(port, link());
    crew.goes_on(20);
    let story = crew.finish();
    drop(again);
    measured("one of two servers before Redis is started again, the longest gap", story.longest_gap());
    assert_eq!((story.events("expired"), story.events("state_lost")), (0, 0), "nothing was lost");
    assert_eq!(story.ended("over"), 0);
}
