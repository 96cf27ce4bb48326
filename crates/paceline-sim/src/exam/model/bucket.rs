//! A bucket at one instant, and what happens to it.

/// What a bucket's rate and burst are from some time on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) amount: i128,
    pub(super) burst: i128,
    pub(super) window: i128,
}

/// What can happen to a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// It begins at a level.
    Begin(i128),
    /// This much is taken.
    Charge(i128),
    /// This much comes back, up to the burst.
    Return(i128),
    /// The level is at most this.
    AtMost(i128),
    /// A pause ends.
    Empty,
    /// Amount and burst change.
    Reshape(Shape),
}

/// A bucket at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    pub(super) level: i128,
    /// How often it has become full.
    pub(super) fills: u64,
    pub(super) rest: i128,
    pub(super) shape: Shape,
    pub(super) tick: i128,
    /// The time at which it is like this.
    pub(super) at: i128,
}

/// Where levels and counts stop.
pub(super) const EDGE: i128 = 1 << 51;

pub(super) fn ceil(x: i128, y: i128) -> i128 {
    (x + y - 1).div_euclid(y)
}

/// The length of a tick for a window, in milliseconds.
pub(super) fn tick(window: i128) -> i128 {
    if window > 86_400_000 { 1_000 } else { 1 }
}

impl Bucket {
    pub(super) fn refill(&mut self, from: i128, to: i128) {
        let ticks = to.div_euclid(self.tick) - from.div_euclid(self.tick);
        let parts = self.level * self.shape.window + self.rest + ticks * self.shape.amount;
        let before = self.level;
        self.level = parts.div_euclid(self.shape.window);
        self.rest = parts.rem_euclid(self.shape.window);
        self.stop_at_burst(before);
    }

    fn stop_at_burst(&mut self, before: i128) {
        if self.level >= self.shape.burst {
            self.fills += u64::from(before < self.shape.burst);
            (self.level, self.rest) = (self.shape.burst, 0);
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Begin(level) => self.level = *level,
            Event::Charge(amount) => self.level = (self.level - amount).max(-EDGE),
            Event::Return(amount) => {
                let before = self.level;
                self.level += amount;
                self.stop_at_burst(before);
            }
            Event::AtMost(level) => self.level = self.level.min(*level),
            Event::Empty => (self.level, self.rest) = (self.level.min(0), 0),
            Event::Reshape(shape) => {
                self.level = self.level.min(shape.burst - (self.shape.burst - self.level));
                if shape.window != self.shape.window {
                    self.rest = 0;
                }
                self.shape = *shape;
            }
        }
    }

    pub(super) fn time_until(&self, level: i128, clock: i128) -> Option<i128> {
        if level > self.shape.burst {
            return None;
        }
        let missing = level * self.shape.window - self.level * self.shape.window - self.rest;
        let ticks = ceil(missing.max(0), self.shape.amount);
        if ticks == 0 {
            Some(self.at - clock)
        } else {
            Some((self.at.div_euclid(self.tick) + ticks) * self.tick - clock)
        }
    }
}
