//! The ledger of `paceline-core` as a subject: names become ids on the way in, and names again on the way out.

use std::collections::BTreeMap;

use paceline_core::{
    Acquire, Amounts, Command, Decision, Ledger, LimitId, Millis, Name, Refusal, ResourceId, Target,
};

use crate::exam::ask::{Answer, Ask, On, Subject, View, Want, Wants};

/// A ledger in memory, asked by name.
#[derive(Debug, Clone, Default)]
pub struct InMemory {
    /// The ledger.
    pub ledger: Ledger,
    resources: BTreeMap<String, ResourceId>,
    limits: BTreeMap<String, LimitId>,
    last: Millis,
}

impl InMemory {
    /// Returns an empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time of the last step.
    pub fn now(&self) -> Millis {
        self.last
    }

    fn amounts(&mut self, wants: &Wants) -> Amounts {
        let named = wants.iter().filter_map(|(name, amount)| Some((self.ledger.metric(name)?, *amount)));
        Amounts::of(named.collect::<Vec<_>>())
    }

    fn resource(&mut self, name: &str) -> Option<ResourceId> {
        let id = self.ledger.resource(name).or_else(|| self.resources.get(name).copied())?;
        self.resources.insert(name.into(), id);
        Some(id)
    }

    fn limit(&mut self, name: &str) -> Option<LimitId> {
        let id = self.ledger.limit(name).or_else(|| self.limits.get(name).copied())?;
        self.limits.insert(name.into(), id);
        Some(id)
    }

    fn target(&mut self, on: &On) -> Option<Target> {
        match on {
            On::Resource(name) => self.resource(name).map(Target::Resource),
            On::Limit(name) => self.limit(name).map(Target::Limit),
        }
    }

    fn acquire(&mut self, want: &Want) -> Option<Acquire> {
        let demand = self.amounts(&want.demand);
        let lane: Option<Name> = want.lane.as_deref().map(Name::from);
        Some(Acquire {
            lane,
            head_start: want.head_start,
            within: want.within,
            wait: want.wait,
            ..Acquire::new(want.ticket, self.resource(&want.resource)?, demand)
        })
    }

    /// Returns the command, `None` where it names what this ledger never knew.
    fn command(&mut self, ask: &Ask) -> Option<Command> {
        let lane_name = |lane: &Option<String>| lane.as_deref().map(Name::from);
        Some(match ask {
            Ask::Touch { session, time_out } => Command::Touch { session: *session, time_out: *time_out },
            Ask::Acquire(want) => Command::Acquire(self.acquire(want)?),
            Ask::Cancel { ticket } => Command::Cancel { ticket: *ticket },
            Ask::Settle { permit, usage } => {
                let usage = usage.as_ref().map(|usage| self.amounts(usage));
                let usage = usage.map_or(paceline_core::Usage::Nothing, paceline_core::Usage::Of);
                Command::Settle { permit: *permit, usage }
            }
            Ask::Amend { permit, reserve } => {
                Command::Amend { permit: *permit, reserve: self.amounts(reserve) }
            }
            Ask::Record { resource, lane, usage } => {
                let usage = self.amounts(usage);
                Command::Record { resource: self.resource(resource)?, lane: lane_name(lane), usage }
            }
            Ask::Transfer { permit, to, time_out } => {
                Command::Transfer { permit: *permit, to: *to, time_out: *time_out }
            }
            Ask::Observe { limit, remaining, amount } => {
                Command::Observe { limit: self.limit(limit)?, remaining: *remaining, amount: *amount }
            }
            Ask::Pause { on, lasting, refuse } => {
                Command::Pause { target: self.target(on)?, lasting: *lasting, refuse: *refuse }
            }
            Ask::Resume { on } => Command::Resume { target: self.target(on)? },
            Ask::Purge { resource, lane } => {
                Command::Purge { resource: self.resource(resource)?, lane: lane_name(lane) }
            }
            Ask::Configure(configuration) => Command::configure(configuration.clone()),
            Ask::Close { session } => Command::Close { session: *session },
        })
    }
}

impl Subject for InMemory {
    fn batch(&mut self, now: Millis, asks: &[Ask]) -> Vec<Answer> {
        self.last = now;
        let commands: Vec<Option<Command>> = asks.iter().map(|ask| self.command(ask)).collect();
        let known = commands.iter().flatten().cloned().collect::<Vec<_>>();
        let mut outcomes = self.ledger.batch(now, known).into_iter();
        for configuration in asks.iter().filter_map(|ask| match ask {
            Ask::Configure(configuration) => Some(configuration),
            _ => None,
        }) {
            for resource in &configuration.resources {
                self.resource(&resource.name);
            }
            for limit in &configuration.limits {
                self.limit(&limit.id);
            }
        }
        let ledger = &self.ledger;
        let answer = |outcome| Answer::of(outcome, |metric| ledger.metric_name(metric).to_string());
        let unknown = || Answer::Refused(Refusal::NoResource);
        let answers = commands.iter().map(|command| match command {
            Some(_) => outcomes.next().map_or_else(unknown, answer),
            None => unknown(),
        });
        answers.collect()
    }

    fn next_wakeup(&mut self) -> Option<Millis> {
        self.ledger.next_wakeup()
    }

    fn drain(&mut self) -> Vec<Decision> {
        self.ledger.drain().collect()
    }

    fn view(&mut self, now: Millis) -> View {
        View::of(&self.ledger.snapshot(now))
    }

    fn dump(&mut self) -> Option<String> {
        Some(self.ledger.dump())
    }
}
