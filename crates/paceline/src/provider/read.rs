//! Reads a profile: `data/profiles.yaml`, and what users describe themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use paceline_core::{Counting, MAX_AMOUNT, Metric};

use super::formula::{Formula, Quantity};
use super::profile::{Profile, Reserve, Return, Rule, SubWindow};
use crate::config::{Entry, Fault, Node, Reader, Value, zone};

const KEYS: [&str; 10] = [
    "like",
    "also",
    "transit",
    "margin",
    "windows",
    "sub_windows",
    "reserve",
    "unstated_output",
    "burndown",
    "metrics",
];
const RULE_KEYS: [&str; 3] = ["reserve", "settle", "counts"];

/// Reads the profile of an entry, which may start from one of these or a built-in one.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    entry: &Entry,
    known: &BTreeMap<String, Arc<Profile>>,
) -> Option<Arc<Profile>> {
    let mut profile = base(reader, &entry.node, known)?;
    profile.name.clone_from(&entry.key);
    reader.each(&entry.node, "a mapping that describes a provider", |reader, entry| {
        profile_entry(reader, entry, &mut profile);
    });
    Some(Arc::new(profile))
}

fn base(reader: &mut Reader<'_>, node: &Node, known: &BTreeMap<String, Arc<Profile>>) -> Option<Profile> {
    let Some(like) = node.get("like") else { return Some(Profile::bare("")) };
    let name = reader.text(&like.node, "the name of a profile")?;
    let found = known.values().find(|profile| profile.is_called(&name)).cloned();
    let Some(found) = found.or_else(|| Profile::named(&name)) else {
        let names = known.keys().cloned().chain(Profile::names().map(str::to_owned)).collect();
        reader.unknown_name(like.node.span, "profile", &name, names);
        return None;
    };
    Some(Profile { also: Vec::new(), ..Profile::clone(&found) })
}

fn profile_entry(reader: &mut Reader<'_>, entry: &Entry, profile: &mut Profile) {
    let node = &entry.node;
    match entry.key.as_str() {
        "like" => {}
        "also" => profile.also = reader.texts(node, "another name of the provider"),
        "transit" => profile.transit = reader.duration(node).unwrap_or(0),
        "margin" => profile.margin = reader.duration(node).unwrap_or(0),
        "windows" => windows(reader, node, profile),
        "sub_windows" => {
            profile.sub_windows.clear();
            reader.each(node, "a mapping of metrics to windows", |reader, entry| {
                sub_windows(reader, entry, profile);
            });
        }
        "reserve" => {
            let words = [("max", Reserve::Max), ("expected", Reserve::Expected)];
            profile.reserve = reader.word(node, "way to reserve output", &words).unwrap_or_default();
        }
        "unstated_output" => {
            profile.unstated_output = reader.number(node, "the output tokens", 0, MAX_AMOUNT).unwrap_or(0);
        }
        "burndown" => {
            profile.burndown.clear();
            reader.each(node, "a mapping of models to rates", |reader, entry| {
                let rate = reader.number(&entry.node, "the burn-down rate", 1, 1_000);
                profile.burndown.extend(rate.map(|rate| (entry.key.clone(), rate)));
            });
        }
        "metrics" => reader.each(node, "a mapping of metrics", |reader, entry| {
            metric(reader, entry, profile);
        }),
        _ => reader.unknown_key(entry, &KEYS.join(", "), KEYS),
    }
}

fn windows(reader: &mut Reader<'_>, node: &Node, profile: &mut Profile) {
    let windows = &mut profile.windows;
    reader.each(node, "a mapping of short, day and long", |reader, entry| {
        let slot = match entry.key.as_str() {
            "short" => &mut windows.short,
            "day" => &mut windows.day,
            "long" => &mut windows.long,
            _ => return reader.unknown_key(entry, "short, day or long", ["short", "day", "long"]),
        };
        if let Some(how) = how_it_returns(reader, &entry.node) {
            *slot = how;
        }
    });
}

fn how_it_returns(reader: &mut Reader<'_>, node: &Node) -> Option<Return> {
    if !matches!(node.value, Value::Map(_)) {
        let words = [("token_bucket", true), ("sliding_window", false)];
        let bucket = reader.word(node, "algorithm", &words)?;
        return Some(if bucket { Return::TokenBucket } else { Return::SlidingWindow });
    }
    let mut found = None;
    reader.each(node, "", |reader, entry| match entry.key.as_str() {
        "fixed_window" => found = zone_name(reader, &entry.node),
        _ => reader.unknown_key(entry, "fixed_window with a time zone", ["fixed_window"]),
    });
    found.map(|zone| Return::FixedWindow { zone })
}

fn zone_name(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let name = reader.text(node, "the name of a time zone")?;
    if zone(&name).is_none() {
        reader.mismatch(node, "the name of a time zone such as America/Los_Angeles");
    }
    Some(name)
}

fn sub_windows(reader: &mut Reader<'_>, entry: &Entry, profile: &mut Profile) {
    for item in entry.node.items() {
        let window = reader.duration(item).filter(|window| *window > 0);
        profile
            .sub_windows
            .extend(window.map(|window| SubWindow { metric: entry.key.as_str().into(), window }));
    }
}

fn metric(reader: &mut Reader<'_>, entry: &Entry, profile: &mut Profile) {
    let mut rule = (None, None, Counting::AtGrant);
    reader.each(&entry.node, "a mapping of reserve, settle and counts", |reader, entry| {
        match entry.key.as_str() {
            "reserve" => rule.0 = formula(reader, &entry.node),
            "settle" if is_never(&entry.node) => rule.1 = None,
            "settle" => rule.1 = formula(reader, &entry.node),
            "counts" => {
                let words = [("at_grant", Counting::AtGrant), ("until_settled", Counting::UntilSettled)];
                rule.2 = reader.word(&entry.node, "way to count", &words).unwrap_or_default();
            }
            _ => reader.unknown_key(entry, &RULE_KEYS.join(", "), RULE_KEYS),
        }
    });
    let (Some(reserve), settle, counts) = rule else {
        if entry.node.get("reserve").is_none() {
            reader
                .fault(entry.span, Fault::Missing { what: format!("what a call reserves of {}", entry.key) });
        }
        return;
    };
    let known = Metric::known(&entry.key);
    let rule = Rule { metric: entry.key.as_str().into(), reserve, settle, counts, known };
    match profile.rules.iter_mut().find(|old| old.metric == rule.metric) {
        Some(old) => *old = rule,
        None => profile.rules.push(rule),
    }
}

fn is_never(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, .. } if text == "as_reserved")
}

fn formula(reader: &mut Reader<'_>, node: &Node) -> Option<Formula> {
    let text = reader.text(node, "a formula such as input + output")?;
    match text.parse::<Formula>() {
        Ok(formula) => Some(formula),
        Err(term) => {
            let names = Quantity::names().map(str::to_owned).collect();
            reader.unknown_name(node.span, "quantity", &term.0, names);
            None
        }
    }
}
