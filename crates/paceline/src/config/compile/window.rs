//! Windows and periods in milliseconds.

use paceline_core::{Boundaries, MAX_TICKS, Millis};

use crate::config::error::Fault;
use crate::config::instant;
use crate::config::limit::{Calendar, Window};
use crate::config::near::nearest;

/// A day.
pub(super) const DAY: Millis = 86_400_000;
/// The longest window: above a day a tick is a second.
pub(super) const MAX_WINDOW: Millis = MAX_TICKS * 1_000;

/// What is wrong, and under which key it is said.
type Wrong = (&'static str, Fault);

/// Returns the length of a window that rolls: the longest of its kind.
pub(super) fn rolling(window: &Window) -> Millis {
    match window {
        Window::Lasting(length) => *length,
        Window::Calendar(Calendar::Day) => DAY,
        Window::Calendar(Calendar::Week) => 7 * DAY,
        Window::Calendar(Calendar::Month) => 31 * DAY,
        Window::Between(_) | Window::InFlight => 1,
    }
}

/// Returns where a fixed window ends.
pub(super) fn boundaries(window: &Window, zone: Option<&str>, now: Millis) -> Result<Boundaries, Wrong> {
    match window {
        Window::Lasting(period) => Ok(Boundaries::Every { period: *period, phase: 0 }),
        Window::Calendar(period) => {
            let name = zone.unwrap_or("UTC");
            let zone = instant::zone(name).ok_or_else(|| ("zone", no_zone(name)))?;
            instant::boundaries(*period, &zone, now).ok_or_else(|| {
                ("window", Fault::Missing { what: "a boundary within the years of the calendar".to_owned() })
            })
        }
        Window::Between(instants)
            if instants.is_sorted_by(|one, other| one < other) && !instants.is_empty() =>
        {
            Ok(Boundaries::At(instants.clone()))
        }
        Window::Between(_) | Window::InFlight => {
            let (expected, found) = ("instants, each after the one before".to_owned(), "others".to_owned());
            Err(("boundaries", Fault::Mismatch { expected, found }))
        }
    }
}

/// Returns the margin about the boundaries; at most a quarter of the shortest period.
pub(super) fn margin(said: Option<Millis>, usual: Millis, boundaries: &Boundaries) -> Result<Millis, Wrong> {
    let shortest = match boundaries {
        Boundaries::Every { period, .. } => *period,
        Boundaries::At(instants) => {
            let gaps = instants.iter().zip(instants.iter().skip(1)).map(|(start, end)| end - start);
            gaps.min().unwrap_or(Millis::MAX)
        }
    };
    let most = shortest / 4;
    match said {
        Some(margin) if margin > most => {
            let (what, found) = ("the margin in milliseconds", margin.to_string());
            Err(("margin", Fault::OutOfRange { what, found, least: 0, most }))
        }
        Some(margin) => Ok(margin),
        None => Ok(usual.min(most)),
    }
}

fn no_zone(name: &str) -> Fault {
    let names = instant::zone_names();
    let nearest = nearest(name, names.iter().map(String::as_str));
    Fault::UnknownName { what: "time zone", name: name.to_owned(), nearest, known: Vec::new() }
}
