//! Calls over HTTP, as the vendors' SDKs make them: kept-alive connections, one body a call, the usage read off the answer.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use paceline::Usage;
use serde_json::{Value, json};

use super::job::Work;
use super::scene::Scene;
use crate::failure::Failure;
use crate::referee::Provider;

/// A client of one model at one provider. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    url: String,
    model: String,
    provider: Provider,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// The call was served.
    Served(Usage),
    /// The call was refused with 429.
    Refused {
        /// When to come back, if the provider said.
        retry_after: Option<Duration>,
    },
}

impl Client {
    /// Returns a client of the model of a scene.
    pub(crate) fn new(addr: SocketAddr, scene: &Scene) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new()).build(connector);
        let model = scene.model().to_owned();
        let path = match scene.provider {
            Provider::Anthropic => "/v1/messages".to_owned(),
            Provider::Gemini => format!("/v1beta/models/{model}:generateContent"),
            Provider::Azure => format!("/openai/deployments/{model}/chat/completions"),
            _ => "/v1/chat/completions".to_owned(),
        };
        Self { pool, url: format!("http://{addr}{path}"), model, provider: scene.provider }
    }

    /// Makes one call and reads all of its answer.
    pub(crate) async fn call(&self, work: &Work) -> Result<Answer, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Call(format!("{}: {error}", self.url));
        let request = self.request(work).map_err(|error| failed(&error))?;
        let response = self.pool.request(request).await.map_err(|error| failed(&error))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| failed(&error))?.to_bytes();
        match parts.status {
            StatusCode::OK => {
                Ok(Answer::Served(self.usage(&body).ok_or_else(|| failed(&"the answer has no usage"))?))
            }
            StatusCode::TOO_MANY_REQUESTS => Ok(Answer::Refused { retry_after: retry_after(&parts.headers) }),
            status => Err(failed(&format!("{status}: {}", String::from_utf8_lossy(&body)))),
        }
    }

    fn request(&self, work: &Work) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        Request::post(&self.url)
            .header("authorization", "Bearer demo")
            .header("content-type", "application/json")
            .header("x-fake-input-tokens", work.input_tokens)
            .header("x-fake-output-tokens", work.output_tokens)
            .header("x-fake-latency-ms", u64::try_from(work.latency.as_millis()).unwrap_or(u64::MAX))
            .body(Full::new(self.body(work).to_string().into()))
    }

    fn body(&self, work: &Work) -> Value {
        let most = work.max_output_tokens;
        let messages = json!([{"role": "user", "content": "How do a hundred workers share one key?"}]);
        match self.provider {
            Provider::Gemini => json!({
                "contents": [{"role": "user", "parts": [{"text": "How do a hundred workers share one key?"}]}],
                "generationConfig": {"maxOutputTokens": most},
            }),
            Provider::Openai | Provider::Cerebras => {
                json!({"model": self.model, "messages": messages, "max_completion_tokens": most})
            }
            _ => json!({"model": self.model, "messages": messages, "max_tokens": most}),
        }
    }

    fn usage(&self, body: &[u8]) -> Option<Usage> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let (block, input, output) = match self.provider {
            Provider::Anthropic => ("usage", "input_tokens", "output_tokens"),
            Provider::Gemini => ("usageMetadata", "promptTokenCount", "candidatesTokenCount"),
            _ => ("usage", "prompt_tokens", "completion_tokens"),
        };
        let tokens = |name: &str| answer[block][name].as_u64();
        Some(Usage::new().input_tokens(tokens(input)?).output_tokens(tokens(output)?))
    }
}

/// Reads when to come back: in milliseconds where the provider says so, else in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1_000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}
