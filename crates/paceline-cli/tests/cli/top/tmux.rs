//! The screen in a real terminal: tmux runs it, keys are typed, and what is shown is read.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use paceline_testkit::until;

use super::super::run::Scratch;
use super::plane::{Plane, Waiting};

/// A terminal with a shell in it, gone when this is dropped.
struct Terminal {
    socket: String,
    home: Scratch,
}

impl Terminal {
    /// Opens a terminal of 100 by 30; `None`, with a word, where there is no tmux.
    fn open(name: &str) -> Option<Self> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("SKIPPED: tmux is not installed (apt-get install tmux)");
            return None;
        }
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let socket = format!("paceline-{}-{number}", std::process::id());
        let terminal = Self { socket, home: Scratch::folder(&format!("tmux-{name}")) };
        let shell = "exec env PS1='ready$ ' ENV= LC_ALL=C.UTF-8 sh";
        let folder = terminal.home.path();
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
            "-c",
            folder,
            shell,
        ]);
        terminal.shows("ready$");
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        // A test that is itself run in tmux does not reach that one.
        command
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .env_remove("PACELINE_STORE")
            .args(["-L", &self.socket]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Types letters as they are.
    fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn enters(&self, line: &str) {
        self.types(line);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Waits until the screen shows a text.
    fn shows(&self, text: &str) -> String {
        until(&format!("the screen shows {text:?}; it is:\n{}", self.screen()), || {
            Some(self.screen()).filter(|screen| screen.contains(text))
        })
    }

    /// Runs a command line, with what the terminal is like noted before and after; its end shows as `ended 0`.
    fn runs(&self, line: &str) {
        self.enters(&format!("stty -a > before; {line}; code=$?; stty -a > after; clear; echo ended $code"));
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(self.home.path()).join(name)
    }

    /// Waits for the end of what runs, and looks whether the terminal is as it was.
    fn is_left_as_it_was(&self, code: i32) {
        let screen = self.shows(&format!("ended {code}\n"));
        assert!(!screen.contains("paceline top  "), "the other screen is left: {screen}");
        let [before, after] =
            ["before", "after"].map(|name| std::fs::read_to_string(self.file(name)).unwrap());
        // The first line says how large the window is.
        let [before, after] =
            [&before, &after].map(|said| said.split_once('\n').map_or("", |(_, modes)| modes));
        assert!(before.contains("icanon") && before == after, "{before}{after}");
        assert_eq!(self.tmux(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]).trim(), "1 0");
        self.enters("echo still $((40 + 2))");
        self.shows("still 42");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").env_remove("TMUX").args(["-L", &self.socket, "kill-server"]).output();
    }
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_paceline")
}

#[test]
fn a_person_sees_who_waits_pauses_and_quits() {
    let Some(terminal) = Terminal::open("watch") else { return };
    let plane = Plane::start();
    plane.put("gpt", r#"{"concurrent_requests": 1, "requests_per_minute": 500}"#);
    let _waiting = Waiting::on(&plane.url(), "gpt", 3);
    terminal.runs(&format!("{} top --store {} --interval 0.2", program(), plane.url()));
    let screen = terminal.shows("gpt waits for concurrent requests: 1 of 1 in flight; 3 wait, the oldest");
    assert!(screen.contains("! concurrent_requests") && screen.contains("q quit"), "{screen}");

    terminal.types("p");
    terminal.shows("Pause gpt?");
    terminal.types("n");
    terminal.shows("nothing was changed");
    assert!(plane.answer("GET", "/v1/resources/gpt", "").contains("\"paused\":false"));
    terminal.types("p");
    terminal.shows("Pause gpt?");
    terminal.types("y");
    terminal.shows("gpt is paused until it is resumed; 3 wait");
    assert!(plane.answer("GET", "/v1/resources/gpt", "").contains("\"paused\":true"));
    terminal.types("r");
    terminal.shows("Resume gpt?");
    terminal.types("y");
    terminal.shows("gpt waits for concurrent requests");
    assert!(plane.answer("GET", "/v1/resources/gpt", "").contains("\"paused\":false"));

    terminal.tmux(&["send-keys", "Enter"]);
    terminal.shows("chart 1 of 7");
    terminal.tmux(&["resize-window", "-x", "50", "-y", "10"]);
    terminal.shows("needs 60 x 14");
    terminal.tmux(&["resize-window", "-x", "160", "-y", "40"]);
    terminal.shows("chart 1 of 7");
    terminal.types("q");
    terminal.is_left_as_it_was(0);
}

#[test]
fn a_server_that_goes_away_is_stale_and_comes_back() {
    let Some(terminal) = Terminal::open("stale") else { return };
    let socket = terminal.file("p.sock");
    let socket = socket.to_str().unwrap();
    let serve = || Plane::with(&["--memory", "--socket", socket]);
    let mut plane = serve();
    plane.put("gpt", r#"{"requests_per_minute": 500}"#);
    terminal.runs(&format!("{} top --store unix:{socket} --interval 0.2", program()));
    terminal.shows("Limits of gpt");
    plane.kill();
    terminal.shows("STALE since");
    let plane = serve();
    terminal.shows("none yet");
    plane.put("claude", r#"{"requests_per_minute": 500}"#);
    let screen = terminal.shows("Limits of claude");
    assert!(!screen.contains("STALE"), "{screen}");
    terminal.types("q");
    terminal.is_left_as_it_was(0);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let Some(terminal) = Terminal::open("signal") else { return };
    let plane = Plane::start();
    plane.put("gpt", r#"{"requests_per_minute": 500}"#);
    for signal in ["-TERM", "-INT", "-HUP"] {
        terminal.runs(&format!("sh -c 'echo $$ > pid; exec {} top --store {}'", program(), plane.url()));
        terminal.shows("Limits of gpt");
        let pid = std::fs::read_to_string(terminal.file("pid")).unwrap();
        let sent = Command::new("kill").args([signal, pid.trim()]).status().unwrap();
        assert!(sent.success());
        terminal.is_left_as_it_was(0);
    }
}

#[test]
fn a_terminal_that_cannot_show_it_is_told_what_can() {
    let Some(terminal) = Terminal::open("dumb") else { return };
    let plane = Plane::start();
    terminal.enters(&format!("TERM=dumb {} top --store {}; echo ended $?", program(), plane.url()));
    let screen = terminal.shows("ended 1");
    assert!(screen.contains("TERM is dumb") && screen.contains("--once"), "{screen}");
}

#[test]
fn a_demo_is_watched_and_sums_up() {
    let Some(terminal) = Terminal::open("demo") else { return };
    let limits = "--limit requests_per_minute=5_000 --limit tokens_per_minute=400_000";
    terminal.enters(&format!("{} demo --watch --time-scale 12 {limits}; echo ended $?", program()));
    let screen = terminal.shows("openai/model waits for tokens");
    assert!(screen.contains("process:demo@"), "{screen}");
    let screen = terminal.shows("ended 0");
    assert!(screen.contains("not one refused"), "{screen}");
}
