//! `paceline serve` as a process: started, asked, told to stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use super::run::{Scratch, paceline, run};

/// A server process, killed when it is dropped.
pub(crate) struct Serving {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    port: u16,
    pub(crate) greeting: String,
}

impl Serving {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        Self::of(paceline(&all).env_remove("PACELINE_STATE"))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("--json") {
            assert_ne!(log.read_line(&mut greeting).unwrap(), 0, "it ended: {greeting}");
        }
        let port = greeting.split("127.0.0.1:").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let port = port.split('/').next().unwrap().parse().unwrap();
        Self { child, log, port, greeting }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        stream
    }

    fn answer(&self, method: &str, path: &str, body: &str) -> String {
        read(self.ask(method, path, body))
    }

    /// Sends a signal; returns the exit code and what it logged.
    pub(crate) fn end(mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_signal_ends_it_with_grace() {
    let limits = Scratch::new("serve.yaml", "resources: {solo: {concurrent_requests: 1}}\n");
    for signal in ["-TERM", "-INT"] {
        let server = Serving::start(&["--memory", "--config", limits.path()]);
        assert!(
            server.greeting.contains("in memory") && server.greeting.contains("No key is needed"),
            "{}",
            server.greeting
        );
        let granted = server.answer("POST", "/v1/acquire", r#"{"resource": "solo"}"#);
        assert!(granted.starts_with("HTTP/1.1 200"), "{granted}");
        let waiting = server.ask("POST", "/v1/acquire", r#"{"resource": "solo", "wait_seconds": 60}"#);
        paceline_testkit::until("it waits", || {
            server.answer("GET", "/v1/resources/solo", "").contains("\"waiting\":1").then_some(())
        });
        let waited = std::thread::spawn(|| read(waiting));
        let (code, log) = server.end(signal);
        assert_eq!(code, Some(0), "{log}");
        let waited = waited.join().unwrap();
        assert!(waited.starts_with("HTTP/1.1 503") && waited.contains("retry-after: 1"), "{waited}");
        assert!(log.contains("stopped") && !log.contains("WARN"), "{log}");
    }
}

#[test]
fn without_limits_it_says_how_to_add_one_and_logs_json_on_request() {
    let server = Serving::start(&["--memory", "--log-json"]);
    assert!(
        server.greeting.contains("It has no limits yet") && server.greeting.contains("-X PUT"),
        "{}",
        server.greeting
    );
    let put = server.answer("PUT", "/v1/resources/openai/gpt-4o", r#"{"requests_per_minute": 5}"#);
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    let (code, log) = server.end("-TERM");
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        let said: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(said["at"].is_string() && said["level"].is_string() && said["message"].is_string(), "{line}");
    }
}

#[test]
fn keys_are_made_and_needed() {
    let folder = Scratch::folder("serve-keys");
    let state = folder.path();
    let made = run(&["serve", "keys", "create", "ops", "--scope", "admin", "--state", state]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(made.stdout.starts_with("pk_") && made.stdout.trim().len() == 67, "{}", made.stdout);
    let again = run(&["serve", "keys", "create", "ops", "--state", state]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("there is a key ops already"), "{}", again.stderr);
    let listed = run(&["serve", "keys", "list", "--state", state]);
    assert!(listed.stdout.contains("ops") && listed.stdout.contains("never"), "{}", listed.stdout);
    assert!(!listed.stdout.contains(made.stdout.trim()));

    let server = Serving::start(&["--state", state]);
    assert!(server.greeting.contains("A key is needed"), "{}", server.greeting);
    assert!(server.answer("GET", "/v1/lanes", "").starts_with("HTTP/1.1 401"));
    let (code, log) = server.end("-TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(made.stdout.trim()));

    assert_eq!(run(&["serve", "keys", "revoke", "ops", "--state", state]).code, Some(0));
    let gone = run(&["serve", "keys", "revoke", "ops", "--state", state]);
    assert_eq!((gone.code, gone.stderr.contains("there is no key ops")), (Some(1), true), "{}", gone.stderr);
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let limits = Scratch::new("serve-settings.yaml", "resources: {of-file: {requests_per_minute: 1}}\n");
    let text = format!(
        "# a comment\nlisten: 127.0.0.1:1\nmemory: true\nconfig: {}\nlog-json: true\n",
        limits.path()
    );
    let settings = Scratch::new("serve.settings", &text);
    let mut command = paceline(&["serve", "--settings", settings.path()]);
    let server = Serving::of(command.env("PACELINE_LISTEN", "127.0.0.1:0"));
    assert!(
        server.greeting.contains("of-file") && server.greeting.contains("in memory"),
        "{}",
        server.greeting
    );
    assert_eq!(server.end("-TERM").0, Some(0));

    for (text, said) in [
        ("listne: 127.0.0.1:1\n", "--listne"),
        ("listen\n", "expected NAME: VALUE"),
        ("memory: perhaps\n", "expected true or false"),
        ("connections: many\n", "invalid value 'many'"),
    ] {
        let settings = Scratch::new("serve-bad.settings", text);
        let ended = run(&["serve", "--memory", "--settings", settings.path()]);
        assert_eq!(ended.code, Some(1), "{text}");
        assert!(
            ended.stderr.contains(said) && ended.stderr.contains("serve-bad.settings"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn other_machines_are_not_served_without_keys() {
    let ended = run(&["serve", "--memory", "--listen", "0.0.0.0:0"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("there is no key") && ended.stderr.contains("keys create"),
        "{}",
        ended.stderr
    );
}
