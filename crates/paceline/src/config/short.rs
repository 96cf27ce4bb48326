//! Limits that say themselves: `requests_per_minute`, `usd_per_10_minutes`, `concurrent_requests`.

use super::limit::{Calendar, Window};

const UNITS: [(&str, u64); 3] = [("second", 1_000), ("minute", 60_000), ("hour", 3_600_000)];

/// What the field calls limits: the metric's first letters, then `p`, then the window's.
const METRICS: [(&str, &str); 4] =
    [("r", "requests"), ("t", "tokens"), ("it", "input_tokens"), ("ot", "output_tokens")];
const WINDOWS: [(&str, &str); 4] = [("ps", "second"), ("pm", "minute"), ("ph", "hour"), ("pd", "day")];

/// Returns the metric and the window that a key says, if it is a limit.
pub(crate) fn read(key: &str) -> Option<(&str, Window)> {
    if let Some((metric, window)) = initials(key) {
        return Some((metric, read_window(window)?));
    }
    if key == "concurrency" {
        return Some(("concurrent_requests", Window::InFlight));
    }
    if key.strip_prefix("concurrent_").is_some_and(|rest| !rest.is_empty()) && !key.contains("_per_") {
        return Some((key, Window::InFlight));
    }
    let (metric, window) = key.rsplit_once("_per_")?;
    (!metric.is_empty()).then_some((metric, read_window(window)?))
}

/// Reads `rpm`, `itpm`, `tpd` and the like.
fn initials(key: &str) -> Option<(&'static str, &'static str)> {
    let (metric, window) = key.split_at_checked(key.len().checked_sub(2)?)?;
    let named = |names: &[(&str, &'static str)], short: &str| {
        names.iter().find(|(initials, _)| *initials == short).map(|(_, name)| *name)
    };
    Some((named(&METRICS, metric)?, named(&WINDOWS, window)?))
}

/// Returns whether a key is a limit.
pub(crate) fn is_limit(key: &str) -> bool {
    read(key).is_some()
}

/// Returns the key that says this metric and window.
pub(crate) fn key(metric: &str, window: &Window) -> String {
    match window {
        Window::InFlight => metric.to_owned(),
        Window::Between(_) => format!("{metric}_per_period"),
        Window::Calendar(Calendar::Day) => format!("{metric}_per_day"),
        Window::Calendar(Calendar::Week) => format!("{metric}_per_week"),
        Window::Calendar(Calendar::Month) => format!("{metric}_per_month"),
        Window::Lasting(length) => format!("{metric}_per_{}", lasting_key(*length)),
    }
}

fn lasting_key(length: u64) -> String {
    let largest = UNITS.iter().rev().find(|(_, unit)| length > 0 && length.is_multiple_of(*unit));
    match largest {
        Some((name, unit)) if length == *unit => (*name).to_owned(),
        Some((name, unit)) => format!("{}_{name}s", length / unit),
        None => format!("{length}_milliseconds"),
    }
}

fn read_window(text: &str) -> Option<Window> {
    match text {
        "day" => return Some(Window::Calendar(Calendar::Day)),
        "week" => return Some(Window::Calendar(Calendar::Week)),
        "month" => return Some(Window::Calendar(Calendar::Month)),
        _ => {}
    }
    if let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == text) {
        return Some(Window::Lasting(*length));
    }
    let (count, unit) = text.rsplit_once('_')?;
    let count = super::whole_number(count)?;
    let unit = unit.strip_suffix('s')?;
    let length = match unit {
        "millisecond" => 1,
        "day" => 86_400_000,
        _ => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, length)| *length)?,
    };
    Some(Window::Lasting(count.checked_mul(length)?))
}
