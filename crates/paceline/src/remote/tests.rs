//! One connection, by frames of hand, over a link that is watched.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Ended, Incoming, Outgoing, PROTOCOL, Service, Terms, serve_connection};
use crate::link::{Doing, Link, LinkError, PushSink};
use crate::sync::lock;
use crate::wire::{Ask, Down, Header, Up, read_down, read_passing, write_batch, write_down, write_up};

/// Answers each batch with what its head says, and keeps who listens.
#[derive(Default)]
struct Watched {
    sinks: Mutex<BTreeMap<String, PushSink>>,
}

impl Watched {
    fn channels(&self) -> Vec<String> {
        lock(&self.sinks).keys().cloned().collect()
    }

    fn push(&self, channel: &str) {
        let sink = lock(&self.sinks).get(channel).map(Arc::clone);
        sink.unwrap()(b"pushed");
    }
}

impl Link for Watched {
    fn call<'a>(&'a self, ledger: &'a str, batch: Vec<u8>) -> Doing<'a, Vec<u8>> {
        Box::pin(async move {
            match ledger {
                "hangs" => std::future::pending().await,
                "fails" => Err(LinkError::Retry("not now".to_owned())),
                _ => Ok(batch),
            }
        })
    }

    fn listen<'a>(&'a self, channel: &'a str, sink: PushSink) -> Doing<'a, ()> {
        lock(&self.sinks).insert(channel.to_owned(), sink);
        Box::pin(async { Ok(()) })
    }

    fn unlisten(&self, channel: &str, sink: &PushSink) {
        let mut sinks = lock(&self.sinks);
        if sinks.get(channel).is_some_and(|listening| Arc::ptr_eq(listening, sink)) {
            sinks.remove(channel);
        }
    }

    fn channel(&self, ledger: &str, inbox: &str) -> String {
        format!("own:{{{ledger}}}:to:{inbox}")
    }

    fn sharded(&self) -> bool {
        true
    }

    fn run_id(&self, _: &str) -> String {
        "run".to_owned()
    }

    fn url(&self) -> &'static str {
        "watched"
    }
}

struct Frames(Receiver<Vec<u8>>);

impl Incoming for Frames {
    async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }
}

struct Out(Sender<Vec<u8>>);

impl Outgoing for Out {
    async fn send(&mut self, frames: Vec<Vec<u8>>) -> bool {
        for frame in frames {
            if self.0.send(frame).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// The client's end of a connection.
struct Client {
    up: Sender<Vec<u8>>,
    down: Receiver<Vec<u8>>,
    serves: tokio::task::JoinHandle<Ended>,
}

impl Client {
    fn of(link: &Arc<Watched>) -> Self {
        let service = Service::new(Arc::clone(link) as Arc<dyn Link>, "watched");
        let ((up, incoming), (out, down)) = (channel(8), channel(8));
        let serves = tokio::spawn(async move {
            serve_connection(&service, Frames(incoming), Out(out), &Terms::default()).await
        });
        Self { up, down, serves }
    }

    async fn greeted(link: &Arc<Watched>) -> Self {
        let mut client = Self::of(link);
        client.say(&Up::Hello { protocol: PROTOCOL, library: "1", name: "test" }).await;
        let greeting = client.hear().await;
        let Ok(Down::Hello { run_id: "run", store: "watched", .. }) = read_down(&greeting) else { panic!() };
        client
    }

    async fn say(&self, up: &Up<'_>) {
        self.up.send(write_up(up)).await.unwrap();
    }

    async fn hear(&mut self) -> Vec<u8> {
        self.down.recv().await.unwrap()
    }
}

const CHANNEL: &str = "paceline:{openai}:to:00ff";

#[tokio::test]
async fn a_batch_is_sent_on_with_what_the_server_knows() {
    let link = Arc::default();
    let mut client = Client::greeted(&link).await;
    let header = Header { inbox: CHANNEL, run_id: "old", epoch: "e", ..Header::default() };
    let batch = write_batch(&header, &[Ask::View]);
    client.say(&Up::Call { id: 5, ledger: "openai", batch: &batch }).await;
    let answer = client.hear().await;
    let Ok(Down::Reply { id: 5, reply }) = read_down(&answer) else { panic!() };
    let known = Header { inbox: "own:{openai}:to:00ff", sharded: true, run_id: "run", ..header };
    assert_eq!(reply, write_batch(&known, &[Ask::View]));
    assert_eq!(read_passing(reply).unwrap().epoch, "e");
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let link = Arc::default();
    let mut client = Client::greeted(&link).await;
    let batch = write_batch(&Header::default(), &[]);
    for (id, ledger) in [(1, "hangs"), (2, "fails"), (3, "openai")] {
        client.say(&Up::Call { id, ledger, batch: &batch }).await;
    }
    let refused = client.hear().await;
    assert_eq!(read_down(&refused), Ok(Down::Failed { id: 2, lasting: false, reason: "not now" }));
    assert!(matches!(read_down(&client.hear().await), Ok(Down::Reply { id: 3, .. })));
}

#[tokio::test]
async fn a_connection_takes_its_channels_with_it_but_for_those_that_went_to_another() {
    let link = Arc::default();
    let mut first = Client::greeted(&link).await;
    first.say(&Up::Listen { id: 1, channel: CHANNEL }).await;
    first.hear().await;
    first.say(&Up::Listen { id: 2, channel: "paceline:{other}:to:00ff" }).await;
    first.hear().await;
    let mut second = Client::greeted(&link).await;
    second.say(&Up::Listen { id: 1, channel: CHANNEL }).await;
    second.hear().await;
    drop(first.up);
    assert_eq!(first.serves.await.unwrap(), Ended::Left);
    assert_eq!(link.channels(), ["own:{openai}:to:00ff"]);
    link.push("own:{openai}:to:00ff");
    let pushed = second.hear().await;
    assert_eq!(read_down(&pushed), Ok(Down::Push { channel: CHANNEL, payload: b"pushed" }));
    // A future that is dropped leaves nothing either.
    second.serves.abort();
    let _ = second.serves.await;
    assert!(link.channels().is_empty());
}

#[tokio::test]
async fn a_client_that_takes_no_pushes_is_cut_off() {
    let link = Arc::default();
    let mut client = Client::greeted(&link).await;
    client.say(&Up::Listen { id: 1, channel: CHANNEL }).await;
    client.hear().await;
    for _ in 0..2_000 {
        link.push("own:{openai}:to:00ff");
    }
    assert_eq!(client.serves.await.unwrap(), Ended::Slow);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_or_takes_nothing_is_not_waited_for_for_ever() {
    let link = Arc::default();
    let silent = Client::of(&link);
    assert_eq!(silent.serves.await.unwrap(), Ended::Silent);
    let client = Client::greeted(&link).await;
    let batch = write_batch(&Header::default(), &[]);
    let calls = async {
        for id in 0.. {
            client.say(&Up::Call { id, ledger: "openai", batch: &batch }).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), calls).await;
    assert_eq!(client.serves.await.unwrap(), Ended::Slow);
}

#[tokio::test]
async fn what_ended_a_connection_is_said() {
    let link = Arc::default();
    let mut foreign = Client::of(&link);
    foreign.say(&Up::Hello { protocol: 2, library: "9.9", name: "" }).await;
    let said = foreign.hear().await;
    let Ok(Down::Refused { protocol: PROTOCOL, message }) = read_down(&said) else { panic!() };
    assert!(message.contains("9.9") && message.contains("up to date"), "{message}");
    let client = Client::greeted(&link).await;
    client.up.send(write_down(&Down::Other)).await.unwrap();
    let ended = client.serves.await.unwrap();
    assert!(ended.to_string().contains("no frame"), "{ended}");
}
