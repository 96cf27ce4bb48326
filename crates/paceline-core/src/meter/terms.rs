//! The terms on which a limit works: what its specification says, with the transit taken off.

use crate::Name;
use crate::demand::MAX_AMOUNT;
use crate::limit::{Algorithm, Boundaries, Counting, LimitSpec, SpecError};
use crate::time::{MAX_TICKS, Millis, tick_of};

const MAX_SLOTS: u64 = 1_000;

/// The longest window: one of whole seconds.
const MAX_WINDOW: Millis = MAX_TICKS * 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// What comes back in a window, or the amount in flight.
    pub(crate) amount: i64,
    /// The most that can be left.
    pub(crate) most: i64,
    pub(crate) until_settled: bool,
    pub(crate) is_concurrency: bool,
    /// The length of a tick in milliseconds.
    pub(crate) tick: Millis,
    pub(crate) kind: Kind,
}

/// Lengths are in ticks, except those of a fixed window, which are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A window of 0 never refills: concurrency.
    Bucket {
        window: i64,
    },
    Sliding {
        slot: i64,
        leaves_after: i64,
    },
    Fixed {
        boundaries: Boundaries,
        margin: i64,
    },
}

impl Terms {
    /// Returns the terms of a specification of which the provider says that the amount is at most `observed`.
    pub(crate) fn of(spec: &LimitSpec, observed: u64) -> Result<Self, SpecError> {
        let amount = spec.amount.min(observed);
        within(&spec.id, "amount", amount, MAX_AMOUNT)?;
        let until_settled = spec.counting == Counting::UntilSettled;
        let (kind, tick, most) = match &spec.algorithm {
            Algorithm::TokenBucket { window, burst } => {
                bucket(spec, amount, *window, (*burst).min(observed))?
            }
            Algorithm::SlidingWindow { window, slots } => sliding(spec, amount, *window, *slots)?,
            Algorithm::FixedWindow { boundaries, margin } => fixed(spec, amount, boundaries, *margin)?,
            Algorithm::Concurrency if until_settled => {
                return Err(SpecError::Contradiction { id: spec.id.clone(), field: "counting" });
            }
            Algorithm::Concurrency => (Kind::Bucket { window: 0 }, 1, amount),
        };
        let (amount, most) = (signed(amount), signed(most));
        let is_concurrency = spec.algorithm == Algorithm::Concurrency;
        Ok(Self { amount, most, until_settled, is_concurrency, tick, kind })
    }

    /// Returns the whole ticks that have passed at a time of the ledger's clock.
    pub(crate) fn ticks(&self, clock: Millis) -> i64 {
        signed(if self.tick == 1 { clock } else { clock / self.tick })
    }

    /// Returns how long after `clock` a tick begins.
    pub(crate) fn until(&self, tick: i64, clock: Millis) -> Millis {
        u64::try_from(tick).unwrap_or(0).saturating_mul(self.tick).saturating_sub(clock)
    }
}

fn within(id: &Name, field: &'static str, value: u64, most: u64) -> Result<(), SpecError> {
    match value {
        0 => Err(SpecError::Zero { id: id.clone(), field }),
        _ if value > most => Err(SpecError::TooLarge { id: id.clone(), field, value, most }),
        _ => Ok(()),
    }
}

pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A call that arrives up to `transit` later than another may be granted only as much as the provider has left by
/// then: the burst shrinks by what comes back in that time. Calls so few that nothing is left of the burst are spaced
/// by the transit in addition to their share of the window.
fn bucket(
    spec: &LimitSpec,
    amount: u64,
    window: Millis,
    burst: u64,
) -> Result<(Kind, Millis, u64), SpecError> {
    within(&spec.id, "window", window, MAX_WINDOW)?;
    within(&spec.id, "burst", burst, MAX_AMOUNT)?;
    let tick = tick_of(window);
    let shrink = (u128::from(amount) * u128::from(spec.transit)).div_ceil(u128::from(window));
    let shrink = u64::try_from(shrink).unwrap_or(u64::MAX);
    let (most, grown) = if burst > shrink {
        (burst - shrink, u128::from(window))
    } else {
        (1, u128::from(window) + u128::from(amount) * u128::from(spec.transit))
    };
    let ticks = grown.div_ceil(u128::from(tick));
    if ticks > u128::from(MAX_TICKS) {
        let least = shrink.saturating_add(1);
        return Err(SpecError::BurstTooSmall { id: spec.id.clone(), burst, least });
    }
    let window = i64::try_from(ticks).unwrap_or(i64::MAX);
    Ok((Kind::Bucket { window }, tick, most))
}

fn sliding(
    spec: &LimitSpec,
    amount: u64,
    window: Millis,
    slots: u32,
) -> Result<(Kind, Millis, u64), SpecError> {
    within(&spec.id, "window", window, MAX_WINDOW)?;
    within(&spec.id, "slots", u64::from(slots), MAX_SLOTS)?;
    within(&spec.id, "transit", spec.transit.max(1), window)?;
    let tick = tick_of(window);
    let ticks = window.div_ceil(tick);
    let slot = ticks.div_ceil(u64::from(slots));
    let leaves_after = ticks + slot + spec.transit.div_ceil(tick);
    Ok((Kind::Sliding { slot: signed(slot), leaves_after: signed(leaves_after) }, tick, amount))
}

fn fixed(
    spec: &LimitSpec,
    amount: u64,
    boundaries: &Boundaries,
    margin: Millis,
) -> Result<(Kind, Millis, u64), SpecError> {
    let shortest = match boundaries {
        Boundaries::Every { period, .. } => {
            within(&spec.id, "period", *period, MAX_WINDOW)?;
            *period
        }
        Boundaries::At(instants) => {
            if instants.is_empty() {
                return Err(SpecError::Zero { id: spec.id.clone(), field: "boundaries" });
            }
            if !instants.is_sorted_by(|a, b| a < b) {
                return Err(SpecError::NotAscending { id: spec.id.clone() });
            }
            within(&spec.id, "boundaries", *instants.last().unwrap_or(&0), MAX_AMOUNT)?;
            let gaps = instants.iter().zip(instants.iter().skip(1)).map(|(a, b)| b - a);
            gaps.min().unwrap_or(MAX_WINDOW)
        }
    };
    let margin = signed(margin.min(shortest / 4));
    Ok((Kind::Fixed { boundaries: boundaries.clone(), margin }, 1, amount))
}

/// Where the periods of a fixed window begin and end, in milliseconds since the Unix epoch.
pub(crate) mod periods {
    use super::signed;
    use crate::limit::Boundaries;

    /// Returns the start of the period that contains an instant, 0 where it is before the first listed boundary.
    pub(crate) fn start(boundaries: &Boundaries, wall: i64) -> i64 {
        match boundaries {
            Boundaries::Every { period, phase } => {
                let period = signed(*period);
                wall - (wall - signed(*phase).rem_euclid(period)).rem_euclid(period)
            }
            Boundaries::At(instants) => {
                let passed = instants.partition_point(|instant| signed(*instant) <= wall);
                passed
                    .checked_sub(1)
                    .and_then(|last| instants.get(last))
                    .map_or(0, |instant| signed(*instant))
            }
        }
    }

    /// Returns the end of the period that starts here, `None` where it has none.
    pub(crate) fn end(boundaries: &Boundaries, start: i64) -> Option<i64> {
        match boundaries {
            Boundaries::Every { period, .. } => Some(start + signed(*period)),
            Boundaries::At(instants) => {
                let next = instants.partition_point(|instant| signed(*instant) <= start);
                instants.get(next).map(|instant| signed(*instant))
            }
        }
    }
}
