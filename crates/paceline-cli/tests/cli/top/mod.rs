//! `paceline top` against real stores: what it prints, and the screen in a real terminal.

mod plane;
mod tmux;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Demand, Limiter};
use paceline_testkit::{RedisServer, until};

use super::run::{Scratch, paceline, run};
use plane::{Plane, Waiting};

/// Returns what the command printed, where it ended well.
fn printed(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

#[test]
fn a_control_plane_says_what_binds_and_who_waits() {
    let plane = Plane::start();
    let url = plane.url();
    let empty = printed(&["top", "--store", &url, "--once"]);
    assert!(empty.contains("There are no resources yet"), "{empty}");
    plane.put("gpt", r#"{"concurrent_requests": 1, "requests_per_minute": 500}"#);
    let waiting = Waiting::on(&url, "gpt", 3);
    let text = printed(&["top", "--store", &url, "--once"]);
    assert!(text.contains("gpt waits for concurrent requests: 1 of 1 in flight; 3 wait"), "{text}");
    assert!(!text.contains('\x1b') && text.lines().skip(2).all(|line| line.chars().count() <= 80), "{text}");
    let unasked = printed(&["top", "--store", &url]);
    assert!(unasked.contains("gpt waits for"), "without a terminal it is as with --once: {unasked}");
    let told = run(&["top", "--store", &url, "--json"]).json();
    assert_eq!(
        (&told["lines"][0]["limit"], &told["lines"][0]["waiting"]),
        (&"gpt/concurrent_requests".into(), &3.into()),
        "{told}"
    );
    assert_eq!(told["ledgers"][0]["resources"][0]["in_flight"], 1, "{told}");
    let none = run(&["top", "--store", &url, "--json", "--resource", "claude*"]).json();
    assert_eq!(none["lines"].as_array().map(Vec::len), Some(0), "{none}");
    let frame = printed(&["top", "--store", &url, "--frame", "80x24", "--looks", "1"]);
    assert!(frame.lines().count() == 24 && frame.contains("Limits of gpt"), "{frame}");
    drop(waiting);
}

#[test]
fn a_store_on_redis_is_seen_and_nothing_changes() {
    let server = RedisServer::start();
    let url = server.url();
    let window = Algorithm::TokenBucket { window: 3_600_000, burst: 1_000 };
    let tokens = LimitSpec::new("gpt/tokens_per_hour", "tokens", 1_000, window).member("gpt");
    let builder = Limiter::builder().store(&url).session_timeout(std::time::Duration::from_mins(10));
    let limiter = builder.limits([tokens], [ResourceSpec::new("gpt")]).build().unwrap();
    let resource = limiter.resource("gpt").unwrap();
    let held = resource.acquire(Demand::tokens(900)).wait().unwrap();
    let waits = plane::asked(&resource, 400);
    until("the second call is in line", || {
        (resource.snapshot().wait().unwrap().resource.waiting == 1).then_some(())
    });
    let before = server.cli(&["DEBUG", "DIGEST"]);
    let text = printed(&["top", "--store", &url, "--once"]);
    assert!(text.contains("gpt waits for tokens per hour: 100 of 1,000 left"), "{text}");
    let told = run(&["top", "--store", &url, "--json"]).json();
    let demand = told["ledgers"][0]["resources"][0]["lanes"][0]["demand"].as_array();
    assert!(demand.is_some_and(|all| all.contains(&serde_json::json!(["tokens", 400]))), "{told}");
    let goes = told["lines"][0]["head_goes_in_seconds"].as_f64();
    assert!(
        goes.is_some_and(|seconds| (1_000.0..=1_080.0).contains(&seconds)),
        "300 tokens at 1,000 an hour: {told}"
    );
    assert_eq!(server.cli(&["DEBUG", "DIGEST"]), before);
    drop(waits);
    held.give_back().wait().unwrap();
}

#[test]
fn a_process_that_published_itself_is_found() {
    let home = Scratch::folder("top-published");
    let top = |arguments: &[&str]| {
        let output = paceline(arguments).env("XDG_RUNTIME_DIR", home.path()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), said.concat())
    };
    let (code, said) = top(&["top", "--once"]);
    assert!(code == Some(1) && said.contains("PACELINE_PUBLISH=NAME"), "{said}");
    let mut plane = Plane::published("ops", home.path());
    plane.put("gpt", r#"{"concurrent_requests": 1}"#);
    let (code, said) = top(&["top", "--once"]);
    assert!(
        code == Some(0) && said.contains("process:ops@") && said.contains("concurrent_requests"),
        "{said}"
    );
    let socket = std::fs::read_dir(Path::new(home.path()).join("paceline")).unwrap().next().unwrap().unwrap();
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let other = Plane::published("ops", home.path());
    let (code, said) = top(&["top", "--once"]);
    assert!(code == Some(1) && said.matches("--store process:ops@").count() == 2, "{said}");
    let (code, said) = top(&["top", "--once", "--store", &format!("process:ops@{}", other.id())]);
    assert!(code == Some(0) && said.contains("There are no resources yet"), "{said}");
    drop(other);

    plane.kill();
    let (code, said) = top(&["top", "--once", "--store", "process:ops"]);
    assert!(code == Some(1) && said.contains("no process of this user is published as ops"), "{said}");
    assert!(!socket.path().exists(), "what a killed process left behind is removed");
}

#[test]
fn what_cannot_be_seen_is_said_with_what_can() {
    let plane = Plane::start();
    let url = plane.url();
    for (arguments, said) in [
        (&["top", "--once", "--store", "http://key:geheim@127.0.0.1:1"][..], "connection refused"),
        (&["top", "--once", "--store", "redis://:geheim@127.0.0.1:1"], "connection refused"),
        (&["top", "--once", "--store", "memory://"], "its own process alone; set PACELINE_PUBLISH=NAME"),
        (&["top", "--once", "--store", "local://batch"], "one of the processes that share it"),
        (&["top", "--once", "--store", "ftp://u:geheim@h"], "its scheme can be"),
        (&["top", "--once", "--store", &format!("{url}/nowhere")], "answered 404"),
        (&["top", "--once", "--store", "process:nobody-has-this"], "no process of this user"),
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    }
    for arguments in [["top", "--interval", "0"], ["top", "--frame", "80"], ["top", "--looks", "3"]] {
        assert_eq!(run(&arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn keys_are_sent_and_refusals_said() {
    let state = Scratch::folder("top-keys");
    let created = |name: &str, scope: &str| {
        let arguments = ["serve", "keys", "create", name, "--scope", scope, "--state", state.path()];
        printed(&arguments).trim().to_owned()
    };
    let (read, acquire) = (created("eyes", "read"), created("hands", "acquire"));
    let plane = Plane::with(&["--state", state.path()]);
    let top = |key: &str| {
        let mut command = paceline(&["top", "--once", "--store", &plane.url()]);
        let output = command.env("PACELINE_API_KEY", key).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(top(&read), (Some(0), String::new()));
    for (key, said) in
        [("", "PACELINE_API_KEY"), ("pk_wrong", "answered 401"), (acquire.as_str(), "scope read")]
    {
        let (code, error) = top(key);
        assert!(code == Some(1) && error.contains(said), "{error}");
    }
}

#[test]
fn the_page_names_commands_that_there_are() {
    let page = include_str!("../../../../../docs/top.md");
    let mut count = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("$ paceline ")) {
        let line = line.split(['#', '|', '>']).next().unwrap_or_default();
        let arguments: Vec<&str> = line.split_whitespace().chain(["--help"]).collect();
        assert_eq!(run(&arguments).code, Some(0), "{line}");
        count += 1;
    }
    assert!(count > 5, "{count}");
}
