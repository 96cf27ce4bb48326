//! Gemini's `generateContent`, whose stream repeats one shape and ends without a mark.

use serde_json::{Value, json};

use super::{Part, Reply};

pub(super) fn whole(reply: &Reply) -> Value {
    chunk(reply, &reply.text(), reply.plan.output_tokens, Some(finish_reason(reply)))
}

pub(super) fn part(reply: &Reply, part: Part) -> String {
    data(&chunk(reply, &reply.text_of(part), part.to, None))
}

pub(super) fn tail(reply: &Reply) -> String {
    data(&chunk(reply, "", reply.plan.output_tokens, Some(finish_reason(reply))))
}

fn chunk(reply: &Reply, text: &str, produced: u64, finish_reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if let Some(reason) = finish_reason {
        candidate["finishReason"] = reason.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage(reply, produced),
        "modelVersion": reply.ask.model,
        "responseId": reply.id(""),
    })
}

/// Thoughts stand beside the candidates, not among them.
fn usage(reply: &Reply, produced: u64) -> Value {
    let thoughts = reply.plan.reasoning_tokens.min(produced);
    json!({
        "promptTokenCount": reply.ask.prompt_tokens,
        "cachedContentTokenCount": reply.plan.cached_tokens,
        "candidatesTokenCount": produced - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": reply.ask.prompt_tokens + produced,
    })
}

fn finish_reason(reply: &Reply) -> &'static str {
    if reply.plan.truncated { "MAX_TOKENS" } else { "STOP" }
}

fn data(json: &Value) -> String {
    format!("data: {json}\r\n\r\n")
}
