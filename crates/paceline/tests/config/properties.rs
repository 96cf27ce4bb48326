//! What holds for all configurations and all texts.

use std::fmt::Write;

use paceline::config::{Account, Config, Lane, Limit, Own, Resource, Share, Window};
use paceline::core::{Command, Counting, Ledger, Outcome};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::NOW;

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..100, 1u64..1_000_000, Just((1 << 50) - 1)]
}

fn limit() -> impl Strategy<Value = Limit> {
    let metric = prop_oneof![Just("requests"), Just("tokens"), Just("output_tokens"), Just("images")];
    let window = prop_oneof![Just(1_000u64), Just(60_000), Just(3_600_000), Just(10_000), Just(86_400_000)];
    (metric, amount(), window, any::<bool>(), option::of(1u64..100), any::<bool>()).prop_map(
        |(metric, amount, window, shadow, slots, held)| {
            let mut limit = Limit::new(metric, amount, Window::Lasting(window));
            limit.shadow = shadow;
            limit.slots = slots;
            limit.counts = held.then_some(Counting::UntilSettled);
            limit
        },
    )
}

fn resource() -> impl Strategy<Value = Resource> {
    let lanes = btree_map("[a-d]", (1u64..1_000, option::of(1u16..30), option::of(30u16..=100)), 0..3);
    let limits = vec(limit(), 1..5);
    (limits, lanes, option::of(1u64..1_000), vec("[x-z]{1,3}", 0..1)).prop_map(
        |(limits, lanes, line, aliases)| {
            let mut resource = Resource::new();
            for (position, limit) in limits.into_iter().enumerate() {
                resource = resource.limit(limit.id(&format!("limit-{position}")));
            }
            for (name, (weight, reserve, cap)) in lanes {
                let mut lane = Lane::new(&name).weight(weight);
                lane.reserve = reserve.and_then(Share::percent);
                lane.cap = cap.and_then(Share::percent);
                resource = resource.lane(lane);
            }
            resource.max_waiting = line;
            resource.aliases = aliases;
            resource
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    let provider =
        prop_oneof![Just("openai"), Just("anthropic"), Just("azure"), Just("unknown"), Just("groq")];
    let account = (provider, 1u16..=100, resource()).prop_map(|(provider, percent, resource)| {
        let usable = Share::percent(percent).unwrap_or_default();
        Account::new().provider(provider).usable(usable).model("model", resource)
    });
    let accounts = btree_map("key-[a-f]", account, 0..4);
    let own = btree_map("mine-[a-f]", resource(), 0..3);
    (accounts, own, 0u64..9).prop_map(|(accounts, own, revision)| {
        let mut config = Config::new().revision(revision);
        config.accounts = accounts;
        for (name, mut resource) in own {
            resource.aliases.clear();
            config = config.resource(&name, Own::new(resource));
        }
        config
    })
}

/// Writes a configuration as people would.
fn yaml(config: &Config) -> String {
    let mut text = format!("revision: {}\n", config.revision);
    for (name, account) in &config.accounts {
        let provider = account.provider.as_deref().unwrap_or_default();
        let _ = writeln!(text, "{name}:\n  provider: {provider}\n  use: {}", account.usable);
        for (model, resource) in &account.models {
            let _ = writeln!(text, "  {model}:");
            write_resource(&mut text, resource);
        }
    }
    text += "resources:\n";
    for (name, own) in &config.resources {
        let _ = writeln!(text, "  {name}:");
        write_resource(&mut text, &own.resource);
    }
    text
}

fn write_resource(text: &mut String, resource: &Resource) {
    let _ = writeln!(text, "    limits:");
    for limit in &resource.limits {
        let Window::Lasting(window) = limit.window else { continue };
        let (id, metric, shadow) = (limit.name(), &limit.metric, limit.shadow);
        let _ = write!(
            text,
            "      - {{id: {id}, metric: {metric}, amount: {}, window: {window}ms, shadow: {shadow}",
            limit.amount
        );
        if let Some(slots) = limit.slots {
            let _ = write!(text, ", slots: {slots}");
        }
        if limit.counts.is_some() {
            text.push_str(", counts: until_settled");
        }
        text.push_str("}\n");
    }
    let _ = writeln!(text, "    aliases: [{}]", resource.aliases.join(", "));
    let _ = writeln!(text, "    lanes:");
    for lane in &resource.lanes {
        let _ = write!(text, "      {}: {{weight: {}", lane.name, lane.weight.unwrap_or(1));
        for (key, share) in [("reserve", lane.reserve), ("cap", lane.cap)] {
            if let Some(share) = share {
                let _ = write!(text, ", {key}: {share}");
            }
        }
        text.push_str("}\n");
    }
    if let Some(line) = resource.max_waiting {
        let _ = writeln!(text, "    max_waiting: {line}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(config in config()) {
        let text = yaml(&config);
        let read = Config::parse("limits.yaml", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(read, config);
    }

    #[test]
    fn what_compiles_a_ledger_takes_over(config in config()) {
        for ledger in config.compile(NOW).map_err(|error| TestCaseError::fail(error.to_string()))?.ledgers {
            let outcome = Ledger::new().apply(NOW, Command::configure(ledger.configuration));
            prop_assert_eq!(outcome, Outcome::Done);
        }
    }

    #[test]
    fn no_text_is_too_strange(text in ".{0,200}") {
        let _ = Config::parse("limits.yaml", &text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_yaml_is_too_strange(text in "(openai|resources|limits|gpt|[a-z]_per_minute|shared|lanes|use|tier|profiles|metrics|[-:{}\\[\\],#&*!|>'\"%@? \n]|5|30%|1m|<<){0,60}") {
        let _ = Config::parse("limits.yaml", &text).map_err(|error| error.to_string());
    }

    #[test]
    fn a_cut_file_is_no_catastrophe(config in config(), cut in 0usize..2_000) {
        let text = yaml(&config);
        let end = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
        let _ = Config::parse("limits.yaml", &text[..end]).map_err(|error| error.to_string());
    }
}
