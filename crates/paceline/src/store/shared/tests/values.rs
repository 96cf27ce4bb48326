//! Values of the wire, as the store of the tests reads and writes them.

use paceline_core::{Algorithm, Boundaries, Counting, Lanes, LimitSpec, Millis, NEVER, Refusal};

use crate::wire::Value;

pub(super) fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().collect())
}

pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

pub(super) fn int(value: &Value) -> i64 {
    match value {
        Value::Int(value) => *value,
        _ => 0,
    }
}

pub(super) fn uint(value: &Value) -> u64 {
    u64::try_from(int(value)).unwrap()
}

pub(super) fn bounded(value: &Value) -> Option<u64> {
    matches!(value, Value::Int(_)).then(|| uint(value))
}

pub(super) fn text(value: &Value) -> &str {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).unwrap(),
        _ => "",
    }
}

pub(super) fn session(value: &Value, own: u128) -> u128 {
    match value {
        Value::Bytes(bytes) => u128::from_be_bytes(bytes[..].try_into().unwrap()),
        _ => own,
    }
}

pub(super) fn raw(session: u128) -> Value {
    Value::Bytes(session.to_be_bytes().to_vec())
}

pub(super) fn millis(value: Millis) -> Value {
    if value == NEVER { Value::Float(f64::INFINITY) } else { Value::Int(value.cast_signed()) }
}

pub(super) fn field<'a>(table: &'a Value, name: &str) -> &'a Value {
    let Value::Table(pairs) = table else { return &Value::None };
    pairs.iter().find(|(key, _)| text(key) == name).map_or(&Value::None, |(_, value)| value)
}

pub(super) fn limit(table: &Value) -> LimitSpec {
    let at = |name| uint(field(table, name));
    let algorithm = match text(field(table, "algorithm")) {
        "token_bucket" => Algorithm::TokenBucket { window: at("window"), burst: at("burst") },
        "sliding_window" => Algorithm::SlidingWindow { window: at("window"), slots: 6 },
        "concurrency" => Algorithm::Concurrency,
        _ => {
            let boundaries = Boundaries::Every { period: at("period"), phase: at("phase") };
            Algorithm::FixedWindow { boundaries, margin: at("margin") }
        }
    };
    let mut limit =
        LimitSpec::new(text(field(table, "id")), text(field(table, "metric")), at("amount"), algorithm);
    limit.shadow = *field(table, "shadow") == Value::True;
    if *field(table, "until_settled") == Value::True {
        limit.counting = Counting::UntilSettled;
    }
    items(field(table, "members"))
        .iter()
        .fold(limit, |limit, member| limit.member_lanes(text(&items(member)[0]), Lanes::All))
}

pub(super) fn refused(refusal: &Refusal) -> Vec<Value> {
    match refusal {
        Refusal::Impossible { limit, wanted, most } => vec![
            "impossible".into(),
            Value::from(&**limit),
            Value::Int(wanted.cast_signed()),
            Value::Int(most.cast_signed()),
        ],
        Refusal::TooLate { limit, ready_in } => {
            vec!["too_late".into(), Value::from(&**limit), millis(*ready_in)]
        }
        Refusal::Busy { limit, ready_in } => {
            let limit = limit.as_deref().map_or(Value::None, Value::from);
            vec!["busy".into(), limit, millis(*ready_in)]
        }
        Refusal::Paused { ends_in } => vec!["paused".into(), millis(*ends_in)],
        Refusal::UnknownLane { lane } => vec!["unknown_lane".into(), Value::from(&**lane)],
        Refusal::LineFull { .. } | Refusal::NoResource => vec!["no_resource".into()],
        Refusal::Purged => vec!["purged".into()],
    }
}
