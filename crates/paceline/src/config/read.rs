//! Reads a configuration off its tree: the outermost keys, accounts and resources of one's own.

use super::model::{Account, Config, Own, Resource, Unknown};
use super::node::{Entry, Node, Value};
use super::read_resource::{self, RESOURCE_KEYS};
use super::reader::Reader;
use crate::config::units::Share;
use crate::provider;

/// The most tickets of a line.
pub(crate) const MAX_WAITING: u64 = u32::MAX as u64;

/// The outermost keys that are not accounts.
pub(crate) const ROOT_KEYS: [&str; 5] =
    ["resources", "profiles", "unknown_resources", "max_waiting", "revision"];
const ACCOUNT_KEYS: [&str; 6] = ["provider", "use", "tier", "shared", "max_waiting", "revision"];
const OWN_KEYS: [&str; 3] = ["ledger", "provider", "use"];

/// Reads a whole configuration.
pub(super) fn config(reader: &mut Reader<'_>, root: &Node) -> Config {
    let mut config = Config::new();
    reader.each(root, "a mapping of accounts", |reader, entry| root_entry(reader, entry, &mut config));
    config
}

fn root_entry(reader: &mut Reader<'_>, entry: &Entry, config: &mut Config) {
    let node = &entry.node;
    match entry.key.as_str() {
        "resources" => reader.each(node, "a mapping of resources", |reader, entry| {
            config.resources.insert(entry.key.clone(), own(reader, &entry.node));
        }),
        "profiles" => reader.each(node, "a mapping of profiles", |reader, entry| {
            if let Some(profile) = provider::read(reader, entry, &config.profiles) {
                config.profiles.insert(entry.key.clone(), profile);
            }
        }),
        "unknown_resources" => {
            if let Some(unknown) = unknown(reader, node) {
                config.unknown_resources = unknown;
            }
        }
        "max_waiting" => config.max_waiting = max_waiting(reader, node),
        "revision" => config.revision = revision(reader, node).unwrap_or(0),
        key if key.starts_with("x-") => {}
        _ if matches!(node.value, Value::Map(_)) || node.is_null() => {
            config.accounts.insert(entry.key.clone(), account(reader, node));
        }
        _ => reader.unknown_key(entry, "an account with its models, or resources", ROOT_KEYS),
    }
}

fn unknown(reader: &mut Reader<'_>, node: &Node) -> Option<Unknown> {
    if matches!(node.value, Value::Map(_)) {
        return Some(Unknown::Default(Box::new(own(reader, node))));
    }
    let words = [("refuse", false), ("allow", true)];
    let allow = reader.word(node, "answer to unknown resources", &words)?;
    Some(if allow { Unknown::Allow } else { Unknown::Refuse })
}

fn account(reader: &mut Reader<'_>, node: &Node) -> Account {
    let mut account = Account::new();
    reader.each(node, "a mapping of models", |reader, entry| account_entry(reader, entry, &mut account));
    account
}

fn account_entry(reader: &mut Reader<'_>, entry: &Entry, account: &mut Account) {
    let node = &entry.node;
    match entry.key.as_str() {
        "provider" => account.provider = reader.text(node, "the name of a provider"),
        "use" => account.usable = share(reader, node),
        "tier" => account.tier = reader.text(node, "the name of a tier"),
        "shared" => reader.each(node, "a mapping of shared limits", |reader, entry| {
            let bundle = read_resource::bundle(reader, &entry.node);
            account.shared.insert(entry.key.clone(), bundle);
        }),
        "max_waiting" => account.max_waiting = max_waiting(reader, node),
        "revision" => account.revision = revision(reader, node),
        _ if matches!(node.value, Value::Map(_)) || node.is_null() => {
            account.models.insert(entry.key.clone(), model(reader, node));
        }
        _ => {
            reader.unknown_key(entry, "a model with its limits, or the account's own settings", ACCOUNT_KEYS);
        }
    }
}

fn model(reader: &mut Reader<'_>, node: &Node) -> Resource {
    let mut resource = Resource::new();
    reader.each(node, "a mapping of limits", |reader, entry| {
        if !read_resource::entry(reader, entry, &mut resource) {
            unknown_limit(reader, entry, &RESOURCE_KEYS);
        }
    });
    resource
}

fn own(reader: &mut Reader<'_>, node: &Node) -> Own {
    let mut own = Own::default();
    reader.each(node, "a mapping of limits", |reader, entry| match entry.key.as_str() {
        "ledger" => own.ledger = reader.text(&entry.node, "the name of a ledger"),
        "provider" => own.provider = reader.text(&entry.node, "the name of a provider"),
        "use" => own.usable = share(reader, &entry.node),
        _ if read_resource::entry(reader, entry, &mut own.resource) => {}
        _ => unknown_limit(reader, entry, &[&RESOURCE_KEYS[..], &OWN_KEYS].concat()),
    });
    own
}

/// Says that a key is neither a limit nor one of these.
pub(super) fn unknown_limit(reader: &mut Reader<'_>, entry: &Entry, keys: &[&str]) {
    let windows = ["second", "minute", "hour", "day", "month"];
    let limits: Vec<String> = ["requests", "tokens", "input_tokens", "output_tokens"]
        .iter()
        .flat_map(|metric| windows.map(|window| format!("{metric}_per_{window}")))
        .chain(["concurrent_requests".to_owned()])
        .collect();
    let known = limits.iter().map(String::as_str).chain(keys.iter().copied());
    let expected = format!("a limit such as requests_per_minute, or {}", keys.join(", "));
    reader.unknown_key(entry, &expected, known);
}

fn share(reader: &mut Reader<'_>, node: &Node) -> Share {
    reader.share(node).unwrap_or(Share::ALL)
}

pub(super) fn max_waiting(reader: &mut Reader<'_>, node: &Node) -> Option<u64> {
    reader.number(node, "how many may wait", 1, MAX_WAITING)
}

fn revision(reader: &mut Reader<'_>, node: &Node) -> Option<u64> {
    reader.number(node, "the revision", 0, paceline_core::MAX_AMOUNT)
}
