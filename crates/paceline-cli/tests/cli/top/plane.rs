//! A control plane as a process, and callers that wait there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use paceline::{Acquire, Demand, Limiter, Permit, Resource};
use paceline_testkit::until;

use super::super::run::paceline;

/// A server process, killed when it is dropped.
pub(super) struct Plane {
    child: Child,
    port: u16,
}

impl Plane {
    pub(super) fn start() -> Self {
        Self::with(&["--memory"])
    }

    pub(super) fn with(arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["serve", "--listen", "127.0.0.1:0"].iter().chain(arguments).copied().collect();
        Self::of(&mut paceline(&all))
    }

    /// Starts one that publishes itself in a folder.
    pub(super) fn published(name: &str, home: &str) -> Self {
        let mut command = paceline(&["serve", "--listen", "127.0.0.1:0", "--memory"]);
        Self::of(command.env("PACELINE_PUBLISH", name).env("XDG_RUNTIME_DIR", home))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("PACELINE_STATE")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("127.0.0.1:") || !said.ends_with('\n') {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "it ended: {said}");
        }
        // Whatever else it says is read, so that it is never held up.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let digits = said.split("127.0.0.1:").nth(1).unwrap_or_default();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        Self { child, port: digits.parse().unwrap() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Says what the limits of a resource are.
    pub(super) fn put(&self, resource: &str, limits: &str) {
        let answer = self.answer("PUT", &format!("/v1/resources/{resource}"), limits);
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    pub(super) fn answer(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A call that asked, and is kept in line.
pub(super) type Asked = std::pin::Pin<Box<dyn Future<Output = Result<Permit, paceline::Error>>>>;

/// Asks for so many tokens, and stays in line.
pub(super) fn asked(resource: &Resource, tokens: u64) -> Asked {
    let acquire: Acquire = resource.acquire(Demand::tokens(tokens));
    let mut waits: Asked = Box::pin(acquire.into_future());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    waits
}

/// One caller that holds a permit, and others that wait for it.
pub(super) struct Waiting {
    _held: Permit,
    _waits: Vec<Asked>,
}

impl Waiting {
    pub(super) fn on(url: &str, resource: &str, count: u64) -> Self {
        let limiter = Limiter::builder().store(url).build().unwrap();
        let resource = limiter.resource(resource).unwrap();
        let held = resource.acquire(Demand::tokens(1)).wait().unwrap();
        let waits = (0..count).map(|_| asked(&resource, 1)).collect();
        until("all are in line", || {
            (resource.snapshot().wait().unwrap().resource.waiting == count).then_some(())
        });
        Self { _held: held, _waits: waits }
    }
}
