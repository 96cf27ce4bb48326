//! Asks as lines of a trace, so that a failing case can be read, kept and run again.

use paceline_core::{
    Algorithm, Boundaries, Configuration, Counting, Lanes, LimitSpec, Millis, NEVER, SessionId,
};

use crate::exam::ask::{Ask, On, Want, Wants};
use crate::exam::words::{write_duration, write_ticket, write_wants};

/// Returns the lines that say `ask`.
pub fn write_ask(ask: &Ask) -> Vec<String> {
    vec![match ask {
        Ask::Touch { session, time_out } => format!("{} touch{}", name(*session), maybe(*time_out)),
        Ask::Close { session } => format!("{} close", name(*session)),
        Ask::Acquire(want) => write_want(want),
        Ask::Cancel { ticket } => format!("{} cancel", write_ticket(*ticket)),
        Ask::Settle { permit, usage: None } => format!("{} give_back", write_ticket(*permit)),
        Ask::Settle { permit, usage: Some(usage) } => {
            format!("{} settle{}", write_ticket(*permit), write_wants(usage))
        }
        Ask::Amend { permit, reserve } => format!("{} amend{}", write_ticket(*permit), write_wants(reserve)),
        Ask::Transfer { permit, to, time_out } => {
            format!("{} transfer {}{}", write_ticket(*permit), name(*to), maybe(*time_out))
        }
        Ask::Record { resource, lane, usage } => {
            format!("record {resource}{}{}", lane_option(lane.as_deref()), write_wants(usage))
        }
        Ask::Observe { limit, remaining, amount } => {
            let said = [("remaining", remaining), ("amount", amount)];
            let said: Wants = said.iter().filter_map(|(name, n)| Some(((*name).into(), (**n)?))).collect();
            format!("observe {limit}{}", write_wants(&said))
        }
        Ask::Pause { on, lasting, refuse } => {
            format!("pause {}{}{}", write_on(on), maybe(*lasting), if *refuse { " refuse" } else { "" })
        }
        Ask::Resume { on } => format!("resume {}", write_on(on)),
        Ask::Purge { resource, lane } => format!("purge {resource}{}", lane_option(lane.as_deref())),
        Ask::Configure(configuration) => return write_configuration(configuration),
    }]
}

fn write_want(want: &Want) -> String {
    let duration = |name: &str, time: Millis, unsaid: Millis| {
        if time == unsaid { String::new() } else { format!(" {name}={}", write_duration(time)) }
    };
    format!(
        "{} acquire {}{}{}{}{}{}",
        write_ticket(want.ticket),
        want.resource,
        write_wants(&want.demand),
        lane_option(want.lane.as_deref()),
        duration("head", want.head_start, 0),
        duration("within", want.within, NEVER),
        if want.wait { "" } else { " try" },
    )
}

fn write_configuration(configuration: &Configuration) -> Vec<String> {
    let mut lines: Vec<String> = configuration.limits.iter().map(write_limit).collect();
    for resource in &configuration.resources {
        lines.push(match resource.line_max {
            1_000_000 => format!("resource {}", resource.name),
            most => format!("resource {} line {most}", resource.name),
        });
        lines.extend(resource.lanes.iter().map(|lane| {
            let head = write_duration(lane.max_head_start);
            let (priority, weight) = (lane.priority, lane.weight);
            format!("lane {} {} priority {priority} weight {weight} head {head}", resource.name, lane.name)
        }));
    }
    lines.extend(configuration.removed.iter().map(|removed| format!("remove {removed}")));
    lines.push("configure".into());
    lines
}

fn write_limit(limit: &LimitSpec) -> String {
    let algorithm = match &limit.algorithm {
        Algorithm::Concurrency => "concurrency".into(),
        Algorithm::TokenBucket { window, burst } => {
            format!("bucket {} burst {burst}", write_duration(*window))
        }
        Algorithm::SlidingWindow { window, slots } => {
            format!("sliding {} slots {slots}", write_duration(*window))
        }
        Algorithm::FixedWindow { boundaries: Boundaries::Every { period, phase }, margin } => {
            let [period, phase, margin] = [*period, *phase, *margin].map(write_duration);
            format!("every {period} phase {phase} margin {margin}")
        }
        Algorithm::FixedWindow { boundaries: Boundaries::At(times), margin } => {
            let times: Vec<_> = times.iter().map(|time| write_duration(*time)).collect();
            format!("until {} margin {}", times.join(".."), write_duration(*margin))
        }
    };
    let mut line = format!("limit {} {} {} {algorithm}", limit.id, limit.metric, limit.amount);
    if limit.counting == Counting::UntilSettled {
        line += " until_settled";
    }
    if limit.shadow {
        line += " shadow";
    }
    if limit.transit > 0 {
        line = line + " transit " + &write_duration(limit.transit);
    }
    let members = limit.members.iter().map(|member| match &member.lanes {
        Lanes::All => format!(" {}", member.resource),
        Lanes::Only(lanes) => format!(" {}:{}", member.resource, lanes.join("+")),
        Lanes::Except(lanes) => format!(" {}:!{}", member.resource, lanes.join("+")),
    });
    let members: String = members.collect();
    if members.is_empty() { line } else { line + " members" + &members }
}

fn write_on(on: &On) -> String {
    match on {
        On::Resource(name) => format!("resource {name}"),
        On::Limit(name) => format!("limit {name}"),
    }
}

fn name(session: SessionId) -> String {
    format!("s{}", session.0)
}

fn maybe(time: Option<Millis>) -> String {
    time.map_or_else(String::new, |time| format!(" {}", write_duration(time)))
}

fn lane_option(lane: Option<&str>) -> String {
    lane.map_or_else(String::new, |lane| format!(" lane={lane}"))
}
