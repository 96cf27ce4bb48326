//! Anthropic's Messages.

use serde_json::{Value, json};

use super::{Part, Reply, event};

pub(super) fn whole(reply: &Reply) -> Value {
    let content = json!([{"type": "text", "text": reply.text()}]);
    message(reply, &content, Some(stop_reason(reply)), reply.output_tokens())
}

/// The input side of the usage is final in `message_start`.
pub(super) fn head(reply: &Reply) -> String {
    let events = [
        json!({"type": "message_start", "message": message(reply, &json!([]), None, 1)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
    ];
    events.iter().map(event).collect()
}

pub(super) fn part(reply: &Reply, part: Part) -> String {
    let delta = json!({"type": "text_delta", "text": reply.text_of(part)});
    event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
}

pub(super) fn tail(reply: &Reply) -> String {
    let events = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(reply), "stop_sequence": null},
            "usage": usage(reply, reply.output_tokens()),
        }),
        json!({"type": "message_stop"}),
    ];
    events.iter().map(event).collect()
}

fn message(reply: &Reply, content: &Value, stop_reason: Option<&str>, output_tokens: u64) -> Value {
    json!({
        "id": reply.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": reply.ask.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": usage(reply, output_tokens),
    })
}

fn stop_reason(reply: &Reply) -> &'static str {
    if reply.plan.truncated { "max_tokens" } else { "end_turn" }
}

fn usage(reply: &Reply, output_tokens: u64) -> Value {
    json!({
        "input_tokens": reply.uncached_tokens(),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": reply.plan.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    })
}
