//! What a provider counts, how much of it is reserved, and what a settlement charges.

use std::sync::Arc;

use paceline_core::{Counting, Metric, Millis, Name};

use super::builtin;
use super::call::{Call, Charges, Usage};
use super::formula::{Formula, Quantity};

/// How one provider counts: data alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The provider's name, as in configurations.
    pub name: String,
    /// Other names by which configurations know it.
    pub also: Vec<String>,
    /// What a call draws on, a rule for each metric.
    pub rules: Vec<Rule>,
    /// How an amount comes back.
    pub windows: Windows,
    /// Shorter windows in which a part of a minute's amount is enforced.
    pub sub_windows: Vec<SubWindow>,
    /// The spread between the fastest and the slowest way of a call, in milliseconds.
    pub transit: Millis,
    /// How near a calendar boundary a call counts on both of its sides, in milliseconds.
    pub margin: Millis,
    /// How much output is reserved.
    pub reserve: Reserve,
    /// The output tokens of a call that does not say how many there may be.
    pub unstated_output: u64,
    /// How many tokens one of output counts for, by model; globs, the first that matches.
    pub burndown: Vec<(String, u64)>,
    /// That of the model at hand.
    pub(crate) burn: u64,
}

/// How one metric is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The metric.
    pub metric: Name,
    /// What is reserved.
    pub reserve: Formula,
    /// What is charged in the end; `None` where the provider returns nothing.
    pub settle: Option<Formula>,
    /// When it counts.
    pub counts: Counting,
    /// The metric, where every ledger knows it.
    pub(crate) known: Option<Metric>,
}

/// How an amount comes back, by the length of its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// Windows shorter than a day.
    pub short: Return,
    /// A day.
    pub day: Return,
    /// Longer ones.
    pub long: Return,
}

/// How an amount comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Return {
    /// Continuously.
    TokenBucket,
    /// As it leaves the window; also where a provider does not say.
    SlidingWindow,
    /// At midnight, or the first of the month, of this time zone.
    FixedWindow {
        /// The time zone's name.
        zone: String,
    },
}

/// A window in which a part of the amount of a longer one is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubWindow {
    /// The metric.
    pub metric: Name,
    /// The length, in milliseconds.
    pub window: Millis,
}

/// How much output a call reserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// The most that there may be.
    #[default]
    Max,
    /// What is expected, else a quarter of the most.
    Expected,
}

impl Profile {
    /// Returns the built-in profile of this name.
    ///
    /// ```
    /// use paceline::provider::Profile;
    ///
    /// assert!(Profile::named("anthropic").is_some());
    /// assert_eq!(Profile::named("azure_openai").map(|profile| profile.name.clone()), Some("azure".to_owned()));
    /// assert!(Profile::named("antropic").is_none());
    /// ```
    pub fn named(name: &str) -> Option<Arc<Self>> {
        builtin::profiles().iter().find(|profile| profile.is_called(name)).cloned()
    }

    /// Returns the names of the built-in profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        builtin::profiles().iter().map(|profile| profile.name.as_str())
    }

    /// Returns the profile of resources that have no provider: counted at the grant, returned in full, no transit.
    pub fn plain() -> Arc<Self> {
        Self::named("plain").unwrap_or_else(|| Arc::new(Self::bare("plain")))
    }

    /// Returns whether this is one of the profile's names.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.also.iter().any(|also| also == name)
    }

    /// Returns what a call reserves, by metric.
    pub fn reserve(&self, call: &Call) -> Charges {
        let mut charges = Charges::default();
        for rule in &self.rules {
            if let Some(amount) = rule.reserve.value(|quantity| self.before(call, quantity)) {
                rule.name(&mut charges, amount);
            }
        }
        name_outright(&mut charges, &call.extra);
        charges
    }

    /// Returns what a settlement charges, by metric. What is not named is charged as it was reserved.
    pub fn settle(&self, usage: &Usage) -> Charges {
        let mut charges = Charges::default();
        for rule in &self.rules {
            let amount = rule.settle.as_ref().and_then(|formula| formula.value(|it| self.after(usage, it)));
            if let Some(amount) = amount {
                rule.name(&mut charges, amount);
            }
        }
        name_outright(&mut charges, &usage.extra);
        charges
    }

    /// Returns when a call counts against a limit of this metric.
    pub fn counting(&self, metric: &str) -> Counting {
        self.rules.iter().find(|rule| &*rule.metric == metric).map_or(Counting::AtGrant, |rule| rule.counts)
    }

    /// Returns the profile with the burn-down rate of this model, and another way to reserve where one is given.
    pub(crate) fn of_model(&self, model: &str, reserve: Option<Reserve>) -> Self {
        let rate = self.burndown.iter().find(|(glob, _)| crate::config::glob_matches(glob, model));
        Self {
            burn: rate.map_or(1, |(_, rate)| *rate),
            reserve: reserve.unwrap_or(self.reserve),
            ..self.clone()
        }
    }

    /// Returns the profile without its rules for metrics that neither every ledger knows nor these limits count.
    pub(crate) fn for_metrics<'a>(&self, counted: impl Iterator<Item = &'a str>) -> Self {
        let counted: Vec<&str> = counted.collect();
        let mut profile = self.clone();
        profile.rules.retain(|rule| rule.known.is_some() || counted.contains(&&*rule.metric));
        profile
    }

    /// Returns a profile that knows of no metric.
    pub(crate) fn bare(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            also: Vec::new(),
            rules: Vec::new(),
            windows: Windows {
                short: Return::SlidingWindow,
                day: Return::SlidingWindow,
                long: Return::SlidingWindow,
            },
            sub_windows: Vec::new(),
            transit: 0,
            margin: 0,
            reserve: Reserve::Max,
            unstated_output: 0,
            burndown: Vec::new(),
            burn: 1,
        }
    }

    fn before(&self, call: &Call, quantity: Quantity) -> Option<u64> {
        if quantity == Quantity::Call {
            return Some(1);
        }
        call.input_tokens.or(call.max_output_tokens).or(call.expected_output_tokens)?;
        let input = call.input_tokens.unwrap_or(0);
        let cached = call.cached_input_tokens.unwrap_or(0).min(input);
        Some(match quantity {
            Quantity::Call => 1,
            Quantity::Input => input,
            Quantity::InputEach => input.saturating_mul(choices(call)),
            Quantity::Cached => cached,
            Quantity::Uncached => input - cached,
            Quantity::Output => self.output(call),
            Quantity::MaxOutput => {
                call.max_output_tokens.unwrap_or(self.unstated_output).saturating_mul(choices(call))
            }
            Quantity::BurnedOutput => self.output(call).saturating_mul(self.burn),
        })
    }

    fn output(&self, call: &Call) -> u64 {
        let (most, expected) = (call.max_output_tokens, call.expected_output_tokens);
        let each = match self.reserve {
            Reserve::Max => most.or(expected).unwrap_or(self.unstated_output),
            Reserve::Expected => expected.unwrap_or(most.unwrap_or(self.unstated_output).div_ceil(4)),
        };
        each.saturating_mul(choices(call))
    }

    fn after(&self, usage: &Usage, quantity: Quantity) -> Option<u64> {
        let cached = usage.cached_input_tokens.unwrap_or(0);
        match quantity {
            Quantity::Call => Some(1),
            Quantity::Input | Quantity::InputEach => usage.input_tokens,
            Quantity::Cached => usage.input_tokens.map(|input| cached.min(input)),
            Quantity::Uncached => usage.input_tokens.map(|input| input.saturating_sub(cached)),
            Quantity::Output | Quantity::MaxOutput => usage.output_tokens,
            Quantity::BurnedOutput => usage.output_tokens.map(|output| output.saturating_mul(self.burn)),
        }
    }
}

impl Rule {
    fn name(&self, charges: &mut Charges, amount: u64) {
        match self.known {
            Some(known) => charges.known.set(known, amount),
            None => charges.set(&self.metric, amount),
        }
    }

    /// Returns whether the metric is one that every ledger knows.
    pub fn is_known(&self) -> bool {
        Metric::known(&self.metric).is_some()
    }
}

fn choices(call: &Call) -> u64 {
    call.choices.unwrap_or(1).max(1)
}

fn name_outright(charges: &mut Charges, extra: &[(Name, u64)]) {
    for (metric, amount) in extra {
        charges.set(metric, *amount);
    }
}
