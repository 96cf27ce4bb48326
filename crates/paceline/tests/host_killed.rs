//! A host with a file whose process is killed at random instants: nothing is granted twice, and a step is lost at most.
#![cfg(feature = "host")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use paceline::host::{Host, HostOptions};
use paceline::wire::{self, Answer, Ask, Header};
use paceline_core::{Algorithm, LimitSpec, Name, ResourceSpec, SessionId};

const AMOUNT: u64 = 100_000;
/// A month: what comes back while the test runs is less than one.
const WINDOW: u64 = 2_592_000_000;
const STEP: u64 = AMOUNT / 100;
const STATE: &str = "PACELINE_TEST_HOST_STATE";
/// How often the process is killed; `PACELINE_KILLS` says otherwise.
const KILLS: u64 = 12;

fn send(host: &Host, session: u128, n: u64, asks: &[Ask<'_>]) -> Vec<Answer> {
    let header = Header {
        session: (session > 0).then_some(SessionId(session)),
        n,
        time_out: 10_000,
        fresh: "0123456789abcdef",
        on_lost: "elapsed",
        ..Header::default()
    };
    wire::read_reply(&host.answer("l", &wire::write_batch(&header, asks)).unwrap()).unwrap().outcomes
}

/// Grants until it is killed, and says after each reply how much that was.
fn grant_for_ever(path: &Path) -> ! {
    let host = Host::open(path, HostOptions::default()).unwrap();
    let session = u128::from(std::process::id()) << 64 | 1;
    let limits =
        [LimitSpec::new("l", "requests", AMOUNT, Algorithm::TokenBucket { window: WINDOW, burst: AMOUNT })
            .member("m")];
    let (resources, digests) = ([ResourceSpec::new("m")], [(Name::from("m"), "d".to_owned())]);
    let (removed, revision, digests) = (&[][..], Some(0), &digests[..]);
    send(
        &host,
        session,
        1,
        &[Ask::Configure { limits: &limits, resources: &resources, removed, revision, digests }],
    );
    let mut number = 0;
    loop {
        number += 1;
        let amount = number * 7 % 60 + 1;
        let (amounts, within, head_start) = (&[("requests", amount)][..], u64::MAX, 0);
        let (session_of, lane, wait, why) = (None, None, false, false);
        let ask = Ask::Acquire {
            session: session_of,
            number,
            resource: "m",
            lane,
            amounts,
            within,
            head_start,
            wait,
            why,
        };
        if send(&host, session, number + 1, &[ask]) == [Answer::Granted] {
            println!("granted {amount}");
        }
    }
}

fn left(host: &Arc<Host>) -> i64 {
    match &send(host, 0, 0, &[Ask::View])[..] {
        [Answer::Viewed(view)] => view.limits.first().map_or(i64::MIN, |limit| limit.left),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_that_is_killed_grants_nothing_twice_and_loses_a_step_at_most() {
    if let Ok(path) = std::env::var(STATE) {
        grant_for_ever(Path::new(&path));
    }
    let folder = std::env::temp_dir().join(format!("paceline-killed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let kills = std::env::var("PACELINE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut used = 0;
    for round in 0..kills {
        // Before all of it is used up another file is begun.
        let state = folder.join(format!("state{}", round / KILLS));
        used = if round % KILLS == 0 { 0 } else { used };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_host_that_is_killed_grants_nothing_twice_and_loses_a_step_at_most",
                "--nocapture",
            ])
            .env(STATE, &state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut granted = 0;
        let read = |line: String| line.strip_prefix("granted ").and_then(|amount| amount.parse::<u64>().ok());
        // Killed in the midst of what it does, whenever that is.
        let most = 5 + round * 37 % 90;
        granted += lines.by_ref().filter_map(read).take(usize::try_from(most).unwrap()).sum::<u64>();
        child.kill().unwrap();
        granted += lines.filter_map(read).sum::<u64>();
        child.wait().unwrap();
        assert!(granted > 0 || used + 200 > AMOUNT, "round {round}: nothing was granted");
        let host = Host::open(&state, HostOptions::default()).unwrap();
        let now_used = u64::try_from(i64::try_from(AMOUNT).unwrap() - left(&host)).unwrap();
        let since = now_used.saturating_sub(used);
        // One grant may not have been told of yet; a restart costs a step, and each round has one of them twice.
        assert!(since + 1 >= granted, "round {round}: {granted} were granted, {since} are counted");
        assert!(
            since <= granted + 60 + 2 * STEP,
            "round {round}: {granted} were granted, {since} are counted"
        );
        used = now_used;
        drop(host);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
