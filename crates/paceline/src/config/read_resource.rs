//! Reads a resource: its limits, short and long, what it shares, its lanes.

use paceline_core::{Counting, MAX_AMOUNT};

use super::error::Fault;
use super::limit::{Calendar, Limit, Style, Window};
use super::model::{Draw, Lane, Resource};
use super::near::misspelt_metric;
use super::node::{Entry, Node, Value};
use super::read::{max_waiting, unknown_limit};
use super::reader::Reader;
use super::{instant, short, units};
use crate::provider::Reserve;

pub(super) const RESOURCE_KEYS: [&str; 8] =
    ["limits", "shared", "aliases", "lanes", "max_waiting", "reserve", "warn_at", "unlimited"];
const LANE_KEYS: [&str; 5] = ["priority", "weight", "cap", "reserve", "max_head_start"];
const LIMIT_KEYS: [&str; 17] = [
    "id",
    "metric",
    "amount",
    "window",
    "period",
    "boundaries",
    "zone",
    "algorithm",
    "burst",
    "slots",
    "counts",
    "shadow",
    "warn_at",
    "transit",
    "margin",
    "lane",
    "shared",
];
const STYLES: [(&str, Style); 4] = [
    ("token_bucket", Style::TokenBucket),
    ("sliding_window", Style::SlidingWindow),
    ("fixed_window", Style::FixedWindow),
    ("concurrency", Style::Concurrency),
];

/// Reads one entry of a resource; returns whether it is one.
pub(super) fn entry(reader: &mut Reader<'_>, entry: &Entry, resource: &mut Resource) -> bool {
    let node = &entry.node;
    match entry.key.as_str() {
        "limits" => long_limits(reader, node, resource),
        "shared" => {
            let names = reader.texts(node, "the name of a shared limit");
            resource.shared.extend(names.into_iter().map(|name| Draw { name, lanes: Vec::new() }));
        }
        "aliases" => resource.aliases = reader.texts(node, "another name of the resource"),
        "lanes" => reader.each(node, "a mapping of lanes", |reader, entry| {
            resource.lanes.push(lane(reader, entry));
        }),
        "max_waiting" => resource.max_waiting = max_waiting(reader, node),
        "reserve" => {
            let words = [("max", Reserve::Max), ("expected", Reserve::Expected)];
            resource.reserve = reader.word(node, "way to reserve output", &words);
        }
        "warn_at" => resource.warn_at = reader.share(node),
        "unlimited" => resource.unlimited = reader.boolean(node).unwrap_or(false),
        _ => return short_limit(reader, entry, &mut resource.limits),
    }
    true
}

/// Reads limits that several resources share.
pub(super) fn bundle(reader: &mut Reader<'_>, node: &Node) -> Vec<Limit> {
    let mut resource = Resource::new();
    reader.each(node, "a mapping of limits", |reader, entry| match entry.key.as_str() {
        "limits" => {
            long_limits(reader, &entry.node, &mut resource);
            if !resource.shared.is_empty() {
                let what = "shared limits of shared limits";
                reader.fault(entry.span, Fault::Unsupported { what });
            }
        }
        _ if short_limit(reader, entry, &mut resource.limits) => {}
        _ => unknown_limit(reader, entry, &["limits"]),
    });
    resource.limits
}

fn short_limit(reader: &mut Reader<'_>, entry: &Entry, limits: &mut Vec<Limit>) -> bool {
    let Some((metric, window)) = short::read(&entry.key) else { return false };
    if let Some(meant) = misspelt_metric(metric) {
        let (key, nearest) = (entry.key.clone(), short::key(meant, &window));
        let expected = "a known metric".to_owned();
        reader.fault(entry.span, Fault::UnknownKey { key, expected, nearest: Some(nearest) });
        return true;
    }
    let amount = reader.number(&entry.node, "the amount", 1, MAX_AMOUNT);
    limits.push(Limit::new(metric, amount.unwrap_or(1), window));
    true
}

fn lane(reader: &mut Reader<'_>, entry: &Entry) -> Lane {
    let mut lane = Lane::new(&entry.key);
    reader.each(&entry.node, "a mapping of the lane's settings", |reader, entry| {
        let node = &entry.node;
        match entry.key.as_str() {
            "priority" => lane.priority = reader.signed(node, "the priority").unwrap_or(0),
            "weight" => lane.weight = reader.number(node, "the weight", 1, 1_000),
            "cap" => lane.cap = reader.share(node),
            "reserve" => lane.reserve = reader.share(node),
            "max_head_start" => lane.max_head_start = reader.duration(node).unwrap_or(0),
            _ => reader.unknown_key(entry, &LANE_KEYS.join(", "), LANE_KEYS),
        }
    });
    lane
}

fn long_limits(reader: &mut Reader<'_>, node: &Node, resource: &mut Resource) {
    for item in node.items() {
        match &item.value {
            Value::Map(_) if item.get("shared").is_some() => resource.shared.extend(draw(reader, item)),
            Value::Map(_) => resource.limits.push(long_limit(reader, item)),
            _ => reader.mismatch(item, "a mapping with metric, amount and window"),
        }
    }
}

fn draw(reader: &mut Reader<'_>, node: &Node) -> Option<Draw> {
    let mut draw = Draw::default();
    reader.each(node, "a shared limit", |reader, entry| match entry.key.as_str() {
        "shared" => draw.name = reader.text(&entry.node, "the name of a shared limit").unwrap_or_default(),
        "lane" | "lanes" => draw.lanes = reader.texts(&entry.node, "the name of a lane"),
        _ => reader.unknown_key(entry, "shared and lane, nothing else", ["shared", "lane"]),
    });
    (!draw.name.is_empty()).then_some(draw)
}

fn long_limit(reader: &mut Reader<'_>, node: &Node) -> Limit {
    let mut limit = Limit::new("", 0, Window::InFlight);
    let mut windows: Vec<(String, Window)> = Vec::new();
    reader.each(node, "a limit", |reader, entry| long_entry(reader, entry, &mut limit, &mut windows));
    let key = |key: &str| node.get(key).is_some();
    for (needed, there) in [("metric", key("metric")), ("amount", key("amount"))] {
        if !there {
            reader.fault(node.span, Fault::Missing { what: format!("the {needed} of the limit") });
        }
    }
    match windows.as_slice() {
        [] if in_flight(&limit) => {}
        [] => {
            let faultless = !(key("window") || key("period") || key("boundaries"));
            if faultless {
                reader.fault(
                    node.span,
                    Fault::Missing { what: "the window or period of the limit".to_owned() },
                );
            }
        }
        [(_, window)] => limit.window = window.clone(),
        [(one, _), (other, _), ..] => {
            let (one, other) = (format!("`{one}`"), format!("`{other}`"));
            let why = "a limit has one window".to_owned();
            reader.fault(node.span, Fault::Contradiction { one, other, why });
        }
    }
    limit
}

fn in_flight(limit: &Limit) -> bool {
    limit.style == Some(Style::Concurrency) || limit.metric.starts_with("concurrent_")
}

fn long_entry(
    reader: &mut Reader<'_>,
    entry: &Entry,
    limit: &mut Limit,
    windows: &mut Vec<(String, Window)>,
) {
    let node = &entry.node;
    match entry.key.as_str() {
        "id" => limit.id = reader.text(node, "the name of the limit"),
        "metric" => limit.metric = metric(reader, node).unwrap_or_default(),
        "amount" => limit.amount = reader.number(node, "the amount", 1, MAX_AMOUNT).unwrap_or(1),
        "window" => windows.extend(window(reader, node).map(|window| (entry.key.clone(), window))),
        "period" => {
            limit.style = limit.style.or(Some(Style::FixedWindow));
            windows.extend(window(reader, node).map(|window| (entry.key.clone(), window)));
        }
        "boundaries" => {
            limit.style = limit.style.or(Some(Style::FixedWindow));
            windows.push((entry.key.clone(), Window::Between(boundaries(reader, node))));
        }
        "zone" => limit.zone = reader.text(node, "the name of a time zone"),
        "algorithm" => limit.style = reader.word(node, "algorithm", &STYLES).or(limit.style),
        "burst" => limit.burst = reader.number(node, "the burst", 1, MAX_AMOUNT),
        "slots" => limit.slots = reader.number(node, "the number of slots", 1, 1_000),
        "counts" => {
            let words = [("at_grant", Counting::AtGrant), ("until_settled", Counting::UntilSettled)];
            limit.counts = reader.word(node, "way to count", &words);
        }
        "shadow" => limit.shadow = reader.boolean(node).unwrap_or(false),
        "warn_at" => limit.warn_at = reader.share(node),
        "transit" => limit.transit = reader.duration(node),
        "margin" => limit.margin = reader.duration(node),
        "lane" | "lanes" => limit.lanes = reader.texts(node, "the name of a lane"),
        _ => reader.unknown_key(entry, &LIMIT_KEYS.join(", "), LIMIT_KEYS),
    }
}

fn metric(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let metric = reader.text(node, "the name of a metric")?;
    if misspelt_metric(&metric).is_some() {
        let known = super::near::METRICS.iter().map(|name| (*name).to_owned()).collect();
        reader.unknown_name(node.span, "metric", &metric, known);
    }
    Some(metric)
}

fn window(reader: &mut Reader<'_>, node: &Node) -> Option<Window> {
    let words = [
        ("second", Window::Lasting(1_000)),
        ("minute", Window::Lasting(60_000)),
        ("hour", Window::Lasting(3_600_000)),
        ("day", Window::Calendar(Calendar::Day)),
        ("week", Window::Calendar(Calendar::Week)),
        ("month", Window::Calendar(Calendar::Month)),
    ];
    let expected = "a window such as 10s, minute, day or month";
    let text = reader.text(node, expected)?;
    let word = words.into_iter().find(|(word, _)| *word == text).map(|(_, window)| window);
    let window = word.or_else(|| units::duration(&text).map(Window::Lasting));
    if window.is_none() {
        reader.mismatch(node, expected);
    }
    window
}

fn boundaries(reader: &mut Reader<'_>, node: &Node) -> Vec<u64> {
    let expected = "an instant such as 2027-01-01T00:00:00Z";
    let nodes = node.items();
    let mut instants = Vec::with_capacity(nodes.len());
    for item in nodes {
        match reader.text(item, expected).map(|text| instant::read(&text)) {
            Some(Some(instant)) => instants.push(instant),
            Some(None) => reader.mismatch(item, expected),
            None => {}
        }
    }
    instants
}
