//! Who was overtaken, judged from what several processes saw of one line.

use super::talk::Granted;

/// Counts the calls that were let through after one that had asked later, as far as it cannot be otherwise: the call was
/// known to be in line before the other was asked for, and the other was granted first, by what the ledger says of
/// their waits.
pub(crate) fn overtaken(grants: &[Granted]) -> usize {
    let mut later: Vec<(u64, u64)> = grants.iter().map(|grant| (grant.asked_us, latest(grant))).collect();
    later.sort_unstable();
    // The earliest end of any that asked at this time or later.
    let mut first_end = u64::MAX;
    for (_, end) in later.iter_mut().rev() {
        first_end = first_end.min(*end);
        *end = first_end;
    }
    let judge = |grant: &&Granted| {
        let position = later.partition_point(|(asked, _)| *asked <= grant.in_line_us);
        later.get(position).is_some_and(|(_, end)| *end < grant.asked_us + grant.waited_us)
    };
    grants.iter().filter(judge).count()
}

/// The latest time at which it can have been granted: the ledger's waits are whole milliseconds.
fn latest(grant: &Granted) -> u64 {
    grant.in_line_us + grant.waited_us + 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(asked_ms: u64, waited_ms: u64) -> Granted {
        let asked_us = asked_ms * 1_000;
        Granted { place: 0, asked_us, in_line_us: asked_us + 500, waited_us: waited_ms * 1_000 }
    }

    #[test]
    fn a_line_in_order_overtakes_nobody() {
        assert_eq!(overtaken(&[grant(0, 50), grant(10, 41), grant(20, 60)]), 0);
    }

    #[test]
    fn that_counts_which_is_certain() {
        assert_eq!(overtaken(&[grant(0, 100), grant(10, 40)]), 1);
        // Asked at the same time: nobody knows who was first.
        assert_eq!(overtaken(&[grant(0, 100), grant(0, 40)]), 0);
        // Granted within the same millisecond or so.
        assert_eq!(overtaken(&[grant(0, 51), grant(10, 40)]), 0);
    }
}
