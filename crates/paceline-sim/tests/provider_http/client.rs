//! A plain HTTP client for the tests.

use std::io;

use paceline_sim::provider::{FakeProvider, Pace, ProviderConfig};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

/// A provider and a client that keeps its connections.
pub(crate) struct Client {
    pub(crate) provider: FakeProvider,
    http: reqwest::Client,
}

/// Starts a provider whose answers have 20 tokens and take no time.
pub(crate) async fn start(config: ProviderConfig) -> Client {
    start_at_pace(config, Pace::instant(20)).await
}

pub(crate) async fn start_at_pace(config: ProviderConfig, pace: Pace) -> Client {
    let provider = FakeProvider::start(config.pace(pace).seed(7)).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Client { provider, http }
}

impl Client {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.provider.addr())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    /// A POST without a key.
    pub(crate) fn anonymous(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.url(path)).json(body)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.anonymous(path, body).bearer_auth("sk-secret")
    }
}

pub(crate) async fn json(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The events of a stream, each as its JSON; `[DONE]` as a string.
pub(crate) async fn events(request: RequestBuilder) -> Vec<Value> {
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "content-type"), Some("text/event-stream"));
    let text = response.text().await.unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into())).collect()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Says whether an error is a connection that was reset.
pub(crate) fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionReset) || error.source().is_some_and(is_reset)
}
