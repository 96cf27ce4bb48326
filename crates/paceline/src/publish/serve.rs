//! Readers at the socket: a line asked, a line answered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::say;
use super::seat::Limiters;
use crate::events::Events;
use crate::limiter::Limiter;
use crate::{Error, Pause};

/// The longest line that is read, in bytes.
const LONGEST: u64 = 16 * 1_024;

/// How often what happened is told: telling is cheap that way.
const GULP: Duration = Duration::from_millis(50);

/// How many events are told at once.
const AT_ONCE: usize = 256;

/// Receives readers for ever.
pub(super) async fn receive(listener: UnixListener, limiters: Arc<Limiters>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_own(&stream) => {
                let limiters = Arc::clone(&limiters);
                tokio::spawn(async move {
                    // A reader that leaves is none.
                    let _ = answer(stream, &limiters).await;
                });
            }
            Ok(_) => log::warn!("another user's process tried to look into this one"),
            Err(error) => {
                log::warn!("paceline top cannot be received: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn answer(stream: UnixStream, limiters: &Limiters) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        if (&mut reader).take(LONGEST).read_line(&mut line).await? == 0 || limiters.open().is_empty() {
            return Ok(());
        }
        let asked: Value = serde_json::from_str(&line).unwrap_or_default();
        let said = match asked["ask"].as_str() {
            Some("follow") => return follow(&mut reader, &mut writer, limiters).await,
            Some("look") => say::snapshot(&limiters.open()).await.map(|seen| json!({"snapshot": seen})),
            Some("pause" | "resume") => order(&asked, limiters).await.map(|()| json!({"done": true})),
            _ => Ok(json!({"error": "it can be asked to look, follow, pause and resume"})),
        };
        let said = said.unwrap_or_else(|error| json!({"error": error.to_string()}));
        write(&mut writer, &said).await?;
    }
}

async fn write(writer: &mut OwnedWriteHalf, said: &Value) -> std::io::Result<()> {
    writer.write_all(format!("{said}\n").as_bytes()).await
}

async fn order(asked: &Value, limiters: &Limiters) -> Result<(), Error> {
    let name = asked["resource"].as_str().unwrap_or_default();
    let open = limiters.open();
    let known = open.iter().find(|limiter| limiter.configured(name).is_some()).or(open.first());
    let resource = known.ok_or(Error::Closed)?.resource(name)?;
    if asked["ask"] == "resume" {
        return resource.resume().await;
    }
    let lasting = asked["seconds"].as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    resource.pause(lasting.map_or_else(Pause::until_resumed, Pause::lasting)).await
}

/// What is followed of one store, by the limiter with which that ends. No limiter is kept for a reader's sake.
struct Followed {
    limiter: u32,
    store: usize,
    events: Events,
}

/// Tells what happens until the reader leaves, or there is no limiter any more.
async fn follow(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    limiters: &Limiters,
) -> std::io::Result<()> {
    let mut followed: Vec<Followed> = Vec::new();
    let mut unasked = [0; 64];
    loop {
        look_around(&mut followed, &limiters.open());
        if followed.is_empty() {
            return Ok(());
        }
        for one in &mut followed {
            let told = std::iter::from_fn(|| one.events.try_next()).take(AT_ONCE);
            for said in told.filter_map(|event| say::event(&event)).collect::<Vec<_>>() {
                write(writer, &said).await?;
            }
        }
        if let Ok(Ok(0) | Err(_)) = timeout(GULP, reader.read(&mut unasked)).await {
            return Ok(());
        }
    }
}

/// Follows each store that is there, once.
fn look_around(followed: &mut Vec<Followed>, open: &[Limiter]) {
    followed.retain(|one| open.iter().any(|limiter| limiter.0.id == one.limiter));
    for limiter in open {
        let store = std::sync::Arc::as_ptr(&limiter.0.store).addr();
        if !followed.iter().any(|one| one.store == store) {
            followed.push(Followed { limiter: limiter.0.id, store, events: limiter.events() });
        }
    }
}
