//! Worker processes: told things over their input, heard by their output, stopped and killed.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::signals;

/// What is in front of the lines between a test and its workers: the test's harness writes lines of its own.
const MARK: &str = "@worker ";
const ROLE: &str = "PACELINE_TESTKIT_ROLE";

/// Several worker processes, killed when they are dropped.
#[derive(Debug)]
pub struct Processes {
    workers: Vec<Worker>,
}

/// A worker process, killed when it is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Processes {
    /// Starts this many workers of the test that calls, which is named in full as the test's harness names it.
    ///
    /// Each of them runs the test again: there [`worker`] returns its role, and the test does what the role says.
    pub fn of_test(name: &str, role: &str, count: usize) -> Self {
        let workers = (0..count).map(|_| Worker::of_test(name, role)).collect();
        Self { workers }
    }

    /// Starts this many workers of a program.
    pub fn of_program(program: &Path, arguments: &[&str], count: usize) -> Self {
        Self { workers: (0..count).map(|_| Worker::of_program(program, arguments)).collect() }
    }

    /// Tells all of them the same.
    pub fn tell(&mut self, line: &str) {
        self.workers.iter_mut().for_each(|worker| worker.tell(line));
    }

    /// Returns the next line of each of them.
    pub fn hear(&mut self) -> Vec<String> {
        self.workers.iter_mut().map(Worker::hear).collect()
    }

    /// Returns one of them.
    pub fn worker(&mut self, at: usize) -> &mut Worker {
        self.workers.get_mut(at).expect("there are as many workers as were started")
    }
}

impl Worker {
    /// Starts a worker of the test that calls, named in full as the test's harness names it.
    pub fn of_test(name: &str, role: &str) -> Self {
        let binary = env::current_exe().expect("the test's binary has a path");
        let mut command = Command::new(binary);
        command.args(["--exact", name, "--nocapture", "--include-ignored"]).env(ROLE, role);
        Self::start(&mut command)
    }

    /// Starts a program, all of whose lines count.
    pub fn of_program(program: &Path, arguments: &[&str]) -> Self {
        Self::start(Command::new(program).args(arguments).env(ROLE, "program"))
    }

    fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let input = child.stdin.take();
        let stdout = child.stdout.take().expect("its output is ours");
        let marked = command.get_args().any(|argument| argument == "--exact");
        let (sender, output) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The harness ends no line before the first that a test writes.
                let said = line.find(MARK).map(|at| line[at + MARK.len()..].to_owned());
                let said = if marked { said } else { Some(said.unwrap_or(line)) };
                if said.is_some_and(|said| sender.send(said).is_err()) {
                    return;
                }
            }
        });
        Self { child, input, output }
    }

    /// Returns the number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its input.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the worker listens");
    }

    /// Returns its next line; panics where none comes for 20 seconds.
    pub fn hear(&mut self) -> String {
        let line = self.output.recv_timeout(Duration::from_secs(20));
        line.unwrap_or_else(|error| panic!("worker {} says nothing: {error}", self.id()))
    }

    /// Returns its next line if there is one within this time.
    pub fn hear_within(&mut self, length: Duration) -> Option<String> {
        self.output.recv_timeout(length).ok()
    }

    /// Closes its input, and waits until it has ended; returns whether it ended well.
    pub fn finish(&mut self) -> bool {
        self.input = None;
        self.child.wait().expect("a child can be waited for").success()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    /// Stops it where it stands.
    pub fn freeze(&self) {
        signals::freeze(&self.child);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signals::thaw(&self.child);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A worker's side of the talk.
#[derive(Debug)]
pub struct Talking {
    /// What it was started for.
    pub role: String,
}

/// Returns the worker's side of the talk; nothing in a process that no test started as a worker.
pub fn worker() -> Option<Talking> {
    env::var(ROLE).ok().map(|role| Talking { role })
}

impl Talking {
    /// Says a line to the test.
    pub fn say(&self, line: &str) {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{MARK}{line}").and_then(|()| out.flush()).expect("the test listens");
    }

    /// Returns the next line of the test; nothing when it wants no more.
    pub fn hear(&self) -> Option<String> {
        let mut line = String::new();
        let length = std::io::stdin().read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    }
}
