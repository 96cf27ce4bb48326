//! The nearest of some names, for people who misspelt one.

/// Names that people know from elsewhere, and ours for the same.
const ELSEWHERE: [(&str, &str); 9] = [
    ("max_rpm", "requests_per_minute"),
    ("rpm_limit", "requests_per_minute"),
    ("max_tpm", "tokens_per_minute"),
    ("tpm_limit", "tokens_per_minute"),
    ("max_concurrency", "concurrent_requests"),
    ("max_parallel_requests", "concurrent_requests"),
    ("max_concurrent_requests", "concurrent_requests"),
    ("max_queue", "max_waiting"),
    ("models", "aliases"),
];

/// The metrics that profiles know.
pub(crate) const METRICS: [&str; 9] = [
    "requests",
    "tokens",
    "input_tokens",
    "output_tokens",
    "uncached_tokens",
    "uncached_input_tokens",
    "cached_tokens",
    "cached_input_tokens",
    "concurrent_requests",
];

const LONGEST: usize = 64;

/// Returns the nearest name, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase().replace('-', "_");
    let known: Vec<&str> = known.into_iter().collect();
    let elsewhere = ELSEWHERE.iter().find(|(other, ours)| *other == lower && known.contains(ours));
    if let Some((_, ours)) = elsewhere {
        return Some((*ours).to_owned());
    }
    if let Some(begun) = known.iter().find(|candidate| lower.len() >= 4 && candidate.starts_with(&lower)) {
        return Some((*begun).to_owned());
    }
    let distance =
        |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase().replace('-', "_"));
    let (found, best) =
        known.iter().map(|candidate| (*candidate, distance(candidate))).min_by_key(|(_, far)| *far)?;
    (best <= (lower.len() / 3).max(1)).then(|| found.to_owned())
}

/// Returns the known metric that a metric's name misspells, if it does.
pub(crate) fn misspelt_metric(name: &str) -> Option<&'static str> {
    if METRICS.contains(&name) || name.len() > LONGEST {
        return None;
    }
    let far = |known: &str| strsim::damerau_levenshtein(name, known);
    METRICS
        .iter()
        .copied()
        .filter(|known| far(known) <= if known.len() > 6 { 2 } else { 1 })
        .min_by_key(|known| far(known))
}
