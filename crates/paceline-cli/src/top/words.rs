//! Numbers, times and names as they stand on the screen.

use crate::text::grouped;

/// Writes seconds as short as can be read at a glance: `0.4 s`, `14 s`, `2 min 5 s`, `3 h 10 min`.
pub(crate) fn lasting(seconds: f64) -> String {
    let whole = whole(seconds.ceil());
    match whole {
        _ if seconds < 0.05 => "0 s".to_owned(),
        _ if seconds < 0.95 => format!("{seconds:.1} s"),
        0..120 => format!("{whole} s"),
        120..7_200 => two(whole / 60, "min", whole % 60, "s"),
        7_200..172_800 => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// Writes seconds in one unit, where there is little room: `48 s`, `3 min`, `11 h`.
pub(crate) fn roughly(seconds: f64) -> String {
    match whole(seconds.ceil()) {
        0..120 => lasting(seconds),
        whole @ 120..7_200 => format!("{} min", whole / 60),
        whole @ 7_200..172_800 => format!("{} h", whole / 3_600),
        whole => format!("{} d", whole / 86_400),
    }
}

fn two(large: u64, unit: &str, small: u64, less: &str) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {less}") }
}

/// Writes a time that may have no end, or be unknown.
pub(crate) fn perhaps(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), lasting)
}

/// Writes a number in at most six characters: `950`, `9,500`, `27.3k`, `1.25M`.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    let (value, unit) = match size {
        0.0..9_999.5 if size >= 9.95 || size.fract() < 0.05 => return grouped(i128::from(rounded(number))),
        0.0..9.95 => return format!("{number:.1}"),
        9_999.5..999_950.0 => (number / 1e3, "k"),
        0.0..999_950_000.0 => (number / 1e6, "M"),
        _ => (number / 1e9, "G"),
    };
    if value.abs() < 99.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

/// Writes how much is done in a second, or in the unit in which a limit counts.
pub(crate) fn rate(a_second: f64, window: Option<f64>) -> String {
    match window {
        Some(window) if window >= 86_399.0 => format!("{}/day", short(a_second * 86_400.0)),
        Some(window) if window >= 3_599.0 => format!("{}/h", short(a_second * 3_600.0)),
        Some(window) if window >= 9.9 => format!("{}/min", short(a_second * 60.0)),
        _ => format!("{}/s", short(a_second)),
    }
}

/// Writes how many wait: `12 wait`, `1 waits`.
pub(crate) fn wait(waiting: u64) -> String {
    if waiting == 1 { "1 waits".to_owned() } else { format!("{} wait", grouped(waiting)) }
}

/// Writes a name as it is spoken.
pub(crate) fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// Writes the name of a limit shorter: `tokens_per_minute` as `tokens/min`.
pub(crate) fn brief(name: &str) -> String {
    let units = [("_per_minute", "/min"), ("_per_second", "/s"), ("_per_hour", "/h"), ("_per_day", "/day")];
    let found = units.iter().find_map(|(long, short)| Some((name.strip_suffix(long)?, short)));
    found.map_or_else(|| name.to_owned(), |(metric, unit)| format!("{metric}{unit}"))
}

/// Cuts a text to a width, at its end.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect()
}

/// Cuts a name to a width, at its beginning: the ends of names tell them apart.
pub(crate) fn cut_front(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    (width > 0).then_some('…').into_iter().chain(text.chars().skip(length + 1 - width.max(1))).collect()
}

/// Returns the nearest whole number at or above 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
pub(crate) fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn rounded(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units_at_most() {
        let shown = [0.04, 0.4, 1.0, 13.2, 119.0, 125.0, 3_600.0, 11_400.0, 90_000.0, 180_000.0].map(lasting);
        let is =
            ["0 s", "0.4 s", "1 s", "14 s", "119 s", "2 min 5 s", "60 min", "3 h 10 min", "25 h", "2 d 2 h"];
        assert_eq!(shown, is);
        let shown = [0.4, 13.2, 125.0, 11_400.0, 180_000.0].map(roughly);
        assert_eq!(shown, ["0.4 s", "14 s", "2 min", "3 h", "2 d"]);
    }

    #[test]
    fn numbers_stay_short() {
        let shown = [0.0, 0.44, 3.0, 12.3, 950.0, 9_500.0, 27_300.0, 120_000.0, 1_250_000.0, 2e9, -300.0];
        let is = ["0", "0.4", "3", "12", "950", "9,500", "27.3k", "120k", "1.2M", "2.0G", "-300"];
        assert_eq!(shown.map(short), is);
    }

    #[test]
    fn rates_are_in_the_unit_of_the_limit() {
        let shown = [(7.5, Some(60.0)), (0.001, Some(86_400.0)), (2.0, None), (1.0, Some(3_600.0))];
        assert_eq!(shown.map(|(rate_, window)| rate(rate_, window)), ["450/min", "86/day", "2/s", "3,600/h"]);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!([brief("tokens_per_minute"), brief("rpm")], ["tokens/min", "rpm"]);
        assert_eq!(cut("requests", 5), "requ…");
        assert_eq!(cut_front("openai/gpt-4o", 7), "…gpt-4o");
        assert_eq!((cut("abc", 3), cut_front("abc", 0)), ("abc".to_owned(), String::new()));
    }
}
