//! Marks: bounds that run ahead of what is used of a limit, so that they can be kept where it is slow to write.
//!
//! A mark that was kept says of a limit that no more was used than it says. A ledger that is begun again from its marks
//! grants nothing twice, and loses of each limit at most what its mark ran ahead.

use alloc::vec::Vec;

use crate::command::{LimitId, Target};
use crate::encode::{Code, DecodeError, Reader};
use crate::ledger::Ledger;
use crate::limit::Limit;
use crate::meter::{BOUND, Meter};
use crate::recovery::OnLost;
use crate::time::{Millis, NEVER, Now};
use crate::{Configuration, Name, ResourceSpec};

const MINUTE: Millis = 60_000;
const TEN_SECONDS: i128 = 10_000;

/// A bound on what is used of a limit: it stands at least as far as the limit does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    meter: Meter,
    now: Now,
}

/// How a limit stands to its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// The limit has gone beyond it.
    Passed,
    /// Less than half a step is left.
    Near,
    /// It is where it should be.
    Well,
    /// It is more than two steps ahead, because something was given back.
    Far,
}

/// What is said of a ledger that can be begun again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    /// What is configured.
    pub configuration: Configuration,
    /// What is paused: whether it is a limit, its name, for how many milliseconds more (`None` without an end), and
    /// whether it refuses.
    pub pauses: Vec<(bool, Name, Option<Millis>, bool)>,
}

impl Mark {
    /// Returns the mark as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.now.put(&mut out);
        self.meter.put(&mut out);
        out
    }

    /// Returns the mark that was encoded to these bytes.
    ///
    /// # Errors
    ///
    /// Says that the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Ok(Self { now: Code::get(&mut reader)?, meter: Code::get(&mut reader)? })
    }
}

impl Ledger {
    /// Iterates over the limits that take longer than a minute to fill, which are those that marks are kept of.
    pub fn long_limits(&self) -> impl Iterator<Item = (LimitId, &Name)> {
        let limits = (0..).zip(&self.limits);
        let long = limits.filter(|(_, limit)| limit.is_known() && limit.fills_in() > MINUTE);
        long.map(|(number, limit)| (LimitId(number), &limit.spec.id))
    }

    /// Returns a mark one step ahead of a limit: 1 % of its amount, or what comes back in ten seconds where that is more.
    pub fn mark(&mut self, limit: LimitId) -> Option<Mark> {
        let now = self.now;
        let limit = self.limits.get_mut(limit.0 as usize)?;
        limit.bring(now);
        let mut meter = limit.meter.clone();
        meter.charge(&limit.terms, now, limit.step().saturating_add(limit.held).min(BOUND));
        Some(Mark { meter, now })
    }

    /// Returns how a limit stands to a mark at the time of the last step.
    pub fn ahead_of(&mut self, limit: LimitId, mark: &mut Mark) -> Ahead {
        let now = self.now;
        let Some(limit) = self.limits.get_mut(limit.0 as usize) else { return Ahead::Well };
        limit.bring(now);
        mark.meter.bring(&limit.terms, now);
        mark.now = now;
        let (room, step) = (limit.room_to(&mark.meter), limit.step());
        match room {
            None => Ahead::Passed,
            Some(room) if room < 0 => Ahead::Passed,
            Some(room) if room < step / 2 => Ahead::Near,
            Some(room) if room > step.saturating_mul(2) => Ahead::Far,
            Some(_) => Ahead::Well,
        }
    }

    /// Takes a limit for used up to a mark, which time has brought forward since. Where there is none, or one of another
    /// kind, nothing is known, and nothing is left of the limit.
    pub fn restart_from(&mut self, limit: LimitId, mark: Option<&Mark>) {
        let now = self.now;
        let Some(limit) = self.limits.get_mut(limit.0 as usize) else { return };
        limit.bring(now);
        let brought = mark.and_then(|mark| {
            let since = now.wall.saturating_sub(mark.now.wall);
            let then = limit.terms.ticks(mark.now.clock);
            mark.meter.as_of(&limit.meter, then, limit.terms.ticks(now.clock.saturating_sub(since)))
        });
        match brought {
            Some(meter) => {
                limit.meter = meter;
                limit.meter.bring(&limit.terms, now);
            }
            None => limit.charge(now, limit.left(now).max(0)),
        }
    }

    /// Goes on from marks that cover all that was ever granted, as of the time that was reached: shorter limits begin
    /// with nothing left, and slots stay taken for `lasting` milliseconds, at least ten seconds, unless sessions report.
    pub fn restart(&mut self, on_lost: OnLost, lasting: Millis) {
        self.on_lost = on_lost;
        self.lose(false, lasting);
        let long: Vec<u32> = self.long_limits().map(|(limit, _)| limit.0).collect();
        if let Some(owed) = &mut self.owed {
            owed.cover(long);
        }
    }

    /// Returns what is said of the ledger.
    pub fn outline(&self) -> Outline {
        let known = self.limits.iter().filter(|limit| limit.is_known());
        let there = self.resources.iter().filter(|resource| !resource.gone);
        let resources: Vec<ResourceSpec> = there.clone().map(|resource| resource.spec.clone()).collect();
        let clock = self.now.clock;
        let left =
            |pause: crate::limit::Pause| (pause.until != NEVER).then(|| pause.until.saturating_sub(clock));
        let limits = known.clone().filter_map(|limit| {
            let pause = limit.pause.filter(|pause| pause.until > clock)?;
            Some((true, limit.spec.id.clone(), left(pause), pause.refuse))
        });
        let paused = there.filter_map(|resource| {
            let pause = resource.pause.filter(|pause| pause.until > clock)?;
            Some((false, resource.spec.name.clone(), left(pause), pause.refuse))
        });
        Outline {
            pauses: limits.chain(paused).collect(),
            configuration: Configuration::new(known.map(|limit| limit.spec.clone()), resources),
        }
    }

    /// Returns what of this name can be paused, removed things included.
    pub fn target(&self, is_limit: bool, name: &str) -> Option<Target> {
        if is_limit {
            return self.any_limit(name).map(Target::Limit);
        }
        self.any_resource(name).map(Target::Resource)
    }
}

impl Limit {
    /// How far its mark runs ahead.
    fn step(&self) -> i64 {
        let amount = i128::from(self.terms.amount);
        let window = i128::from(self.window().clamp(1, 1 << 52));
        let share = (amount / 100).max(amount * TEN_SECONDS / window).max(1);
        i64::try_from(share).unwrap_or(BOUND).min(self.terms.amount)
    }

    /// Returns how much can be used until a mark is reached; below zero it is passed. `None` where it is of another kind.
    fn room_to(&self, mark: &Meter) -> Option<i64> {
        let room = match (&self.meter, mark) {
            (Meter::Bucket(own), Meter::Bucket(mark)) => {
                let room = own.level - mark.level;
                // A mark that comes back a little earlier is not far enough ahead.
                if room == 0 && mark.rest > own.rest { -1 } else { room }
            }
            (Meter::Sliding(own), Meter::Sliding(mark)) => {
                let Some((start, count)) = own.slots.back() else { return Some(mark.total - self.held) };
                let marked = mark.slots.binary_search_by_key(start, |(start, _)| *start);
                let marked = marked.ok().and_then(|at| mark.slots.get(at)).map_or(0, |(_, count)| *count);
                marked - count
            }
            (Meter::Fixed(own), Meter::Fixed(mark)) => {
                if own.start != mark.start {
                    return None;
                }
                let aside = (mark.previous - own.previous).min(mark.next - own.next);
                let room = mark.current - own.current;
                if aside < 0 { aside } else { room }
            }
            _ => return None,
        };
        Some(room - self.held)
    }
}

impl Meter {
    /// Returns this meter with its ticks counted by another clock: `then` is `there` of that one. `None` where a limit
    /// counts by another kind.
    fn as_of(&self, limit: &Self, then: i64, there: i64) -> Option<Self> {
        let mut meter = self.clone();
        match (&mut meter, limit) {
            (Self::Bucket(bucket), Self::Bucket(_)) => bucket.at = there,
            (Self::Sliding(sliding), Self::Sliding(_)) => {
                if then != there {
                    sliding.slots.iter_mut().for_each(|(start, _)| *start = *start - then + there);
                }
            }
            (Self::Fixed(_), Self::Fixed(_)) => {}
            _ => return None,
        }
        Some(meter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Acquire, Algorithm, Amounts, Boundaries, Command, LimitSpec, Metric, Outcome, SessionId, TicketId,
    };

    const START: Millis = 1_800_000_000_000;
    const HOUR: Millis = 3_600_000;

    fn ledger(algorithm: Algorithm) -> Ledger {
        let mut ledger = Ledger::new();
        let limit = LimitSpec::new("l", "requests", 1_000, algorithm).member("m");
        let configuration = Configuration::new([limit], [ResourceSpec::new("m")]);
        assert_eq!(ledger.apply(START, Command::configure(configuration)), Outcome::Done);
        ledger.apply(START, Command::Touch { session: SessionId(1), time_out: None });
        ledger
    }

    fn use_up(ledger: &mut Ledger, number: u64, amount: u64, now: Millis) {
        let ticket = TicketId { session: SessionId(1), number };
        let resource = ledger.resource("m").unwrap();
        let ask = Acquire::new(ticket, resource, Amounts::of([(Metric::REQUESTS, amount)]));
        assert_eq!(ledger.apply(now, Command::Acquire(ask)), Outcome::Granted);
    }

    fn left(ledger: &mut Ledger, now: Millis) -> i64 {
        ledger.snapshot(now).limits[0].left
    }

    fn all() -> [Algorithm; 3] {
        [
            Algorithm::TokenBucket { window: HOUR, burst: 1_000 },
            Algorithm::SlidingWindow { window: HOUR, slots: 60 },
            Algorithm::FixedWindow { boundaries: Boundaries::Every { period: HOUR, phase: 0 }, margin: 0 },
        ]
    }

    #[test]
    fn a_mark_is_one_step_ahead_and_says_when_it_is_passed() {
        for algorithm in all() {
            let mut ledger = ledger(algorithm);
            let limit = ledger.limit("l").unwrap();
            use_up(&mut ledger, 1, 100, START);
            let mut mark = ledger.mark(limit).unwrap();
            assert_eq!(ledger.ahead_of(limit, &mut mark), Ahead::Well);
            use_up(&mut ledger, 2, 6, START);
            assert_eq!(ledger.ahead_of(limit, &mut mark), Ahead::Near);
            use_up(&mut ledger, 3, 4, START);
            assert_eq!(ledger.ahead_of(limit, &mut mark), Ahead::Near, "reached, and not passed");
            use_up(&mut ledger, 4, 1, START);
            assert_eq!(ledger.ahead_of(limit, &mut mark), Ahead::Passed);
        }
    }

    #[test]
    fn a_ledger_begun_again_has_what_its_mark_left_it_brought_forward() {
        for algorithm in all() {
            let mut first = ledger(algorithm.clone());
            let limit = first.limit("l").unwrap();
            use_up(&mut first, 1, 500, START + 1_000);
            let mark = Mark::decode(&first.mark(limit).unwrap().encode()).unwrap();
            let mut again = Ledger::new();
            again.reach(START + 2_000);
            let outline = first.outline();
            again.apply(START + 2_000, Command::configure(outline.configuration));
            again.restart_from(limit, Some(&mark));
            again.restart(OnLost::Elapsed, 0);
            assert_eq!(left(&mut again, START + 2_000), 490, "{algorithm:?}");
            assert_eq!(left(&mut again, START + 2 * HOUR), 1_000, "{algorithm:?}");
            let resource = again.resource("m").unwrap();
            let amounts = Amounts::of([(Metric::REQUESTS, 500)]);
            again.apply(START + 2_000, Command::Spent { resource, lane: None, amounts });
            assert_eq!(left(&mut again, START + 2_000), 490, "its mark covers what is reported");
        }
    }

    #[test]
    fn what_was_given_back_leaves_a_mark_far_ahead() {
        let mut ledger = ledger(Algorithm::TokenBucket { window: HOUR, burst: 1_000 });
        let limit = ledger.limit("l").unwrap();
        use_up(&mut ledger, 1, 100, START);
        let mut mark = ledger.mark(limit).unwrap();
        let permit = TicketId { session: SessionId(1), number: 1 };
        ledger.apply(START, Command::Settle { permit, usage: crate::Usage::Nothing });
        assert_eq!(ledger.ahead_of(limit, &mut mark), Ahead::Far);
    }

    #[test]
    fn a_mark_of_another_kind_leaves_nothing() {
        let mut one = ledger(Algorithm::TokenBucket { window: HOUR, burst: 1_000 });
        let limit = one.limit("l").unwrap();
        let mark = one.mark(limit).unwrap();
        let mut other = ledger(Algorithm::SlidingWindow { window: HOUR, slots: 60 });
        other.restart_from(limit, Some(&mark));
        assert_eq!(left(&mut other, START), 0);
        assert!(Mark::decode(b"\xff\xff").is_err());
    }
}
