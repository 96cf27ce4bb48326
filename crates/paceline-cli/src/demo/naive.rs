//! Workers that call and see, as they do without Paceline.
//!
//! On a 429 a worker does what the vendors' SDKs do: it waits as long as `Retry-After` says if that is a minute or less,
//! else half a second, doubled at each attempt up to eight, shortened by up to a quarter at random. They give up
//! after two retries; here nobody does, for the job has to be done, but what they would have given up is counted.

use std::sync::Arc;
use std::time::Duration;

use paceline_sim::simulate::Draw;
use tokio::task::JoinSet;

use super::board::{Board, Grant};
use super::client::{Answer, Client};
use crate::failure::Failure;

const LONGEST_HINT_S: f64 = 60.0;
const FIRST_BACKOFF_S: f64 = 0.5;
const LONGEST_BACKOFF_S: f64 = 8.0;

/// How a worker waits between attempts.
#[derive(Debug, Clone)]
struct Backoff {
    draw: Draw,
    time_scale: f64,
}

/// Goes through a board with so many workers; returns how many calls were overtaken by one that asked later.
pub(crate) async fn work(
    board: &Arc<Board>,
    client: &Client,
    workers: usize,
    seed: u64,
    time_scale: f64,
) -> Result<u64, Failure> {
    let mut seeds = Draw::new(seed);
    let mut running = JoinSet::new();
    for _ in 0..workers {
        let backoff = Backoff { draw: Draw::new(seeds.bits()), time_scale };
        running.spawn(worker(Arc::clone(board), client.clone(), backoff));
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|error| Failure::Call(error.to_string()))??;
    }
    Ok(overtaken(&board.grants()))
}

async fn worker(board: Arc<Board>, client: Client, mut backoff: Backoff) -> Result<(), Failure> {
    while let Some((asked, work)) = board.take() {
        let since = board.elapsed();
        for attempt in 0.. {
            let at = board.elapsed();
            board.leaves();
            match client.call(&work).await? {
                Answer::Served(_) => {
                    board.is_back();
                    board.grant(Grant { asked, at, waited: at.saturating_sub(since), refusals: attempt });
                    break;
                }
                Answer::Refused { retry_after } => {
                    board.is_refused();
                    tokio::time::sleep(backoff.wait(attempt, retry_after)).await;
                }
            }
        }
    }
    Ok(())
}

impl Backoff {
    fn wait(&mut self, attempt: u32, hint: Option<Duration>) -> Duration {
        let longest = LONGEST_HINT_S / self.time_scale;
        if let Some(hint) = hint.filter(|hint| !hint.is_zero() && hint.as_secs_f64() <= longest) {
            return hint;
        }
        let doubled = FIRST_BACKOFF_S * f64::from(1 << attempt.min(10));
        let jitter = 1.0 - 0.25 * self.draw.unit();
        Duration::from_secs_f64(doubled.min(LONGEST_BACKOFF_S) * jitter / self.time_scale)
    }
}

fn overtaken(grants: &[Grant]) -> u64 {
    let mut latest = 0;
    let mut count = 0;
    for grant in grants {
        count += u64::from(grant.asked < latest);
        latest = latest.max(grant.asked);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff { draw: Draw::new(1), time_scale: 1.0 }
    }

    #[test]
    fn a_hint_of_up_to_a_minute_is_honoured() {
        let hint = Some(Duration::from_secs(20));
        assert_eq!(backoff().wait(0, hint), Duration::from_secs(20));
        assert!(backoff().wait(0, Some(Duration::from_secs(61))) <= Duration::from_millis(500));
    }

    #[test]
    fn without_a_hint_the_wait_doubles_up_to_eight_seconds() {
        let mut backoff = backoff();
        let waits: Vec<f64> = (0..8).map(|attempt| backoff.wait(attempt, None).as_secs_f64()).collect();
        for (wait, most) in waits.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]) {
            assert!((0.75 * most..=most).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn a_call_is_overtaken_when_a_later_one_goes_first() {
        let grant = |asked| Grant { asked, at: Duration::ZERO, waited: Duration::ZERO, refusals: 0 };
        assert_eq!(overtaken(&[0, 1, 2].map(grant)), 0);
        assert_eq!(overtaken(&[2, 0, 1, 3].map(grant)), 2);
    }
}
