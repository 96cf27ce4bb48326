//! Metrics and amounts: what a call wants, and what it used.

use alloc::vec::Vec;

/// The largest amount of anything: below 2^50, so that a double holds every sum of the ledger exactly.
pub const MAX_AMOUNT: u64 = (1 << 50) - 1;

/// What is counted. Five metrics are known to every ledger, [`Ledger::metric`](crate::Ledger::metric) names more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(pub(crate) u16);

impl Metric {
    /// Calls.
    pub const REQUESTS: Self = Self(0);
    /// Input and output tokens together.
    pub const TOKENS: Self = Self(1);
    /// Tokens of the prompt.
    pub const INPUT_TOKENS: Self = Self(2);
    /// Tokens of the answer.
    pub const OUTPUT_TOKENS: Self = Self(3);
    /// Calls in flight.
    pub const CONCURRENT_REQUESTS: Self = Self(4);

    /// The names of the metrics that every ledger knows, in the order of their numbers.
    pub const KNOWN: [&'static str; 5] =
        ["requests", "tokens", "input_tokens", "output_tokens", "concurrent_requests"];

    /// Returns the metric of this name if every ledger knows it.
    pub fn known(name: &str) -> Option<Self> {
        let index = Self::KNOWN.iter().position(|known| *known == name)?;
        u16::try_from(index).ok().map(Self)
    }

    /// Returns the number by which this ledger knows the metric.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many metrics have a place of their own: those that every ledger knows, and the first few of its own.
const INLINE: usize = 8;

/// Amounts by metric: a demand, a usage, a difference. A metric that is not named is not zero but unsaid.
///
/// The metrics that every ledger knows, and its first three others, need no allocation.
#[derive(Clone, Default)]
pub struct Amounts {
    values: [u64; INLINE],
    /// A bit for each value that is named.
    named: u8,
    more: Vec<(Metric, u64)>,
}

impl Amounts {
    /// Returns no amounts at all.
    pub const fn new() -> Self {
        Self { values: [0; INLINE], named: 0, more: Vec::new() }
    }

    /// Returns the given amounts; a later one replaces an earlier one of the same metric.
    pub fn of(pairs: impl IntoIterator<Item = (Metric, u64)>) -> Self {
        let mut amounts = Self::new();
        for (metric, amount) in pairs {
            amounts.set(metric, amount);
        }
        amounts
    }

    /// Names an amount; above [`MAX_AMOUNT`] it counts as that.
    #[inline]
    pub fn set(&mut self, metric: Metric, amount: u64) {
        let amount = amount.min(MAX_AMOUNT);
        if let Some(value) = self.values.get_mut(metric.index()) {
            *value = amount;
            self.named |= 1 << metric.0;
        } else {
            self.set_more(metric, amount);
        }
    }

    #[cold]
    fn set_more(&mut self, metric: Metric, amount: u64) {
        match self.more.iter_mut().find(|(named, _)| *named == metric) {
            Some((_, value)) => *value = amount,
            None => self.more.push((metric, amount)),
        }
    }

    /// Names an amount unless a larger one is named already.
    #[inline]
    pub(crate) fn raise(&mut self, metric: Metric, amount: u64) {
        if amount > self.amount(metric) {
            self.set(metric, amount);
        }
    }

    /// Returns the same amounts with one more named.
    #[must_use]
    pub fn with(mut self, metric: Metric, amount: u64) -> Self {
        self.set(metric, amount);
        self
    }

    /// Returns the amount of a metric, `None` where it is not named.
    #[inline]
    pub fn get(&self, metric: Metric) -> Option<u64> {
        match self.values.get(metric.index()) {
            Some(value) => (self.named & (1 << metric.0) != 0).then_some(*value),
            None => self.more.iter().find(|(named, _)| *named == metric).map(|(_, amount)| *amount),
        }
    }

    /// Returns the amount of a metric, zero where it is not named.
    #[inline]
    pub fn amount(&self, metric: Metric) -> u64 {
        self.get(metric).unwrap_or(0)
    }

    /// Iterates over the named amounts: by metric, but for those that have no place of their own.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, u64)> + '_ {
        let inline = (0..).zip(&self.values).filter(|(metric, _)| self.named & (1 << metric) != 0);
        inline.map(|(metric, amount)| (Metric(metric), *amount)).chain(self.more.iter().copied())
    }

    /// Returns whether a metric is named that not every ledger knows.
    pub fn has_others(&self) -> bool {
        usize::from(self.named) >> Metric::KNOWN.len() != 0 || !self.more.is_empty()
    }

    /// Returns whether no amount is named.
    pub fn is_empty(&self) -> bool {
        self.named == 0 && self.more.is_empty()
    }
}

impl PartialEq for Amounts {
    fn eq(&self, other: &Self) -> bool {
        self.iter().count() == other.iter().count()
            && self.iter().all(|(metric, amount)| other.get(metric) == Some(amount))
    }
}

impl Eq for Amounts {}

impl core::fmt::Debug for Amounts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.iter().map(|(metric, amount)| (metric.0, amount))).finish()
    }
}
