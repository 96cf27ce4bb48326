//! What is too large, too slow or too much is refused, and the rest is served on.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::kit::{Answer, Running, until};

/// Reads until the server closes the connection; fails where it does not.
async fn closed(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut text)).await;
    read.expect("the server closes it").unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_are_refused() {
    let server = Running::usual().await;
    let body = json!({"resource": "x".repeat(70_000)});
    server.post("/v1/acquire", &body).await.problem(413, "too-large");
    let long = server.request(Method::GET, "/v1/lanes").header("x-long", "x".repeat(60_000)).send().await;
    assert!(long.is_err() || long.unwrap().status().is_client_error());
    let mut many = server.request(Method::GET, "/v1/lanes");
    for at in 0..100 {
        many = many.header(format!("x-{at}"), "1");
    }
    let many = many.send().await;
    assert!(many.is_err() || many.unwrap().status().is_client_error());
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_and_others_served() {
    let server = Running::start(|settings| settings.read_timeout = Duration::from_millis(300)).await;
    let mut head = TcpStream::connect(server.address).await.unwrap();
    head.write_all(b"GET /healthz HTTP/1.1\r\nHost: local").await.unwrap();
    let mut body = TcpStream::connect(server.address).await.unwrap();
    let slow = "POST /v1/acquire HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{";
    body.write_all(slow.as_bytes()).await.unwrap();
    assert_eq!(server.get("/healthz").await.status, 200);
    assert!(!closed(&mut head).await.contains("200 OK"));
    let told = closed(&mut body).await;
    assert!(told.starts_with("HTTP/1.1 408") && told.contains("/problems/request-timeout"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_connections_are_open_than_may_be() {
    let server = Running::start(|settings| settings.connections = 2).await;
    let one = TcpStream::connect(server.address).await.unwrap();
    let two = TcpStream::connect(server.address).await.unwrap();
    until("both are seated", async || {
        let mut third = TcpStream::connect(server.address).await.unwrap();
        third.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap_or_default();
        let mut text = String::new();
        let read = tokio::time::timeout(Duration::from_secs(5), third.read_to_string(&mut text)).await;
        (read.is_ok() && text.is_empty()).then_some(())
    })
    .await;
    drop((one, two));
    until("there is room", async || {
        let answer = server.request(Method::GET, "/healthz").send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_methods_that_are_not_there_are_problems() {
    let server = Running::usual().await;
    server.get("/v1/nothing").await.problem(404, "not-found");
    server.get("/nothing").await.problem(404, "not-found");
    server.delete("/v1/acquire").await.problem(405, "method-not-allowed");
    let odd = server.request(Method::from_bytes(b"BREW").unwrap(), "/v1/lanes").send().await.unwrap();
    Answer::of(odd).await.problem(405, "method-not-allowed");
    server.get("/v1/resources/%FF").await.problem(400, "malformed");
    server.get("/problems/nothing").await.problem(404, "not-found");
    assert_eq!(server.get("/problems/busy").await.json()["status"], 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_for_its_owner_alone_and_gone_at_the_end() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paceline.sock");
    let server = Running::start(|settings| settings.socket = Some(path.clone())).await;
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("ok\n"), "{text}");
    server.end().await;
    assert!(!path.exists());
    // What a dead server left behind is cleared; anything else stays.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    Running::start(|settings| settings.socket = Some(path.clone())).await.end().await;
}
