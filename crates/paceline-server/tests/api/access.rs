//! Keys: what they may do, and above all what they may not.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Answer, Running, until};

/// Makes a key over the API.
async fn key(server: &Running, name: &str, more: Value) -> String {
    let mut body = json!({"name": name});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let created = server.post("/v1/keys", &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.said("secret")
}

async fn guarded() -> (Running, String) {
    let mut server = Running::usual().await;
    let admin = key(&server, "ops", json!({"scopes": ["admin"]})).await;
    server.with_key(&admin);
    (server, admin)
}

/// Every operation of the description with the scope that it needs.
fn operations() -> Vec<(Method, String, &'static str)> {
    let openapi: Value = serde_json::from_str(&paceline_server::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        if ["/healthz", "/readyz", "/v1/openapi.json", "/problems/{kind}"].contains(&path.as_str()) {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let changes =
                path.starts_with("/v1/keys") || path.starts_with("/v1/resources") && method != Method::GET;
            // As a provider's refusal makes callers do.
            let changes = changes && !path.ends_with("/pause");
            let looks = [
                "/v1/resources",
                "/v1/resources/{name}",
                "/v1/lanes",
                "/v1/snapshot",
                "/v1/events",
                "/v1/watch",
                "/v1/history",
                "/metrics",
            ];
            let scope = match () {
                () if changes => "admin",
                () if looks.contains(&path.as_str()) || (path == "/v1/permits") => "read",
                () => "acquire",
            };
            let path =
                path.replace("{name}", "gpt").replace("{permit}", "gpt.0.1").replace("{ticket}", "gpt.0.1");
            all.push((method, path, scope));
        }
    }
    assert!(all.len() > 20);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_is_done_without_a_key_or_with_a_wrong_one() {
    let (mut server, admin) = guarded().await;
    let wrong = [
        None,
        Some("pk_nonsense".to_owned()),
        Some(String::new()),
        Some(admin[..admin.len() - 1].to_owned()),
    ];
    for secret in wrong {
        server.with_key(secret.as_deref().unwrap_or_default());
        for (method, path, _) in operations() {
            let request = server.request(method.clone(), &path);
            let request =
                if secret.is_none() { request.header("authorization", "Basic eDp5") } else { request };
            let answer = Answer::of(request.json(&json!({})).send().await.unwrap()).await;
            assert_eq!(answer.status, 401, "{method} {path} {}", answer.text);
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
    for path in ["/healthz", "/readyz", "/v1/openapi.json", "/problems/busy"] {
        assert_eq!(server.get(path).await.status, 200, "{path} is for all");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_allows_its_own_operations_and_no_other() {
    let (mut server, _) = guarded().await;
    let acquire = key(&server, "a", json!({"scopes": ["acquire"]})).await;
    let read = key(&server, "r", json!({"scopes": ["read"]})).await;
    for (secret, own) in [(acquire, "acquire"), (read, "read")] {
        server.with_key(&secret);
        for (method, path, scope) in operations() {
            // Events have no end.
            if matches!(&*path, "/v1/events" | "/v1/watch") && own == "read" {
                continue;
            }
            let request = server.request(method.clone(), &path).json(&json!({"nonsense": 1}));
            let answer = Answer::of(request.send().await.unwrap()).await;
            if scope == own {
                assert!(
                    answer.status != 401 && answer.status != 403,
                    "{own}: {method} {path} {}",
                    answer.text
                );
            } else {
                let problem = answer.problem(403, "scope-missing");
                assert!(problem["allowed"].as_array().unwrap().contains(&json!("admin")), "{problem}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acquires_may_pause_as_a_provider_asks_and_no_more() {
    let (mut server, _) = guarded().await;
    let acquire = key(&server, "a", json!({"scopes": ["acquire"]})).await;
    server.with_key(&acquire);
    let path = "/v1/resources/gpt/pause";
    for much in [json!({}), json!({"seconds": 3_601}), json!({"seconds": 1, "refuse": true})] {
        server.post(path, &much).await.problem(403, "scope-missing");
    }
    assert_eq!(server.post(path, &json!({"seconds": 20, "reason": "a 429"})).await.status, 204);
    server.post("/v1/resources/gpt/resume", &json!({})).await.problem(403, "scope-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_some_resources_neither_uses_nor_sees_others() {
    let (mut server, _) = guarded().await;
    let bounded = json!({"scopes": ["acquire", "read", "admin"], "resources": ["team/*"]});
    let bounded = key(&server, "team", bounded).await;
    server.with_key(&bounded);
    server.granted(&json!({"resource": "team/wide"})).await;
    let refused = server.post("/v1/acquire", &json!({"resource": "gpt"})).await;
    assert_eq!(refused.problem(403, "resource-forbidden")["allowed"], json!(["team/*"]));
    server
        .post("/v1/record", &json!({"resource": "gpt", "tokens": 1}))
        .await
        .problem(403, "resource-forbidden");
    server.get("/v1/explain?resource=gpt").await.problem(403, "resource-forbidden");
    server.get("/v1/resources/gpt").await.problem(403, "resource-forbidden");
    server.post("/v1/resources/gpt/pause", &json!({})).await.problem(403, "resource-forbidden");
    server.send(Method::PUT, "/v1/resources/more", &json!({})).await.problem(403, "resource-forbidden");
    for path in ["/v1/resources", "/v1/lanes", "/v1/permits", "/v1/snapshot"] {
        let seen = server.get(path).await;
        assert_eq!(seen.status, 200);
        assert!(!seen.text.contains("gpt") && !seen.text.contains("solo"), "{path}: {}", seen.text);
        assert!(seen.text.contains("team/wide"), "{path}: {}", seen.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_end_by_time_and_by_hand_and_are_kept_without_their_secret() {
    let (server, admin) = guarded().await;
    let short = key(&server, "short", json!({"scopes": ["read"], "lasting_seconds": 1})).await;
    let gone = key(&server, "gone", json!({"scopes": ["read"]})).await;
    let as_key = async |secret: &str| {
        let request = reqwest::Client::new().get(server.url("/v1/lanes")).bearer_auth(secret);
        Answer::of(request.send().await.unwrap()).await
    };
    assert_eq!(as_key(&short).await.status, 200);
    assert_eq!(server.delete("/v1/keys/gone").await.status, 204);
    as_key(&gone).await.problem(401, "wrong-key");
    server.delete("/v1/keys/gone").await.problem(404, "unknown-key");
    until("the key has expired", async || (as_key(&short).await.status == 401).then_some(())).await;

    let again = server.post("/v1/keys", &json!({"name": "short", "scopes": ["read"]})).await;
    again.problem(422, "invalid");
    for body in [
        json!({"name": "", "scopes": ["read"]}),
        json!({"name": "a b", "scopes": ["read"]}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["all"]}),
    ] {
        server.post("/v1/keys", &body).await.problem(422, "invalid");
    }
    let listed = server.get("/v1/keys").await;
    assert_eq!(listed.json().as_array().unwrap().len(), 2, "{}", listed.text);
    let state = server.state();
    for file in ["keys.json", "audit.jsonl"] {
        let text = std::fs::read_to_string(state.join(file)).unwrap();
        assert!(!text.contains(&admin[3..]) && !text.contains(&short[3..]), "{file} has a secret");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(state.join(file)).unwrap());
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let audit = std::fs::read_to_string(state.join("audit.jsonl")).unwrap();
    let what: Vec<_> = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(what[0]["who"], "nobody");
    assert_eq!(
        (&what[3]["who"], &what[3]["what"], &what[3]["of"]),
        (&json!("ops"), &json!("revoke-key"), &json!("gone"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_made_by_hand_are_taken_over_while_the_server_runs() {
    let mut server = Running::usual().await;
    let file = paceline_server::KeyFile::at(server.state().join("keys.json"));
    let mut new = paceline_server::NewKey::default();
    (new.name, new.scopes) = ("hand".to_owned(), vec![paceline_server::Scope::Read]);
    let secret = file.create(&new).unwrap();
    until("the key is needed", async || (server.get("/v1/lanes").await.status == 401).then_some(())).await;
    server.with_key(&secret);
    assert_eq!(server.get("/v1/lanes").await.status, 200);
    // A file that was damaged leaves the keys in force, and none that was made opens the door again.
    std::fs::write(file.path(), "{").unwrap();
    // That nothing comes of it has no sign to wait for: files are looked at each second.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(server.get("/v1/lanes").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_and_names_are_refused_where_no_key_is_needed() {
    let server = Running::usual().await;
    let with = async |name: &str, value: &str| {
        let request = server.request(Method::GET, "/v1/lanes").header(name, value);
        Answer::of(request.send().await.unwrap()).await
    };
    with("host", "evil.example").await.problem(403, "foreign-origin");
    with("origin", "https://evil.example").await.problem(403, "foreign-origin");
    with("origin", "null").await.problem(403, "foreign-origin");
    assert_eq!(with("origin", "http://localhost:3000").await.status, 200);
    assert_eq!(with("host", "localhost").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_bounded_in_requests_and_in_waits() {
    let mut server = Running::start(|settings| {
        settings.requests_per_second = 20;
        settings.open_waits = 1;
    })
    .await;
    let admin = key(&server, "ops", json!({"scopes": ["admin"]})).await;
    server.with_key(&admin);
    server.granted(&json!({"resource": "solo", "lane": "batch"})).await;
    let ask = json!({"resource": "solo", "lane": "batch", "wait_seconds": 3});
    let (one, two) = tokio::join!(server.post("/v1/acquire", &ask), server.post("/v1/acquire", &ask));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 429], "{} {}", one.text, two.text);
    let refused = if one.status == 429 { one } else { two };
    refused.problem(429, "too-many-waits");
    let mut refused = 0;
    for _ in 0..40 {
        let answer = server.get("/v1/lanes").await;
        if answer.status == 429 {
            answer.problem(429, "too-many-requests");
            refused += 1;
        }
    }
    assert!(refused > 0, "forty at once are more than twenty a second");
}
