//! Time as the ledger counts it: whole milliseconds, told from outside.

/// A duration or an instant in milliseconds. Instants count from the Unix epoch where calendar boundaries matter.
pub type Millis = u64;

/// The duration until something that time alone does not bring.
pub const NEVER: Millis = Millis::MAX;

/// The longest window, in ticks. A tick is 1 ms for windows up to a day and 1 s above.
pub const MAX_TICKS: u64 = 90_000_000;

const DAY: Millis = 86_400_000;

/// The two readings of one instant that a step works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Now {
    /// The ledger's own clock: never goes back, whatever the store's clock does.
    pub(crate) clock: Millis,
    /// The store's clock as told: what calendar boundaries are compared with.
    pub(crate) wall: Millis,
}

/// The length of a tick for a window of this length.
pub(crate) const fn tick_of(window: Millis) -> Millis {
    if window > DAY { 1_000 } else { 1 }
}
