//! Encrypted connections, certificates that change, and where a server refuses to start.

use paceline_server::{Backing, KeyFile, NewKey, Scope, Server, Settings, TlsFiles};
use paceline_testkit::Certificates;
use reqwest::Certificate;

use crate::kit::{Running, client, until};

fn trusting(certificates: &Certificates) -> reqwest::Client {
    let authority = Certificate::from_pem(&std::fs::read(&certificates.ca).unwrap()).unwrap();
    client(|builder| builder.add_root_certificate(authority).pool_max_idle_per_host(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_and_a_bad_one_is_not() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let certificates = Certificates::make(folder.path());
    let files = TlsFiles { cert: certificates.cert.clone(), key: certificates.key.clone() };
    let server = Running::start(|settings| settings.tls = Some(files)).await;
    let url = format!("https://localhost:{}/healthz", server.address.port());
    let trusted = trusting(&certificates);
    assert_eq!(trusted.get(&url).send().await.unwrap().status(), 200);
    assert!(client(|builder| builder).get(&url).send().await.is_err(), "nobody else's authority is trusted");
    let plain = client(|builder| builder).get(server.url("/healthz")).send().await;
    assert!(plain.is_err(), "nothing is said in the clear");

    std::fs::write(&certificates.cert, "nonsense").unwrap();
    // That nothing comes of it has no sign to wait for: files are looked at each second.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(trusted.get(&url).send().await.unwrap().status(), 200, "the one before stays in use");
    let fresh = Certificates::make(other.path());
    std::fs::copy(&fresh.key, &certificates.key).unwrap();
    std::fs::copy(&fresh.cert, &certificates.cert).unwrap();
    let trusted = trusting(&fresh);
    until("the new one is in use", async || trusted.get(&url).send().await.ok()).await;
}

fn on_all_addresses(backing: Backing) -> Settings {
    let mut settings = Settings::default();
    (settings.listen, settings.backing) = (Some("0.0.0.0:0".parse().unwrap()), backing);
    settings
}

async fn refused(settings: Settings) -> String {
    match Server::start(settings).await {
        Ok(_) => panic!("it must not start"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_to_other_machines_without_keys() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let said = refused(on_all_addresses(Backing::Disk(state.clone()))).await;
    assert!(said.contains("keys create") && said.contains("0.0.0.0"), "{said}");
    let said = refused(on_all_addresses(Backing::Memory)).await;
    assert!(said.contains("--keys"), "{said}");
    let mut new = NewKey::default();
    (new.name, new.scopes) = ("ops".to_owned(), vec![Scope::Admin]);
    KeyFile::in_state(&state).unwrap().create(&new).unwrap();
    let server = Server::start(on_all_addresses(Backing::Disk(state.clone()))).await.unwrap();
    assert!(server.greeting().contains("A key is needed"), "{}", server.greeting());
    let said = refused(on_all_addresses(Backing::Disk(state))).await;
    assert!(said.contains("another server"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["keys.json", "resources.json"] {
        let state = folder.path().join(file);
        std::fs::create_dir_all(&state).unwrap();
        for text in ["{", "{\"version\": 2, \"keys\": [], \"resources\": {}}"] {
            std::fs::write(state.join(file), text).unwrap();
            let mut settings = on_all_addresses(Backing::Disk(state.clone()));
            settings.listen = Some("127.0.0.1:0".parse().unwrap());
            let said = refused(settings).await;
            assert!(said.contains(file) && said.contains("put it back from a copy"), "{said}");
        }
    }
    let mut settings = Settings::default();
    settings.listen = Some("127.0.0.1:0".parse().unwrap());
    settings.config = Some(folder.path().join("none.yaml"));
    assert!(refused(settings).await.contains("none.yaml"));
    assert!(refused(Settings::default()).await.contains("--listen"));
}
