//! OpenAI's Chat Completions: <https://platform.openai.com/docs/api-reference/chat>. Many servers
//! speak it (vLLM, llama.cpp, Mistral, Gemini's compatibility endpoint …), each with small
//! differences, so reading is lenient and sending is plain. Providers cache prompts by their
//! beginning without a request, so the text that documents share comes first.

use precis_policy::Tokens;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FailureKind, Finish, NoReply, Problem, Remaining, Reply, Request, Wire, json, plain_code, plausible};

/// The wire format of Chat Completions.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAi {
    /// How the limit of generated tokens is named.
    pub token_limit: TokenLimit,
}

/// Name of the field that limits generated tokens. OpenAI's newer models take only the first, some
/// compatible servers only the second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimit {
    /// `max_completion_tokens`
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`
    MaxTokens,
}

impl Wire for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn path(&self) -> &'static str {
        "/chat/completions"
    }

    fn authorisation(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn headers(&self, request: &Request) -> Vec<(&'static str, String)> {
        vec![("x-client-request-id", request.attempt_id.clone())]
    }

    fn request_id_header(&self) -> &'static str {
        "x-request-id"
    }

    fn body(&self, request: &Request) -> Value {
        let limit = match self.token_limit {
            TokenLimit::MaxCompletionTokens => "max_completion_tokens",
            TokenLimit::MaxTokens => "max_tokens",
        };
        let mut body = json!({
            "model": request.model,
            limit: request.max_output_tokens,
            "messages": [
                { "role": "system", "content": request.system },
                { "role": "user", "content": request.user },
            ],
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
        let completion = json::read(body).ok_or(NoReply::Unreadable("the body is not JSON"))?;
        let choice = choice(&completion["choices"]);
        let text = choice.and_then(text_of);
        if text.as_deref().is_none_or(str::is_empty) {
            let errors = [&completion["error"], choice.map_or(&Value::Null, |choice| &choice["error"])];
            if let Some(error) = errors.into_iter().find(|error| !error.is_null()) {
                return Err(NoReply::Problem(problem(status_of(error), error)));
            }
        }
        let (Some(choice), Some(text)) = (choice, text) else {
            return Err(NoReply::Unreadable("the completion has no text where one should be"));
        };
        let refused = choice["message"]["refusal"].as_str().is_some_and(|refusal| !refusal.is_empty());
        let finish = match choice["finish_reason"].as_str() {
            Some("content_filter") => Finish::Refusal,
            _ if refused => Finish::Refusal,
            Some("stop") => Finish::Stop,
            // `length`, `tool_calls`, no reason at all, or a reason of the future: the answer may
            // be cut.
            _ => Finish::Length,
        };
        let usage = usage(&completion["usage"]).and_then(|usage| plausible(usage, &text));
        Ok(Reply { text, finish, usage, request_id: None, remaining: Remaining::default() })
    }

    fn problem(&self, status: u16, body: &[u8]) -> Problem {
        let body = json::read(body).unwrap_or_default();
        // OpenAI nests the error; some compatible servers do not.
        problem(status, if body["error"].is_null() { &body } else { &body["error"] })
    }
}

/// The first of several choices that has a text. A request is for one choice.
fn choice(choices: &Value) -> Option<&Value> {
    let choices = choices.as_array()?;
    let has_text = |choice: &&Value| text_of(choice).is_some_and(|text| !text.is_empty());
    choices.iter().find(has_text).or_else(|| choices.first())
}

/// The text of a choice; `None` where no text can be read. A message without content (`null`, or no
/// content beside the reason of its end) is empty.
fn text_of(choice: &Value) -> Option<String> {
    let message = &choice["message"];
    match &message["content"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(part).collect()),
        object @ Value::Object(_) => part(object).map(str::to_owned),
        Value::Null if choice["text"].is_string() => choice["text"].as_str().map(str::to_owned),
        Value::Null => (message.is_object() && !choice["finish_reason"].is_null()).then(String::new),
        Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The text of a content part; parts of another kind (reasoning, images, calls of tools) have none.
fn part(part: &Value) -> Option<&str> {
    let is_text = part["type"].as_str().is_none_or(|kind| kind == "text" || kind == "output_text");
    part.as_str().or_else(|| part["text"].as_str().filter(|_| is_text))
}

/// The usage, whose `prompt_tokens` include the cached ones. `None` where a number is missing or
/// does not fit the others.
fn usage(usage: &Value) -> Option<Tokens> {
    let cached_input = json::tokens_or_none(&usage["prompt_tokens_details"]["cached_tokens"])?;
    let input = json::tokens(&usage["prompt_tokens"])?.checked_sub(cached_input)?;
    Some(Tokens { input, cached_input, cache_write: 0, output: json::tokens(&usage["completion_tokens"])? })
}

/// The status that belongs to an error with status 200.
fn status_of(error: &Value) -> u16 {
    let told = |field: &str| json::tokens(&error[field]).and_then(|status| u16::try_from(status).ok());
    if let Some(status) = told("code").or_else(|| told("status")).filter(|status| (400..600).contains(status)) {
        return status;
    }
    let names =
        |word: &str| ["code", "type"].iter().any(|field| error[*field].as_str().is_some_and(|it| it.contains(word)));
    match () {
        () if names("rate_limit") || names("insufficient_quota") => 429,
        () if names("overloaded") => 503,
        () if names("api_key") || names("authentication") => 401,
        () if names("invalid_request") => 400,
        () => 500,
    }
}

/// What an error means.
fn problem(status: u16, error: &Value) -> Problem {
    let kind_of_error = error["type"].as_str().unwrap_or_default();
    // OpenAI sends a word here, other servers a number.
    let code = error["code"].as_str().unwrap_or(kind_of_error);
    let message = error["message"].as_str().or(error.as_str()).unwrap_or_default().to_ascii_lowercase();
    let names = |name: &str| code == name || kind_of_error == name;
    let kind = match status {
        402 => FailureKind::OutOfMoney,
        400 | 403 | 429
            if names("insufficient_quota") || names("billing_hard_limit_reached") || names("billing_not_active") =>
        {
            FailureKind::OutOfMoney
        }
        401 | 403 => FailureKind::Auth,
        413 => FailureKind::TooLong,
        400 if names("context_length_exceeded") || names("exceed_context_size_error") => FailureKind::TooLong,
        // vLLM's wording; it has no code of its own.
        400 if message.contains("maximum context length") => FailureKind::TooLong,
        400 if names("content_filter") || names("content_policy_violation") => FailureKind::Refused,
        429 => FailureKind::Throttled,
        503 | 529 => FailureKind::Overloaded,
        408 | 409 | 500.. => FailureKind::Transient,
        _ => FailureKind::BadRequest,
    };
    Problem { kind, code: plain_code(code) }
}

#[cfg(test)]
mod tests;
