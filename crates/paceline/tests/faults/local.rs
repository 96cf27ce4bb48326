//! Workers that share limits with nothing but each other, while whoever hosts the store is killed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use paceline::Demand;
use paceline_testkit::until;

use crate::crew::Crew;
use crate::plan::{GPT, Plan, measured, now};
use crate::processes;

/// A name that nobody else has; its files are removed with it.
struct Name(String);

impl Name {
    fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(format!("test-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed)))
    }

    fn url(&self) -> String {
        format!("local://{}", self.0)
    }

    /// Has the test's process host it.
    fn hosted(self) -> Self {
        let resource = Plan::slots(self.url(), 1).open().resource(GPT).unwrap();
        resource.acquire(Demand::new()).wait().unwrap().give_back().wait().unwrap();
        self
    }
}

impl Name {
    /// Removes the files of these kinds; returns how many there were.
    fn remove(&self, kinds: &[&str]) -> usize {
        let user = rustix::process::geteuid().as_raw();
        let named = std::env::var_os("XDG_RUNTIME_DIR").map(|path| PathBuf::from(path).join("paceline"));
        let folders = [format!("/run/user/{user}/paceline").into(), format!("/tmp/paceline-{user}").into()];
        let folders = named.into_iter().chain(folders);
        let files = folders.flat_map(|folder: PathBuf| {
            kinds.iter().map(move |kind| folder.join(format!("{}.{kind}", self.0)))
        });
        files.filter(|file| std::fs::remove_file(file).is_ok()).count()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.remove(&["sock", "lock"]);
    }
}

/// Returns the worker that holds the lock of a file as its process's own: the host.
fn host(crew: &Crew) -> Option<usize> {
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let of_line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let at = words
            .iter()
            .position(|word| *word == "POSIX")
            .filter(|at| words.get(at + 2) == Some(&"WRITE"))?;
        crew.of_process(words.get(at + 3)?.parse().ok()?)
    };
    locks.lines().find_map(of_line)
}

#[test]
fn what_a_killed_worker_held_is_free_after_a_session() {
    processes::a_holder_is_killed(&Name::new().hosted().url());
}

#[test]
fn the_next_goes_where_the_first_in_line_is_killed() {
    processes::the_first_in_line_is_killed(&Name::new().hosted().url());
}

#[test]
fn a_worker_that_comes_back_from_the_dead_is_told_and_works_on() {
    processes::a_worker_comes_back_from_the_dead(&Name::new().hosted().url());
}

#[test]
fn workers_die_and_freeze_under_load() {
    processes::some_die_and_some_freeze(&Name::new().hosted().url());
}

/// Kills the host under eight workers who hold and wait, again and again; `PACELINE_HOST_KILLS` says how often.
#[test]
fn a_host_that_is_killed_is_followed_by_another() {
    let rounds = std::env::var("PACELINE_HOST_KILLS").map_or(3, |text| text.parse().unwrap());
    let name = Name::new();
    let plan = Plan::slots(name.url(), 4).tokens(600, 1_000);
    let mut crew = Crew::start(&plan, 8);
    crew.tell_all("load 2 5 2");
    crew.goes_on(3);
    let mut kills = Vec::new();
    for _ in 0..rounds {
        let at = until("somebody hosts", || host(&crew));
        crew.kill(at);
        kills.push(now());
        let joined = crew.join(&plan.url);
        crew.tell(joined, "load 2 5 2");
        crew.goes_on(3);
    }
    let story = crew.finish();
    let mut gaps: Vec<u64> = kills
        .iter()
        .filter_map(|at| {
            story.grants.iter().map(|grant| grant.wall).filter(|wall| wall > at).min().map(|wall| wall - at)
        })
        .collect();
    gaps.sort_unstable();
    assert_eq!(gaps.len(), kills.len(), "grants went on after each");
    measured(&format!("{rounds} hosts killed, until the next grant: the median"), gaps[gaps.len() / 2]);
    measured("the longest", gaps[gaps.len() - 1]);
    assert!(story.events("state_lost") >= kills.len() * 6, "the others were told");
}

/// Whatever tidies up folders of temporary files may take the lock and leave the socket.
#[test]
fn a_lock_that_is_removed_makes_no_second_host() {
    let name = Name::new();
    let mut crew = Crew::start(&Plan::slots(name.url(), 1), 1);
    crew.granted(0, "held");
    assert_eq!(name.remove(&["lock"]), 1);
    let joined = crew.join(&crew.plan.url.clone());
    crew.queued(joined, "waits");
    assert_eq!(host(&crew), Some(0));
    assert_eq!(crew.end(0, "held"), "settled");
    crew.waits_for_grant(joined, "waits");
    assert_eq!(crew.end(joined, "waits"), "settled");
    crew.finish();
}

/// Who knew the host before is heard before who did not, also where that one is the next host.
#[test]
fn a_newcomer_that_takes_over_waits_for_those_who_hold() {
    let name = Name::new();
    let mut crew = Crew::start(&Plan::slots(name.url(), 1), 2);
    crew.granted(0, "host");
    assert_eq!(crew.end(0, "host"), "settled");
    crew.granted(1, "held");
    crew.freeze(1);
    crew.kill(0);
    let joined = crew.join(&crew.plan.url.clone());
    crew.tell(joined, "ask new a 1 20000");
    until("the newcomer hosts", || (host(&crew) == Some(joined)).then_some(()));
    crew.thaw(1);
    crew.hear(1, " state_lost");
    assert_eq!(crew.heard(joined, "grant new "), 0, "the slot is held");
    assert_eq!(crew.end(1, "held"), "settled");
    crew.waits_for_grant(joined, "new");
    assert_eq!(crew.end(joined, "new"), "settled");
    crew.finish();
}
