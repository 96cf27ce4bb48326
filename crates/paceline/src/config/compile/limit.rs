//! One limit: how it comes back, when it counts, and whether that can be.

use paceline_core::{Algorithm, Counting, LimitSpec, MAX_AMOUNT};

use super::window::{self, MAX_WINDOW};
use super::{Compiler, Path, Planned, joined};
use crate::config::error::Fault;
use crate::config::limit::{Limit, Style, Window};
use crate::config::near::misspelt_metric;
use crate::config::source::Step;
use crate::provider::{Profile, Return};

/// Into how many parts a sliding window is divided where nobody says: what it sustains is within 1 % of the rate.
pub(super) const SLOTS: u32 = 120;

impl Compiler<'_> {
    /// Returns the specification of a limit, and those of the shorter windows in which its provider enforces it too.
    pub(super) fn specs(&mut self, planned: &Planned<'_>) -> Vec<LimitSpec> {
        let faults = self.problems.len();
        self.check_limit(planned.limit, &planned.path);
        if self.problems.len() > faults {
            return Vec::new();
        }
        let (style, zone) = style(planned.limit, &planned.profile);
        if let Some(fault) = contradiction(planned.limit, style) {
            self.fault(&planned.path, fault);
            return Vec::new();
        }
        let algorithm = match self.algorithm(planned, style, zone) {
            Ok(algorithm) => algorithm,
            Err((key, fault)) => {
                self.fault(&joined(&planned.path, Step::Key(key.to_owned())), fault);
                return Vec::new();
            }
        };
        let spec = spec(planned, algorithm);
        if let Some((key, fault)) = unworkable(planned.limit, &spec) {
            self.fault(&joined(&planned.path, Step::Key(key.to_owned())), fault);
            return Vec::new();
        }
        let mut specs: Vec<LimitSpec> = sub_windows(planned, &spec).collect();
        specs.insert(0, spec);
        specs
    }

    fn check_limit(&mut self, limit: &Limit, path: &Path) {
        let numbers = [
            ("the amount", "amount", Some(limit.amount), MAX_AMOUNT),
            ("the burst", "burst", limit.burst, MAX_AMOUNT),
            ("the number of slots", "slots", limit.slots, 1_000),
            ("the window in milliseconds", "window", lasting(&limit.window), MAX_WINDOW),
            ("the transit in milliseconds", "transit", limit.transit.map(|transit| transit.max(1)), 60_000),
        ];
        for (what, key, number, most) in numbers {
            if let Some(found) = number.filter(|number| !(1..=most).contains(number)) {
                let fault = Fault::OutOfRange { what, found: found.to_string(), least: 1, most };
                self.fault(&joined(path, Step::Key(key.to_owned())), fault);
            }
        }
        self.check_name(&limit.metric, path);
        self.check_name(&limit.name(), path);
        if let Some(near) = misspelt_metric(&limit.metric) {
            let (name, nearest) = (limit.metric.clone(), Some(near.to_owned()));
            self.fault(path, Fault::UnknownName { what: "metric", name, nearest, known: Vec::new() });
        }
        let length = lasting(&limit.window).unwrap_or(u64::MAX);
        if let Some(slots) = limit.slots.filter(|slots| *slots > length) {
            let what = "the number of slots";
            let fault = Fault::OutOfRange { what, found: slots.to_string(), least: 1, most: length };
            self.fault(&joined(path, Step::Key("slots".to_owned())), fault);
        }
    }

    fn algorithm(
        &self,
        planned: &Planned<'_>,
        style: Style,
        zone: Option<&str>,
    ) -> Result<Algorithm, (&'static str, Fault)> {
        let Planned { limit, profile, usable, .. } = planned;
        let length = window::rolling(&limit.window);
        Ok(match style {
            Style::Concurrency => Algorithm::Concurrency,
            Style::TokenBucket => Algorithm::TokenBucket {
                window: length,
                burst: usable.of(limit.burst.unwrap_or(limit.amount)),
            },
            Style::SlidingWindow => {
                let said = limit.slots.and_then(|slots| u32::try_from(slots).ok());
                Algorithm::SlidingWindow { window: length, slots: said.unwrap_or(default_slots(length)) }
            }
            Style::FixedWindow => {
                let boundaries = window::boundaries(&limit.window, limit.zone.as_deref().or(zone), self.now)?;
                let margin = window::margin(limit.margin, profile.margin, &boundaries)?;
                Algorithm::FixedWindow { boundaries, margin }
            }
        })
    }
}

fn lasting(window: &Window) -> Option<u64> {
    match window {
        Window::Lasting(length) => Some(*length),
        _ => None,
    }
}

fn default_slots(length: u64) -> u32 {
    u32::try_from(length).map_or(SLOTS, |length| length.min(SLOTS)).max(1)
}

/// Returns how a limit comes back, and the time zone that its profile gives it.
fn style<'a>(limit: &Limit, profile: &'a Profile) -> (Style, Option<&'a str>) {
    let how = match window::rolling(&limit.window) {
        length if length < window::DAY => &profile.windows.short,
        length if length == window::DAY => &profile.windows.day,
        _ => &profile.windows.long,
    };
    let (profiled, zone) = match (how, &limit.window) {
        (Return::TokenBucket, _) => (Style::TokenBucket, None),
        (Return::FixedWindow { zone }, Window::Calendar(_)) => (Style::FixedWindow, Some(zone.as_str())),
        (Return::SlidingWindow | Return::FixedWindow { .. }, _) => (Style::SlidingWindow, None),
    };
    (limit.style.or(implied(limit)).unwrap_or(profiled), zone)
}

/// Returns how a limit must come back, from what else is said of it.
fn implied(limit: &Limit) -> Option<Style> {
    match &limit.window {
        Window::InFlight => Some(Style::Concurrency),
        Window::Between(_) => Some(Style::FixedWindow),
        _ if limit.burst.is_some() => Some(Style::TokenBucket),
        _ if limit.slots.is_some() => Some(Style::SlidingWindow),
        _ if limit.zone.is_some() || limit.margin.is_some() => Some(Style::FixedWindow),
        _ => None,
    }
}

fn contradiction(limit: &Limit, style: Style) -> Option<Fault> {
    let in_flight = limit.window == Window::InFlight;
    let rules = [
        (limit.burst.is_some(), "`burst`", Style::TokenBucket, "a burst is what a token bucket saves up"),
        (limit.slots.is_some(), "`slots`", Style::SlidingWindow, "slots are the parts of a sliding window"),
        (limit.zone.is_some(), "`zone`", Style::FixedWindow, "a time zone says when a fixed window ends"),
        (
            limit.margin.is_some(),
            "`margin`",
            Style::FixedWindow,
            "a margin lies about the end of a fixed window",
        ),
        (in_flight, "no window", Style::Concurrency, "what comes back needs a window"),
    ];
    let broken = rules.iter().find(|(said, _, needs, _)| *said && *needs != style);
    let other = match broken {
        Some((_, one, _, why)) => return Some(contradicts(one, style, why)),
        None if style == Style::Concurrency && !in_flight => "a window",
        None if style == Style::Concurrency && limit.counts.is_some() => "`counts`",
        None if limit.zone.is_some() && !matches!(limit.window, Window::Calendar(_)) => {
            return Some(contradicts("`zone`", style, "a time zone needs a period of day, week or month"));
        }
        None => return None,
    };
    Some(contradicts(other, style, "what is in flight comes back when the call ends"))
}

fn contradicts(one: &str, style: Style, why: &str) -> Fault {
    let other = match style {
        Style::TokenBucket => "`token_bucket`",
        Style::SlidingWindow => "`sliding_window`",
        Style::FixedWindow => "`fixed_window`",
        Style::Concurrency => "`concurrency`",
    };
    Fault::Contradiction { one: one.to_owned(), other: other.to_owned(), why: why.to_owned() }
}

fn spec(planned: &Planned<'_>, algorithm: Algorithm) -> LimitSpec {
    let Planned { limit, profile, usable, .. } = planned;
    let in_flight = algorithm == Algorithm::Concurrency;
    let counted = limit.counts.unwrap_or_else(|| profile.counting(&limit.metric));
    LimitSpec {
        id: planned.id.as_str().into(),
        metric: limit.metric.as_str().into(),
        amount: usable.of(limit.amount),
        algorithm,
        counting: if in_flight { Counting::AtGrant } else { counted },
        shadow: limit.shadow,
        transit: if in_flight { 0 } else { limit.transit.unwrap_or(profile.transit) },
        members: planned.members.clone(),
    }
}

fn unworkable(limit: &Limit, spec: &LimitSpec) -> Option<(&'static str, Fault)> {
    match spec.algorithm {
        Algorithm::SlidingWindow { window: most, .. } if spec.transit > most => {
            let (what, found) = ("the transit in milliseconds", spec.transit.to_string());
            Some(("transit", Fault::OutOfRange { what, found, least: 0, most }))
        }
        _ => too_small(limit, spec).map(|fault| ("burst", fault)),
    }
}

/// Returns the fault of a burst that was said and cannot sustain its rate: less than comes back in a tick, or so small
/// that what the transit takes of it leaves nothing, and the rate falls by more than a tenth.
fn too_small(limit: &Limit, spec: &LimitSpec) -> Option<Fault> {
    let Algorithm::TokenBucket { window, burst } = spec.algorithm else { return None };
    let said = limit.burst?;
    let (amount, length) = (u128::from(spec.amount), u128::from(window.max(1)));
    let tick = if window > window::DAY { 1_000 } else { 1 };
    let in_transit = (amount * u128::from(spec.transit)).div_ceil(length);
    let slows = amount * u128::from(spec.transit) * 10 > length;
    let least = (amount * tick).div_ceil(length).max(if slows { in_transit + 1 } else { 1 });
    let fault = Fault::BurstTooSmall { burst: said, least: u64::try_from(least).unwrap_or(u64::MAX) };
    (u128::from(burst) < least).then_some(fault)
}

/// Returns the limits of shorter windows; a limit whose algorithm was said has none.
fn sub_windows<'p>(planned: &'p Planned<'_>, whole: &'p LimitSpec) -> impl Iterator<Item = LimitSpec> + 'p {
    let length = lasting(&planned.limit.window).filter(|_| planned.limit.style.is_none());
    let rules = planned.profile.sub_windows.iter().filter(|rule| rule.metric == whole.metric);
    rules.filter_map(move |rule| {
        let length = length.filter(|length| rule.window < *length)?;
        let part = u128::from(whole.amount) * u128::from(rule.window) / u128::from(length);
        let amount = u64::try_from(part).ok().filter(|part| *part > 0)?;
        let slots = default_slots(rule.window);
        Some(LimitSpec {
            id: format!("{}/{}", whole.id, crate::config::units::duration_text(rule.window)).into(),
            amount,
            algorithm: Algorithm::SlidingWindow { window: rule.window, slots },
            ..whole.clone()
        })
    })
}
