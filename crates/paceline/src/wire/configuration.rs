//! Configurations on a shared ledger: what belongs together, and by what content is told apart.

use std::collections::BTreeMap;

use paceline_core::{Algorithm, Boundaries, Configuration, Lanes, LimitSpec, Millis, Name, ResourceSpec};

use super::out::Out;

const DAY: Millis = 86_400_000;

/// Divides a configuration into parts that share nothing: resources go together that a limit draws together. What is
/// removed is a part of its own.
pub fn components(configuration: &Configuration) -> Vec<Configuration> {
    let names = configuration.resources.iter().map(|resource| &resource.name);
    let members = configuration.limits.iter().flat_map(|limit| &limit.members).map(|member| &member.resource);
    let mut numbers: BTreeMap<&Name, usize> = names.chain(members).map(|name| (name, 0)).collect();
    for (number, at) in numbers.values_mut().enumerate() {
        *at = number;
    }
    let mut leaders: Vec<usize> = (0..numbers.len()).collect();
    let number = |name: &Name| numbers.get(name).copied().unwrap_or(0);
    for limit in &configuration.limits {
        let Some((first, others)) = limit.members.split_first() else { continue };
        for other in others {
            let (one, another) =
                (lead(&leaders, number(&first.resource)), lead(&leaders, number(&other.resource)));
            if let Some(leader) = leaders.get_mut(one.max(another)) {
                *leader = one.min(another);
            }
        }
    }
    let mut parts: BTreeMap<usize, Configuration> = BTreeMap::new();
    for resource in &configuration.resources {
        let part = parts.entry(lead(&leaders, number(&resource.name))).or_default();
        part.resources.push(resource.clone());
    }
    for limit in &configuration.limits {
        let Some(first) = limit.members.first() else { continue };
        parts.entry(lead(&leaders, number(&first.resource))).or_default().limits.push(limit.clone());
    }
    let removed = (!configuration.removed.is_empty())
        .then(|| Configuration { removed: configuration.removed.clone(), ..Configuration::default() });
    removed.into_iter().chain(parts.into_values()).collect()
}

fn lead(leaders: &[usize], mut at: usize) -> usize {
    while let Some(leader) = leaders.get(at).filter(|leader| **leader != at) {
        at = *leader;
    }
    at
}

/// Returns what tells apart what configurations say of a resource and of the limits that its lanes draw on: 32
/// hexadecimal digits, equal for equal content in whatever order it is said. Boundaries that a calendar lists are told
/// apart by their hours and their distance, not by where the list begins.
pub fn digest(resource: &ResourceSpec, configuration: &Configuration) -> String {
    let drawing = |limit: &&LimitSpec| limit.members.iter().any(|member| member.resource == resource.name);
    let mut limits: Vec<LimitSpec> = configuration.limits.iter().filter(drawing).map(canonical).collect();
    limits.sort_by(|one, other| one.id.cmp(&other.id));
    let mut bytes = Vec::new();
    let mut out = Out(&mut bytes);
    out.resource(resource);
    for limit in &limits {
        out.limit(limit);
    }
    format!("{:032x}", fnv(&bytes))
}

fn canonical(limit: &LimitSpec) -> LimitSpec {
    let mut limit = limit.clone();
    limit.members.sort_by(|one, other| one.resource.cmp(&other.resource));
    for member in &mut limit.members {
        if let Lanes::Only(lanes) | Lanes::Except(lanes) = &mut member.lanes {
            lanes.sort();
        }
    }
    if let Algorithm::FixedWindow { boundaries: Boundaries::At(instants), .. } = &mut limit.algorithm {
        *instants = pattern(instants);
    }
    limit
}

/// A list of more than a year is told by its longest distance in days, and the hours at which its boundaries are.
fn pattern(instants: &[Millis]) -> Vec<Millis> {
    let length = instants.last().zip(instants.first()).map_or(0, |(last, first)| last.saturating_sub(*first));
    if length < 366 * DAY {
        return instants.to_vec();
    }
    let gaps = instants.iter().zip(instants.iter().skip(1)).map(|(one, next)| next.saturating_sub(*one));
    let longest = gaps.max().unwrap_or(0);
    let mut hours: Vec<Millis> = instants.iter().map(|instant| instant % DAY).collect();
    hours.sort_unstable();
    hours.dedup();
    hours.insert(0, (longest + DAY / 2) / DAY);
    hours
}

/// FNV-1a, 128 bits.
fn fnv(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |sum, byte| (sum ^ u128::from(*byte)).wrapping_mul(PRIME))
}
