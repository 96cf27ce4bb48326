//! Several servers before one Redis, one of which goes: nobody loses a place or a permit.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use paceline::{Demand, Limiter, Usage};
use paceline_testkit::RedisServer;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::crew::{Crew, limits, open};
use crate::kit::{Answer, Folder, Http, Serving, block_on, now};

/// A port that leads to the first of these servers that takes a connection.
struct Balancer {
    port: u16,
    serving: JoinHandle<()>,
}

impl Balancer {
    async fn before(ports: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, ports) = (listener.local_addr().unwrap().port(), ports.to_vec());
        let serving = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let ports = ports.clone();
                tokio::spawn(async move {
                    for port in ports {
                        if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                            let _ = (client.set_nodelay(true), server.set_nodelay(true));
                            // Either end may close it, at any instant.
                            let _ = copy_bidirectional(&mut client, &mut server).await;
                            return;
                        }
                    }
                });
            }
        });
        Self { port, serving }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Redis, and two servers before it.
struct Stage {
    _redis: RedisServer,
    servers: [Serving; 2],
}

impl Stage {
    fn set() -> Self {
        let redis = RedisServer::start();
        let server = || {
            let folder = Folder::new();
            let config = folder.file("limits.yaml", &limits());
            Serving::with(folder, &["--store", &redis.url(), "--config", &config])
        };
        let servers = [server(), server()];
        Self { _redis: redis, servers }
    }

    fn ports(&self) -> [u16; 2] {
        self.servers.each_ref().map(|server| server.port)
    }
}

/// Somebody in the line, who says when it is served.
type Served = tokio::sync::mpsc::UnboundedSender<(usize, Held)>;

/// A permit, and whose it is.
enum Held {
    Session(paceline::Permit),
    Plain(String),
}

async fn waits_in_session(at: usize, limiter: Arc<Limiter>, served: Served) {
    let permit = limiter.resource("solo").unwrap().acquire(Demand::new()).await.unwrap();
    served.send((at, Held::Session(permit))).unwrap_or_else(|_| panic!("the test listens"));
}

/// Polls a ticket at one server, and at the other as soon as the first does not serve it.
async fn polls(at: usize, ways: [Http; 2], first: usize, ticket: Answer, served: Served) {
    let (mut way, poll) = (first, ticket.said("poll").to_owned());
    loop {
        match ways[way].get(&format!("{poll}&wait_seconds=30")).await {
            Ok(answer) if answer.status == 200 => {
                let permit = answer.said("permit").to_owned();
                return served.send((at, Held::Plain(permit))).unwrap_or_else(|_| panic!("the test listens"));
            }
            Ok(answer) if answer.status == 202 => {}
            Ok(answer) if answer.kind() == "stopping" => way = 1 - way,
            Ok(answer) => panic!("the ticket of {at}: {answer:?}"),
            Err(_) => way = 1 - way,
        }
    }
}

/// Twelve wait in a line, by either server, in sessions and over plain HTTP; one server goes; all are served in the order
/// in which they came, and what the dead server granted is settled at the other.
async fn a_line_outlives_a_server(gone: usize, end: fn(&mut Serving)) {
    let mut stage = Stage::set();
    let ports = stage.ports();
    let ways = ports.map(Http::to);
    let balancers = [Balancer::before(&ports).await, Balancer::before(&[ports[1], ports[0]]).await];
    let sessions = [Arc::new(open(balancers[0].url()).await), Arc::new(open(balancers[1].url()).await)];
    let held = ways[gone].done(Method::POST, "/v1/acquire", &json!({"resource": "solo"})).await;
    let (served, mut line) = tokio::sync::mpsc::unbounded_channel();
    for at in 0..12 {
        let (side, served) = (at % 2, served.clone());
        if at % 4 < 2 {
            tokio::spawn(waits_in_session(at, Arc::clone(&sessions[side]), served));
        } else {
            let ask = json!({"resource": "solo", "wait_seconds": 0});
            let ticket = ways[side].post("/v1/acquire", &ask).await.unwrap();
            assert_eq!(ticket.status, 202, "{ticket:?}");
            tokio::spawn(polls(at, ways.clone(), side, ticket, served));
        }
        waiting(&ways[1 - gone], at + 1).await;
    }
    end(&mut stage.servers[gone]);
    let other = &ways[1 - gone];
    waiting(other, 12).await;
    let settle = |permit: &str| format!("/v1/permits/{permit}/settle");
    other.done(Method::POST, &settle(held["permit"].as_str().unwrap()), &Value::Null).await;
    for at in 0..12 {
        let next = tokio::time::timeout(Duration::from_secs(20), line.recv()).await;
        let (who, permit) = next.unwrap_or_else(|_| panic!("{at} is not served")).unwrap();
        assert_eq!(who, at, "the order of the line");
        match permit {
            Held::Session(permit) => drop(permit.settle(Usage::new()).await.unwrap()),
            Held::Plain(permit) => drop(other.done(Method::POST, &settle(&permit), &Value::Null).await),
        }
    }
}

async fn waiting(http: &Http, many: usize) {
    let began = now();
    loop {
        let shown = http.done(Method::GET, "/v1/resources/solo", &Value::Null).await;
        if shown["waiting"] == json!(many) {
            return;
        }
        assert!(now() - began < 20_000, "{many} are to wait: {shown}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_server_that_is_killed_costs_nobody_a_place() {
    block_on(a_line_outlives_a_server(0, Serving::kill));
}

#[test]
fn a_server_that_is_stopped_costs_nobody_a_place() {
    block_on(a_line_outlives_a_server(1, |server| assert_eq!(server.stop(), Some(0))));
}

/// Under load one server after the other is killed or stopped, and started again.
#[test]
fn servers_that_come_and_go_count_every_call_once() {
    block_on(async {
        let mut stage = Stage::set();
        let ports = stage.ports();
        let other_way = [ports[1], ports[0]];
        let balancers = [Balancer::before(&ports).await, Balancer::before(&other_way).await];
        let mut crew = Crew::new();
        for balancer in &balancers {
            crew.session(balancer.url(), 6).await;
        }
        crew.plain(&ports, 4);
        crew.plain(&other_way, 4);
        crew.goes_on(50).await;
        for round in 0..6 {
            let server = &mut stage.servers[round % 2];
            if round < 4 {
                server.kill();
            } else {
                assert_eq!(server.stop(), Some(0));
            }
            crew.goes_on(30).await;
            server.start();
            server.ready();
            crew.goes_on(30).await;
        }
        crew.finish(&Http::to(ports[0])).await;
    });
}
