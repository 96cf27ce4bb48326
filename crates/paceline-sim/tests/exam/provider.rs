//! Plain models of what a provider allows: lists of what was counted when.

use paceline_core::Millis;

/// A bucket at the provider: never below nothing.
pub fn bucket(counts: &[(Millis, u64)], amount: u64, window: Millis, burst: u64) -> Result<(), String> {
    let (mut parts, mut last) = (i128::from(burst * window), 0);
    for (at, count) in counts {
        parts = (parts + i128::from((at - last) * amount)).min(i128::from(burst * window));
        parts -= i128::from(count * window);
        last = *at;
        if parts < 0 {
            return Err(format!("the bucket is {parts} parts of {window} below nothing at {at}"));
        }
    }
    Ok(())
}

/// A log at the provider: in no window more than the amount.
pub fn log(counts: &[(Millis, u64)], amount: u64, window: Millis) -> Result<(), String> {
    for (at, _) in counts {
        let inside = counts.iter().filter(|(other, _)| other <= at && other + window > *at);
        let sum: u64 = inside.map(|(_, count)| count).sum();
        if sum > amount {
            return Err(format!("{sum} of {amount} in the window that ends at {at}"));
        }
    }
    Ok(())
}

/// A fixed window at the provider, at a phase of its own.
pub fn fixed(counts: &[(Millis, u64)], amount: u64, window: Millis, phase: Millis) -> Result<(), String> {
    let period = |at: Millis| (at + window - phase % window) / window;
    for (at, _) in counts {
        let inside = counts.iter().filter(|(other, _)| period(*other) == period(*at));
        let sum: u64 = inside.map(|(_, count)| count).sum();
        if sum > amount {
            return Err(format!("{sum} of {amount} in the period of {at}"));
        }
    }
    Ok(())
}
