//! Errors that are no matter of quota, in each dialect's shape.

use serde_json::{Value, json};

use super::answer::Answer;
use crate::judge::Dialect;

/// Answers with an error of a status.
pub(super) fn failure(dialect: Dialect, status: u16, message: &str) -> Answer {
    Answer::new(status, body(dialect, status, message))
}

/// Answers to a call without a key.
pub(super) fn unauthorized(dialect: Dialect) -> Answer {
    failure(dialect, 401, "You didn't provide an API key.")
}

/// Answers as a fault of the server does.
pub(super) fn server_fault(dialect: Dialect, status: u16) -> Answer {
    let message = match status {
        500 => "The server had an error while processing your request.",
        503 => "The server is currently overloaded. Please try again later.",
        _ => "Overloaded",
    };
    failure(dialect, status, message)
}

fn body(dialect: Dialect, status: u16, message: &str) -> Value {
    match dialect {
        Dialect::Openai | Dialect::Groq | Dialect::Deepseek => {
            let (kind, code) = openai(status);
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Dialect::Azure => json!({"error": {"code": status.to_string(), "message": message}}),
        Dialect::Anthropic => {
            json!({"type": "error", "error": {"type": anthropic(status), "message": message}})
        }
        Dialect::Gemini => json!({"error": {"code": status, "message": message, "status": google(status)}}),
        Dialect::Cerebras => {
            let (kind, code) = openai(status);
            json!({"message": message, "type": kind, "param": null, "code": code})
        }
        Dialect::Mistral => json!({"object": "error", "message": message, "type": openai(status).0}),
        Dialect::Bedrock => json!({"message": message}),
    }
}

fn openai(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        400 | 404 => ("invalid_request_error", None),
        503 | 529 => ("service_unavailable_error", Some("server_is_overloaded")),
        _ => ("server_error", None),
    }
}

fn anthropic(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        404 => "not_found_error",
        400 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

fn google(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        404 => "NOT_FOUND",
        400 => "INVALID_ARGUMENT",
        503 | 529 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}
