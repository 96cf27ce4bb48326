//! Everything here that reads what others wrote, for fuzzers: nothing may panic, whatever the bytes are.

use std::path::Path;

use serde_json::{Map, Value};

use crate::access::KeyFile;
use crate::api;
use crate::catalog;

/// What reads bytes, by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 4] =
    [("bodies", bodies), ("queries", queries), ("resource", resource), ("key_file", key_file)];

/// Reads a body as each of those that requests have.
pub fn bodies(bytes: &[u8]) {
    api::read_bodies(bytes);
}

/// Reads what addresses say behind their question mark.
pub fn queries(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    api::read_queries(text);
}

/// Reads what is put as a resource, and makes a configuration of it.
pub fn resource(bytes: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    for name in ["own", "openai/gpt-4o", "unheard/of", "a: {b"] {
        catalog::try_resource(name, &body);
    }
}

/// Reads the file of keys.
pub fn key_file(bytes: &[u8]) {
    let _ = KeyFile::at(Path::new("keys.json")).parse(bytes);
}

/// Returns bytes that a target understands, for mutation.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let texts: &[&str] = match target {
        "bodies" => &[
            r#"{"resource": "openai/gpt-4o", "input_tokens": 1200, "max_output_tokens": 800, "wait_seconds": 20, "lane": "a"}"#,
            r#"{"resource": "gpt", "metrics": {"images": 2}, "timeout_seconds": 1.5, "head_start_seconds": 0, "try": true}"#,
            r#"{"input_tokens": 1180, "cached_input_tokens": 4, "output_tokens": 212, "reasoning_tokens": 9, "tokens": 3}"#,
            r#"{"lease_seconds": 60}"#,
            r#"{"seconds": 30, "reason": "slow", "refuse": true}"#,
            r#"{"name": "batch", "scopes": ["acquire", "read"], "resources": ["openai/*"], "lasting_seconds": 60}"#,
        ],
        "queries" => &[
            "wait_seconds=20&lease_seconds=900&until=2026-11-22T12:00:00Z",
            "resource=openai%2Fgpt-4o&lane=a&tokens=2000&metrics=images:2,usd_micros:1500",
        ],
        "resource" => &[
            r#"{"requests_per_minute": 500, "tokens_per_minute": 30000, "concurrent_requests": 2}"#,
            r#"{"limits": [{"metric": "tokens", "amount": "1M", "window": "day", "zone": "UTC"}], "lanes": {"a": {"reserve": "10%"}}}"#,
        ],
        _ => &[
            r#"{"version": 1, "keys": [{"name": "ops", "scopes": ["admin"], "created_at": "2026-11-22T12:00:00Z", "sha256": "00"}]}"#,
        ],
    };
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
