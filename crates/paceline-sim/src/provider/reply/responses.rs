//! `OpenAI`'s Responses.

use serde_json::{Value, json};

use super::{Part, Reply, event};

/// Events before the first part.
const HEAD_EVENTS: u64 = 4;

pub(super) fn whole(reply: &Reply) -> Value {
    let mut response = response(reply, status(reply), &json!([message(reply)]));
    response["usage"] = usage(reply);
    if reply.plan.truncated {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    response
}

pub(super) fn head(reply: &Reply) -> String {
    let begun = response(reply, "in_progress", &json!([]));
    let item = json!({
        "id": reply.id("msg_"), "type": "message", "status": "in_progress", "role": "assistant", "content": [],
    });
    let events = [
        json!({"type": "response.created", "sequence_number": 0, "response": begun}),
        json!({"type": "response.in_progress", "sequence_number": 1, "response": begun}),
        json!({"type": "response.output_item.added", "sequence_number": 2, "output_index": 0, "item": item}),
        in_content(reply, 3, "response.content_part.added", "part", &output_text("")),
    ];
    events.iter().map(event).collect()
}

pub(super) fn part(reply: &Reply, part: Part) -> String {
    let text = reply.text_of(part).into();
    let sequence = HEAD_EVENTS + part.index;
    let mut delta = in_content(reply, sequence, "response.output_text.delta", "delta", &text);
    delta["logprobs"] = json!([]);
    event(&delta)
}

pub(super) fn tail(reply: &Reply, parts: u64) -> String {
    let first = HEAD_EVENTS + parts;
    let (text, done) = (reply.text(), format!("response.{}", status(reply)));
    let mut text_done = in_content(reply, first, "response.output_text.done", "text", &text.clone().into());
    text_done["logprobs"] = json!([]);
    let events = [
        text_done,
        in_content(reply, first + 1, "response.content_part.done", "part", &output_text(&text)),
        json!({
            "type": "response.output_item.done",
            "sequence_number": first + 2,
            "output_index": 0,
            "item": message(reply),
        }),
        json!({"type": done, "sequence_number": first + 3, "response": whole(reply)}),
    ];
    events.iter().map(event).collect()
}

/// An event about the one text of the one message.
fn in_content(reply: &Reply, sequence: u64, kind: &str, field: &str, value: &Value) -> Value {
    json!({
        "type": kind,
        "sequence_number": sequence,
        "item_id": reply.id("msg_"),
        "output_index": 0,
        "content_index": 0,
        field: value,
    })
}

fn response(reply: &Reply, status: &str, output: &Value) -> Value {
    json!({
        "id": reply.id("resp_"),
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": reply.ask.max_tokens,
        "metadata": {},
        "model": reply.ask.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
    })
}

fn message(reply: &Reply) -> Value {
    json!({
        "id": reply.id("msg_"),
        "type": "message",
        "status": status(reply),
        "role": "assistant",
        "content": [output_text(&reply.text())],
    })
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn status(reply: &Reply) -> &'static str {
    if reply.plan.truncated { "incomplete" } else { "completed" }
}

fn usage(reply: &Reply) -> Value {
    let (input, output) = (reply.ask.prompt_tokens, reply.output_tokens());
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": reply.plan.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens()},
        "total_tokens": input + output,
    })
}
