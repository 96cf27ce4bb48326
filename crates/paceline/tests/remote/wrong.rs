//! Servers that are something else, and clients that are.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use futures_util::{SinkExt, StreamExt};
use paceline::core::ResourceSpec;
use paceline::wire::{Down, LARGEST, PROTOCOL, Up, read_down, write_down, write_up};
use paceline::{Demand, Error, Limiter};
use paceline_testkit::{Certificates, Fault, FaultProxy, until};
use tokio_tungstenite::tungstenite::Message;

use crate::server::{GPT, Server, limits, open, secs};

/// Answers every connection with these bytes, and tells what it was sent.
fn answers(response: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), Vec::new());
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            let _ = stream.write_all(response.as_bytes());
            if tell.send(String::from_utf8_lossy(&request).into_owned()).is_err() {
                return;
            }
        }
    });
    (port, told)
}

/// What a caller is told of a server, and how long that took.
fn told_of(url: &str) -> (String, u64) {
    let began = paceline::Clock::System.now_ms();
    let builder = Limiter::builder().store(url).store_timeout(secs(1));
    let limiter = builder.limits(limits(1), [ResourceSpec::new(GPT)]).build().unwrap();
    let error = limiter.resource(GPT).unwrap().acquire(Demand::new()).wait().unwrap_err();
    assert!(matches!(error, Error::StoreUnavailable { .. }), "{error}");
    (error.to_string(), paceline::Clock::System.now_ms() - began)
}

#[test]
fn a_server_that_wants_another_key_is_told_of_at_once() {
    let problem = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/problem+json\r\ncontent-length: 38\r\n\r\n\
                   {\"title\":\"no\",\"detail\":\"it is revoked\"}";
    let (port, told) = answers(problem);
    let (error, took) = told_of(&format!("http://key:geheim@127.0.0.1:{port}/team"));
    assert!(error.contains("API key") && error.contains("it is revoked"), "{error}");
    assert!(!error.contains("geheim"), "{error}");
    assert!(took < 900, "{took} ms: nobody waits for a key to become right");
    let request = told.recv().unwrap();
    assert!(request.starts_with("GET /team/v1/session HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("Bearer geheim\r\n"), "{request}");
}

#[test]
fn what_an_answer_means_is_said() {
    for (response, says, at_once) in [
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "may not open sessions", true),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "paceline serve", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "refuses sessions", true),
        ("HTTP/1.1 308 Permanent Redirect\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", "elsewhere", true),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "at present", false),
        ("* OK IMAP4 ready\r\n", "paceline serve", false),
        ("", "did not", false),
    ] {
        let (port, _told) = answers(response);
        let (error, took) = told_of(&format!("http://127.0.0.1:{port}"));
        assert!(error.contains(says), "{response:?}: {error}");
        assert_eq!(took < 900, at_once, "{response:?}: {took} ms, {error}");
    }
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(told_of(&format!("http://127.0.0.1:{free}")).0.contains("connection refused"));
    assert!(told_of("unix:/nowhere/paceline.sock").0.contains("no such socket"));
    let url = format!("http://localhost:{free}");
    let error = Limiter::builder().store(&url).store_timeout(secs(1)).build().unwrap_err();
    assert!(
        matches!(error, Error::StoreUnavailable { .. }) && error.to_string().contains("refused"),
        "{error}"
    );
}

#[test]
fn a_limiter_without_a_configuration_waits_for_a_server_that_is_starting() {
    let server = Server::start();
    let proxy = FaultProxy::to(server.port);
    proxy.set(Fault::Reset);
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let builds = std::thread::spawn(move || Limiter::builder().store(url).store_timeout(secs(10)).build());
    until("it was tried", || (proxy.connections() >= 2).then_some(()));
    proxy.set(Fault::None);
    assert!(builds.join().unwrap().unwrap().resources().is_empty());
}

fn hello(protocol: u64) -> Vec<u8> {
    write_up(&Up::Hello { protocol, library: "9.9.9", name: "raw" })
}

#[test]
fn a_client_of_another_protocol_is_refused_with_both_versions() {
    let server = Server::start();
    server.run(async {
        let mut socket = server.raw().await;
        socket.send(Message::binary(hello(PROTOCOL + 1))).await.unwrap();
        let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!() };
        let Ok(Down::Refused { protocol, message }) = read_down(&bytes) else { panic!() };
        assert_eq!(protocol, PROTOCOL);
        for part in ["paceline 9.9.9", "protocol 2", "speaks 1", "up to date"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
    });
}

#[test]
fn a_server_of_another_protocol_is_said_so_with_both_versions() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            socket.next().await;
            let refused = write_down(&Down::Refused { protocol: 7, message: "too old for us" });
            let _ = socket.send(Message::binary(refused)).await;
        }
    });
    let (error, took) = told_of(&format!("http://127.0.0.1:{port}"));
    for part in ["protocol 1", "protocol 7", "too old for us", env!("CARGO_PKG_VERSION")] {
        assert!(error.contains(part), "{error}");
    }
    assert!(took < 900, "{took} ms");
    runtime.shutdown_background();
}

#[test]
fn frames_that_are_none_end_their_connection_alone() {
    let server = Server::start();
    server.run(async {
        let (_limiter, resource) = open(&server.http(), 1);
        let held = resource.acquire(Demand::new()).wait().unwrap();
        let garbage: [(&str, Vec<Message>); 6] = [
            ("no greeting", vec![Message::binary(write_up(&Up::Listen { id: 1, channel: "c" }))]),
            ("no frame", vec![Message::binary(hello(1)), Message::binary(vec![0xc1; 40])]),
            ("a text", vec![Message::binary(hello(1)), Message::text("hello")]),
            ("nothing", vec![Message::binary(hello(1)), Message::binary(Vec::new())]),
            ("two greetings", vec![Message::binary(hello(1)), Message::binary(hello(1))]),
            ("too much", vec![Message::binary(hello(1)), Message::binary(vec![0xc6; LARGEST + 1])]),
        ];
        for (what, messages) in garbage {
            let before = server.ended().len();
            let mut socket = server.raw().await;
            for message in messages {
                // The server may have ended it before all was sent.
                let _ = socket.send(message).await;
            }
            until(what, || (server.ended().len() > before).then_some(()));
        }
        assert_eq!(server.connections(), 7, "the one connection stood all the while");
        held.give_back().wait().unwrap();
    });
}

#[test]
fn a_batch_or_a_channel_that_is_none_fails_alone() {
    let server = Server::start();
    server.run(async {
        let mut socket = server.raw().await;
        socket.send(Message::binary(hello(1))).await.unwrap();
        let _greeting = socket.next().await;
        let batch = paceline::wire::write_batch(
            &paceline::wire::Header { inbox: "paceline:{other}:to:00", ..paceline::wire::Header::default() },
            &[paceline::wire::Ask::View],
        );
        for (up, says) in [
            (Up::Call { id: 1, ledger: "openai", batch: b"nonsense" }, "cannot be read"),
            (Up::Call { id: 2, ledger: "openai", batch: &batch }, "not of this ledger"),
            (Up::Listen { id: 3, channel: "any" }, "no channel"),
            (Up::Listen { id: 4, channel: "paceline:{x}:to:a b" }, "no channel"),
        ] {
            socket.send(Message::binary(write_up(&up))).await.unwrap();
            let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!() };
            let Ok(Down::Failed { lasting: true, reason, .. }) = read_down(&bytes) else {
                panic!("{bytes:?}")
            };
            assert!(reason.contains(says), "{reason}");
        }
    });
}

/// Reads nothing of thousands of long answers.
#[test]
fn a_client_that_does_not_read_is_held_back() {
    let server = Server::start();
    server.run(async {
        let mut socket = server.raw().await;
        socket.send(Message::binary(hello(1))).await.unwrap();
        let batch =
            paceline::wire::write_batch(&paceline::wire::Header::default(), &[paceline::wire::Ask::Status]);
        let mut sent = 0_u64;
        let flood = async {
            loop {
                let call = write_up(&Up::Call { id: sent, ledger: "openai", batch: &batch });
                socket.send(Message::binary(call)).await.unwrap();
                sent += 1;
            }
        };
        let _ = tokio::time::timeout(secs(4), flood).await;
        assert!(sent < 200_000, "{sent} calls were taken that nobody reads the answers of");
        let (_limiter, resource) = open(&server.http(), 1);
        resource.acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();
    });
}

#[test]
fn certificates_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let files = Certificates::make(folder.path());
    let (port, runtime) = crate::server::encrypted(&files);
    let by_name = |query: &str| format!("https://localhost:{port}{query}");
    let (error, _) = told_of(&by_name(""));
    assert!(error.contains("not trusted") && error.contains("?ca="), "{error}");
    let (_limiter, resource) = open(&format!("https://127.0.0.1:{port}?ca={}", files.ca.display()), 1);
    resource.acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();
    let nowhere = Limiter::builder().store(by_name("/b?ca=/nowhere.pem")).build().unwrap_err();
    assert!(matches!(nowhere, Error::StoreUrl { .. }), "{nowhere}");
    runtime.shutdown_background();
}
