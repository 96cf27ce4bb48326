//! The many ways in which vendors write how long to wait.

const SECOND_US: u64 = 1_000_000;

/// Writes a duration as Go does, cut to milliseconds: `84ms`, `11.054s`, `6m0s`, `23h18m29.144s`.
pub(super) fn go(us: u64) -> String {
    let ms = us / 1_000;
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let seconds = seconds(ms % 60_000);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Writes milliseconds as seconds with no more digits than needed: `26.5`.
fn seconds(ms: u64) -> String {
    let (whole, rest) = (ms / 1_000, ms % 1_000);
    let digits = format!("{whole}.{rest:03}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes a duration as seconds with a fraction: `26.5`.
pub(super) fn float_seconds(us: u64) -> String {
    seconds(us.div_ceil(1_000))
}

/// Returns whole seconds, rounded up.
pub(super) fn whole_seconds(us: u64) -> u64 {
    us.div_ceil(SECOND_US)
}

/// Writes a Unix time as RFC 3339 in whole seconds, rounded up: `2026-11-21T12:00:00Z`.
pub(super) fn rfc3339(unix_us: u64) -> String {
    let unix = whole_seconds(unix_us);
    let (year, month, day) = civil(unix / 86_400);
    let (hour, minute, second) = (unix / 3_600 % 24, unix / 60 % 60, unix % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Turns days since 1970-01-01 into a date, after Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_read_as_the_vendors_write_them() {
        let cases = [
            (0, "0s"),
            (84_300, "84ms"),
            (1_146_000, "1.146s"),
            (8_640_000, "8.64s"),
            (360_000_000, "6m0s"),
            (252_172_000, "4m12.172s"),
            (83_909_144_000, "23h18m29.144s"),
        ];
        for (us, text) in cases {
            assert_eq!(go(us), text);
        }
    }

    #[test]
    fn seconds_round_up() {
        assert_eq!(float_seconds(26_500_000), "26.5");
        assert_eq!(float_seconds(1), "0.001");
        assert_eq!((whole_seconds(0), whole_seconds(1), whole_seconds(1_000_000)), (0, 1, 1));
    }

    #[test]
    fn dates_know_leap_years() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_795_262_399_999_999), "2026-11-21T12:00:00Z");
    }
}
