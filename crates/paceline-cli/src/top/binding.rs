//! Which limit a line waits for, and that in words.

use std::fmt::Write as _;

use super::history::{Flow, History};
use super::sample::{Ledger, Limit, Resource, Sample, count, signed};
use super::words::{lasting, short, spoken, wait};
use crate::text::grouped;

/// What a line waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Why<'a> {
    /// The ledger grants nothing for so many seconds, for its server was started anew.
    HeldOff(f64),
    /// The resource is paused, for so many seconds or until it is resumed.
    Paused(Option<f64>),
    /// A limit is paused.
    LimitPaused(&'a Limit),
    /// A limit has too little left.
    Limit(&'a Limit),
    /// Nothing that can be seen from here.
    Unknown,
}

/// What a line waits for, and when its head goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Binding<'a> {
    pub(crate) why: Why<'a>,
    /// After how many seconds the head goes, where that can be told.
    pub(crate) goes_in: Option<f64>,
}

/// For how long calls are taken to be in flight where it has to be guessed, in seconds.
const CALL: f64 = 3.0;

/// Returns what the line of a resource waits for; `None` where nobody waits.
pub(crate) fn binding<'a>(
    history: &History,
    ledger: &'a Ledger,
    resource: &'a Resource,
) -> Option<Binding<'a>> {
    if resource.waiting == 0 {
        return None;
    }
    if let Some(left) = ledger.held_off_seconds {
        return Some(Binding { why: Why::HeldOff(left), goes_in: None });
    }
    if resource.paused {
        let left = resource.paused_for_seconds;
        return Some(Binding { why: Why::Paused(left), goes_in: left });
    }
    if let Some(limit) = resource.limits.iter().find(|limit| limit.paused && !limit.shadow) {
        return Some(Binding { why: Why::LimitPaused(limit), goes_in: limit.paused_for_seconds });
    }
    let grants = history.course(&ledger.name, &resource.name).and_then(|course| course.grants.recent());
    let enforced = resource.limits.iter().filter(|limit| !limit.shadow);
    let needs =
        enforced.map(|limit| Need::of(history.flow(&ledger.name, &limit.name), limit, resource, grants));
    let needs: Vec<Need<'_>> = needs.collect();
    let lacking = needs.iter().filter(|need| need.lacks > 0.0);
    if let Some(need) = lacking.max_by(|one, other| one.takes().total_cmp(&other.takes())) {
        return Some(Binding { why: Why::Limit(need.limit), goes_in: need.goes_in });
    }
    // Calls differ: the head wants more than is usual. A limit of which every call takes one does not hold it up.
    let others = needs.iter().filter(|need| !need.is_one);
    let nearest = others.min_by(|one, other| share_left(one.limit).total_cmp(&share_left(other.limit)));
    let why = nearest.map_or(Why::Unknown, |need| Why::Limit(need.limit));
    Some(Binding { why, goes_in: None })
}

/// What the head of a line needs of a limit.
struct Need<'a> {
    limit: &'a Limit,
    /// Whether every call takes one.
    is_one: bool,
    /// How much is missing; below zero is room.
    lacks: f64,
    goes_in: Option<f64>,
}

impl<'a> Need<'a> {
    fn of(flow: Option<&Flow>, limit: &'a Limit, resource: &Resource, grants: Option<f64>) -> Self {
        let is_one = matches!(limit.metric.as_str(), "requests" | "concurrent_requests");
        let told = resource.wanted(&limit.metric);
        let usual = || {
            let (spent, grants) = (flow?.rate()?, grants.filter(|grants| *grants > 0.0)?);
            Some(spent / grants)
        };
        let wanted = if is_one { 1.0 } else { told.or_else(usual).unwrap_or(1.0) };
        let lacks = wanted - signed(limit.left);
        let known = is_one || told.is_some();
        let refills = flow.and_then(|flow| flow.refills);
        let goes_in = match (limit.window_seconds, refills) {
            (Some(_), Some(false)) => limit.full_in_seconds,
            (Some(window), _) if known => Some(lacks.max(0.0) * window / count(limit.amount.max(1))),
            _ => None,
        };
        Self { limit, is_one, lacks, goes_in: goes_in.filter(|_| lacks > 0.0) }
    }

    fn takes(&self) -> f64 {
        if self.limit.is_concurrency() { CALL } else { self.goes_in.unwrap_or(0.0) }
    }
}

/// Returns which part of a limit is left, below zero in debt.
pub(crate) fn share_left(limit: &Limit) -> f64 {
    if limit.most == 0 { 0.0 } else { signed(limit.left) / count(limit.most) }
}

/// Says what binds now and who waits, of the whole store.
pub(crate) fn headline(history: &History, sample: &Sample) -> String {
    let all = sample
        .ledgers
        .iter()
        .flat_map(|ledger| ledger.resources.iter().map(move |resource| (ledger, resource)));
    let mut lines: Vec<(&Ledger, &Resource, Binding<'_>)> = all
        .filter_map(|(ledger, resource)| Some((ledger, resource, binding(history, ledger, resource)?)))
        .collect();
    lines.sort_by(|one, other| {
        let oldest = |resource: &Resource| resource.oldest().unwrap_or(0.0);
        oldest(other.1).total_cmp(&oldest(one.1)).then(other.1.waiting.cmp(&one.1.waiting))
    });
    let Some((_, resource, binding)) = lines.first() else { return nobody(sample) };
    let mut text = sentence(resource, *binding);
    match lines.len() - 1 {
        0 => {}
        1 => text.push_str("; 1 more resource has a line"),
        more => {
            let _ = write!(text, "; {more} more resources have lines");
        }
    }
    text
}

/// Says what the line of a resource waits for, and who waits.
pub(crate) fn sentence(resource: &Resource, binding: Binding<'_>) -> String {
    let name = &resource.name;
    let what = match binding.why {
        Why::HeldOff(left) => {
            format!("{name} waits for sessions to report: goes on in {}", lasting(left))
        }
        Why::Paused(Some(left)) => format!("{name} is paused for {}", lasting(left)),
        Why::Paused(None) => format!("{name} is paused until it is resumed"),
        Why::LimitPaused(limit) => {
            let until = limit
                .paused_for_seconds
                .map_or_else(|| "until it is resumed".to_owned(), |left| format!("for {}", lasting(left)));
            format!("{name} waits: {} is paused {until}", spoken(limit.short(name)))
        }
        Why::Limit(limit) => format!("{name} waits for {}", bound(limit, name)),
        Why::Unknown => format!("{name} has a line"),
    };
    let oldest =
        resource.oldest().map_or_else(String::new, |oldest| format!(", the oldest {}", lasting(oldest)));
    format!("{what}; {}{oldest}", wait(resource.waiting))
}

/// Says how a limit stands that is waited for.
fn bound(limit: &Limit, resource: &str) -> String {
    let name = spoken(limit.short(resource));
    if limit.is_concurrency() {
        return format!("{name}: {} of {} in flight", grouped(limit.used), grouped(limit.most));
    }
    let left = short(signed(limit.left));
    let of = short(count(limit.most));
    match limit.full_in_seconds {
        Some(full) => format!("{name}: {left} of {of} left, full again in {}", lasting(full)),
        None => format!("{name}: {left} of {of} left, {} reserved by calls", short(count(limit.held))),
    }
}

fn nobody(sample: &Sample) -> String {
    let paused = sample.resources().find(|resource| resource.paused);
    if let Some(resource) = paused {
        let until = resource
            .paused_for_seconds
            .map_or_else(|| "until it is resumed".to_owned(), |left| format!("for {}", lasting(left)));
        return format!("{} is paused {until}; nobody waits", resource.name);
    }
    let all =
        sample.resources().flat_map(|resource| resource.limits.iter().map(move |limit| (resource, limit)));
    let used = all.filter(|(_, limit)| limit.used + limit.held > 0 && limit.most > 0);
    let nearest = used.min_by(|one, other| share_left(one.1).total_cmp(&share_left(other.1)));
    match nearest {
        None if sample.resources().next().is_none() => "There are no resources yet".to_owned(),
        None => "Nobody waits, and nothing is in use".to_owned(),
        Some((resource, limit)) => {
            let taken = 100.0 * (1.0 - share_left(limit));
            let name = spoken(limit.short(&resource.name));
            format!("Nobody waits; nearest its limit is {} with {taken:.0} % of {name} taken", resource.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixed;
    use super::*;

    fn said(resource: Resource) -> String {
        headline(&History::default(), &fixed::of(vec![resource]))
    }

    fn limits(tokens: u64, requests: u64, in_flight: u64) -> Vec<Limit> {
        vec![
            fixed::limit("requests_per_minute", 500, Some(60.0), requests),
            fixed::limit("tokens_per_minute", 30_000, Some(60.0), tokens),
            fixed::limit("concurrent_requests", 4, None, in_flight),
        ]
    }

    #[test]
    fn it_is_said_which_limit_binds_and_who_waits() {
        let waits = || vec![fixed::lane(None, 12, 0)];
        let of = |limits| said(fixed::resource("gpt", limits, waits()));
        assert_eq!(
            of(limits(30_100, 500, 1)),
            "gpt waits for requests per minute: 0 of 500 left, full again in 60 s; 12 wait, the oldest 10 s"
        );
        assert_eq!(
            of(limits(30_100, 100, 1)),
            "gpt waits for tokens per minute: -100 of 30.0k left, full again in 61 s; 12 wait, the oldest 10 s"
        );
        assert!(of(limits(0, 0, 4)).starts_with("gpt waits for concurrent requests: 4 of 4 in flight"));
        assert!(
            of(limits(27_000, 499, 3)).contains("tokens per minute: 3,000 of 30.0k left"),
            "calls differ"
        );
        assert_eq!(of(Vec::new()), "gpt has a line; 12 wait, the oldest 10 s");
    }

    #[test]
    fn what_those_who_wait_want_decides_where_it_is_known() {
        let mut lane = fixed::lane(None, 2, 0);
        lane.demand = vec![("tokens".to_owned(), 8_000)];
        let resource = fixed::resource("gpt", limits(27_000, 1, 4), vec![lane]);
        let sample = fixed::of(vec![resource]);
        let ledger = &sample.ledgers[0];
        let binding = binding(&History::default(), ledger, &ledger.resources[0]).unwrap();
        let Why::Limit(limit) = binding.why else { panic!("{binding:?}") };
        assert_eq!(limit.metric, "concurrent_requests", "1,000 tokens come back sooner than a call ends");
        assert_eq!(binding.goes_in, None);
    }

    #[test]
    fn pauses_come_before_limits() {
        let mut resource = fixed::resource("gpt", limits(30_000, 0, 0), vec![fixed::lane(None, 1, 0)]);
        resource.limits[0].paused = true;
        assert_eq!(
            said(resource.clone()),
            "gpt waits: requests per minute is paused until it is resumed; 1 waits, the oldest 10 s"
        );
        resource.paused = true;
        resource.paused_for_seconds = Some(48.0);
        assert_eq!(said(resource.clone()), "gpt is paused for 48 s; 1 waits, the oldest 10 s");
        resource.waiting = 0;
        assert_eq!(said(resource), "gpt is paused for 48 s; nobody waits");
    }

    #[test]
    fn where_nobody_waits_it_is_said_what_is_nearest() {
        assert_eq!(
            said(fixed::resource("gpt", limits(15_000, 10, 0), Vec::new())),
            "Nobody waits; nearest its limit is gpt with 50 % of tokens per minute taken"
        );
        assert_eq!(
            said(fixed::resource("gpt", limits(0, 0, 0), Vec::new())),
            "Nobody waits, and nothing is in use"
        );
        assert_eq!(said_of_nothing(), "There are no resources yet");
    }

    fn said_of_nothing() -> String {
        headline(&History::default(), &Sample::default())
    }
}
