//! The JSON Schema of the configuration file, for editors.

use serde_json::{Value, json};

use crate::provider::Profile;

/// Returns the JSON Schema (draft 2020-12) of the configuration file.
///
/// It knows the shape, not what only checking knows: that a shared limit exists, that aliases do not clash.
///
/// ```
/// let schema = paceline::config::json_schema();
/// assert_eq!(schema["properties"]["revision"]["$ref"], "#/$defs/revision");
/// ```
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Paceline limits",
        "description": "Limits by account and model, as Paceline keeps them",
        "type": ["object", "null"],
        "properties": {
            "resources": map("Resources of one's own, each a ledger unless it says another", &reference("own")),
            "profiles": map("Providers described by the user", &reference("profile")),
            "unknown_resources": {
                "description": "What becomes of a resource that is not named here",
                "anyOf": [{"enum": ["refuse", "allow"]}, reference("own")],
            },
            "max_waiting": reference("tickets"),
            "revision": reference("revision"),
        },
        "patternProperties": {"^x-": {}},
        "additionalProperties": reference("account"),
        "$defs": definitions(),
    })
}

fn definitions() -> Value {
    json!({
        "amount": whole(1, "A whole number, underscores allowed"),
        "tickets": whole(1, "How many may wait for one resource"),
        "revision": whole(0, "A higher one wins where processes share a ledger"),
        "share": {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,2})?%$", "description": "A share, such as 30%"},
        "duration": {"type": "string", "pattern": "^[0-9][0-9_]*(ms|s|m|h|d)$", "description": "Such as 250ms, 10s, 5m, 24h"},
        "texts": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "provider": {"type": "string", "description": "The profile's name", "examples": Profile::names().collect::<Vec<_>>()},
        "counts": {"enum": ["at_grant", "until_settled"], "description": "When a call counts"},
        "reserve": {"enum": ["max", "expected"], "description": "How much output a call reserves"},
        "account": account(),
        "model": object(resource(), true),
        "own": object(own(), true),
        "bundle": object(json!({"limits": list("limit")}), true),
        "lane": lane(),
        "limit": limit(),
        "draw": object(json!({"shared": {"type": "string"}, "lane": reference("texts"), "lanes": reference("texts")}), false),
        "profile": profile(),
        "rule": object(json!({
            "reserve": {"type": "string"}, "settle": {"type": "string"}, "counts": reference("counts"),
        }), false),
        "returns": {"anyOf": [
            {"enum": ["token_bucket", "sliding_window"]},
            object(json!({"fixed_window": {"type": "string"}}), false),
        ]},
    })
}

fn account() -> Value {
    json!({
        "description": "An account at a provider, and its models",
        "type": ["object", "null"],
        "properties": {
            "provider": reference("provider"),
            "use": reference("share"),
            "tier": {"type": "string", "description": "The row of the shipped table that limits are taken from"},
            "shared": map("Limits that several models draw on", &reference("bundle")),
            "max_waiting": reference("tickets"),
            "revision": reference("revision"),
        },
        "additionalProperties": reference("model"),
    })
}

fn resource() -> Value {
    json!({
        "limits": {"type": "array", "items": {"anyOf": [reference("limit"), reference("draw")]}},
        "shared": reference("texts"),
        "aliases": reference("texts"),
        "lanes": map("Classes of traffic", &reference("lane")),
        "max_waiting": reference("tickets"),
        "reserve": reference("reserve"),
        "warn_at": reference("share"),
        "unlimited": {"type": "boolean"},
    })
}

fn own() -> Value {
    let mut own = resource();
    own["ledger"] = json!({"type": "string"});
    own["provider"] = reference("provider");
    own["use"] = reference("share");
    own
}

fn lane() -> Value {
    let properties = json!({
        "priority": {"type": "integer", "description": "Higher goes first"},
        "weight": {"type": "integer", "minimum": 1, "maximum": 1_000},
        "cap": reference("share"),
        "reserve": reference("share"),
        "max_head_start": reference("duration"),
    });
    object(properties, false)
}

fn limit() -> Value {
    let window = json!({"anyOf": [
        {"enum": ["second", "minute", "hour", "day", "week", "month"]},
        reference("duration"),
    ]});
    let properties = json!({
        "id": {"type": "string"},
        "metric": {"type": "string"},
        "amount": reference("amount"),
        "window": window,
        "period": window,
        "boundaries": {"type": "array", "items": {"type": "string"}},
        "zone": {"type": "string", "description": "A time zone, such as America/Los_Angeles"},
        "algorithm": {"enum": ["token_bucket", "sliding_window", "fixed_window", "concurrency"]},
        "burst": reference("amount"),
        "slots": {"type": "integer", "minimum": 1, "maximum": 1_000},
        "counts": reference("counts"),
        "shadow": {"type": "boolean", "description": "Charged and never asked"},
        "warn_at": reference("share"),
        "transit": reference("duration"),
        "margin": reference("duration"),
        "lane": reference("texts"),
        "lanes": reference("texts"),
    });
    let mut limit = object(properties, false);
    limit["required"] = json!(["metric", "amount"]);
    limit
}

fn profile() -> Value {
    let windows =
        json!({"short": reference("returns"), "day": reference("returns"), "long": reference("returns")});
    let properties = json!({
        "like": {"type": "string"},
        "also": reference("texts"),
        "transit": reference("duration"),
        "margin": reference("duration"),
        "windows": object(windows, false),
        "sub_windows": map("Shorter windows by metric", &reference("texts")),
        "reserve": reference("reserve"),
        "unstated_output": whole(0, "The output tokens of a call that does not say how many there may be"),
        "burndown": map("What a token of output counts for, by model", &json!({"type": "integer", "minimum": 1})),
        "metrics": map("What a call draws on", &reference("rule")),
    });
    object(properties, false)
}

/// The keys that are limits by themselves.
const LIMIT_KEY: &str = "^.+_per_(second|minute|hour|day|week|month|[0-9][0-9_]*_(milliseconds?|seconds?|minutes?|hours?|days?))$";
const SHORT_KEY: &str = "^((r|t|it|ot)p[smhd]|concurrency)$";

fn object(properties: Value, limits: bool) -> Value {
    let mut object = json!({"type": ["object", "null"], "additionalProperties": false});
    object["properties"] = properties;
    if limits {
        object["patternProperties"] = json!({LIMIT_KEY: reference("amount"), SHORT_KEY: reference("amount"), "^concurrent_": reference("amount")});
    }
    object
}

fn map(description: &str, of: &Value) -> Value {
    json!({"description": description, "type": ["object", "null"], "additionalProperties": of})
}

fn list(of: &str) -> Value {
    json!({"type": "array", "items": reference(of)})
}

/// YAML 1.2 has no underscores in numbers: to other readers such a number is a text.
fn whole(least: u64, description: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [{"type": "integer", "minimum": least}, {"type": "string", "pattern": "^[0-9]+(_[0-9]+)+$"}],
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}
