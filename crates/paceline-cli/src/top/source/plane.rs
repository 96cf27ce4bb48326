//! A control plane: `GET /v1/snapshot` over one connection, events over another.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use paceline::remote::Dial;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{Follow, Order, Source};
use crate::failure::Failure;
use crate::top::log::News;
use crate::top::sample::Sample;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// After what silence a stream of events is taken for dead: the server says something each 15 seconds.
const SILENCE: Duration = Duration::from_secs(40);

/// Returns a source behind a control plane.
pub(super) fn open(dial: Dial) -> Result<Box<dyn Source>, Failure> {
    Ok(Box::new(Plane { line: Line::new(dial)? }))
}

struct Plane {
    line: Line,
}

impl Source for Plane {
    fn place(&self) -> String {
        self.line.dial.to_string()
    }

    fn look(&mut self) -> Result<Sample, Failure> {
        let bytes = self.line.ask(Method::GET, "/v1/snapshot", Bytes::new())?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::Call(format!(
                "{} answered what is no snapshot ({error}); is it paceline serve?",
                self.place()
            ))
        })
    }

    fn order(&mut self, order: &Order) -> Result<(), Failure> {
        let (what, body) = match order {
            Order::Pause { .. } => ("pause", json!({"reason": "paceline top"})),
            Order::Resume { .. } => ("resume", Value::Null),
        };
        let path = format!("/v1/resources/{}/{what}", escaped(order.resource()));
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        self.line.ask(Method::POST, &path, body).map(drop)
    }

    fn follow(&self) -> Result<Option<Box<dyn Follow>>, Failure> {
        let line = Line::new(self.line.dial.clone())?;
        Ok(Some(Box::new(Stream { line, body: None, text: String::new(), last: None })))
    }
}

/// A connection to a server, made when it is needed.
struct Line {
    dial: Dial,
    runtime: Runtime,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    fn new(dial: Dial) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { dial, runtime: runtime.map_err(Failure::io("runtime"))?, sender: None })
    }

    /// Asks, and returns the body of a good answer.
    fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let request = self.request(method, path, body, None)?;
        let (dial, sender) = (self.dial.clone(), &mut self.sender);
        self.runtime.block_on(async {
            let answered = timeout(PATIENCE, async {
                let response = send(&dial, sender, request).await?;
                let (status, body) = (response.status(), response.into_body());
                let bytes = body.collect().await.map_err(|error| lost(&dial, &error))?.to_bytes();
                if status.is_success() { Ok(bytes) } else { Err(problem(&dial, status, &bytes)) }
            });
            answered.await.unwrap_or_else(|_| {
                *sender = None;
                Err(Failure::Call(format!("{dial} did not answer within {} s", PATIENCE.as_secs())))
            })
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        last: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.dial.prefix()))
            .header("host", self.dial.host());
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = self.dial.key() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        request.body(Full::new(body)).map_err(|error| {
            Failure::Input(format!("no request can be made of {} and its key: {error}", self.dial))
        })
    }
}

/// Sends a request over the connection that there is, or over another where it is gone.
async fn send(
    dial: &Dial,
    kept: &mut Option<SendRequest<Full<Bytes>>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    if let Some(sender) = kept.as_mut().filter(|sender| sender.is_ready())
        && let Ok(response) = sender.send_request(request.clone()).await
    {
        return Ok(response);
    }
    *kept = None;
    let stream = dial.open().await?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| lost(dial, &error))?;
    tokio::spawn(async move {
        // What becomes of it is told to who uses it.
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.map_err(|error| lost(dial, &error))?;
    *kept = Some(sender);
    Ok(response)
}

fn lost(dial: &Dial, error: &hyper::Error) -> Failure {
    Failure::Call(format!("the connection to {dial} was lost ({error})"))
}

/// Says what a server refused, in its own words where it has such.
fn problem(dial: &Dial, status: StatusCode, body: &[u8]) -> Failure {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = ["detail", "title"].map(|field| said[field].as_str().unwrap_or_default());
    let words = words.into_iter().find(|words| !words.is_empty());
    let hint = match status {
        StatusCode::UNAUTHORIZED => {
            "; name a key by PACELINE_API_KEY, or in the URL as http://key:SECRET@HOST"
        }
        StatusCode::NOT_FOUND if words.is_none() => "; is it paceline serve?",
        _ => "",
    };
    Failure::Call(format!(
        "{dial} answered {}{}{hint}",
        status.as_u16(),
        words.map_or_else(String::new, |words| { format!(": {words}") })
    ))
}

/// Returns the name of a resource as it stands in a path, its slash left as it is.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Server-sent events.
struct Stream {
    line: Line,
    body: Option<Incoming>,
    text: String,
    last: Option<String>,
}

impl Follow for Stream {
    fn next(&mut self) -> Result<News, Failure> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let frame: String = self.text.drain(..end + 2).collect();
                if let Some(news) = self.read(&frame) {
                    return Ok(news);
                }
            }
            let more = self.more();
            if more.is_err() {
                (self.body, self.line.sender) = (None, None);
                self.text.clear();
            }
            more?;
        }
    }
}

impl Stream {
    /// Reads an event; keep-alives are none.
    fn read(&mut self, frame: &str) -> Option<News> {
        let (mut name, mut data) = (None, String::new());
        for line in frame.lines() {
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = Some(value.to_owned()),
                "id" => self.last = Some(value.to_owned()),
                "data" => data.push_str(value),
                _ => {}
            }
        }
        Some(News { name: name?, data: serde_json::from_str(&data).unwrap_or_default() })
    }

    fn more(&mut self) -> Result<(), Failure> {
        if self.body.is_none() {
            let request = self.line.request(Method::GET, "/v1/events", Bytes::new(), self.last.as_deref())?;
            self.body = Some(self.open(request)?);
        }
        let (dial, Some(body)) = (&self.line.dial, &mut self.body) else { return Ok(()) };
        let frame = self.line.runtime.block_on(async { timeout(SILENCE, body.frame()).await });
        match frame {
            Ok(Some(Ok(frame))) => {
                let bytes = frame.into_data().unwrap_or_default();
                self.text.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
                Ok(())
            }
            Ok(Some(Err(error))) => Err(lost(dial, &error)),
            Ok(None) => Err(Failure::Call(format!("{dial} ended its events"))),
            Err(_) => Err(Failure::Call(format!("{dial} says nothing any more"))),
        }
    }

    fn open(&mut self, request: Request<Full<Bytes>>) -> Result<Incoming, Failure> {
        let (dial, sender) = (self.line.dial.clone(), &mut self.line.sender);
        self.line.runtime.block_on(async {
            let opened = timeout(PATIENCE, async {
                let response = send(&dial, sender, request).await?;
                let status = response.status();
                if status.is_success() {
                    return Ok(response.into_body());
                }
                let bytes =
                    response.into_body().collect().await.map_err(|error| lost(&dial, &error))?.to_bytes();
                Err(problem(&dial, status, &bytes))
            });
            opened.await.unwrap_or_else(|_| Err(Failure::Call(format!("{dial} did not answer"))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(escaped("openai/gpt 4o?"), "openai/gpt%204o%3F");
    }

    #[test]
    fn events_are_read_and_keep_alives_passed_over() {
        let line = Line::new(Dial::to("http://localhost:1").unwrap().unwrap()).unwrap();
        let mut stream = Stream { line, body: None, text: String::new(), last: None };
        assert_eq!(stream.read(":\n\n"), None);
        let news = stream.read("event: granted\nid: a-7\ndata: {\"resource\":\"gpt\"}\n\n").unwrap();
        assert_eq!((news.name.as_str(), &news.data["resource"]), ("granted", &json!("gpt")));
        assert_eq!(stream.last.as_deref(), Some("a-7"));
    }
}
