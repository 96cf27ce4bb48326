//! The referee on its own: it says where it is, serves, refuses, and reports when it is interrupted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::run::{paceline, run};

fn post(addr: &str) -> String {
    let body = r#"{"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}"#;
    let mut stream = TcpStream::connect(addr).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer key\r\n\
         x-fake-latency-ms: 1\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_refuses_and_reports() {
    let arguments = ["fake-provider", "--port", "0", "--json", "--limit", "requests_per_minute=1"];
    let mut child = paceline(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();

    let address = line();
    let addr = address["addr"].as_str().unwrap();
    assert!(post(addr).starts_with("HTTP/1.1 200"));
    assert!(post(addr).starts_with("HTTP/1.1 429"));

    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let report = line();
    assert_eq!((&report["report"]["served"], &report["report"]["refused"]), (&1.into(), &1.into()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_fault_that_does_not_exist_is_a_wrong_command_line() {
    let ended = run(&["fake-provider", "--fault", "418=0.1"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("unknown fault 418"), "{}", ended.stderr);
}
