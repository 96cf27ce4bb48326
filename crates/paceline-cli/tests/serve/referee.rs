//! Judges grants by what their callers saw of them: it knows the limits, and nothing of the server.

use std::collections::BTreeMap;

/// How far apart the clocks of a grant and of its caller may be, in milliseconds: each is cut to whole ones.
const APART: u64 = 3;

/// A grant as its caller saw it. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) amount: u64,
    /// It was granted no earlier than this,
    pub(crate) from: u64,
    /// and no later than this.
    pub(crate) until: u64,
    /// When its caller had it.
    pub(crate) told: u64,
    /// When its caller set about ending it; nothing while it has not.
    pub(crate) ending: Option<u64>,
    /// How much went back.
    pub(crate) back: u64,
    /// When its caller knew that it had ended.
    pub(crate) ended: Option<u64>,
}

/// All grants, by resource.
#[derive(Debug, Default)]
pub(crate) struct Log(BTreeMap<String, Vec<Grant>>);

/// Which grant of which resource.
pub(crate) type Entry = (String, usize);

impl Log {
    pub(crate) fn granted(&mut self, resource: &str, grant: Grant) -> Entry {
        let grants = self.0.entry(resource.to_owned()).or_default();
        grants.push(grant);
        (resource.to_owned(), grants.len() - 1)
    }

    pub(crate) fn entry(&mut self, (resource, at): &Entry) -> &mut Grant {
        self.0.get_mut(resource).and_then(|grants| grants.get_mut(*at)).unwrap()
    }

    pub(crate) fn of(&self, resource: &str) -> &[Grant] {
        self.0.get(resource).map_or(&[], Vec::as_slice)
    }

    /// Returns how much of a resource was granted so far.
    pub(crate) fn amount(&self, resource: &str) -> u64 {
        self.of(resource).iter().map(|grant| grant.amount).sum()
    }

    /// Returns how many grants there were.
    pub(crate) fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Returns how many permits are out.
    pub(crate) fn out(&self) -> usize {
        self.0.values().flatten().filter(|grant| grant.ending.is_none()).count()
    }
}

/// At no instant more calls were under way than may.
pub(crate) fn never_over_slots(grants: &[Grant], slots: usize) -> Result<(), String> {
    // What ends in a millisecond ends before what begins in it.
    let begins = grants.iter().map(|grant| (grant.told, 1));
    let ends = grants.iter().map(|grant| (grant.ending.unwrap_or(u64::MAX), 0));
    let mut events: Vec<(u64, u8)> = begins.chain(ends).collect();
    events.sort_unstable();
    let (mut out, mut early) = (0_usize, 0_usize);
    for (at, begins) in events {
        if begins == 1 {
            out += 1;
            let ended_at_once = out.min(early);
            (out, early) = (out - ended_at_once, early - ended_at_once);
        } else if out == 0 {
            early += 1;
        } else {
            out -= 1;
        }
        if out > slots {
            return Err(format!("at {at} {out} calls were under way where {slots} may"));
        }
    }
    Ok(())
}

/// From each of these instants on, no more was granted than the bucket had then, what it has earned since, and what went
/// back.
pub(crate) fn never_over_bucket(
    grants: &[Grant],
    (amount, window): (u64, u64),
    had: &[(u64, u64)],
) -> Result<(), String> {
    let mut granted: Vec<&Grant> = grants.iter().collect();
    granted.sort_by_key(|grant| grant.until);
    let mut backs: Vec<&Grant> = grants.iter().filter(|grant| grant.back > 0).collect();
    backs.sort_by_key(|grant| grant.ending);
    for (since, full) in had {
        let mut back = backs
            .iter()
            .filter(|grant| grant.ended.is_none_or(|ended| ended + APART >= *since))
            .map(|grant| (grant.ending.unwrap_or(0), u128::from(grant.back)))
            .peekable();
        let (mut spent, mut returned) = (0_u128, 0_u128);
        for grant in granted.iter().filter(|grant| grant.from >= *since + APART) {
            spent += u128::from(grant.amount);
            while let Some((_, amount)) = back.next_if(|(at, _)| *at <= grant.until + APART) {
                returned += amount;
            }
            let earned = u128::from(grant.until + APART - since) * u128::from(amount) / u128::from(window);
            let most = u128::from(*full) + earned + 1 + returned;
            if spent > most {
                let until = grant.until;
                return Err(format!(
                    "from {since} to {until} {spent} was granted where there was {most}: {full} then, {earned} \
                     earned, {returned} back"
                ));
            }
        }
    }
    Ok(())
}

/// A grant at an instant, which is known exactly and is held for 10 ms.
fn granted(at: u64, amount: u64) -> Grant {
    let (ending, ended) = (Some(at + 10), Some(at + 12));
    Grant { amount, from: at, until: at, told: at, ending, back: 0, ended }
}

#[test]
fn the_referee_objects_to_what_is_wrong_alone() {
    let slots = |grants: &[Grant]| never_over_slots(grants, 2).is_ok();
    assert!(slots(&[granted(100, 1), granted(105, 1), granted(110, 1), granted(115, 1)]));
    assert!(!slots(&[granted(100, 1), granted(105, 1), granted(109, 1)]));
    let short = Grant { ending: Some(100), ..granted(100, 1) };
    assert!(slots(&[short.clone(), short.clone(), short, granted(100, 1), granted(100, 1)]));
    let open = Grant { ending: None, ..granted(100, 1) };
    assert!(!slots(&[open.clone(), open, granted(5_000, 1)]));

    let bucket = |grants: &[Grant], had: u64| never_over_bucket(grants, (10, 1_000), &[(90, had)]).is_ok();
    let five: Vec<_> = (0..5).map(|at| granted(100 + at, 2)).collect();
    assert!(bucket(&five, 10));
    assert!(!bucket(&five, 5));
    let mut more = five;
    more.push(granted(110, 2));
    assert!(!bucket(&more, 10));
    more[0].back = 2;
    assert!(bucket(&more, 10));
    assert!(bucket(&[granted(1_200, 12)], 0));
    assert!(!bucket(&[granted(1_000, 12)], 0));
}
