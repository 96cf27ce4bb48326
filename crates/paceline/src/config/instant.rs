//! Calendar boundaries, as milliseconds since the Unix epoch.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use paceline_core::{Boundaries, Millis};

use super::limit::Calendar;

const DAY: Millis = 86_400_000;
/// The first Monday of the epoch is the 5th of January 1970.
const MONDAY: Millis = 4 * DAY;

/// Reads an instant with its offset, such as `2027-01-01T00:00:00-08:00`.
pub(crate) fn read(text: &str) -> Option<Millis> {
    text.parse::<Timestamp>().ok().and_then(|instant| u64::try_from(instant.as_millisecond()).ok())
}

/// Returns the time zone of this name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

/// Returns the names of all time zones.
pub(crate) fn zone_names() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.to_string()).collect()
}

/// Returns the boundaries of a period in a time zone: where they are not equally far apart, those from the period
/// before `now` to two years after it. `None` where the calendar does not reach.
pub(crate) fn boundaries(period: Calendar, zone: &TimeZone, now: Millis) -> Option<Boundaries> {
    match period {
        Calendar::Day if *zone == TimeZone::UTC => Some(Boundaries::Every { period: DAY, phase: 0 }),
        Calendar::Week if *zone == TimeZone::UTC => {
            Some(Boundaries::Every { period: 7 * DAY, phase: MONDAY })
        }
        _ => listed(period, zone, now).map(Boundaries::At),
    }
}

fn listed(period: Calendar, zone: &TimeZone, now: Millis) -> Option<Vec<Millis>> {
    let now = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?;
    let today = now.to_zoned(zone.clone()).date();
    let step = step(period);
    let end = today.checked_add(2.years()).ok()?;
    let mut date = start(period, today)?.checked_sub(step).ok()?;
    let mut instants = Vec::new();
    while date <= end {
        let midnight = date.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
        instants.extend(u64::try_from(midnight));
        date = date.checked_add(step).ok()?;
    }
    instants.dedup();
    Some(instants)
}

fn start(period: Calendar, day: Date) -> Option<Date> {
    match period {
        Calendar::Day => Some(day),
        Calendar::Week => day.tomorrow().ok()?.nth_weekday(-1, Weekday::Monday).ok(),
        Calendar::Month => Some(day.first_of_month()),
    }
}

fn step(period: Calendar) -> Span {
    match period {
        Calendar::Day => 1.day(),
        Calendar::Week => 1.week(),
        Calendar::Month => 1.month(),
    }
}
