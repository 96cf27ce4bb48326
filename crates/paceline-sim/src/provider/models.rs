//! The list of models.

use serde_json::{Value, json};

use crate::judge::Dialect;

/// Writes the answer to `GET /v1/models`.
pub(super) fn list<'a>(dialect: Dialect, names: impl Iterator<Item = &'a str>) -> Value {
    if dialect == Dialect::Anthropic {
        return anthropic(names);
    }
    let models: Vec<Value> = names.map(openai).collect();
    json!({"object": "list", "data": models})
}

fn openai(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "fake"})
}

fn anthropic<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let model = |name| json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"});
    let models: Vec<Value> = names.map(model).collect();
    let id = |model: Option<&Value>| model.map(|model| model["id"].clone());
    let (first, last) = (id(models.first()), id(models.last()));
    json!({"data": models, "has_more": false, "first_id": first, "last_id": last})
}
