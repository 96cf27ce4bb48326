//! The syntax of traces: a line a step, read into asks and expectations.

use paceline_core::{Millis, NEVER, TicketId};

use crate::exam::ask::{Ask, On, Want, Wants};
use crate::exam::parts::{self, Part};
use crate::exam::words;

/// What one line of a trace says.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    /// The store's clock shows another time; nothing is done.
    At(Millis),
    /// Time passes, and what is due on the way is done when it is due.
    Pass(Millis),
    /// A step without a command.
    Tick,
    /// The lines that follow and are indented are one step.
    Batch,
    /// This session is not opened by its first acquire.
    Stranger(paceline_core::SessionId),
    /// Part of the next configuration.
    Part(Part),
    /// Commands, alike but for the ticket, each with the same expected answer; `None` for one that is plain.
    Asks(Vec<Ask>, Option<String>),
    /// The configuration built so far is applied.
    Configure(Option<String>),
    /// The oldest decisions not yet looked at; `None` for "there are none".
    Decided(Option<(Vec<TicketId>, String)>),
    /// What can be seen: pairs of a question and its answer.
    Expect(Vec<(String, String)>),
}

pub(crate) type Words<'a> = std::slice::Iter<'a, &'a str>;

/// Reads one line without its comment.
pub(crate) fn read(line: &str) -> Result<Line, String> {
    if let Some(rest) = line.strip_prefix("=>") {
        return decided(rest.trim());
    }
    if let Some(rest) = line.strip_prefix("expect ") {
        return rest.split(',').map(expectation).collect::<Result<_, _>>().map(Line::Expect);
    }
    let (said, expected) = match line.split_once("->") {
        Some((said, expected)) => (said.trim(), Some(expected.trim().to_string())),
        None => (line, None),
    };
    if let Some(time) = said.strip_prefix('+') {
        return words::duration(time).map(Line::Pass);
    }
    let all: Vec<&str> = said.split_whitespace().collect();
    let mut rest = all.iter();
    let first = *rest.next().ok_or("an empty line")?;
    let line = match first {
        "at" => Line::At(words::duration(next(&mut rest, "a time")?)?),
        "tick" => Line::Tick,
        "batch" => Line::Batch,
        "stranger" => Line::Stranger(words::session(next(&mut rest, "a session")?).ok_or("not a session")?),
        "limit" => Line::Part(Part::Limit(parts::limit(&mut rest)?)),
        "resource" => Line::Part(Part::Resource(parts::resource(&mut rest)?)),
        "lane" => Line::Part(parts::lane(&mut rest)?),
        "remove" => Line::Part(Part::Remove(next(&mut rest, "a resource")?.into())),
        "configure" => Line::Configure(expected),
        _ => Line::Asks(asks(first, &mut rest)?, expected),
    };
    match rest.next() {
        Some(word) => Err(format!("unexpected word: {word}")),
        None => Ok(line),
    }
}

pub(crate) fn next<'a>(words: &mut Words<'a>, what: &str) -> Result<&'a str, String> {
    words.next().copied().ok_or_else(|| format!("{what} is missing"))
}

fn decided(text: &str) -> Result<Line, String> {
    if text == "nothing" {
        return Ok(Line::Decided(None));
    }
    let (who, what) = text.split_once(' ').ok_or("a ticket and what became of it are missing")?;
    let tickets = words::tickets(who).ok_or_else(|| format!("not a ticket: {who}"))?;
    Ok(Line::Decided(Some((tickets, what.trim().into()))))
}

fn expectation(text: &str) -> Result<(String, String), String> {
    let text = text.trim();
    let (question, answer) = text.rsplit_once(' ').ok_or_else(|| format!("an answer is missing: {text}"))?;
    Ok((question.trim().into(), answer.into()))
}

fn asks(first: &str, words: &mut Words<'_>) -> Result<Vec<Ask>, String> {
    if let Some(session) = words::session(first) {
        return Ok(vec![match next(words, "a command")? {
            "touch" => Ask::Touch { session, time_out: maybe_duration(words)? },
            "close" => Ask::Close { session },
            other => return Err(format!("not a command of a session: {other}")),
        }]);
    }
    if let Some(tickets) = words::tickets(first) {
        let template = words.as_slice();
        let asks = tickets.into_iter().map(|ticket| ticket_ask(ticket, &mut template.iter()));
        let asks = asks.collect::<Result<_, _>>();
        *words = [].iter();
        return asks;
    }
    Ok(vec![match first {
        "record" => {
            let resource = next(words, "a resource")?.into();
            let (lane, usage) = lane_and_wants(words)?;
            Ask::Record { resource, lane, usage }
        }
        "purge" => {
            let resource = next(words, "a resource")?.into();
            Ask::Purge { resource, lane: lane_and_wants(words)?.0 }
        }
        "observe" => {
            let limit = next(words, "a limit")?.into();
            let said = lane_and_wants(words)?.1;
            Ask::Observe {
                limit,
                remaining: said.get("remaining").copied(),
                amount: said.get("amount").copied(),
            }
        }
        "pause" => {
            let on = on(words)?;
            let refuse = words.as_slice().last() == Some(&"refuse");
            let lasting = match words.next() {
                None | Some(&"refuse") => None,
                Some(time) => Some(words::duration(time)?),
            };
            let _ = if refuse { words.next() } else { None };
            Ask::Pause { on, lasting, refuse }
        }
        "resume" => Ask::Resume { on: on(words)? },
        other => return Err(format!("not a command: {other}")),
    }])
}

fn ticket_ask(ticket: TicketId, words: &mut Words<'_>) -> Result<Ask, String> {
    let ask = match next(words, "a command")? {
        "acquire" => return acquire(ticket, words).map(Ask::Acquire),
        "cancel" => Ask::Cancel { ticket },
        "settle" => Ask::Settle { permit: ticket, usage: Some(lane_and_wants(words)?.1) },
        "give_back" => Ask::Settle { permit: ticket, usage: None },
        "amend" => Ask::Amend { permit: ticket, reserve: lane_and_wants(words)?.1 },
        "transfer" => {
            let to = words::session(next(words, "a session")?).ok_or("not a session")?;
            Ask::Transfer { permit: ticket, to, time_out: maybe_duration(words)? }
        }
        other => return Err(format!("not a command of a ticket: {other}")),
    };
    words.next().map_or(Ok(ask), |word| Err(format!("unexpected word: {word}")))
}

fn acquire(ticket: TicketId, words: &mut Words<'_>) -> Result<Want, String> {
    let resource = next(words, "a resource")?.into();
    let mut want =
        Want { ticket, resource, lane: None, demand: Wants::new(), head_start: 0, within: NEVER, wait: true };
    for word in words {
        match word.split_once('=') {
            None if *word == "try" => want.wait = false,
            None => return Err(format!("not an option of acquire: {word}")),
            Some(("lane", lane)) => want.lane = Some(lane.replace("{n}", &ticket.number.to_string())),
            Some(("head", time)) => want.head_start = words::duration(time)?,
            Some(("within", time)) => want.within = words::duration(time)?,
            Some((metric, amount)) => {
                want.demand.insert(metric.into(), words::number(amount)?);
            }
        }
    }
    Ok(want)
}

fn lane_and_wants(words: &mut Words<'_>) -> Result<(Option<String>, Wants), String> {
    let (mut lane, mut wants) = (None, Wants::new());
    for word in words {
        match word.split_once('=') {
            None => return Err(format!("unexpected word: {word}")),
            Some(("lane", name)) => lane = Some(name.into()),
            Some((metric, amount)) => {
                wants.insert(metric.into(), words::number(amount)?);
            }
        }
    }
    Ok((lane, wants))
}

fn maybe_duration(words: &mut Words<'_>) -> Result<Option<Millis>, String> {
    words.next().map(|time| words::duration(time)).transpose()
}

fn on(words: &mut Words<'_>) -> Result<On, String> {
    let kind = next(words, "resource or limit")?;
    let name = next(words, "a name")?.to_string();
    match kind {
        "resource" => Ok(On::Resource(name)),
        "limit" => Ok(On::Limit(name)),
        other => Err(format!("neither resource nor limit: {other}")),
    }
}
