//! Reads a request of any of the APIs into one form.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::Value;

use super::fault::Fault;

/// The largest number of tokens that is believed, so that no sum overflows.
const MOST_TOKENS: u64 = 1 << 40;

/// The longest answer that a header can dictate, in tokens.
const LONGEST_OUTPUT: u64 = 1 << 20;

const MOST_CHOICES: u64 = 128;
const MOST_DIMENSIONS: u64 = 8_192;

/// The kinds of call that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Responses,
    Embeddings,
    Messages,
    Generate { stream: bool },
}

impl Endpoint {
    /// Tells whether the answer has output tokens.
    pub(super) fn generates(self) -> bool {
        self != Self::Embeddings
    }
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) endpoint: Endpoint,
    pub(super) model: String,
    pub(super) stream: bool,
    /// Whether a chat stream ends with a usage block (`stream_options.include_usage`).
    pub(super) include_usage: bool,
    pub(super) max_tokens: Option<u64>,
    /// The prompt at four characters a token, rounded up.
    pub(super) prompt_tokens: u64,
    /// `n` or `best_of`, at least 1.
    pub(super) choices: u64,
    /// What an embedding request wants.
    pub(super) embedding: Embedding,
    /// What makes this request itself: equal requests are answered alike.
    pub(super) identity: u64,
    pub(super) wishes: Wishes,
}

/// The shape of an embedding's answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Embedding {
    pub(super) vectors: usize,
    pub(super) dimensions: usize,
    pub(super) base64: bool,
}

/// What the request's `x-fake-*` headers dictate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    pub(super) input_tokens: Option<u64>,
    pub(super) cached_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) latency_ms: Option<u64>,
    pub(super) fault: Option<Fault>,
}

/// Finds the key of a request in any of the places that the vendors use.
pub(super) fn key(parts: &Parts) -> Option<&str> {
    let header = |name| text(&parts.headers, name);
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let query = || parts.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="));
    bearer
        .or_else(|| header("x-api-key"))
        .or_else(|| header("api-key"))
        .or_else(|| header("x-goog-api-key"))
        .or_else(query)
        .filter(|key| !key.is_empty())
}

impl Ask {
    /// Reads a request. `model` is the one named by the path, which goes before the body's.
    pub(super) fn read(
        endpoint: Endpoint,
        model: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
        let model = model.or(json["model"].as_str()).ok_or("you must provide a model parameter")?;
        let wishes = Wishes::read(headers)?;
        let estimate = prompt_characters(&json).div_ceil(4) + prompt_token_ids(&json["input"]);
        let stream = endpoint == Endpoint::Generate { stream: true } || json["stream"] == true;
        Ok(Self {
            endpoint,
            model: model.to_owned(),
            stream: stream && endpoint.generates(),
            include_usage: json["stream_options"]["include_usage"] == true,
            max_tokens: max_tokens(&json).map(|most| most.min(MOST_TOKENS)),
            prompt_tokens: wishes.input_tokens.unwrap_or(estimate).min(MOST_TOKENS),
            choices: json["n"].as_u64().max(json["best_of"].as_u64()).unwrap_or(1).clamp(1, MOST_CHOICES),
            embedding: Embedding::read(&json),
            identity: identity(headers, &json, body),
            wishes,
        })
    }
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Result<Self, String> {
        let fault = text(headers, "x-fake-fault")
            .map(|name| Fault::named(name).ok_or(format!("x-fake-fault: unknown fault {name}")))
            .transpose()?;
        Ok(Self {
            input_tokens: number(headers, "x-fake-input-tokens")?,
            cached_tokens: number(headers, "x-fake-cached-tokens")?,
            output_tokens: number(headers, "x-fake-output-tokens")?.map(|tokens| tokens.min(LONGEST_OUTPUT)),
            latency_ms: number(headers, "x-fake-latency-ms")?,
            fault,
        })
    }
}

impl Embedding {
    fn read(json: &Value) -> Self {
        let vectors = match &json["input"] {
            Value::Array(items) if !items.iter().all(Value::is_number) => items.len(),
            _ => 1,
        };
        let dimensions = json["dimensions"].as_u64().unwrap_or(1_536).clamp(1, MOST_DIMENSIONS);
        Self {
            vectors,
            dimensions: usize::try_from(dimensions).unwrap_or_default(),
            base64: json["encoding_format"] == "base64",
        }
    }
}

fn max_tokens(json: &Value) -> Option<u64> {
    ["max_completion_tokens", "max_output_tokens", "max_tokens"]
        .iter()
        .find_map(|&name| json[name].as_u64())
        .or_else(|| json["generationConfig"]["maxOutputTokens"].as_u64())
}

/// Counts the characters of everything that the model would read.
fn prompt_characters(json: &Value) -> u64 {
    const PROMPT: [&str; 9] = [
        "messages",
        "system",
        "input",
        "instructions",
        "prompt",
        "contents",
        "systemInstruction",
        "system_instruction",
        "tools",
    ];
    PROMPT.iter().map(|&name| characters(&json[name])).sum()
}

fn characters(value: &Value) -> u64 {
    const NOT_READ: [&str; 10] = [
        "role",
        "type",
        "id",
        "data",
        "url",
        "image_url",
        "media_type",
        "mimeType",
        "cache_control",
        "tool_use_id",
    ];
    match value {
        Value::String(text) => text.chars().map(|_| 1).sum(),
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !NOT_READ.contains(&name.as_str()))
            .map(|(_, value)| characters(value))
            .sum(),
        _ => 0,
    }
}

/// Counts the tokens of an embedding's input that comes as token numbers.
fn prompt_token_ids(input: &Value) -> u64 {
    match input {
        Value::Number(_) => 1,
        Value::Array(items) => items.iter().map(prompt_token_ids).sum(),
        _ => 0,
    }
}

/// The header `x-paceline-seed`, else the field `user` or `metadata`, else the whole body.
fn identity(headers: &HeaderMap, json: &Value, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let field = |name: &str| json.get(name).filter(|value| !value.is_null()).map(Value::to_string);
    let named = text(headers, "x-paceline-seed").map(str::to_owned);
    match named.or_else(|| field("user")).or_else(|| field("metadata")) {
        Some(name) => name.hash(&mut hasher),
        None => body.hash(&mut hasher),
    }
    hasher.finish()
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, String> {
    let parse = |value: &str| value.parse().map_err(|_| format!("{name}: not a whole number: {value}"));
    text(headers, name).map(parse).transpose()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(endpoint: Endpoint, json: &Value) -> Ask {
        Ask::read(endpoint, Some("m"), &HeaderMap::new(), json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_prompt_is_a_quarter_of_its_characters_rounded_up() {
        let parts = json!([{"type": "text", "text": "äöüß"}, {"type": "image", "data": "AAAAAAAA"}]);
        let ask = read(
            Endpoint::Messages,
            &json!({"system": "12345", "messages": [{"role": "user", "content": parts}]}),
        );
        assert_eq!(ask.prompt_tokens, 3);
    }

    #[test]
    fn token_numbers_count_one_each() {
        assert_eq!(read(Endpoint::Embeddings, &json!({"input": [1, 2, 3]})).prompt_tokens, 3);
        assert_eq!(read(Endpoint::Embeddings, &json!({"input": [[1, 2], [3]]})).embedding.vectors, 2);
    }

    #[test]
    fn the_user_decides_the_identity_before_the_body() {
        let identity = |json| read(Endpoint::Chat, &json).identity;
        assert_eq!(identity(json!({"user": "u", "n": 1})), identity(json!({"user": "u", "n": 2})));
        assert_ne!(identity(json!({"n": 1})), identity(json!({"n": 2})));
    }

    #[test]
    fn every_name_of_the_longest_answer_is_known() {
        for json in [
            json!({"max_tokens": 9}),
            json!({"max_completion_tokens": 9}),
            json!({"max_output_tokens": 9}),
            json!({"generationConfig": {"maxOutputTokens": 9}}),
        ] {
            assert_eq!(read(Endpoint::Chat, &json).max_tokens, Some(9));
        }
    }
}
