//! The task of one account: sends batches, one at a time, and takes over what comes back.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use paceline_core::Millis;
use tokio::time::{sleep, timeout};

use super::account::Life;
use super::desk::Frame;
use super::link::{LinkError, PushSink};
use crate::clock::Clock;
use crate::wire;

/// The shortest and the longest pause between attempts.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// How often the thread looks whether a caller joins a settlement that could go alone.
const LINGERING: u32 = 8;

/// What a task does next.
enum Next {
    Send,
    Wait,
    End,
}

/// Works for an account until nothing is left to do.
pub(super) async fn run(life: Arc<Life>) {
    let about = &life.about;
    let channel = about.link.channel(&about.name, &life.inbox);
    let idle = Duration::from_millis(about.sharing.session_timeout / 2);
    let (mut pause, mut listens) = (SHORTEST, false);
    loop {
        match life.next() {
            Next::End => return,
            Next::Wait => {
                // A bell that does not ring for so long is a reason to look whether this can end.
                let _ = timeout(idle, life.bell.notified()).await;
                continue;
            }
            Next::Send => {}
        }
        let done = match listen(&life, &channel, &mut listens).await {
            Ok(()) => send(&life, &channel).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => pause = SHORTEST,
            Err(error) => {
                life.failed(&error);
                listens &= !matches!(error, LinkError::Fatal(_));
                sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

async fn listen(life: &Arc<Life>, channel: &str, listens: &mut bool) -> Result<(), LinkError> {
    if *listens {
        return Ok(());
    }
    let to = Arc::downgrade(life);
    let sink: PushSink = Arc::new(move |bytes: &[u8]| {
        if let Some(life) = to.upgrade() {
            life.pushed(bytes);
        }
    });
    answered(life, life.about.link.listen(channel, sink)).await?;
    *listens = true;
    Ok(())
}

async fn send(life: &Arc<Life>, channel: &str) -> Result<(), LinkError> {
    let about = &life.about;
    let mut lingered = 0;
    while lingered < LINGERING && life.may_linger() {
        tokio::task::yield_now().await;
        std::thread::yield_now();
        lingered += 1;
    }
    answered(life, about.link.ready(&about.name)).await?;
    let run_id = about.link.run_id(&about.name);
    let Some(batch) = life.batch(channel, &run_id) else { return Ok(()) };
    let bytes = answered(life, about.link.call(&about.name, batch)).await?;
    let reply = wire::read_reply(&bytes);
    let reply = reply.map_err(|error| LinkError::Fatal(format!("its answer cannot be read: {error}")))?;
    life.answered(reply).map_err(LinkError::Fatal)
}

/// Waits for a link, which has to answer while a caller waits for a store.
async fn answered<T>(life: &Life, doing: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
    let patience = Duration::from_millis(life.about.sharing.store_timeout);
    match timeout(patience, doing).await {
        Ok(answer) => answer,
        Err(_) => Err(LinkError::Retry(format!("it did not answer within {patience:?}"))),
    }
}

fn jittered(pause: Duration) -> Duration {
    let dice = RandomState::new().hash_one(0) % 1_000;
    pause / 2 + pause.mul_f64(f64::from(u32::try_from(dice).unwrap_or(0)) / 2_000.0)
}

impl Life {
    fn now(&self) -> Millis {
        self.about.clock.now_ms()
    }

    fn next(&self) -> Next {
        let time_out = self.about.sharing.session_timeout;
        self.step(self.now(), |desk, now, _| {
            desk.rung = false;
            if desk.wants_batch(now, time_out) {
                return Next::Send;
            }
            let silent = now.saturating_sub(desk.session.last_sent) >= time_out / 2;
            if silent && !desk.is_needed() && desk.book.line.is_empty() {
                desk.running = false;
                return Next::End;
            }
            Next::Wait
        })
    }

    fn may_linger(&self) -> bool {
        self.step(self.now(), |desk, _, _| desk.may_linger())
    }

    fn batch(&self, channel: &str, run_id: &str) -> Option<Vec<u8>> {
        let (about, link) = (&self.about, &self.about.link);
        let fresh = format!("{:032x}", crate::store::here::random_session().0);
        let frame = Frame {
            time_out: about.sharing.session_timeout,
            channel,
            sharded: link.sharded(),
            run_id,
            fresh: &fresh,
            on_lost: about.sharing.on_lost.name(),
            told_time: matches!(about.clock, Clock::Manual(_)),
        };
        self.step(self.now(), |desk, now, _| desk.batch(&frame, now))
    }

    fn answered(&self, reply: wire::Reply) -> Result<(), String> {
        self.step(self.now(), |desk, now, after| self.about.apply(desk, reply, now, after))
    }

    fn failed(&self, error: &LinkError) {
        self.step(self.now(), |desk, now, after| self.about.failed(desk, error, now, after));
    }

    fn pushed(&self, bytes: &[u8]) {
        match wire::read_push(bytes) {
            Ok(push) => self.step(self.now(), |desk, now, after| self.about.push(desk, push, now, after)),
            Err(error) => log::warn!("a push of {} cannot be read: {error}", self.about.link.url()),
        }
    }
}
