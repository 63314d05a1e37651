//! Anthropic's Messages API, version 2023-06-01: <https://docs.anthropic.com/en/api/messages>,
//! errors: <https://docs.anthropic.com/en/api/errors>.
//!
//! `cache_control` is sent for the system message alone, since documents share nothing else. It is
//! sent only for a message that is long enough for the cache, since a written entry costs more than
//! plain input.

use precis_policy::Tokens;
use serde_json::{Value, json};

use super::{FailureKind, Finish, NoReply, Problem, Remaining, Reply, Request, Wire, json, plain_code, plausible};

/// The wire format of Anthropic's Messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anthropic;

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

    fn reply(&self, body: &[u8]) -> Result<Reply, NoReply> {
        let message = json::read(body).ok_or(NoReply::Unreadable("the body is not JSON"))?;
        let text = text_of(&message);
        if !message["error"].is_null() && text.as_deref().is_none_or(str::is_empty) {
            return Err(NoReply::Problem(problem(status_of(&message["error"]), &message["error"])));
        }
        let text = text.ok_or(NoReply::Unreadable("the message has no text where one should be"))?;
        let finish = match message["stop_reason"].as_str() {
            Some("end_turn" | "stop_sequence") => Finish::Stop,
            Some("refusal") => Finish::Refusal,
            // `max_tokens`, `model_context_window_exceeded`, no reason at all, or a reason of the
            // future: the answer may be cut.
            _ => Finish::Length,
        };
        let usage = usage(&message["usage"]).and_then(|usage| plausible(usage, &text));
        Ok(Reply { text, finish, usage, request_id: None, remaining: Remaining::default() })
    }

    fn problem(&self, status: u16, body: &[u8]) -> Problem {
        problem(status, &json::read(body).unwrap_or_default()["error"])
    }
}

/// The text of a message; `None` where no text can be read. Blocks of another kind than text
/// (reasoning, calls of tools, kinds of the future) add nothing. A message without blocks that
/// tells why it ended is empty.
fn text_of(message: &Value) -> Option<String> {
    match &message["content"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) if blocks.is_empty() && message["stop_reason"].is_null() => None,
        Value::Array(blocks) => {
            let texts =
                blocks.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str());
            Some(texts.collect())
        }
        Value::Null => (!message["stop_reason"].is_null()).then(String::new),
        _ => None,
    }
}

/// The three input classes are disjoint here. `None` where a number is missing.
fn usage(usage: &Value) -> Option<Tokens> {
    Some(Tokens {
        input: json::tokens(&usage["input_tokens"])?,
        cached_input: json::tokens_or_none(&usage["cache_read_input_tokens"])?,
        cache_write: json::tokens_or_none(&usage["cache_creation_input_tokens"])?,
        output: json::tokens(&usage["output_tokens"])?,
    })
}

/// The status that belongs to an error with status 200 whose type alone does not tell its meaning.
fn status_of(error: &Value) -> u16 {
    if matches!(error["type"].as_str(), Some("invalid_request_error" | "not_found_error")) { 400 } else { 500 }
}

/// What an error means.
fn problem(status: u16, error: &Value) -> Problem {
    let code = error["type"].as_str().unwrap_or_default();
    let message = error["message"].as_str().unwrap_or_default().to_ascii_lowercase();
    let says = |words: &str| message.contains(words);
    // An account without credit has the type `invalid_request_error`, as any wrong request has;
    // only the message tells them apart.
    let kind = match (status, code) {
        (402, _) | (_, "billing_error") => FailureKind::OutOfMoney,
        (400 | 403, _) if says("usage limits") || says("credit balance") => FailureKind::OutOfMoney,
        (401 | 403, _) | (_, "authentication_error" | "permission_error") => FailureKind::Auth,
        (413, _) | (_, "request_too_large") => FailureKind::TooLong,
        (400, _) if says("prompt is too long") || says("context limit") || says("context window") => {
            FailureKind::TooLong
        }
        (529, _) | (_, "overloaded_error") => FailureKind::Overloaded,
        (429, _) | (_, "rate_limit_error") => FailureKind::Throttled,
        (503, _) => FailureKind::Overloaded,
        (408 | 409 | 500.., _) => FailureKind::Transient,
        _ => FailureKind::BadRequest,
    };
    Problem { kind, code: plain_code(code) }
}

#[cfg(test)]
mod tests;
