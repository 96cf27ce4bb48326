//! What happened, a line each, the newest last: many of a kind at about one time are one line.

use std::collections::VecDeque;

use serde_json::Value;

use super::words::{lasting, short};
use crate::text::grouped;

/// An event as a source tells it: what `GET /v1/events` sends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct News {
    /// Its kind, as in `granted`.
    pub(crate) name: String,
    /// Its facts.
    pub(crate) data: Value,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// What happens all the time.
    Usual,
    /// What somebody did, or what should be known.
    Notable,
    /// What is wrong.
    Bad,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The time of day, UTC.
    pub(crate) time: String,
    pub(crate) name: String,
    /// The resource or the limit that it is about.
    pub(crate) about: String,
    pub(crate) detail: String,
    pub(crate) count: u64,
    pub(crate) weight: Weight,
    /// The longest wait of those in it, in seconds.
    waited: f64,
    /// Units that went back.
    returned: u64,
}

/// The last lines.
#[derive(Debug, Default)]
pub(crate) struct Log(VecDeque<Entry>);

const KEPT: usize = 500;

/// Among how many of the last lines one of the same kind is looked for.
const NEAR: usize = 24;

impl Log {
    /// Takes in an event.
    pub(crate) fn take(&mut self, news: &News) {
        let data = &news.data;
        let entry = entry(&news.name, data);
        self.put(entry);
    }

    /// Adds a line of our own.
    pub(crate) fn note(&mut self, time: &str, name: &str, about: &str, detail: String, weight: Weight) {
        self.put(Entry { time: time_of_day(time), detail, weight, ..blank(name, about) });
    }

    /// Adds grants that were seen by their count alone.
    pub(crate) fn granted(&mut self, time: &str, resource: &str, count: u64) {
        self.put(Entry { time: time_of_day(time), count, ..blank("granted", resource) });
    }

    fn put(&mut self, mut entry: Entry) {
        // Usual things go together for ten seconds, so that they do not push out what matters.
        let together = if entry.weight == Weight::Usual { 7 } else { 8 };
        let same = |other: &&mut Entry| {
            other.time.get(..together) == entry.time.get(..together)
                && other.name == entry.name
                && other.about == entry.about
        };
        let merges = entry.weight == Weight::Usual || entry.name == "refused";
        if let Some(other) = self.0.iter_mut().rev().take(NEAR).find(same).filter(|_| merges) {
            other.count += entry.count;
            other.waited = other.waited.max(entry.waited);
            other.returned += entry.returned;
            other.detail = if entry.name == "refused" { entry.detail } else { other.said() };
            return;
        }
        if is_pause(&entry.name) {
            // Seen and told: it happened once.
            let last = self.0.iter().rev().find(|other| is_pause(&other.name) && other.about == entry.about);
            if last.is_some_and(|last| last.name == entry.name) {
                return;
            }
        }
        if entry.weight == Weight::Usual {
            entry.detail = entry.said();
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Iterates over the lines, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().rev()
    }
}

impl Entry {
    fn said(&self) -> String {
        let many = if self.count > 1 { format!("{} calls", grouped(self.count)) } else { String::new() };
        let more = match self.name.as_str() {
            "granted" if self.waited >= 0.05 => format!("waited {}", up_to(self.count, self.waited)),
            "settled" if self.returned > 0 => {
                #[expect(clippy::cast_precision_loss, reason = "what is shown has fewer digits")]
                let returned = short(self.returned as f64);
                format!("{returned} units went back")
            }
            _ => String::new(),
        };
        let parts: Vec<&str> = [many.as_str(), &more].into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }
}

fn up_to(count: u64, waited: f64) -> String {
    if count > 1 { format!("up to {}", lasting(waited)) } else { lasting(waited) }
}

fn is_pause(name: &str) -> bool {
    name == "paused" || name == "resumed"
}

fn blank(name: &str, about: &str) -> Entry {
    Entry {
        time: String::new(),
        name: name.to_owned(),
        about: about.to_owned(),
        detail: String::new(),
        count: 1,
        weight: Weight::Usual,
        waited: 0.0,
        returned: 0,
    }
}

fn entry(name: &str, data: &Value) -> Entry {
    let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
    let about = ["resource", "target", "ledger", "store", "limit"]
        .map(text)
        .into_iter()
        .find(|name| !name.is_empty());
    let returned = data["returned"].as_object().map_or(0, |amounts| {
        amounts
            .iter()
            .filter(|(metric, _)| metric.ends_with("tokens"))
            .filter_map(|(_, sum)| sum.as_u64())
            .sum()
    });
    let mut entry = Entry {
        time: time_of_day(&text("at")),
        waited: data["waited_seconds"].as_f64().unwrap_or(0.0),
        returned,
        ..blank(name, &about.unwrap_or_default())
    };
    (entry.weight, entry.detail) = match name {
        "granted" | "settled" | "queued" | "cancelled" => (Weight::Usual, String::new()),
        "refused" => (Weight::Bad, reason(&text("reason"), &entry.about)),
        "paused" => (Weight::Notable, for_so_long(data["lasting_seconds"].as_f64())),
        "long-wait" => {
            let limit = data["limit"].as_str().map_or_else(String::new, |limit| format!(" for {limit}"));
            (Weight::Notable, format!("the first has waited {}{limit}", lasting(entry.waited)))
        }
        "near-limit" => (Weight::Notable, format!("{} of {} used", data["used"], data["most"])),
        "lost" => (Weight::Notable, format!("{} events were not seen", data["events"])),
        "store-lost" | "configuration-refused" => (Weight::Bad, text("reason")),
        "state-lost" | "session-expired" | "lease-ended" => (Weight::Bad, String::new()),
        _ => (Weight::Notable, text("reason")),
    };
    entry
}

/// Says how long a pause is.
pub(crate) fn for_so_long(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "until it is resumed".to_owned(), |seconds| format!("for {}", lasting(seconds)))
}

/// Returns a reason without the name that stands beside it.
fn reason(text: &str, about: &str) -> String {
    let rest = text.strip_prefix(about).and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(text).replace(&format!("{about}: "), "").replace(&format!("{about}/"), "")
}

/// Returns the time of day of an instant that is written by RFC 3339.
pub(crate) fn time_of_day(at: &str) -> String {
    at.get(11..19).unwrap_or("--:--:--").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(log: &mut Log, name: &str, second: u32, mut data: Value) {
        data["at"] = json!(format!("2026-11-22T12:31:{second:02}.000Z"));
        log.take(&News { name: name.to_owned(), data });
    }

    fn lines(log: &Log) -> Vec<String> {
        let line = |entry: &Entry| format!("{} {} {}: {}", entry.time, entry.name, entry.about, entry.detail);
        log.newest().map(line).collect()
    }

    #[test]
    fn many_of_a_kind_at_about_one_time_are_one_line() {
        let mut log = Log::default();
        for waited in [0.5, 3.2, 1.0] {
            told(&mut log, "granted", 4, json!({"resource": "gpt", "waited_seconds": waited}));
            told(&mut log, "settled", 4, json!({"returned": {"tokens": 500, "requests": 1}}));
        }
        told(&mut log, "granted", 10, json!({"resource": "gpt", "waited_seconds": 0.0}));
        let is = [
            "12:31:10 granted gpt: ",
            "12:31:04 settled : 3 calls, 1,500 units went back",
            "12:31:04 granted gpt: 3 calls, waited up to 4 s",
        ];
        assert_eq!(lines(&log), is);
    }

    #[test]
    fn what_is_seen_and_told_is_one_line() {
        let mut log = Log::default();
        log.note("2026-11-22T12:31:04Z", "paused", "gpt", "for 60 s".to_owned(), Weight::Notable);
        told(&mut log, "paused", 4, json!({"target": "gpt", "lasting_seconds": 60}));
        told(&mut log, "resumed", 5, json!({"target": "gpt"}));
        told(&mut log, "paused", 6, json!({"target": "gpt", "lasting_seconds": 60}));
        assert_eq!(lines(&log).len(), 3, "{:?}", lines(&log));
    }

    #[test]
    fn reasons_are_kept_and_names_not_repeated() {
        let mut log = Log::default();
        let reason = "busy: gpt: 900 wanted of limit gpt/tokens_per_minute, 100 left";
        told(&mut log, "refused", 4, json!({"resource": "gpt", "reason": reason}));
        told(&mut log, "long-wait", 4, json!({"resource": "gpt", "waited_seconds": 30.0, "limit": "tpm"}));
        told(&mut log, "lost", 4, json!({"events": 7}));
        let is = [
            "12:31:04 lost : 7 events were not seen",
            "12:31:04 long-wait gpt: the first has waited 30 s for tpm",
            "12:31:04 refused gpt: busy: 900 wanted of limit tokens_per_minute, 100 left",
        ];
        assert_eq!(lines(&log), is);
        for second in 0..600 {
            told(&mut log, "configured", second % 60, json!({}));
        }
        assert_eq!(lines(&log).len(), KEPT);
    }
}
