//! The page at `/`, and what comes with it.

use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, IF_NONE_MATCH};

use crate::kit::{Answer, Running};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_and_lets_in_nothing_from_elsewhere() {
    let server = Running::usual().await;
    let page = server.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|own| own == part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-cache");
    let again =
        server.request(Method::GET, "/").header(IF_NONE_MATCH, page.header("etag")).send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(server.get("/assets/none.js").await.status, 404);
    server.post("/", &serde_json::json!({})).await.problem(405, "method-not-allowed");
    if paceline_dashboard::missing().is_some() {
        assert!(page.text.contains("Node.js"), "{}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_names_is_there_for_ever_and_compressed() {
    if paceline_dashboard::missing().is_some() {
        return;
    }
    let server = Running::usual().await;
    let page = server.get("/").await.text;
    let named: Vec<_> = page.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert!(named.len() >= 3, "{page}");
    for name in named {
        let plain = server.get(name).await;
        assert_eq!(plain.status, 200, "{name}");
        assert!(plain.header("cache-control").contains("immutable"), "{name}");
        assert_eq!(plain.header("content-encoding"), "");
        for coding in ["br", "gzip"] {
            let asked =
                server.request(Method::GET, name).header(ACCEPT_ENCODING, format!("deflate, {coding};q=0.5"));
            let answer = asked.send().await.unwrap();
            assert_eq!(answer.headers()["content-encoding"], coding, "{name}");
            assert_eq!(answer.headers()["vary"], "accept-encoding");
            assert!(answer.bytes().await.unwrap().len() < plain.text.len());
        }
        let never = server.request(Method::GET, name).header(ACCEPT_ENCODING, "br;q=0, gzip;q=0.0");
        assert_eq!(Answer::of(never.send().await.unwrap()).await.header("content-encoding"), "");
    }
}
