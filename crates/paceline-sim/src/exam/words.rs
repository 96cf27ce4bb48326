//! How numbers, durations, names and answers are written in a story.

use std::fmt::Write as _;

use paceline_core::{Decision, Millis, NEVER, Refusal, SessionId, SpecError, TicketId, Verdict};

use crate::exam::ask::{Answer, Wants};

const UNITS: [(&str, Millis); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a number: digits with underscores, or a power such as `2^50`, less a number after `-`.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let wrong = || format!("not a number: {text}");
    let plain = |text: &str| text.replace('_', "").parse::<u64>().map_err(|_| wrong());
    let (whole, less) = text.split_once('-').unwrap_or((text, "0"));
    let whole = match whole.split_once('^') {
        Some((base, power)) => {
            let power = u32::try_from(plain(power)?).map_err(|_| wrong())?;
            plain(base)?.checked_pow(power).ok_or_else(wrong)?
        }
        None => plain(whole)?,
    };
    whole.checked_sub(plain(less)?).ok_or_else(wrong)
}

/// Reads a duration such as `30s`, `1d12h` or `250ms`; `never` is the longest.
pub(crate) fn duration(text: &str) -> Result<Millis, String> {
    if text == "never" {
        return Ok(NEVER);
    }
    let wrong = || format!("not a duration: {text}");
    let (mut rest, mut sum) = (text, 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let after = rest[end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| at + end);
        let (_, unit) = *UNITS.iter().find(|(unit, _)| *unit == &rest[end..after]).ok_or_else(wrong)?;
        sum += number(&rest[..end])? * unit;
        rest = &rest[after..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(sum) }
}

/// Writes a duration as [`duration`] reads it.
pub fn write_duration(mut time: Millis) -> String {
    match time {
        NEVER => return "never".into(),
        0 => return "0s".into(),
        _ => {}
    }
    let mut text = String::new();
    for (unit, length) in UNITS {
        if time >= length {
            let _ = write!(text, "{}{unit}", time / length);
            time %= length;
        }
    }
    text
}

/// Reads a session such as `s1`.
pub(crate) fn session(text: &str) -> Option<SessionId> {
    text.strip_prefix('s')?.parse().ok().map(SessionId)
}

/// Reads a ticket such as `s1/3`, or several as in `s1/3..9`.
pub(crate) fn tickets(text: &str) -> Option<Vec<TicketId>> {
    let (owner, numbers) = text.split_once('/')?;
    let session = session(owner)?;
    let (first, last) = numbers.split_once("..").unwrap_or((numbers, numbers));
    let (first, last) = (number(first).ok()?, number(last).ok()?);
    Some((first..=last).map(|number| TicketId { session, number }).collect())
}

/// Writes a ticket as [`tickets`] reads it.
pub fn write_ticket(ticket: TicketId) -> String {
    format!("s{}/{}", ticket.session.0, ticket.number)
}

/// Writes amounts as `metric=amount`.
pub(crate) fn write_wants(wants: &Wants) -> String {
    wants.iter().fold(String::new(), |text, (metric, amount)| text + " " + metric + "=" + &amount.to_string())
}

/// Writes an answer as traces expect it.
pub fn write_answer(answer: &Answer) -> String {
    let moved = |word: &str, returned: &Wants, charged: &Wants| {
        let part = |name: &str, wants: &Wants| {
            if wants.is_empty() { String::new() } else { format!(" {name}{}", write_wants(wants)) }
        };
        match (returned.is_empty(), charged.is_empty()) {
            (true, true) => format!("{word} exactly"),
            _ => format!("{word}{}{}", part("returned", returned), part("charged", charged)),
        }
    };
    match answer {
        Answer::Granted => "granted".into(),
        Answer::Queued(ahead) => format!("queued {ahead}"),
        Answer::Refused(refusal) => write_refusal(refusal),
        Answer::Settled { returned, charged } => moved("settled", returned, charged),
        Answer::Amended { returned, charged } => moved("amended", returned, charged),
        Answer::Cancelled => "cancelled".into(),
        Answer::Done => "done".into(),
        Answer::Over => "over".into(),
        Answer::Expired => "expired".into(),
        Answer::Invalid(error) => write_error(error),
    }
}

/// Writes a refusal as traces expect it.
pub(crate) fn write_refusal(refusal: &Refusal) -> String {
    let time = |time: &Millis| write_duration(*time);
    match refusal {
        Refusal::Impossible { limit, wanted, most } => {
            format!("refused impossible {limit} wanted {wanted} most {most}")
        }
        Refusal::TooLate { limit, ready_in } => format!("refused too_late {limit} in {}", time(ready_in)),
        Refusal::LineFull { waiting, most } => format!("refused line_full {waiting} of {most}"),
        Refusal::Busy { limit, ready_in } => {
            format!("refused busy {} in {}", limit.as_deref().unwrap_or("line"), time(ready_in))
        }
        Refusal::Paused { ends_in } => format!("refused paused {}", time(ends_in)),
        Refusal::UnknownLane { lane } => format!("refused unknown_lane {lane}"),
        Refusal::NoResource => "refused no_resource".into(),
        Refusal::Purged => "refused purged".into(),
    }
}

/// Writes a decision as traces expect it.
pub fn write_decision(decision: &Decision) -> String {
    let ticket = write_ticket(decision.ticket);
    match &decision.verdict {
        Verdict::Granted { waited } => format!("{ticket} granted after {}", write_duration(*waited)),
        Verdict::Refused(refusal) => format!("{ticket} {}", write_refusal(refusal)),
    }
}

fn write_error(error: &SpecError) -> String {
    match error {
        SpecError::Zero { id, field } => format!("invalid zero {id} {field}"),
        SpecError::TooLarge { id, field, value, most } => {
            format!("invalid too_large {id} {field} {value} most {most}")
        }
        SpecError::BurstTooSmall { id, burst, least } => {
            format!("invalid burst_too_small {id} {burst} least {least}")
        }
        SpecError::NotAscending { id } => format!("invalid not_ascending {id}"),
        SpecError::Duplicate { id } => format!("invalid duplicate {id}"),
        SpecError::UnknownResource { id, resource } => format!("invalid unknown_resource {id} {resource}"),
        SpecError::Contradiction { id, field } => format!("invalid contradiction {id} {field}"),
    }
}

/// Returns whether what happened begins with what was expected, word by word; `*` stands for any word.
pub(crate) fn holds(expected: &str, happened: &str) -> bool {
    let mut words = happened.split_whitespace();
    expected
        .split_whitespace()
        .all(|word| words.next().is_some_and(|happened| word == "*" || word == happened))
}
