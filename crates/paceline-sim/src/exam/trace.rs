//! Traces: cases as text that reads like a story, run on every store. `traces/README.md` describes the syntax.

use std::collections::{BTreeSet, VecDeque};

use paceline_core::{Configuration, Decision, Millis, SessionId};

use crate::exam::ask::{Answer, Ask, Subject, View};
use crate::exam::script::{self, Line};
use crate::exam::{parts, words};

/// Wake-ups that may follow each other within one passing of time, before a store counts as restless.
const RESTLESS: usize = 20_000;

/// Runs the trace `text` on a store; an error says where in `file`, what was expected, and what happened.
pub fn run(file: &str, text: &str, subject: &mut dyn Subject) -> Result<(), String> {
    let mut story = Story {
        subject,
        now: 0,
        open: BTreeSet::new(),
        strangers: BTreeSet::new(),
        building: Configuration::default(),
        batch: None,
        decided: VecDeque::new(),
    };
    let mut last = 0;
    for (index, raw) in text.lines().enumerate() {
        let said = raw.split('#').next().unwrap_or_default();
        let at = |error: String| format!("{file}:{}: {error}\n    {}", index + 1, said.trim());
        last = index + 1;
        if said.trim().is_empty() {
            continue;
        }
        let line = script::read(said.trim()).map_err(at)?;
        if !said.starts_with(' ') {
            story.end_batch().map_err(|error| format!("{file}:{index}: {error}"))?;
        }
        story.tell(line).map_err(at)?;
    }
    story.end_batch().map_err(|error| format!("{file}:{last}: {error}"))?;
    story.look(None).map_err(|error| format!("{file}:{last}: {error}"))
}

struct Story<'a> {
    subject: &'a mut dyn Subject,
    now: Millis,
    open: BTreeSet<SessionId>,
    strangers: BTreeSet<SessionId>,
    building: Configuration,
    batch: Option<Vec<(Ask, Option<String>)>>,
    decided: VecDeque<Decision>,
}

impl Story<'_> {
    fn tell(&mut self, line: Line) -> Result<(), String> {
        if !matches!(line, Line::Part(_) | Line::Configure(_)) && self.building != Configuration::default() {
            self.configure(None)?;
        }
        match line {
            Line::At(now) => self.now = now,
            Line::Pass(time) => return self.pass(time),
            Line::Tick => self.tick(),
            Line::Batch => self.batch = Some(Vec::new()),
            Line::Stranger(session) => {
                self.strangers.insert(session);
            }
            Line::Part(part) => return parts::add(&mut self.building, part),
            Line::Configure(expected) => return self.configure(expected),
            Line::Asks(asks, expected) => {
                for ask in asks {
                    self.ask(ask, expected.clone())?;
                }
            }
            Line::Decided(None) => return self.look(None),
            Line::Decided(Some((tickets, what))) => {
                for ticket in tickets {
                    self.look(Some(&format!("{} {what}", words::write_ticket(ticket))))?;
                }
            }
            Line::Expect(pairs) => {
                return pairs.iter().try_for_each(|(question, answer)| self.expect(question, answer));
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.subject.batch(self.now, &[]);
    }

    fn pass(&mut self, time: Millis) -> Result<(), String> {
        let end = self.now + time;
        for _ in 0..RESTLESS {
            match self.subject.next_wakeup() {
                Some(due) if self.now.saturating_add(due) < end => {
                    self.now += due;
                    self.tick();
                }
                _ => {
                    self.now = end;
                    self.tick();
                    return Ok(());
                }
            }
        }
        Err("the store wants to be woken again and again".into())
    }

    fn configure(&mut self, expected: Option<String>) -> Result<(), String> {
        let configuration = std::mem::take(&mut self.building);
        self.ask(Ask::Configure(configuration), expected)
    }

    fn ask(&mut self, ask: Ask, expected: Option<String>) -> Result<(), String> {
        match &ask {
            Ask::Touch { session, .. } => {
                self.open.insert(*session);
            }
            Ask::Acquire(want) => {
                let session = want.ticket.session;
                if !self.strangers.contains(&session) && self.open.insert(session) {
                    let touch = Ask::Touch { session, time_out: None };
                    self.apply(vec![(touch, None)])?;
                }
            }
            _ => {}
        }
        match &mut self.batch {
            Some(batch) => batch.push((ask, expected)),
            None => self.apply(vec![(ask, expected)])?,
        }
        Ok(())
    }

    fn end_batch(&mut self) -> Result<(), String> {
        self.batch.take().map_or(Ok(()), |batch| self.apply(batch))
    }

    fn apply(&mut self, batch: Vec<(Ask, Option<String>)>) -> Result<(), String> {
        let (asks, expected): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let answers = self.subject.batch(self.now, &asks);
        for ((ask, answer), expected) in asks.iter().zip(&answers).zip(expected) {
            let happened = words::write_answer(answer);
            let ok =
                expected.as_ref().map_or_else(|| plain(ask, answer), |said| words::holds(said, &happened));
            if !ok {
                let expected = expected.unwrap_or_else(|| "no refusal".into());
                let said = crate::exam::write::write_ask(ask).join("; ");
                return Err(format!("expected -> {expected}, happened -> {happened}, to {said}"));
            }
        }
        Ok(())
    }

    fn look(&mut self, expected: Option<&str>) -> Result<(), String> {
        self.decided.extend(self.subject.drain());
        let happened = self.decided.pop_front().map(|decision| words::write_decision(&decision));
        match (expected, happened) {
            (None, None) => Ok(()),
            (Some(expected), Some(happened)) if words::holds(expected, &happened) => Ok(()),
            (expected, happened) => {
                let [expected, happened] =
                    [expected, happened.as_deref()].map(|said| said.unwrap_or("nothing").to_string());
                Err(format!("expected => {expected}, happened => {happened}"))
            }
        }
    }

    fn expect(&mut self, question: &str, expected: &str) -> Result<(), String> {
        let Some(happened) = self.see(question)? else { return Ok(()) };
        let alike = happened == expected
            || words::number(expected).is_ok_and(|number| number.to_string() == happened)
            || words::duration(expected).is_ok_and(|time| words::write_duration(time) == happened);
        if alike {
            Ok(())
        } else {
            Err(format!("expected {question} {expected}, happened {question} {happened}"))
        }
    }

    /// Returns the answer to a question, `None` where this store cannot say.
    fn see(&mut self, question: &str) -> Result<Option<String>, String> {
        let asked: Vec<&str> = question.split_whitespace().collect();
        if asked == ["wakeup"] {
            return Ok(Some(self.subject.next_wakeup().map_or("never".into(), words::write_duration)));
        }
        if asked == ["dump"] {
            return Ok(self.subject.dump());
        }
        let view = self.subject.view(self.now);
        fact(&view, &asked).map(Some).ok_or_else(|| format!("there is nothing to see of: {question}"))
    }
}

/// Returns whether a line without an expectation is content with an answer.
fn plain(ask: &Ask, answer: &Answer) -> bool {
    answer.is_plain() || matches!((ask, answer), (Ask::Touch { .. }, Answer::Done))
}

fn fact(view: &View, asked: &[&str]) -> Option<String> {
    let limit = |name: &str| view.limits.get(name);
    let resource = |name: &str| view.resources.get(name);
    let pause = |time: Option<Millis>| time.map_or("no".into(), words::write_duration);
    Some(match asked {
        ["left", name] => limit(name)?.left.to_string(),
        ["held", name] => limit(name)?.held.to_string(),
        ["amount", name] => limit(name)?.amount.to_string(),
        ["most", name] => limit(name)?.most.to_string(),
        ["known", "limit", name] => if limit(name).is_some() { "yes" } else { "no" }.into(),
        ["paused", "limit", name] => pause(limit(name)?.paused),
        ["paused", "resource", name] => pause(resource(name)?.paused),
        ["known", "resource", name] => if resource(name).is_some() { "yes" } else { "no" }.into(),
        ["in_flight", name] => resource(name)?.in_flight.to_string(),
        ["waiting", name] => resource(name)?.waiting.to_string(),
        ["waiting", name, lane] => {
            let lane = (*lane != "-").then(|| (*lane).to_string());
            resource(name)?.lanes.get(&lane).copied().unwrap_or(0).to_string()
        }
        ["lanes", name] => resource(name)?.lanes.len().to_string(),
        _ => return None,
    })
}
