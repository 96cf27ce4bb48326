//! Ten thousand callers wait, and a refill lets all of them go: grants a second from the first to the last.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Acquire, Demand, Limiter, Usage};

use crate::stopwatch::{Spread, now};

const WAITING: usize = 10_000;
const ROUNDS: usize = 5;
/// A million requests a second, and as many in debt as half a second earns: everybody is in line before the first goes.
const RATE: u64 = 60_000_000;
const DEBT: u64 = 500_000;

struct Ring {
    index: usize,
    rung: Sender<usize>,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        let _ = self.rung.send(self.index);
    }
}

pub(crate) fn run() {
    let rates: Vec<f64> = (0..ROUNDS).filter_map(|_| drained()).collect();
    println!("{:.0}", Spread::of(rates).median);
}

/// Returns the grants a second of one round.
fn drained() -> Option<f64> {
    let rate = Algorithm::TokenBucket { window: 60_000, burst: 10_000 };
    let limit = LimitSpec::new("rpm", "requests", RATE, rate).member("gpt");
    let limiter = Limiter::builder().private().limits([limit], [ResourceSpec::new("gpt")]).build().ok()?;
    let resource = limiter.resource("gpt").ok()?;
    resource.record(Usage::new().metric("requests", DEBT)).wait().ok()?;
    let (rung, heard) = channel();
    let waker = |index| Waker::from(Arc::new(Ring { index, rung: rung.clone() }));
    let mut waiting: Vec<_> =
        (0..WAITING).map(|index| (Box::pin(resource.acquire(Demand::new())), waker(index))).collect();
    // A round in which somebody need not wait says nothing.
    if waiting.iter_mut().any(|(acquire, waker)| poll(acquire, waker)) {
        return None;
    }
    let (mut watch, mut granted) = (None, 0);
    while granted < WAITING {
        let index = heard.recv_timeout(Duration::from_secs(10)).ok()?;
        let (acquire, waker) = waiting.get_mut(index)?;
        watch.get_or_insert_with(now);
        granted += usize::from(poll(acquire, waker));
    }
    #[expect(clippy::cast_precision_loss, reason = "ten thousand is a double")]
    watch.map(|started| WAITING as f64 / started.elapsed().as_secs_f64())
}

fn poll(acquire: &mut std::pin::Pin<Box<Acquire>>, waker: &Waker) -> bool {
    match Future::poll(acquire.as_mut(), &mut Context::from_waker(waker)) {
        Poll::Ready(Ok(permit)) => {
            permit.settle(Usage::new());
            true
        }
        Poll::Ready(Err(_)) => true,
        Poll::Pending => false,
    }
}
