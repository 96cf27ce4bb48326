//! Plain HTTP on connections that are kept: how many requests a second, and how long one takes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use super::server::Servers;
use super::tell::{Spread, real, row};
use super::{Effort, Outcome, clock};

const CONNECTIONS: usize = 64;
const ASK: &str = r#"{"resource":"bench","input_tokens":1200,"max_output_tokens":800}"#;
const USED: &str = r#"{"input_tokens":1180,"output_tokens":212}"#;

/// A connection that is kept, used for one request at a time.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4_096) })
    }

    /// Sends a request, and returns the body of its answer.
    async fn post(&mut self, path: &str, body: &str) -> Outcome<&str> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut answer = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = answer.parse(&self.buffer)? else { continue };
            if answer.code != Some(200) {
                return Err(String::from_utf8_lossy(&self.buffer).into_owned().into());
            }
            let length =
                answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let length: usize = std::str::from_utf8(length.ok_or("no length")?.value)?.parse()?;
            if self.buffer.len() >= head + length {
                return Ok(std::str::from_utf8(self.buffer.get(head..).unwrap_or_default())?);
            }
        }
    }

    /// Two requests: ours acquires and settles, the floor's answer a constant.
    async fn pair(&mut self, ours: bool) -> Outcome<()> {
        let body = self.post("/v1/acquire", ASK).await?;
        if !ours {
            self.post("/v1/acquire", USED).await?;
            return Ok(());
        }
        let permit = body.split(r#""permit":""#).nth(1).and_then(|rest| rest.split('"').next());
        let path = format!("/v1/permits/{}/settle", permit.ok_or("no permit")?);
        self.post(&path, USED).await?;
        Ok(())
    }
}

/// Returns requests a second.
pub(crate) fn throughput(servers: &Servers, effort: &Effort) -> Outcome<f64> {
    let time = Duration::from_millis(effort.round_ms);
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        floors.push(busy(&servers.floor, false, time)?);
        ours.push(busy(&servers.ours, true, time)?);
    }
    let most = Spread::of(ours.clone()).median;
    row(
        "requests a second over HTTP, half acquires, half settles, 64 connections",
        "/s",
        ours,
        floors,
        "≥ 0.6",
    );
    Ok(most)
}

/// Returns the floor's requests a second.
pub(crate) fn floor(servers: &Servers, time: Duration) -> Outcome<f64> {
    busy(&servers.floor, false, time)
}

fn busy(address: &str, ours: bool, time: Duration) -> Outcome<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = Vec::new();
        let (began, end) = (clock::now(), clock::now() + time);
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(address).await?;
            tasks.push(tokio::spawn(async move {
                let mut done = 0;
                while clock::now() < end {
                    connection.pair(ours).await?;
                    done += 2;
                }
                Outcome::Ok(done)
            }));
        }
        let mut all = 0;
        for task in tasks {
            all += task.await??;
        }
        Ok(real(all) / began.elapsed().as_secs_f64())
    })
}

/// How long an acquire takes that need not wait, at half of the most requests that the server answers.
pub(crate) fn latency(servers: &Servers, effort: &Effort, most: f64) -> Outcome<()> {
    let time = Duration::from_millis(effort.round_ms);
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        floors.push(paced(&servers.floor, false, time, most / 2.0)?);
        ours.push(paced(&servers.ours, true, time, most / 2.0)?);
    }
    row("p99 of an acquire that need not wait, 64 connections, half of that load", "µs", ours, floors, "≤ 2");
    Ok(())
}

/// Sends pairs at a rate, each connection its share at even intervals; a late one is counted from when it was due.
fn paced(address: &str, ours: bool, time: Duration, rate: f64) -> Outcome<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connections = u32::try_from(CONNECTIONS)?;
    let interval = Duration::from_secs_f64(2.0 * f64::from(connections) / rate);
    runtime.block_on(async {
        let mut tasks = Vec::new();
        let began = clock::now() + Duration::from_millis(20);
        for number in 0..connections {
            let mut connection = Connection::open(address).await?;
            let mut due = began + interval * number / connections;
            tasks.push(tokio::spawn(async move {
                let mut taken = Vec::new();
                while due < began + time {
                    sleep_until(due.into()).await;
                    let body = connection.post("/v1/acquire", ASK).await?;
                    taken.push(due.elapsed().as_secs_f64() * 1e6);
                    let permit = body.split(r#""permit":""#).nth(1).and_then(|rest| rest.split('"').next());
                    let path = format!("/v1/permits/{}/settle", permit.ok_or("no permit")?);
                    connection.post(if ours { &path } else { "/v1/acquire" }, USED).await?;
                    due += interval;
                }
                Outcome::Ok(taken)
            }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await??);
        }
        all.sort_by(f64::total_cmp);
        all.get(all.len() * 99 / 100).copied().ok_or_else(|| "nothing was measured".into())
    })
}
