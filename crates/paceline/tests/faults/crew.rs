//! The workers of a scenario, as the test sees them: told what to do, listened to, judged at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_testkit::{Worker, pause, until};

use crate::judge::{End, Grant, judge};
use crate::plan::{GPT, Plan, measured, now};
use crate::worker::SERVES;

/// Several worker processes.
pub(crate) struct Crew {
    pub(crate) plan: Plan,
    workers: Vec<Worker>,
    dead: BTreeSet<usize>,
    pub(crate) said: Vec<(usize, String)>,
    held_until: BTreeMap<usize, u64>,
    /// Which refusals are part of the scenario.
    pub(crate) accepted: &'static [&'static str],
}

/// What is over.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) grants: Vec<Grant>,
    pub(crate) events: Vec<(usize, u64, String)>,
}

impl Crew {
    /// Starts this many workers.
    pub(crate) fn start(plan: &Plan, many: usize) -> Self {
        Self::by(plan, &vec![plan.url.clone(); many])
    }

    /// Starts a worker for each way to the store.
    pub(crate) fn by(plan: &Plan, ways: &[String]) -> Self {
        let mut crew = Self {
            plan: plan.clone(),
            workers: Vec::new(),
            dead: BTreeSet::new(),
            said: Vec::new(),
            held_until: BTreeMap::new(),
            accepted: &[],
        };
        let ways = ways.iter().map(|way| plan.by(way).line());
        crew.workers = ways.map(|line| Worker::of_test(SERVES, &line)).collect();
        for at in 0..crew.workers.len() {
            crew.hear(at, "ready");
        }
        crew
    }

    /// Starts one more worker, and returns its number.
    pub(crate) fn join(&mut self, way: &str) -> usize {
        self.workers.push(Worker::of_test(SERVES, &self.plan.by(way).line()));
        self.hear(self.workers.len() - 1, "ready");
        self.workers.len() - 1
    }

    /// Tells a worker something.
    pub(crate) fn tell(&mut self, at: usize, line: &str) {
        self.workers[at].tell(line);
    }

    /// Lets every worker that lives do this.
    pub(crate) fn tell_all(&mut self, line: &str) {
        for at in self.alive() {
            self.tell(at, line);
        }
    }

    /// Asks for a permit, and waits until the worker has it.
    pub(crate) fn granted(&mut self, at: usize, tag: &str) -> Grant {
        self.tell(at, &format!("ask {tag} a 1 20000"));
        self.waits_for_grant(at, tag)
    }

    /// Waits until a worker has a permit that it asked for.
    pub(crate) fn waits_for_grant(&mut self, at: usize, tag: &str) -> Grant {
        let line = self.hear(at, &format!("grant {tag} "));
        grant(at, &line)
    }

    /// Asks for a permit, and waits until it is in line.
    pub(crate) fn queued(&mut self, at: usize, tag: &str) {
        let before = self.heard(at, " queued ");
        self.tell(at, &format!("ask {tag} a 1 20000"));
        self.until("the ticket is in line", |crew| crew.heard(at, " queued ") > before);
    }

    /// Ends a permit, and returns how.
    pub(crate) fn end(&mut self, at: usize, tag: &str) -> String {
        self.tell(at, &format!("settle {tag}"));
        let line = self.hear(at, &format!("ended {tag} "));
        line.split(' ').nth(2).unwrap().to_owned()
    }

    /// Waits until a worker has said something that contains this, and returns it.
    pub(crate) fn hear(&mut self, at: usize, what: &str) -> String {
        until(&format!("worker {at} says {what:?}"), || {
            self.listen();
            self.said.iter().find(|(of, line)| *of == at && line.contains(what)).map(|(_, line)| line.clone())
        })
    }

    /// Returns how many lines of a worker contain this.
    pub(crate) fn heard(&mut self, at: usize, what: &str) -> usize {
        self.listen();
        self.said.iter().filter(|(of, line)| *of == at && line.contains(what)).count()
    }

    /// Waits until something is so.
    pub(crate) fn until(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        until(what, || so(self).then_some(()));
    }

    /// Waits until every worker that lives has had another so many permits.
    pub(crate) fn goes_on(&mut self, by: usize) {
        let alive = self.alive();
        let before: Vec<_> = alive.iter().map(|at| self.heard(*at, "grant ")).collect();
        let began = now();
        loop {
            let behind = |crew: &mut Self, at: usize, before: usize| crew.heard(at, "grant ") < before + by;
            let slow = alive.iter().zip(&before).find(|(at, before)| behind(self, **at, **before));
            let Some((at, _)) = slow else { return };
            if now() - began > 20_000 {
                self.tell_of(*at);
            }
            pause(Duration::from_millis(2));
        }
    }

    /// Says what is known of a worker that does not go on, and gives up.
    fn tell_of(&self, at: usize) -> ! {
        let own = self.said.iter().filter(|(of, _)| *of == at).map(|(_, line)| line.as_str());
        let last: Vec<_> = own.rev().take(20).collect();
        let seen = self.plan.open().resource(GPT).map(|resource| resource.snapshot().wait());
        panic!(
            "at {} worker {at} stands still; it said, last first: {last:#?}\nthe store says: {seen:#?}",
            now()
        );
    }

    /// Kills a worker; the store takes it for alive for at least half a session after that.
    pub(crate) fn kill(&mut self, at: usize) -> u64 {
        self.listen();
        self.workers[at].kill();
        self.dead.insert(at);
        self.held_until.insert(at, now() + self.plan.session / 2);
        now()
    }

    pub(crate) fn freeze(&self, at: usize) -> u64 {
        self.workers[at].freeze();
        now()
    }

    pub(crate) fn thaw(&self, at: usize) {
        self.workers[at].thaw();
    }

    /// Returns the worker that is this process.
    pub(crate) fn of_process(&self, id: u32) -> Option<usize> {
        self.alive().into_iter().find(|at| self.workers[*at].id() == id)
    }

    /// Returns the workers that live.
    pub(crate) fn alive(&self) -> Vec<usize> {
        (0..self.workers.len()).filter(|at| !self.dead.contains(at)).collect()
    }

    fn listen(&mut self) {
        for (at, worker) in self.workers.iter_mut().enumerate() {
            while let Some(line) = worker.hear_within(Duration::ZERO) {
                self.said.push((at, line));
            }
        }
    }

    /// Ends the load, waits until nothing is out and nobody waits, and judges all that was.
    pub(crate) fn finish(mut self) -> Story {
        self.tell_all("stop");
        for at in self.alive() {
            self.hear(at, "stopped ");
        }
        let story = self.story();
        let began = now();
        self.nothing_leaks(&story);
        measured("until nothing is out", now() - began);
        self.everybody_went(&story);
        judge(&self.plan, &story.grants, &self.held_until);
        story
    }

    /// Returns what was said so far.
    pub(crate) fn story(&mut self) -> Story {
        self.listen();
        let (mut grants, mut events): (Vec<Grant>, Vec<_>) = (Vec::new(), Vec::new());
        for (at, line) in &self.said {
            let words: Vec<_> = line.split(' ').collect();
            match words[0] {
                "grant" => grants.push(grant(*at, line)),
                "ending" | "ended" => {
                    let own = |grant: &&mut Grant| grant.worker == *at && grant.tag == words[1];
                    let ended = grants.iter_mut().rev().find(own).unwrap();
                    match &mut ended.end {
                        Some(end) => words[2].clone_into(&mut end.how),
                        None => {
                            ended.end = Some(End { how: String::new(), before: words[2].parse().unwrap() });
                        }
                    }
                }
                "event" if words[2] != "queued" => {
                    events.push((*at, words[1].parse().unwrap(), words[2..].join(" ")));
                }
                _ => {}
            }
        }
        Story { grants, events }
    }

    /// Everything that was taken is back, and what was spent was spent once.
    fn nothing_leaks(&self, story: &Story) {
        let limiter = self.plan.open();
        let resource = limiter.resource(GPT).unwrap();
        let mut last = String::new();
        let began = now();
        let mut full = || {
            let seen = resource.snapshot().wait().ok()?;
            let of = |name: &str| seen.limits.iter().find(|limit| &*limit.name == name);
            let is_full =
                |name| of(name).is_none_or(|limit| limit.left == i64::try_from(limit.most).unwrap());
            last = format!("{seen:?}");
            let idle = seen.resource.waiting == 0 && seen.resource.in_flight == 0;
            (idle && is_full("slots") && is_full("tokens")).then_some(seen)
        };
        let seen = loop {
            if let Some(seen) = full() {
                break seen;
            }
            // For 10 s after a loss, slots are taken for sessions that did not speak yet.
            assert!(now() - began < 14_000, "something leaked: {last}");
            pause(Duration::from_millis(20));
        };
        if let Some(total) = seen.limits.iter().find(|limit| &*limit.name == "total") {
            let back = |grant: &&Grant| grant.end.as_ref().is_some_and(|end| end.how == "back");
            let spent = story.grants.len() - story.grants.iter().filter(back).count();
            let counted = i64::try_from(total.most).unwrap() - total.left;
            let difference = i64::try_from(spent).unwrap() - counted;
            // One comes back in half a minute.
            assert!((0..=1).contains(&difference), "{spent} calls were counted as {counted}");
        }
    }

    /// Everybody who asked and lives has an answer, and it was a permit.
    fn everybody_went(&self, story: &Story) {
        for at in self.alive() {
            let of = |what: &str| {
                self.said.iter().filter(|(by, line)| *by == at && line.starts_with(what)).collect::<Vec<_>>()
            };
            let stopped = of("stopped ");
            let asked: usize = stopped[0].1.trim_start_matches("stopped ").parse().unwrap();
            let refused = of("refused ");
            let bad = refused
                .iter()
                .find(|(_, line)| line.split(' ').nth(2).is_none_or(|kind| !self.accepted.contains(&kind)));
            assert!(bad.is_none(), "{bad:?}");
            let went = story.grants.iter().filter(|grant| grant.worker == at).count();
            assert_eq!(asked, went + refused.len(), "worker {at} asked and was not answered");
        }
    }
}

impl Story {
    /// Returns how many events of this kind there were.
    pub(crate) fn events(&self, kind: &str) -> usize {
        self.events.iter().filter(|(_, _, event)| event.split(' ').next() == Some(kind)).count()
    }

    /// Returns how many permits ended in this way.
    pub(crate) fn ended(&self, how: &str) -> usize {
        self.grants.iter().filter(|grant| grant.end.as_ref().is_some_and(|end| end.how == how)).count()
    }

    /// Returns the longest time in which nothing was granted, in milliseconds.
    pub(crate) fn longest_gap(&self) -> u64 {
        let mut walls: Vec<_> = self.grants.iter().map(|grant| grant.wall).filter(|wall| *wall > 0).collect();
        walls.sort_unstable();
        walls.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

fn grant(worker: usize, line: &str) -> Grant {
    let words: Vec<_> = line.split(' ').collect();
    let number = |at: usize| words[at].parse().unwrap();
    Grant {
        worker,
        tag: words[1].to_owned(),
        id: words[2].to_owned(),
        lane: words[3].to_owned(),
        wall: number(4),
        waited: number(5),
        tokens: number(6),
        via: words[7].to_owned(),
        end: None,
    }
}
