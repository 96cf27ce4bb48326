//! Servers and clients for tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use paceline_server::{Backing, Server, Settings, Stop};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A server on a free port of the loopback.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) stop: Stop,
    pub(crate) ended: JoinHandle<()>,
    client: reqwest::Client,
    key: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

/// Limits of most tests: ten requests and a thousand tokens a minute, one call at a time for `solo`.
pub(crate) const LIMITS: &str = "
resources:
  gpt: {requests_per_minute: 10, tokens_per_minute: 1000}
  solo: {concurrent_requests: 1, lanes: {interactive: {priority: 10}, batch: {}}}
  team/wide: {requests_per_minute: 1000000}
";

impl Running {
    /// Starts a server with the limits of most tests.
    pub(crate) async fn usual() -> Self {
        Self::start(|_| {}).await
    }

    /// Starts a server with these limits in its file, and other settings.
    pub(crate) async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(LIMITS, change).await
    }

    /// Starts a server with these limits, or without a file where there are none.
    pub(crate) async fn with(limits: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::within(folder, limits, change).await
    }

    /// Starts a server in a folder, which another may have left behind.
    pub(crate) async fn within(folder: TempDir, limits: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        settings.listen = Some("127.0.0.1:0".parse().unwrap());
        if !limits.is_empty() {
            let file = folder.path().join("limits.yaml");
            std::fs::write(&file, limits).unwrap();
            settings.config = Some(file);
        }
        settings.backing = Backing::Disk(folder.path().join("state"));
        change(&mut settings);
        let server = Server::start(settings).await.unwrap();
        let (address, stop) = (server.address().unwrap(), server.stop());
        let ended = tokio::spawn(server.run());
        let client = client(|builder| builder);
        Self { address, folder, stop, ended, client, key: None }
    }

    /// Sends this key from now on.
    pub(crate) fn with_key(&mut self, key: &str) {
        self.key = Some(key.to_owned());
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, self.url(path));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(method, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Acquires and returns the permit.
    pub(crate) async fn granted(&self, body: &Value) -> String {
        let answer = self.post("/v1/acquire", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.said("permit")
    }

    /// Stops it and waits until it has ended.
    pub(crate) async fn end(self) -> TempDir {
        self.stop.now();
        tokio::time::timeout(Duration::from_secs(10), self.ended).await.expect("it ends in time").unwrap();
        self.folder
    }
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Returns a field that is text.
    pub(crate) fn said(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no {field}: {}", self.text)).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that it is a problem of this kind in every respect, and returns it.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{kind}"), "{}", self.text);
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert_eq!(problem.get("retry_after_seconds").is_some(), self.headers.contains_key("retry-after"));
        problem
    }
}

/// Returns a client.
pub(crate) fn client(
    change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> reqwest::Client {
    // The second of a process is told that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    change(reqwest::Client::builder().no_proxy()).build().unwrap()
}

/// Asks until the answer is as it should be; fails after ten seconds.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain: {what}");
}
