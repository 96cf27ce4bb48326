//! Chat completions, `OpenAI`'s and its imitators'.

use serde_json::{Value, json};

use super::{Part, Reply, data};
use crate::judge::Dialect;

pub(super) fn whole(reply: &Reply) -> Value {
    let choice = |index| {
        json!({
            "index": index,
            "message": {"role": "assistant", "content": reply.text(), "refusal": null, "annotations": []},
            "logprobs": null,
            "finish_reason": finish_reason(reply),
        })
    };
    let choices: Vec<Value> = (0..reply.ask.choices).map(choice).collect();
    json!({
        "id": reply.id("chatcmpl-"),
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.ask.model,
        "choices": choices,
        "usage": usage(reply),
        "system_fingerprint": "fp_fake",
        "service_tier": "default",
    })
}

pub(super) fn head(reply: &Reply) -> String {
    each_choice(reply, &json!({"role": "assistant", "content": ""}), None)
}

pub(super) fn part(reply: &Reply, part: Part) -> String {
    each_choice(reply, &json!({"content": reply.text_of(part)}), None)
}

pub(super) fn tail(reply: &Reply) -> String {
    let mut events = each_choice(reply, &json!({}), Some(finish_reason(reply)));
    if reply.ask.include_usage {
        let mut last = chunk(reply, &json!([]));
        last["usage"] = usage(reply);
        events += &data(&last);
    }
    events + "data: [DONE]\n\n"
}

/// One chunk per choice. Mistral, Cerebras and Groq put the usage into the last of them unasked.
fn each_choice(reply: &Reply, delta: &Value, finish_reason: Option<&str>) -> String {
    let chunk = |index| {
        let choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        let mut chunk = chunk(reply, &json!([choice]));
        if finish_reason.is_some() && index + 1 == reply.ask.choices {
            match reply.dialect {
                Dialect::Mistral | Dialect::Cerebras => chunk["usage"] = usage(reply),
                Dialect::Groq => chunk["x_groq"] = json!({"id": reply.id("req_"), "usage": usage(reply)}),
                _ => {}
            }
        }
        data(&chunk)
    };
    (0..reply.ask.choices).map(chunk).collect()
}

fn chunk(reply: &Reply, choices: &Value) -> Value {
    let mut chunk = json!({
        "id": reply.id("chatcmpl-"),
        "object": "chat.completion.chunk",
        "created": reply.created,
        "model": reply.ask.model,
        "choices": choices,
        "system_fingerprint": "fp_fake",
    });
    if reply.ask.include_usage {
        chunk["usage"] = Value::Null;
    }
    chunk
}

fn finish_reason(reply: &Reply) -> &'static str {
    if reply.plan.truncated { "length" } else { "stop" }
}

fn usage(reply: &Reply) -> Value {
    let (prompt, cached) = (reply.ask.prompt_tokens, reply.plan.cached_tokens);
    let mut usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": reply.output_tokens(),
        "total_tokens": prompt + reply.output_tokens(),
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reply.reasoning_tokens(),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    });
    if reply.dialect == Dialect::Deepseek {
        usage["prompt_cache_hit_tokens"] = cached.into();
        usage["prompt_cache_miss_tokens"] = reply.uncached_tokens().into();
    }
    usage
}
