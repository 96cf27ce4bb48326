//! What the benchmarks compare with: limiters as one would write them by hand, and `governor`.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Instant;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::stopwatch::now;

/// Token buckets behind one mutex, all or nothing, with a refund: what a careful person writes in half an hour.
pub(crate) struct HandWritten {
    buckets: Mutex<Vec<Bucket>>,
    start: Instant,
}

struct Bucket {
    level: f64,
    refilled: f64,
    per_second: f64,
    burst: f64,
}

impl HandWritten {
    pub(crate) fn new(limits: usize, amount: f64) -> Self {
        let bucket = || Bucket { level: amount, refilled: 0.0, per_second: amount / 60.0, burst: amount };
        Self { buckets: Mutex::new((0..limits).map(|_| bucket()).collect()), start: now() }
    }

    /// Takes from all buckets or from none.
    pub(crate) fn reserve(&self, demand: f64) -> bool {
        let at = now().duration_since(self.start).as_secs_f64();
        let Ok(mut buckets) = self.buckets.lock() else { return false };
        for bucket in buckets.iter_mut() {
            bucket.level = (bucket.level + (at - bucket.refilled) * bucket.per_second).min(bucket.burst);
            bucket.refilled = at;
        }
        let covered = buckets.iter().all(|bucket| bucket.level >= demand);
        if covered {
            buckets.iter_mut().for_each(|bucket| bucket.level -= demand);
        }
        covered
    }

    /// Gives back to all buckets.
    pub(crate) fn refund(&self, amount: f64) {
        let at = now().duration_since(self.start).as_secs_f64();
        let Ok(mut buckets) = self.buckets.lock() else { return };
        for bucket in buckets.iter_mut() {
            let level = bucket.level + (at - bucket.refilled) * bucket.per_second + amount;
            bucket.level = level.min(bucket.burst);
            bucket.refilled = at;
        }
    }
}

/// As many `governor` limiters as there are limits; each check of a pair asks them all.
pub(crate) struct Governed(Vec<DefaultDirectRateLimiter>);

impl Governed {
    pub(crate) fn new(limits: usize) -> Self {
        let quota = || Quota::per_second(NonZeroU32::MAX).allow_burst(NonZeroU32::MAX);
        Self((0..limits).map(|_| RateLimiter::direct(quota())).collect())
    }

    pub(crate) fn check(&self, amount: NonZeroU32) -> bool {
        self.0.iter().all(|limiter| limiter.check_n(amount).is_ok_and(|answer| answer.is_ok()))
    }
}
