//! The lines of the documentation, run as people run them.

use std::process::Command;

use crate::kit::Running;

/// Lets every curl of the page fail where the server says no.
const BEFORE: &str =
    "set -euo pipefail; curl() { command curl --fail-with-body --silent --show-error \"$@\"; echo; }\n";

/// Runs the blocks of a page; returns what they said.
async fn run(page: &str, blocks: usize) -> String {
    let server = Running::with("", |_| {}).await;
    let found: Vec<&str> =
        page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(found.len(), blocks);
    let script = found.concat().replace("127.0.0.1:7411", &server.address.to_string());
    let folder = server.folder.path().to_owned();
    let script = BEFORE.to_owned() + &script;
    let run = move || Command::new("bash").arg("-c").arg(script).current_dir(folder).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().expect("bash is there");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.contains("\"returned\":{\"concurrent_requests\":1}"), "{said}");
    said.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_page_work() {
    let said = run(include_str!("../../../../docs/control-plane.md"), 4).await;
    let tickets: Vec<&str> = said.lines().filter(|line| line.contains("\"lease_seconds\":60")).collect();
    assert_eq!(tickets.len(), 2, "{said}");
    assert_eq!(tickets[0], tickets[1], "the same key answers the same permit");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_the_readme_work() {
    run(include_str!("../../../../README.md"), 1).await;
}
