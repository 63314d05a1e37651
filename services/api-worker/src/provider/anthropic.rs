//! Anthropic's Messages API, version 2023-06-01: <https://docs.anthropic.com/en/api/messages>, errors:
//! <https://docs.anthropic.com/en/api/errors>.
//!
//! `cache_control` is sent for the system message alone, since documents share nothing else, and only where that is long
//! enough to be cached at all: a written entry costs more than plain input.

use precis_policy::Tokens;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Finish, Kind, Problem, Remaining, Reply, Request, Unreadable, Wire, plain_code};

/// The wire format of Anthropic's Messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anthropic;

#[derive(Deserialize)]
struct Message {
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<MessageUsage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// The three input classes are disjoint here.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the provider's")]
struct MessageUsage {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
}

impl Wire for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn authorisation(&self, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn headers(&self, _: &Request) -> Vec<(&'static str, String)> {
        vec![("anthropic-version", "2023-06-01".to_owned())]
    }

    fn request_id_header(&self) -> &'static str {
        "request-id"
    }

    fn body(&self, request: &Request) -> Value {
        let system = if request.shares_a_prefix() {
            json!([{ "type": "text", "text": request.system, "cache_control": { "type": "ephemeral" } }])
        } else {
            json!(request.system)
        };
        let mut body = json!({
            "model": request.model,
            "max_tokens": request.max_output_tokens,
            "system": system,
            "messages": [{ "role": "user", "content": request.user }],
        });
        if let Some(fields) = body.as_object_mut() {
            if let Some(temperature) = request.temperature {
                fields.insert("temperature".to_owned(), json!(temperature));
            }
            fields.extend(request.extra.clone());
        }
        body
    }

    fn reply(&self, body: &[u8]) -> Result<Reply, Unreadable> {
        let message: Message = serde_json::from_slice(body).map_err(|_| Unreadable("the body is not a message"))?;
        let text =
            message.content.iter().filter(|block| block.kind == "text").map(|block| block.text.as_str()).collect();
        let finish = match message.stop_reason.as_deref() {
            Some("end_turn" | "stop_sequence") => Finish::Stop,
            Some("refusal") => Finish::Refusal,
            // `max_tokens`, `model_context_window_exceeded`, and whatever comes to be: not known to be whole.
            Some(_) => Finish::Length,
            None => return Err(Unreadable("the message has no stop reason")),
        };
        let usage = message.usage.map(|usage| Tokens {
            input: usage.input_tokens,
            cached_input: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write: usage.cache_creation_input_tokens.unwrap_or(0),
            output: usage.output_tokens,
        });
        Ok(Reply { text, finish, usage, request_id: None, remaining: Remaining::default() })
    }

    fn problem(&self, status: u16, body: &[u8]) -> Problem {
        let error = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
        let (code, message) = error.map(|error| (error.kind, error.message.to_ascii_lowercase())).unwrap_or_default();
        let says = |words: &str| message.contains(words);
        // The type of a spent account is `invalid_request_error`, like that of any wrong request; only the message
        // tells.
        let kind = match (status, code.as_str()) {
            (402, _) | (_, "billing_error") => Kind::OutOfMoney,
            (400 | 403, _) if says("usage limits") || says("credit balance") => Kind::OutOfMoney,
            (401 | 403, _) | (_, "authentication_error" | "permission_error") => Kind::Auth,
            (413, _) | (_, "request_too_large") => Kind::TooLong,
            (400, _) if says("prompt is too long") || says("context limit") || says("context window") => Kind::TooLong,
            (529, _) | (_, "overloaded_error") => Kind::Overloaded,
            (429, _) | (_, "rate_limit_error") => Kind::Throttled,
            (503, _) => Kind::Overloaded,
            (408 | 409 | 500.., _) => Kind::Transient,
            _ => Kind::BadRequest,
        };
        Problem { kind, code: plain_code(&code) }
    }
}

#[cfg(test)]
mod tests;
