//! The fields `RateLimit-Policy` and `RateLimit`, by draft-ietf-httpapi-ratelimit-headers: what a resource's limits are,
//! and how they stood a moment ago.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use paceline::core::{LimitView, NEVER};

use crate::doors::Door;

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// The fields of one resource, looked up anew at most once a second, off the way of answers.
#[derive(Default)]
pub(crate) struct Policy {
    fields: RwLock<Option<(HeaderValue, HeaderValue)>>,
    /// When they are looked up again, in milliseconds since the Unix epoch.
    next_at: AtomicU64,
}

const INTERVAL_MS: u64 = 1_000;

impl Door {
    /// Writes the fields as they stood a moment ago, and has them looked up anew where that was long ago.
    pub(crate) fn write_policy(self: &Arc<Self>, headers: &mut HeaderMap, now_ms: u64) {
        if let Some((policy, standing)) = &*self.policy.fields.read().unwrap_or_else(PoisonError::into_inner)
        {
            headers.insert(POLICY.clone(), policy.clone());
            headers.insert(STANDING.clone(), standing.clone());
        }
        let next_at = self.policy.next_at.load(Ordering::Relaxed);
        let (due, swap) = (now_ms >= next_at, now_ms + INTERVAL_MS);
        if due
            && self
                .policy
                .next_at
                .compare_exchange(next_at, swap, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            let door = Arc::clone(self);
            tokio::spawn(async move { door.look().await });
        }
    }

    async fn look(&self) {
        let Ok(snapshot) = self.resource.snapshot().await else { return };
        let fields = written(self.resource.name(), &snapshot.limits);
        *self.policy.fields.write().unwrap_or_else(PoisonError::into_inner) = fields;
    }
}

/// Writes both fields; nothing where there is no limit that a header can say.
fn written(resource: &str, limits: &[LimitView]) -> Option<(HeaderValue, HeaderValue)> {
    let (mut policy, mut standing) = (String::new(), String::new());
    for limit in limits.iter().filter(|limit| !limit.shadow) {
        let name =
            quoted(limit.name.strip_prefix(resource).map_or(&limit.name, |own| own.trim_start_matches('/')));
        let comma = if policy.is_empty() { "" } else { ", " };
        let _ = write!(policy, "{comma}{name};q={}", limit.amount);
        if limit.window > 0 {
            let _ = write!(policy, ";w={}", limit.window.div_ceil(1_000));
        }
        if &*limit.metric != "requests" {
            let _ = write!(policy, ";qu={}", quoted(&limit.metric));
        }
        let _ = write!(standing, "{comma}{name};r={}", limit.left.max(0));
        if limit.full_in != NEVER {
            let _ = write!(standing, ";t={}", limit.full_in.div_ceil(1_000));
        }
    }
    let fields = HeaderValue::from_str(&policy).ok().zip(HeaderValue::from_str(&standing).ok());
    fields.filter(|_| !policy.is_empty())
}

/// Writes a string of a structured field, which has printable ASCII alone.
fn quoted(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    let escaped = plain.fold(String::with_capacity(text.len() + 2), |mut escaped, c| {
        if matches!(c, '"' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    });
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn strings_are_those_of_structured_fields() {
        assert_eq!(quoted("requests_per_minute"), r#""requests_per_minute""#);
        assert_eq!(quoted("a\"b\\c\u{e9}\n"), r#""a\"b\\c??""#);
    }
}
