//! Caps and reserves: each is one more limit, of which the ledger knows nothing.

use std::collections::{BTreeMap, HashMap};

use paceline_core::{Algorithm, Lanes, LimitSpec, MAX_AMOUNT, Member, Name};

use super::{Compiler, Path};
use crate::config::error::Fault;
use crate::config::model::Lane;
use crate::config::units::Share;

impl Compiler<'_> {
    /// Returns the limits that caps and reserves make of a limit.
    pub(super) fn derived(
        &mut self,
        spec: &LimitSpec,
        of_resource: &HashMap<&str, &[Lane]>,
        path: &Path,
    ) -> Vec<LimitSpec> {
        let lanes = |member: &Member| of_resource.get(&*member.resource).copied().unwrap_or_default();
        let mut derived = Vec::new();
        let mut reserves: BTreeMap<&str, Share> = BTreeMap::new();
        for member in &spec.members {
            for lane in lanes(member).iter().filter(|lane| draws(&member.lanes, &lane.name)) {
                derived.extend(lane.cap.map(|cap| capped(spec, member, lane, cap)));
                if let Some(reserve) = lane.reserve {
                    let largest = reserves.entry(&lane.name).or_insert(reserve);
                    *largest = reserve.max(*largest);
                }
            }
        }
        let hundredths: u32 = reserves.values().map(|share| u32::from(share.as_hundredths())).sum();
        let whole = u32::from(Share::ALL.as_hundredths());
        if hundredths >= whole {
            self.fault(path, Fault::OverReserved { limit: spec.id.to_string(), hundredths });
            return derived;
        }
        let rest = u16::try_from(whole - hundredths).ok().and_then(Share::hundredths);
        if let Some(rest) = rest.filter(|_| hundredths > 0) {
            let members = spec.members.iter().filter_map(|member| without_reserves(member, lanes(member)));
            derived.push(part(spec, "unreserved", rest, members.collect()));
        }
        derived
    }
}

/// Returns what is wrong with a lane in itself.
pub(super) fn fault(lane: &Lane) -> Option<Fault> {
    let beginning = lane.name.strip_suffix('*').unwrap_or(&lane.name);
    if lane.name.is_empty() || beginning.contains('*') {
        let expected = "the name of a lane, with `*` at its end if anywhere".to_owned();
        return Some(Fault::Mismatch { expected, found: format!("`{}`", lane.name) });
    }
    if lane.max_head_start > MAX_AMOUNT {
        let (what, found) = ("the head start in milliseconds", lane.max_head_start.to_string());
        return Some(Fault::OutOfRange { what, found, least: 0, most: MAX_AMOUNT });
    }
    if let Some(weight) = lane.weight.filter(|weight| !(1..=1_000).contains(weight)) {
        let found = weight.to_string();
        return Some(Fault::OutOfRange { what: "the weight", found, least: 1, most: 1_000 });
    }
    let (cap, reserve) = (lane.cap?, lane.reserve?);
    (reserve > cap).then(|| Fault::Contradiction {
        one: format!("`reserve: {reserve}`"),
        other: format!("`cap: {cap}`"),
        why: "more is reserved than may be used".to_owned(),
    })
}

fn capped(spec: &LimitSpec, member: &Member, lane: &Lane, cap: Share) -> LimitSpec {
    let name = match spec.members.len() {
        1 => format!("cap/{}", lane.name),
        _ => format!("cap/{}/{}", member.resource, lane.name),
    };
    let lanes = Lanes::Only(vec![lane.name.as_str().into()]);
    part(spec, &name, cap, vec![Member { resource: member.resource.clone(), lanes }])
}

fn without_reserves(member: &Member, lanes: &[Lane]) -> Option<Member> {
    let reserved: Vec<Name> =
        lanes.iter().filter(|lane| lane.reserve.is_some()).map(|lane| lane.name.as_str().into()).collect();
    let lanes = match &member.lanes {
        _ if reserved.is_empty() => member.lanes.clone(),
        Lanes::Only(names) => {
            let rest: Vec<Name> = names.iter().filter(|name| !reserved.contains(name)).cloned().collect();
            if rest.is_empty() {
                return None;
            }
            Lanes::Only(rest)
        }
        Lanes::All | Lanes::Except(_) => Lanes::Except(reserved),
    };
    Some(Member { resource: member.resource.clone(), lanes })
}

/// Returns a limit of a part of another one, with other members.
fn part(spec: &LimitSpec, name: &str, share: Share, members: Vec<Member>) -> LimitSpec {
    let algorithm = match &spec.algorithm {
        Algorithm::TokenBucket { window, burst } => {
            Algorithm::TokenBucket { window: *window, burst: share.of(*burst) }
        }
        other => other.clone(),
    };
    LimitSpec {
        id: format!("{}/{name}", spec.id).into(),
        amount: share.of(spec.amount),
        algorithm,
        members,
        ..spec.clone()
    }
}

fn draws(lanes: &Lanes, name: &str) -> bool {
    match lanes {
        Lanes::All => true,
        Lanes::Only(names) => names.iter().any(|only| **only == *name),
        Lanes::Except(names) => !names.iter().any(|except| **except == *name),
    }
}
