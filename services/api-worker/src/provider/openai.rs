//! OpenAI's Chat Completions: <https://platform.openai.com/docs/api-reference/chat>. Many servers speak it (vLLM,
//! llama.cpp, Mistral, Gemini's compatibility endpoint …), each with small differences, so reading is lenient and
//! sending is plain. Prompts are cached there unasked, by their beginning: what documents share stands first.

use precis_policy::Tokens;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Finish, Kind, Problem, Remaining, Reply, Request, Unreadable, Wire, plain_code};

/// The wire format of Chat Completions.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAi {
    /// How the limit of generated tokens is named.
    pub token_limit: TokenLimit,
}

/// The field that limits generated tokens. OpenAI's newer models take only the first, some compatible servers only the
/// second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimit {
    /// `max_completion_tokens`
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`
    MaxTokens,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<CompletionUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// `prompt_tokens` includes the cached ones here.
#[derive(Deserialize)]
struct CompletionUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

/// OpenAI nests the error; some compatible servers do not.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorBody {
    Nested { error: ErrorDetail },
    Flat(ErrorDetail),
}

#[derive(Default, Deserialize)]
struct ErrorDetail {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// A word at OpenAI, a number elsewhere.
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    message: Option<String>,
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

    fn reply(&self, body: &[u8]) -> Result<Reply, Unreadable> {
        let completion: Completion =
            serde_json::from_slice(body).map_err(|_| Unreadable("the body is not a completion"))?;
        let choice = completion.choices.into_iter().next().ok_or(Unreadable("the completion has no choices"))?;
        let refused = choice.message.refusal.is_some_and(|refusal| !refusal.is_empty());
        let finish = match choice.finish_reason.as_deref() {
            Some("content_filter") => Finish::Refusal,
            Some(_) if refused => Finish::Refusal,
            Some("stop") => Finish::Stop,
            // `length`, `tool_calls`, and whatever comes to be: not known to be whole.
            Some(_) => Finish::Length,
            None => return Err(Unreadable("the completion has no finish reason")),
        };
        let usage = completion.usage.and_then(|usage| {
            let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
            // More cached tokens than tokens: nothing that a bill could be made of.
            let input = usage.prompt_tokens.checked_sub(cached)?;
            Some(Tokens { input, cached_input: cached, cache_write: 0, output: usage.completion_tokens })
        });
        Ok(Reply {
            text: choice.message.content.unwrap_or_default(),
            finish,
            usage,
            request_id: None,
            remaining: Remaining::default(),
        })
    }

    fn problem(&self, status: u16, body: &[u8]) -> Problem {
        let error = match serde_json::from_slice(body) {
            Ok(ErrorBody::Nested { error } | ErrorBody::Flat(error)) => error,
            Err(_) => ErrorDetail::default(),
        };
        let kind_of_error = error.kind.unwrap_or_default();
        let code = error.code.as_ref().and_then(Value::as_str).unwrap_or(&kind_of_error).to_owned();
        let message = error.message.unwrap_or_default().to_ascii_lowercase();
        let names = |name: &str| code == name || kind_of_error == name;
        let kind = match status {
            402 => Kind::OutOfMoney,
            400 | 403 | 429
                if names("insufficient_quota")
                    || names("billing_hard_limit_reached")
                    || names("billing_not_active") =>
            {
                Kind::OutOfMoney
            }
            401 | 403 => Kind::Auth,
            413 => Kind::TooLong,
            400 if names("context_length_exceeded") || names("exceed_context_size_error") => Kind::TooLong,
            // vLLM's wording; it has no code of its own.
            400 if message.contains("maximum context length") => Kind::TooLong,
            400 if names("content_filter") || names("content_policy_violation") => Kind::Refused,
            429 => Kind::Throttled,
            503 | 529 => Kind::Overloaded,
            408 | 409 | 500.. => Kind::Transient,
            _ => Kind::BadRequest,
        };
        Problem { kind, code: plain_code(&code) }
    }
}

#[cfg(test)]
mod tests;
