//! What the screen knows: samples and what came before them, what is chosen, and what keys do to that.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use paceline::config::glob_matches;

use super::binding::{Binding, Why, binding, headline, share_left};
use super::history::History;
use super::log::{Log, News, Weight, for_so_long, time_of_day};
use super::sample::{Ledger, Resource, Sample};
use super::source::Order;
use super::words::brief;

/// All that is shown.
#[derive(Debug, Default)]
pub(crate) struct App {
    /// The store, without secrets.
    pub(crate) place: String,
    /// Seconds between looks.
    pub(crate) interval: f64,
    /// The resources to show, as a glob.
    pub(crate) only: Option<String>,
    pub(crate) sample: Option<Sample>,
    pub(crate) history: History,
    pub(crate) log: Log,
    /// Why nothing new is seen, and since when; none while all is well.
    pub(crate) stale: Option<Stale>,
    pub(crate) filter: String,
    pub(crate) sort: Sort,
    /// The ledger and the name of the resource that is chosen.
    pub(crate) chosen: Option<(String, String)>,
    pub(crate) mode: Mode,
    /// What became of the last order, and whether it went well.
    pub(crate) notice: Option<(String, bool)>,
    /// Targets of pauses and grants that events told of since the last look.
    told: BTreeSet<(String, String)>,
}

/// A store that cannot be seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stale {
    /// The time of day, UTC.
    pub(crate) since: String,
    /// When that was, in seconds of the program's clock.
    pub(crate) at: f64,
    pub(crate) reason: String,
}

/// What the keys are for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    #[default]
    Main,
    /// A filter is typed; what it was before.
    Filter(String),
    /// The chosen resource at full size: which of its charts.
    Chart(usize),
    Help,
    /// Asks whether an order is meant.
    Confirm(Order),
}

/// The order of the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sort {
    #[default]
    Waiting,
    Taken,
    Grants,
    Name,
}

/// What a key wants of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Quit,
    Order(Order),
}

impl Sort {
    const ALL: [Self; 4] = [Self::Waiting, Self::Taken, Self::Grants, Self::Name];

    /// Returns what it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "oldest wait",
            Self::Taken => "least left",
            Self::Grants => "grants",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL.get(at + 1).copied().unwrap_or_default()
    }
}

/// A resource as it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) resource: &'a Resource,
    pub(crate) binding: Option<Binding<'a>>,
    /// Permits granted a second; none before two looks.
    pub(crate) grants: Option<f64>,
}

impl Row<'_> {
    fn key(&self) -> (String, String) {
        (self.ledger.name.clone(), self.resource.name.clone())
    }

    fn least_left(&self) -> f64 {
        self.resource.limits.iter().map(share_left).fold(1.0, f64::min)
    }

    /// Says in a word or two what binds, or how it stands.
    pub(crate) fn state(&self) -> String {
        let name = &self.resource.name;
        match self.binding.map(|binding| binding.why) {
            Some(Why::Limit(limit)) => brief(limit.short(name)),
            Some(Why::LimitPaused(limit)) => format!("{} paused", brief(limit.short(name))),
            Some(Why::HeldOff(_)) => "sessions report".to_owned(),
            Some(Why::Unknown) => "others in line".to_owned(),
            _ if self.resource.paused => "PAUSED".to_owned(),
            _ => "-".to_owned(),
        }
    }
}

impl App {
    /// Returns what is shown of this store before anything was seen.
    pub(crate) fn new(place: String, interval: f64, only: Option<String>) -> Self {
        Self { place, interval, only, ..Self::default() }
    }

    /// Takes in a look, of so many seconds on the program's clock.
    pub(crate) fn looked(&mut self, mut sample: Sample, at: f64) {
        if let Some(only) = &self.only {
            for ledger in &mut sample.ledgers {
                ledger.resources.retain(|resource| glob_matches(only, &resource.name));
            }
        }
        if let Some(stale) = self.stale.take() {
            let detail = format!("seen again after {}", super::words::lasting(at - stale.at));
            self.log.note(&sample.at, "store-back", &self.place, detail, Weight::Notable);
        }
        if let Some(before) = self.sample.take() {
            self.compare(&before, &sample);
        }
        self.told.clear();
        self.history.take(&sample, at);
        self.sample = Some(sample);
        let chosen = self.chosen.take().filter(|chosen| self.rows().iter().any(|row| row.key() == *chosen));
        self.chosen = chosen.or_else(|| self.rows().first().map(Row::key));
    }

    /// Takes in that a look failed.
    pub(crate) fn failed(&mut self, reason: String, now: &str, at: f64) {
        if let Some(stale) = &mut self.stale {
            stale.reason = reason;
            return;
        }
        self.log.note(now, "store-lost", &self.place, reason.clone(), Weight::Bad);
        self.stale = Some(Stale { since: time_of_day(now), at, reason });
    }

    /// Takes in an event.
    pub(crate) fn happened(&mut self, news: &News) {
        let about = ["resource", "target"].iter().find_map(|field| news.data[*field].as_str());
        let other = |only: &String| about.is_some_and(|name| !glob_matches(only, name));
        if self.only.as_ref().is_some_and(other) {
            return;
        }
        if let Some(about) = about {
            if news.name == "refused" {
                self.history.refused(about);
            }
            self.told.insert((news.name.clone(), about.to_owned()));
        }
        self.log.take(news);
    }

    /// Takes in what became of an order.
    pub(crate) fn ordered(&mut self, order: &Order, done: Result<(), String>) {
        let name = order.resource();
        self.notice = Some(match (order, done) {
            (Order::Pause { .. }, Ok(())) => (format!("{name} is paused until it is resumed"), true),
            (Order::Resume { .. }, Ok(())) => (format!("{name} goes on"), true),
            (_, Err(reason)) => (reason, false),
        });
    }

    /// Notes what changed between two looks and no event told.
    fn compare(&mut self, before: &Sample, now: &Sample) {
        for resource in now.resources() {
            let Some(then) = before.resources().find(|then| then.name == resource.name) else { continue };
            let name = &resource.name;
            let told = |told: &BTreeSet<(String, String)>, what: &str| {
                told.contains(&(what.to_owned(), name.clone()))
            };
            let granted = resource.granted().saturating_sub(then.granted());
            if granted > 0 && !told(&self.told, "granted") {
                self.log.granted(&now.at, name, granted);
            }
            let paused = (name, then.paused, resource.paused, resource.paused_for_seconds);
            let limits = resource.limits.iter().filter_map(|limit| {
                let then = then.limits.iter().find(|then| then.name == limit.name)?;
                Some((&limit.name, then.paused, limit.paused, limit.paused_for_seconds))
            });
            for (target, was, is, left) in std::iter::once(paused).chain(limits) {
                let what = if is { "paused" } else { "resumed" };
                if was != is && !self.told.contains(&(what.to_owned(), target.clone())) {
                    let detail = if is { for_so_long(left) } else { String::new() };
                    self.log.note(&now.at, what, target, detail, Weight::Notable);
                }
            }
        }
        self.compare_lines(before, now);
    }

    fn compare_lines(&mut self, before: &Sample, now: &Sample) {
        for ledger in &now.ledgers {
            for resource in &ledger.resources {
                let then = before.resources().find(|then| then.name == resource.name);
                let had = then.is_some_and(|then| then.waiting > 0);
                let what = binding(&self.history, ledger, resource);
                match what {
                    Some(binding) if !had => {
                        let row = Row { ledger, resource, binding: Some(binding), grants: None };
                        let detail = format!("waits for {}", row.state());
                        self.log.note(&now.at, "line", &resource.name, detail, Weight::Notable);
                    }
                    None if had => {
                        let detail = "nobody waits any more".to_owned();
                        self.log.note(&now.at, "line", &resource.name, detail, Weight::Notable);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Returns the resources that are shown, in order.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        let wanted = self.filter.to_lowercase();
        let ledgers = self.sample.iter().flat_map(|sample| &sample.ledgers);
        let all = ledgers.flat_map(|ledger| ledger.resources.iter().map(move |resource| (ledger, resource)));
        let mut rows: Vec<Row<'_>> = all
            .filter(|(_, resource)| resource.name.to_lowercase().contains(&wanted))
            .map(|(ledger, resource)| {
                let course = self.history.course(&ledger.name, &resource.name);
                Row {
                    ledger,
                    resource,
                    binding: binding(&self.history, ledger, resource),
                    grants: course.and_then(|course| course.grants.recent()),
                }
            })
            .collect();
        rows.sort_by(|one, other| self.compare_rows(one, other));
        rows
    }

    fn compare_rows(&self, one: &Row<'_>, other: &Row<'_>) -> Ordering {
        let by = match self.sort {
            Sort::Waiting => {
                let oldest = |row: &Row<'_>| row.resource.oldest().unwrap_or(-1.0);
                oldest(other)
                    .total_cmp(&oldest(one))
                    .then(other.resource.waiting.cmp(&one.resource.waiting))
                    .then(other.resource.paused.cmp(&one.resource.paused))
            }
            Sort::Taken => one.least_left().total_cmp(&other.least_left()),
            Sort::Grants => other.grants.unwrap_or(0.0).total_cmp(&one.grants.unwrap_or(0.0)),
            Sort::Name => Ordering::Equal,
        };
        by.then_with(|| one.resource.name.cmp(&other.resource.name))
    }

    /// Returns the resource that is chosen.
    pub(crate) fn row(&self) -> Option<Row<'_>> {
        let chosen = self.chosen.as_ref()?;
        self.rows().into_iter().find(|row| row.key() == *chosen)
    }

    /// Says what binds now and who waits.
    pub(crate) fn headline(&self) -> String {
        self.sample
            .as_ref()
            .map_or_else(|| format!("Looking at {} …", self.place), |sample| headline(&self.history, sample))
    }

    /// Does what a key says.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Act> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return matches!(key.code, KeyCode::Char('c' | 'd')).then_some(Act::Quit);
        }
        match std::mem::take(&mut self.mode) {
            Mode::Main => self.key_of_main(key.code),
            Mode::Filter(before) => {
                self.key_of_filter(key.code, before);
                None
            }
            Mode::Chart(chart) => self.key_of_chart(key.code, chart),
            Mode::Help => matches!(key.code, KeyCode::Char('q')).then_some(Act::Quit),
            Mode::Confirm(order) if matches!(key.code, KeyCode::Char('y' | 'Y')) => Some(Act::Order(order)),
            Mode::Confirm(_) => {
                self.notice = Some(("nothing was changed".to_owned(), true));
                None
            }
        }
    }

    fn key_of_main(&mut self, code: KeyCode) -> Option<Act> {
        self.notice = None;
        match code {
            KeyCode::Char('q') => return Some(Act::Quit),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter(self.filter.clone()),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Enter if self.chosen.is_some() => self.mode = Mode::Chart(0),
            KeyCode::Char('p') => self.ask(|resource| Order::Pause { resource }),
            KeyCode::Char('r') => self.ask(|resource| Order::Resume { resource }),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::PageDown => self.move_by(10),
            KeyCode::PageUp => self.move_by(-10),
            KeyCode::Home | KeyCode::Char('g') => self.move_by(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.move_by(isize::MAX),
            _ => {}
        }
        None
    }

    fn key_of_filter(&mut self, code: KeyCode, before: String) {
        match code {
            KeyCode::Enter => {}
            KeyCode::Esc => self.filter = before,
            KeyCode::Backspace => {
                self.filter.pop();
                self.mode = Mode::Filter(before);
            }
            KeyCode::Char(letter) => {
                self.filter.push(letter);
                self.mode = Mode::Filter(before);
            }
            _ => self.mode = Mode::Filter(before),
        }
        let rows = self.rows();
        if !rows.iter().any(|row| Some(row.key()) == self.chosen) {
            self.chosen = rows.first().map(Row::key);
        }
    }

    fn key_of_chart(&mut self, code: KeyCode, chart: usize) -> Option<Act> {
        let count = self.row().map_or(1, |row| super::render::chart::count(row.resource)).max(1);
        self.mode = match code {
            KeyCode::Char('q') => return Some(Act::Quit),
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => Mode::Main,
            KeyCode::Char('?') => Mode::Help,
            KeyCode::Right | KeyCode::Tab | KeyCode::Char('l') => Mode::Chart((chart + 1) % count),
            KeyCode::Left | KeyCode::BackTab | KeyCode::Char('h') => Mode::Chart((chart + count - 1) % count),
            KeyCode::Down | KeyCode::Char('j') => {
                self.move_by(1);
                Mode::Chart(0)
            }
            KeyCode::Up | KeyCode::Char('k') => {
                self.move_by(-1);
                Mode::Chart(0)
            }
            _ => Mode::Chart(chart),
        };
        None
    }

    fn ask(&mut self, order: impl FnOnce(String) -> Order) {
        if let Some(row) = self.row() {
            self.mode = Mode::Confirm(order(row.resource.name.clone()));
        }
    }

    fn move_by(&mut self, steps: isize) {
        let keys: Vec<_> = self.rows().iter().map(Row::key).collect();
        let at = keys.iter().position(|key| Some(key) == self.chosen.as_ref()).unwrap_or(0);
        let to = at.saturating_add_signed(steps).min(keys.len().saturating_sub(1));
        self.chosen = keys.into_iter().nth(to);
    }
}
