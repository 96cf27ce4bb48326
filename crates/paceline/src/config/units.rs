//! Shares, durations and whole numbers, as people write them.

use std::fmt;

use paceline_core::Millis;

/// A part of a whole: above 0 %, at most 100 %, in hundredths of a per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

const WHOLE: u16 = 10_000;

impl Share {
    /// All of it.
    pub const ALL: Self = Self(WHOLE);

    /// Returns this many per cent, 1 to 100.
    ///
    /// ```
    /// use paceline::config::Share;
    ///
    /// assert_eq!(Share::percent(30).map(|share| share.of(500)), Some(150));
    /// assert_eq!(Share::percent(0), None);
    /// assert_eq!(Share::percent(101), None);
    /// ```
    pub fn percent(percent: u16) -> Option<Self> {
        percent.checked_mul(100).and_then(Self::hundredths)
    }

    /// Returns this many hundredths of a per cent, 1 to 10,000.
    pub fn hundredths(hundredths: u16) -> Option<Self> {
        (1..=WHOLE).contains(&hundredths).then_some(Self(hundredths))
    }

    /// Returns how many hundredths of a per cent it is.
    pub const fn as_hundredths(self) -> u16 {
        self.0
    }

    /// Returns this share of an amount, rounded down, but at least 1.
    pub fn of(self, amount: u64) -> u64 {
        let part = u128::from(amount) * u128::from(self.0) / u128::from(WHOLE);
        u64::try_from(part).unwrap_or(amount).max(1)
    }

    /// Reads `30%` or `0.25%`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if fraction.len() > 2 || fraction.is_empty() {
            return None;
        }
        let whole = u16::try_from(whole_number(whole)?).ok()?;
        let tenths = u16::try_from(whole_number(fraction)?).ok()?;
        let fraction = if fraction.len() == 1 { tenths * 10 } else { tenths };
        Self::hundredths(whole.checked_mul(100)?.checked_add(fraction)?)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 100, self.0 % 100);
        match fraction {
            0 => write!(f, "{whole}%"),
            _ => write!(f, "{whole}.{fraction:02}%"),
        }
    }
}

/// Reads decimal digits with single underscores between them.
pub(crate) fn whole_number(text: &str) -> Option<u64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !text.split('_').all(digits) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

const UNITS: [(&str, Millis); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `250ms`, `10s`, `5m`, `24h` or `31d`.
pub(crate) fn duration(text: &str) -> Option<Millis> {
    UNITS.iter().find_map(|(unit, length)| {
        let number = text.strip_suffix(unit)?;
        whole_number(number.trim_end())?.checked_mul(*length)
    })
}

/// Writes a duration in the largest unit that divides it.
pub(crate) fn duration_text(duration: Millis) -> String {
    let fits = |(_, length): &&(&str, Millis)| duration.is_multiple_of(*length) && duration > 0;
    let (unit, length) = UNITS.iter().rev().find(fits).unwrap_or(&("ms", 1));
    format!("{}{unit}", duration / length)
}
