//! A process that published itself: a line of JSON asked, a line answered.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use paceline::publish::{Published, published};
use serde_json::{Value, json};

use super::{Follow, Order, Source};
use crate::failure::Failure;
use crate::top::log::News;
use crate::top::sample::Sample;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the process of this name, as `NAME` or `NAME@NUMBER`.
pub(super) fn open(name: &str) -> Result<Box<dyn Source>, Failure> {
    let all = alive();
    let meant = |found: &&Published| found.name == name || full_name(found) == name;
    let mut found = all.iter().filter(meant);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(attach(one.clone())),
        (None, _) => {
            Err(Failure::Input(format!("no process of this user is published as {name}{}", listed(&all))))
        }
        (Some(_), Some(_)) => Err(Failure::Input(format!(
            "several processes are published as {name}; name one of them{}",
            listed(&all)
        ))),
    }
}

/// Opens the one process that there is.
pub(super) fn only() -> Result<Box<dyn Source>, Failure> {
    let all = alive();
    match all.as_slice() {
        [one] => Ok(attach(one.clone())),
        [] => Err(Failure::Input(
            "no store is named, and no process of this user has published itself\n  \
             a control plane:   paceline top --store http://127.0.0.1:7411\n  \
             a store on Redis:  paceline top --store redis://localhost\n  \
             a process:         start it with PACELINE_PUBLISH=NAME, then `paceline top` finds it"
                .to_owned(),
        )),
        _ => {
            Err(Failure::Input(format!("several processes are published; name one of them{}", listed(&all))))
        }
    }
}

/// Returns those that answer, and removes what others left behind.
fn alive() -> Vec<Published> {
    let answers = |found: &Published| {
        let answers = UnixStream::connect(&found.socket).is_ok();
        if !answers {
            found.forget();
        }
        answers
    };
    published().into_iter().filter(answers).collect()
}

fn listed(all: &[Published]) -> String {
    let line = |found: &Published| format!("\n  paceline top --store process:{}", full_name(found));
    all.iter().map(line).collect()
}

fn full_name(found: &Published) -> String {
    format!("{}@{}", found.name, found.process)
}

fn attach(found: Published) -> Box<dyn Source> {
    Box::new(Process { line: Line { found, stream: None } })
}

struct Process {
    line: Line,
}

/// A connection, made when it is needed.
struct Line {
    found: Published,
    stream: Option<BufReader<UnixStream>>,
}

impl Line {
    fn stream(&mut self) -> std::io::Result<&mut BufReader<UnixStream>> {
        let stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = UnixStream::connect(&self.found.socket).or_else(|error| self.another(error))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            BufReader::new(stream)
        };
        Ok(self.stream.insert(stream))
    }

    /// Connects to another process of the name: it was started anew.
    fn another(&mut self, error: std::io::Error) -> std::io::Result<UnixStream> {
        let mut others = published().into_iter().filter(|other| other.name == self.found.name);
        let stands = |other: Published| Some((UnixStream::connect(&other.socket).ok()?, other));
        let (stream, other) = others.find_map(stands).ok_or(error)?;
        self.found = other;
        Ok(stream)
    }

    fn say(&mut self, asked: &Value) -> Result<(), Failure> {
        let said =
            self.stream().and_then(|stream| stream.get_mut().write_all(format!("{asked}\n").as_bytes()));
        said.map_err(|error| self.lost(&error))
    }

    fn hear(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        match self.stream().and_then(|stream| stream.read_line(&mut line)) {
            Ok(0) => Err(self.lost(&std::io::Error::other("it was closed"))),
            Ok(_) => serde_json::from_str(&line).map_err(|error| {
                Failure::Call(format!("{} said what cannot be read: {error}", self.place()))
            }),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn ask(&mut self, asked: &Value) -> Result<Value, Failure> {
        self.say(asked)?;
        let said = self.hear()?;
        match said["error"].as_str() {
            Some(error) => Err(Failure::Call(error.to_owned())),
            None => Ok(said),
        }
    }

    fn lost(&mut self, error: &std::io::Error) -> Failure {
        self.stream = None;
        Failure::Call(format!("{} does not answer ({error}); has the process ended?", self.place()))
    }

    fn place(&self) -> String {
        format!("process:{}", full_name(&self.found))
    }
}

impl Source for Process {
    fn place(&self) -> String {
        self.line.place()
    }

    fn look(&mut self) -> Result<Sample, Failure> {
        let mut said = self.line.ask(&json!({"ask": "look"}))?;
        serde_json::from_value(said["snapshot"].take())
            .map_err(|error| Failure::Call(format!("{} answered what is no snapshot: {error}", self.place())))
    }

    fn order(&mut self, order: &Order) -> Result<(), Failure> {
        let what = if matches!(order, Order::Pause { .. }) { "pause" } else { "resume" };
        self.line.ask(&json!({"ask": what, "resource": order.resource()})).map(drop)
    }

    fn follow(&self) -> Result<Option<Box<dyn Follow>>, Failure> {
        Ok(Some(Box::new(Stream {
            line: Line { found: self.line.found.clone(), stream: None },
            asked: false,
        })))
    }
}

/// Events of a process.
struct Stream {
    line: Line,
    asked: bool,
}

impl Follow for Stream {
    fn next(&mut self) -> Result<News, Failure> {
        if self.line.stream.is_none() || !self.asked {
            self.line.say(&json!({"ask": "follow"}))?;
            self.asked = true;
            if let Some(stream) = &self.line.stream {
                // Nothing may happen for long.
                let _ = stream.get_ref().set_read_timeout(None);
            }
        }
        let mut said = self.line.hear()?;
        let name = said["event"].as_str().unwrap_or_default().to_owned();
        Ok(News { name, data: said["data"].take() })
    }
}
