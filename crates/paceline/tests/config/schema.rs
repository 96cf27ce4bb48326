//! The schema for editors: that the committed copy is current, and that it knows what is valid.

use granit_parser::{Event, Parser, ScalarStyle};
use paceline::config::{Config, json_schema};
use regex_lite::Regex;
use serde_json::{Map, Value};

use super::NOW;

const EXAMPLES: [(&str, &str); 3] = [
    ("openai.yaml", include_str!("../../../../examples/limits/openai.yaml")),
    ("several.yaml", include_str!("../../../../examples/limits/several.yaml")),
    ("provider.yaml", include_str!("../../../../examples/limits/provider.yaml")),
];

#[test]
fn the_committed_copy_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.schema.json");
    let current = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &current).expect("it can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == current, "run the test with UPDATE_SCHEMA=1 and commit docs/limits.schema.json");
}

#[test]
fn the_examples_are_valid() {
    for (name, text) in EXAMPLES {
        let config = Config::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        config.compile(NOW).unwrap_or_else(|error| panic!("{error}"));
        fits(&json(text), &json_schema(), name).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_schema_refuses_what_is_misspelt() {
    for text in [
        "openai: {gpt-4o: {requests_per_minut: 5}}",
        "openai: {gpt-4o: {requests_per_minute: 0}}",
        "openai: {gpt-4o: {requests_per_minute: many}}",
        "openai: {gpt-4o: {lanes: {batch: {cap: 30}}}}",
        "openai: {gpt-4o: {limits: [{metric: tokens}]}}",
        "unknown_resources: reject",
        "openai: 5",
    ] {
        assert!(fits(&json(text), &json_schema(), text).is_err(), "{text}");
    }
}

/// Reads YAML as editors do: underscores do not make a number.
fn json(text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|event| event.expect("it is YAML").0);
    let first = events.find(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(..)));
    value(first.expect("a document"), &mut events)
}

fn value<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => serde_json::from_str(&text).unwrap_or(plain(&text)),
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            while let Some(event) = next(events) {
                list.push(value(event, events));
            }
            Value::Array(list)
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            while let Some(key) = next(events) {
                let Event::Scalar(key, ..) = key else { panic!("{key:?}") };
                let event = next(events).expect("a value");
                map.insert(key.into_owned(), value(event, events));
            }
            Value::Object(map)
        }
        other => panic!("{other:?}"),
    }
}

fn plain(text: &str) -> Value {
    if matches!(text, "" | "~") { Value::Null } else { Value::String(text.to_owned()) }
}

fn next<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Option<Event<'a>> {
    let event = events.next()?;
    (!matches!(event, Event::SequenceEnd | Event::MappingEnd)).then_some(event)
}

/// Checks the part of JSON Schema that ours uses.
fn fits(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{at}: {what}: {value} against {schema}"));
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        return fits(value, &json_schema()["$defs"][name], at);
    }
    if let Some(choices) = schema["anyOf"].as_array()
        && !choices.iter().any(|choice| fits(value, choice, at).is_ok())
    {
        return wrong("none of the choices");
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return wrong("not one of");
    }
    if !schema["type"].is_null() && !schema["type"].to_string().contains(&format!("\"{}\"", kind(value))) {
        return wrong("another type");
    }
    let number = value.as_u64();
    if let (Some(number), Some(least)) = (number, schema["minimum"].as_u64())
        && number < least
    {
        return wrong("too small");
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), schema["pattern"].as_str())
        && !Regex::new(pattern).expect("a pattern").is_match(text)
    {
        return wrong("another pattern");
    }
    members_fit(value, schema, at)
}

fn members_fit(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    for (position, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(item, &schema["items"], &format!("{at}[{position}]"))?;
    }
    for needed in schema["required"].as_array().into_iter().flatten() {
        if value.get(needed.as_str().unwrap_or_default()).is_none() {
            return Err(format!("{at}: {needed} is missing"));
        }
    }
    for (key, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        let patterns = schema["patternProperties"].as_object();
        let by_pattern = patterns
            .into_iter()
            .flatten()
            .find(|(pattern, _)| Regex::new(pattern).expect("a pattern").is_match(key));
        match (schema["properties"].get(key), by_pattern, &schema["additionalProperties"]) {
            (None, None, Value::Bool(false)) => return Err(format!("{at}: no such key")),
            (Some(schema), ..) | (None, Some((_, schema)), _) | (None, None, schema) => {
                fits(member, schema, &at)?;
            }
        }
    }
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
