//! `OpenAI`'s embeddings: every vector is the same, and of length 1.

use serde_json::{Value, json};

use super::Reply;

pub(super) fn whole(reply: &Reply) -> Value {
    let shape = reply.ask.embedding;
    let component = (1.0 / f64::from(u32::try_from(shape.dimensions).unwrap_or(u32::MAX))).sqrt();
    let vector = if shape.base64 {
        Value::from(base64(&single(component).to_le_bytes().repeat(shape.dimensions)))
    } else {
        Value::from(vec![component; shape.dimensions])
    };
    let item = |index| json!({"object": "embedding", "index": index, "embedding": vector});
    let data: Vec<Value> = (0..shape.vectors).map(item).collect();
    let tokens = reply.ask.prompt_tokens;
    json!({
        "object": "list",
        "data": data,
        "model": reply.ask.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the format is made of single-precision numbers")]
fn single(number: f64) -> f32 {
    number as f32
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * index) & 63).unwrap_or_default();
            text.push(if index > group.len() { '=' } else { char::from(ALPHABET[digit]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
