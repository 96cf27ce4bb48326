//! Turns a configuration into what ledgers are told.

mod account;
mod lanes;
mod limit;
mod names;
mod own;
mod window;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use paceline_core::{
    Command, Configuration, LaneSpec, Lanes, Ledger, LimitSpec, Member, Metric, Name, Outcome, ResourceSpec,
    SpecError,
};

use super::compiled::{Compiled, CompiledLedger, CompiledResource};
use super::error::{ConfigError, Fault, Problem};
use super::limit::Limit;
use super::model::{Config, Lane, Resource};
use super::reader::{MAX_PROBLEMS, path_text};
use super::source::{Step, struck_out};
use super::units::Share;
use crate::provider::Profile;

/// A configuration on its way to the ledgers, and what was found wrong with it.
pub(super) struct Compiler<'a> {
    config: &'a Config,
    now: u64,
    problems: Vec<Problem>,
}

/// The longest name, in bytes.
const MAX_NAME: usize = 200;

/// The most metrics of a ledger.
const MAX_METRICS: usize = 1_000;

/// Where something is said, from the outside in.
type Path = Vec<Step>;

/// A ledger that is being put together.
struct Draft<'a> {
    name: String,
    revision: u64,
    limits: Vec<Planned<'a>>,
    /// Which of the limits are those of a shared name.
    shared: BTreeMap<&'a str, Range<usize>>,
    resources: Vec<Drafted<'a>>,
}

/// A resource that is being put together.
struct Drafted<'a> {
    compiled: CompiledResource,
    lanes: &'a [Lane],
    max_waiting: Option<u64>,
}

/// A limit, and all that it takes to make a specification of it.
struct Planned<'a> {
    id: String,
    limit: &'a Limit,
    /// From which share on it is told to be near.
    warn_at: Option<Share>,
    profile: Arc<Profile>,
    usable: Share,
    members: Vec<Member>,
    path: Path,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(config: &'a Config, now: u64) -> Self {
        Self { config, now, problems: Vec::new() }
    }

    pub(super) fn run(mut self) -> Result<Compiled, ConfigError> {
        let config = self.config;
        let mut drafts = Vec::new();
        for (name, account) in &config.accounts {
            drafts.extend(self.account(name, account));
        }
        let mut places: HashMap<String, usize> =
            drafts.iter().enumerate().map(|(place, draft)| (draft.name.clone(), place)).collect();
        for (name, own) in &config.resources {
            self.own(name, own, &mut drafts, &mut places);
        }
        self.check_names(&drafts);
        let ledgers = drafts.into_iter().map(|draft| self.ledger(draft)).collect();
        let unknown = self.unknown();
        ConfigError::of(self.problems)?;
        Ok(Compiled { ledgers, unknown })
    }

    /// Returns an empty ledger.
    fn empty(&self, name: &str) -> Draft<'a> {
        Draft {
            name: name.to_owned(),
            revision: self.config.revision,
            limits: Vec::new(),
            shared: BTreeMap::new(),
            resources: Vec::new(),
        }
    }

    fn fault(&mut self, path: &[Step], mut fault: Fault) {
        if let Fault::UnknownName { name, .. } = &mut fault {
            *name = struck_out(name);
        }
        if self.problems.len() < MAX_PROBLEMS {
            let location = self.config.source.as_ref().map(|source| source.locate(path));
            self.problems.push(Problem { fault, path: path_text(path), location });
        }
    }

    fn ledger(&mut self, draft: Draft<'a>) -> CompiledLedger {
        let lanes: HashMap<&str, &[Lane]> =
            draft.resources.iter().map(|drafted| (drafted.compiled.name.as_str(), drafted.lanes)).collect();
        let (mut limits, mut warn_at) = (Vec::<LimitSpec>::new(), Vec::new());
        for planned in &draft.limits {
            // What nobody draws on is checked all the same, and no ledger needs it.
            for spec in self.specs(planned).into_iter().filter(|spec| !spec.members.is_empty()) {
                warn_at.extend(planned.warn_at.map(|share| (Name::clone(&spec.id), share)));
                let derived = self.derived(&spec, &lanes, &planned.path);
                let all = std::iter::once(spec).chain(derived);
                limits.extend(all.inspect(|spec| self.try_out(spec, &planned.path)));
            }
        }
        if self.problems.is_empty() {
            self.check_together(&limits);
        }
        let resources = draft.resources.iter().map(resource_spec);
        let configuration = Configuration::new(limits, resources);
        let resources = draft.resources.into_iter().map(|drafted| drafted.compiled).collect();
        CompiledLedger { name: draft.name, revision: draft.revision, configuration, resources, warn_at }
    }

    /// Tells a ledger of a limit, so that what compiles is taken over.
    fn try_out(&mut self, spec: &LimitSpec, path: &Path) {
        let one: Vec<Member> = spec.members.iter().take(1).cloned().collect();
        let resources: Vec<ResourceSpec> =
            one.iter().map(|member| ResourceSpec::new(&member.resource)).collect();
        let alone = LimitSpec { members: one, ..LimitSpec::clone(spec) };
        let command = Command::configure(Configuration::new([alone], resources));
        if let Outcome::Invalid(error) = Ledger::new().apply(self.now, command) {
            self.fault(path, Fault::Unworkable { error });
        }
    }

    /// Checks what no limit shows by itself.
    fn check_together(&mut self, limits: &[LimitSpec]) {
        let mut ids = HashSet::new();
        if let Some(twice) = limits.iter().find(|limit| !ids.insert(&limit.id)) {
            let error = SpecError::Duplicate { id: twice.id.clone() };
            self.fault(&[], Fault::Unworkable { error });
        }
        let named = limits.iter().filter(|limit| Metric::known(&limit.metric).is_none());
        let mut metrics: BTreeMap<&str, &LimitSpec> = named.map(|limit| (&*limit.metric, limit)).collect();
        let count = metrics.len() + Metric::KNOWN.len();
        if let Some((_, limit)) = metrics.pop_last().filter(|_| count > MAX_METRICS) {
            let (value, most) = (count as u64, MAX_METRICS as u64);
            let error = SpecError::TooLarge { id: limit.id.clone(), field: "metrics", value, most };
            self.fault(&[], Fault::Unworkable { error });
        }
    }

    /// Names go into keys of stores and lines of logs.
    fn check_name(&mut self, name: &str, path: &[Step]) {
        let strange = |letter: char| letter.is_control() || matches!(letter, '{' | '}');
        if name.is_empty() || name.len() > MAX_NAME || name.contains(strange) {
            let expected =
                format!("a name of at most {MAX_NAME} bytes, without braces and control characters");
            let found = format!("`{}`", name.chars().take(MAX_NAME).collect::<String>().escape_debug());
            self.fault(path, Fault::Mismatch { expected, found });
        }
    }

    /// Checks a resource in itself, and returns it with its name.
    fn draft(
        &mut self,
        name: &str,
        resource: &'a Resource,
        profile: Arc<Profile>,
        path: &Path,
    ) -> Drafted<'a> {
        self.check_lanes(resource, path);
        self.check_bound(resource.max_waiting, path);
        let compiled = CompiledResource { name: name.to_owned(), aliases: Vec::new(), profile };
        Drafted { compiled, lanes: &resource.lanes, max_waiting: resource.max_waiting }
    }

    fn check_bound(&mut self, max_waiting: Option<u64>, path: &Path) {
        let most = super::read::MAX_WAITING;
        if let Some(found) = max_waiting.filter(|tickets| !(1..=most).contains(tickets)) {
            let what = "how many may wait";
            let fault = Fault::OutOfRange { what, found: found.to_string(), least: 1, most };
            self.fault(&joined(path, Step::Key("max_waiting".to_owned())), fault);
        }
    }
}

fn resource_spec(drafted: &Drafted<'_>) -> ResourceSpec {
    let mut spec = ResourceSpec::new(&drafted.compiled.name);
    if let Some(tickets) = drafted.max_waiting {
        spec = spec.line_max(u32::try_from(tickets).unwrap_or(u32::MAX));
    }
    drafted.lanes.iter().fold(spec, |spec, lane| {
        let weight = lane.weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1);
        spec.lane(
            LaneSpec::new(&lane.name)
                .priority(lane.priority)
                .weight(weight)
                .max_head_start(lane.max_head_start),
        )
    })
}

/// Adds a resource to those that draw on a limit; one that was added just before draws with the lanes of both.
fn join(members: &mut Vec<Member>, member: Member) {
    let Some(there) = members.last_mut().filter(|last| last.resource == member.resource) else {
        return members.push(member);
    };
    match (&mut there.lanes, member.lanes) {
        (Lanes::Only(lanes), Lanes::Only(more)) => {
            lanes.extend(more);
            lanes.sort();
            lanes.dedup();
        }
        (all, _) => *all = Lanes::All,
    }
}

/// Returns the path with one more step.
fn joined(path: &[Step], step: Step) -> Path {
    let mut longer = path.to_vec();
    longer.push(step);
    longer
}

/// Returns the path of a limit among others.
fn limit_path(path: &[Step], index: usize, limit: &Limit) -> Path {
    joined(path, Step::Limit(index, limit.name()))
}
