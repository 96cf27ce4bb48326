//! The description of the API, and that answers are those it describes. `PACELINE_BLESS=1` writes it anew.

use std::path::Path;

use serde_json::Value;

use crate::kit::Running;

#[test]
fn the_description_is_the_one_that_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/openapi.json");
    let text = paceline_server::openapi() + "\n";
    if std::env::var_os("PACELINE_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == kept, "the API is not that of {}; PACELINE_BLESS=1 writes it anew", path.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_and_whole() {
    let server = Running::usual().await;
    let openapi = server.get("/v1/openapi.json").await.json();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));
    let schemas = openapi["components"]["schemas"].as_object().unwrap();
    let mut references = Vec::new();
    gather(&openapi, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{reference} leads nowhere");
    }
    let mut names = std::collections::BTreeSet::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{method} {path}: {name} is the name of another, too");
            assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                path.starts_with("/v1/openapi")
                    || path == "/healthz"
                    || responses.keys().any(|status| status.as_str() >= "400"),
                "{method} {path}"
            );
        }
    }
}

fn gather(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| gather(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, found)),
        _ => {}
    }
}
