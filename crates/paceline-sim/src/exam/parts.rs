//! The parts of a configuration in a trace: limits, resources, lanes.

use paceline_core::{
    Algorithm, Boundaries, Configuration, Counting, LaneSpec, Lanes, LimitSpec, Member, Name, ResourceSpec,
};

use crate::exam::script::{Words, next};
use crate::exam::words;

/// A part of a configuration.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Limit(LimitSpec),
    Resource(ResourceSpec),
    Lane(Name, LaneSpec),
    Remove(Name),
}

/// Adds a part to a configuration.
pub(crate) fn add(configuration: &mut Configuration, part: Part) -> Result<(), String> {
    match part {
        Part::Limit(limit) => configuration.limits.push(limit),
        Part::Resource(resource) => configuration.resources.push(resource),
        Part::Remove(resource) => configuration.removed.push(resource),
        Part::Lane(resource, lane) => {
            let named = configuration.resources.iter_mut().find(|named| named.name == resource);
            named.ok_or_else(|| format!("no resource {resource} above"))?.lanes.push(lane);
        }
    }
    Ok(())
}

/// Reads a limit.
pub(crate) fn limit(words: &mut Words<'_>) -> Result<LimitSpec, String> {
    let (id, metric) = (next(words, "a name")?, next(words, "a metric")?);
    let amount = words::number(next(words, "an amount")?)?;
    let mut spec = LimitSpec::new(id, metric, amount, Algorithm::Concurrency);
    match next(words, "an algorithm")? {
        "concurrency" => {}
        "bucket" => {
            let window = words::duration(next(words, "a window")?)?;
            spec.algorithm = Algorithm::TokenBucket { window, burst: amount };
        }
        "sliding" => {
            let window = words::duration(next(words, "a window")?)?;
            spec.algorithm = Algorithm::SlidingWindow { window, slots: 60 };
        }
        "every" => {
            let period = words::duration(next(words, "a period")?)?;
            let boundaries = Boundaries::Every { period, phase: 0 };
            spec.algorithm = Algorithm::FixedWindow { boundaries, margin: 0 };
        }
        "until" => {
            let times = next(words, "instants")?;
            let times = times.split("..").map(words::duration).collect::<Result<_, _>>()?;
            spec.algorithm = Algorithm::FixedWindow { boundaries: Boundaries::At(times), margin: 0 };
        }
        other => return Err(format!("not an algorithm: {other}")),
    }
    while let Some(word) = words.next() {
        option(&mut spec, word, words)?;
    }
    Ok(spec)
}

fn option(spec: &mut LimitSpec, word: &str, words: &mut Words<'_>) -> Result<(), String> {
    match (word, &mut spec.algorithm) {
        ("until_settled", _) => spec.counting = Counting::UntilSettled,
        ("shadow", _) => spec.shadow = true,
        ("transit", _) => spec.transit = words::duration(next(words, "a time")?)?,
        ("burst", Algorithm::TokenBucket { burst, .. }) => *burst = words::number(next(words, "a burst")?)?,
        ("slots", Algorithm::SlidingWindow { slots, .. }) => {
            let count = words::number(next(words, "a count")?)?;
            *slots = u32::try_from(count).map_err(|_| format!("too many slots: {count}"))?;
        }
        ("margin", Algorithm::FixedWindow { margin, .. }) => {
            *margin = words::duration(next(words, "a time")?)?;
        }
        ("phase", Algorithm::FixedWindow { boundaries: Boundaries::Every { phase, .. }, .. }) => {
            *phase = words::duration(next(words, "a time")?)?;
        }
        ("members", _) => spec.members = words.map(|word| member(word)).collect(),
        _ => return Err(format!("not an option of this limit: {word}")),
    }
    Ok(())
}

/// Reads `a`, `a:x+y` (only these lanes) or `a:!x+y` (all but these).
fn member(word: &str) -> Member {
    let (resource, lanes) = match word.split_once(':') {
        None => (word, Lanes::All),
        Some((resource, lanes)) => match lanes.strip_prefix('!') {
            Some(lanes) => (resource, Lanes::Except(lanes.split('+').map(Name::from).collect())),
            None => (resource, Lanes::Only(lanes.split('+').map(Name::from).collect())),
        },
    };
    Member { resource: resource.into(), lanes }
}

/// Reads a resource.
pub(crate) fn resource(words: &mut Words<'_>) -> Result<ResourceSpec, String> {
    let mut spec = ResourceSpec::new(next(words, "a name")?);
    while let Some(word) = words.next() {
        match *word {
            "line" => spec.line_max = small(next(words, "a length")?)?,
            other => return Err(format!("not an option of a resource: {other}")),
        }
    }
    Ok(spec)
}

/// Reads a lane of a resource named above.
pub(crate) fn lane(words: &mut Words<'_>) -> Result<Part, String> {
    let resource = next(words, "a resource")?;
    let mut spec = LaneSpec::new(next(words, "a lane")?);
    while let Some(word) = words.next() {
        let value = next(words, "a value")?;
        match *word {
            "priority" => spec.priority = value.parse().map_err(|_| format!("not a priority: {value}"))?,
            "weight" => spec.weight = small(value)?,
            "head" => spec.max_head_start = words::duration(value)?,
            other => return Err(format!("not an option of a lane: {other}")),
        }
    }
    Ok(Part::Lane(resource.into(), spec))
}

fn small(text: &str) -> Result<u32, String> {
    u32::try_from(words::number(text)?).map_err(|_| format!("too large: {text}"))
}
