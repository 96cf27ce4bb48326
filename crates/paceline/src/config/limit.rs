//! One limit as it is said: a metric, an amount, a window, and what the profile is not to decide.

use paceline_core::{Counting, Millis};

use super::units::Share;

/// One constraint of a resource, or one that several share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The name, where it is not to be made of metric and window.
    pub id: Option<String>,
    /// What is counted.
    pub metric: String,
    /// How much there is, per window or in flight.
    pub amount: u64,
    /// In what time.
    pub window: Window,
    /// How it comes back, where the profile is not to decide.
    pub style: Option<Style>,
    /// The most that a bucket saves up; the amount where it is not said.
    pub burst: Option<u64>,
    /// Into how many parts a sliding window is divided.
    pub slots: Option<u64>,
    /// The time zone of a day, week or month.
    pub zone: Option<String>,
    /// When a call counts, where the profile is not to decide.
    pub counts: Option<Counting>,
    /// Charged and never asked.
    pub shadow: bool,
    /// From which share of it on it is told to be near, where the resource is not to say.
    pub warn_at: Option<Share>,
    /// The spread between the fastest and the slowest way to the provider, in milliseconds.
    pub transit: Option<Millis>,
    /// How near a boundary a call counts on both of its sides, in milliseconds.
    pub margin: Option<Millis>,
    /// The lanes that draw on it; empty for all.
    pub lanes: Vec<String>,
}

/// The time in which an amount comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// This many milliseconds.
    Lasting(Millis),
    /// A day, week or month: of the calendar in a fixed window, else as long as the longest of them.
    Calendar(Calendar),
    /// From one of these instants (milliseconds since the Unix epoch, ascending) to the next.
    Between(Vec<Millis>),
    /// As long as the call lasts.
    InFlight,
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calendar {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first to the first.
    Month,
}

/// How an amount comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Continuously, up to a burst.
    TokenBucket,
    /// Each part of the window as it leaves.
    SlidingWindow,
    /// All at each boundary.
    FixedWindow,
    /// When the call ends.
    Concurrency,
}

impl Limit {
    /// Returns a limit of this amount per window.
    pub fn new(metric: &str, amount: u64, window: Window) -> Self {
        Self {
            id: None,
            metric: metric.to_owned(),
            amount,
            window,
            style: None,
            burst: None,
            slots: None,
            zone: None,
            counts: None,
            shadow: false,
            warn_at: None,
            transit: None,
            margin: None,
            lanes: Vec::new(),
        }
    }

    /// Returns a limit of this amount a second.
    pub fn per_second(metric: &str, amount: u64) -> Self {
        Self::new(metric, amount, Window::Lasting(1_000))
    }

    /// Returns a limit of this amount a minute.
    pub fn per_minute(metric: &str, amount: u64) -> Self {
        Self::new(metric, amount, Window::Lasting(60_000))
    }

    /// Returns a limit of this amount an hour.
    pub fn per_hour(metric: &str, amount: u64) -> Self {
        Self::new(metric, amount, Window::Lasting(3_600_000))
    }

    /// Returns a limit of this amount a day.
    pub fn per_day(metric: &str, amount: u64) -> Self {
        Self::new(metric, amount, Window::Calendar(Calendar::Day))
    }

    /// Returns a limit of this amount a month.
    pub fn per_month(metric: &str, amount: u64) -> Self {
        Self::new(metric, amount, Window::Calendar(Calendar::Month))
    }

    /// Returns a limit of this many calls in flight.
    pub fn concurrent(amount: u64) -> Self {
        Self::new("concurrent_requests", amount, Window::InFlight)
    }

    /// Returns the name of the limit within its resource: what was said, or the short form of metric and window.
    ///
    /// ```
    /// use paceline::config::Limit;
    ///
    /// assert_eq!(Limit::per_minute("tokens", 30_000).name(), "tokens_per_minute");
    /// ```
    pub fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| super::short::key(&self.metric, &self.window))
    }

    /// Names the limit.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Says how it comes back.
    #[must_use]
    pub fn style(mut self, style: Style) -> Self {
        self.style = Some(style);
        self
    }

    /// Sets the most that a bucket saves up.
    #[must_use]
    pub fn burst(mut self, burst: u64) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Sets into how many parts a sliding window is divided.
    #[must_use]
    pub fn slots(mut self, slots: u64) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Sets the time zone of a day, week or month.
    #[must_use]
    pub fn zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.to_owned());
        self
    }

    /// Says when a call counts.
    #[must_use]
    pub fn counts(mut self, counting: Counting) -> Self {
        self.counts = Some(counting);
        self
    }

    /// Charges the limit without ever asking it.
    #[must_use]
    pub fn shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    /// Tells when this share of it is used.
    #[must_use]
    pub fn warn_at(mut self, share: Share) -> Self {
        self.warn_at = Some(share);
        self
    }

    /// Sets the spread of the ways to the provider, in milliseconds.
    #[must_use]
    pub fn transit(mut self, transit: Millis) -> Self {
        self.transit = Some(transit);
        self
    }

    /// Sets how near a boundary a call counts on both of its sides, in milliseconds.
    #[must_use]
    pub fn margin(mut self, margin: Millis) -> Self {
        self.margin = Some(margin);
        self
    }

    /// Lets this lane draw on it, and those alone of which that is said.
    #[must_use]
    pub fn lane(mut self, lane: &str) -> Self {
        self.lanes.push(lane.to_owned());
        self
    }
}
