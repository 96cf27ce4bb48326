//! What the provider reports of what it saw.

use paceline_sim::judge::{Limit, Metric};
use paceline_sim::provider::{Fault, ProviderConfig, Report};
use serde_json::json;

use crate::client::{Client, json, start};

async fn ask(client: &Client) -> u16 {
    let body = json!({"model": "m", "max_tokens": 40, "messages": []});
    json(client.post("/v1/chat/completions", &body)).await.0
}

#[tokio::test]
async fn the_report_counts_and_names_no_key() {
    let client = start(ProviderConfig::openai(100, 100)).await;
    let statuses = [ask(&client).await, ask(&client).await, ask(&client).await];
    assert_eq!(statuses, [200, 200, 429]);
    let text = client.get("/__report").send().await.unwrap().text().await.unwrap();
    assert!(!text.contains("sk-secret"));
    assert!(!format!("{:?}", client.provider).contains("sk-secret"));
    let report: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(report, client.provider.report());
    assert_eq!((report.requests, report.served, report.refused), (3, 2, 1));
    assert_eq!(report.refused_by["tokens/60000ms"], 1);
    assert_eq!((report.counted.requests, report.counted.tokens), (3, 80));
    assert_eq!(report.output_tokens_served, 40);
    assert!(report.last_refusal.unwrap().contains("(TPM): Limit 100, Used "));
    let peaks: Vec<u64> = report.limits.iter().map(|limit| limit.tally.peak_used).collect();
    assert!(peaks[0] <= 3 && (75..=80).contains(&peaks[1]), "{peaks:?}");
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let client = start(ProviderConfig::openai(1, 100)).await;
    assert_eq!((ask(&client).await, ask(&client).await), (200, 429));
    client.anonymous("/__reset", &json!({})).send().await.unwrap();
    assert_eq!(client.provider.report(), Report::default());
    assert_eq!(ask(&client).await, 200);
}

#[tokio::test]
async fn a_provider_that_is_shut_down_is_gone() {
    let client = start(ProviderConfig::openai(1, 100)).await;
    ask(&client).await;
    let request = client.get("/v1/models");
    client.provider.shutdown().await;
    assert!(request.send().await.is_err());
}

#[test]
fn a_configuration_survives_json() {
    let config = ProviderConfig::azure(60, 1_000, 1_000)
        .model("m", vec![Limit::bucket(Metric::Tokens, 5, 60_000)])
        .fault(Fault::Cut, 0.1);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ProviderConfig>(&text).unwrap(), config);
}
