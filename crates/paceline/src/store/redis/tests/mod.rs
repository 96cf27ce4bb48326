//! The link on real servers.

mod errors;
mod faults;
mod many;
mod one;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::link::Origin;
use super::link::RedisLink;
use super::url::Address;
use crate::store::shared::link::{Link, LinkError, PushSink};
use crate::store::shared::timing::Timing;

/// Answers with the batch.
const ECHO: &str = "return ARGV[1]";
/// Publishes the batch on the channel that is the last key, cut to its ledger.
const PUBLISH: &str = "local to = string.gsub(KEYS[1], ':ledger$', ':to:0f'); redis.call('PUBLISH', to, ARGV[1]); \
                       return 'published'";
const SPUBLISH: &str = "local to = string.gsub(KEYS[1], ':ledger$', ':to:0f'); redis.call('SPUBLISH', to, ARGV[1]); \
                        return 'published'";
const PREFIX: &str = "paceline:";
const LEDGER: &str = "openai";

/// Time-outs that a test can wait for.
const TIMING: Timing = Timing { connect: Duration::from_millis(500), reply: Duration::from_millis(500) };

fn link(url: &str, script: &'static str) -> RedisLink {
    RedisLink::new(Origin::Url(Box::new(Address::parse(url).unwrap())), PREFIX, TIMING, script).unwrap()
}

async fn call(link: &RedisLink, batch: &str) -> Result<String, LinkError> {
    let reply = link.call(LEDGER, batch.as_bytes().to_vec()).await?;
    Ok(String::from_utf8(reply).unwrap())
}

/// Calls until there is a reply, as a client does.
async fn call_until_answered(link: &RedisLink, batch: &str) -> String {
    for _ in 0..100 {
        match call(link, batch).await {
            Ok(reply) => return reply,
            Err(LinkError::Retry(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(LinkError::Fatal(reason)) => panic!("{reason}"),
        }
    }
    panic!("there is no reply");
}

async fn told_at_once(link: &RedisLink) -> String {
    match call(link, "x").await {
        Err(LinkError::Fatal(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

async fn told_to_retry(link: &RedisLink) -> String {
    match call(link, "x").await {
        Err(LinkError::Retry(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// What a sink heard.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn sink(&self) -> PushSink {
        let heard = self.clone();
        Arc::new(move |payload: &[u8]| {
            heard.0.lock().unwrap().push(String::from_utf8_lossy(payload).into_owned());
        })
    }

    /// Waits until this was heard, doing something again and again.
    async fn hears(&self, what: &str, again: impl AsyncFn()) {
        for _ in 0..200 {
            if self.0.lock().unwrap().iter().any(|heard| heard == what) {
                return;
            }
            again().await;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{what} was not heard");
    }
}

async fn listen(link: &RedisLink) -> Heard {
    let heard = Heard::default();
    link.listen(&link.channel(LEDGER, "0f"), heard.sink()).await.unwrap();
    heard
}
