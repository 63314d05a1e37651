//! The same requests and answers in the spelling of each provider.

use std::sync::Arc;
use std::time::Duration;

use precis_api_worker::provider::{Anthropic, HttpProvider, HttpSettings, OpenAi, Provider, Request};
use precis_config::Secret;
use serde_json::{Value, json};

use crate::faults::Answer;

pub(crate) const KEY: &str = "sk-test-very-secret";

/// One provider's spelling.
pub(crate) struct Wire {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) key_header: (&'static str, &'static str),
    pub(crate) request_id_header: &'static str,
    /// Requests and tokens left.
    pub(crate) remaining_headers: [&'static str; 2],
    pub(crate) model: &'static str,
    provider: fn(&HttpSettings) -> Arc<dyn Provider>,
    message: fn(text: &str, finish: &str, input: u64, cached: u64, output: u64) -> Value,
    finishes: [(&'static str, &'static str); 3],
    error: fn(code: &str, message: &str) -> Value,
    /// Status, code and message of each failure: out of money in all its forms, then what never
    /// succeeds.
    pub(crate) out_of_money: &'static [(u16, &'static str, &'static str)],
    pub(crate) too_long: (u16, &'static str, &'static str),
    pub(crate) wrong_key: (u16, &'static str, &'static str),
    pub(crate) bad_request: (u16, &'static str, &'static str),
    pub(crate) throttled: (u16, &'static str, &'static str),
    /// The user's text in a request's body.
    pub(crate) user_text: fn(&Value) -> &Value,
}

pub(crate) const ANTHROPIC: Wire = Wire {
    name: "anthropic",
    path: "/v1/messages",
    key_header: ("x-api-key", KEY),
    request_id_header: "request-id",
    remaining_headers: ["anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-tokens-remaining"],
    model: "claude-haiku-4-5",
    provider: |settings| Arc::new(HttpProvider::new(Anthropic, settings).unwrap()),
    message: |text, finish, input, cached, output| {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
            "content": [{ "type": "text", "text": text }], "stop_reason": finish, "stop_sequence": null,
            "usage": { "input_tokens": input, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0, "output_tokens": output },
        })
    },
    finishes: [("stop", "end_turn"), ("length", "max_tokens"), ("refusal", "refusal")],
    error: |code, message| json!({ "type": "error", "error": { "type": code, "message": message } }),
    out_of_money: &[
        (402, "billing_error", "Your account has a billing problem."),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    ],
    too_long: (400, "invalid_request_error", "prompt is too long: 204801 tokens > 200000 maximum"),
    wrong_key: (401, "authentication_error", "invalid x-api-key"),
    bad_request: (400, "invalid_request_error", "max_tokens: Input should be greater than 0"),
    throttled: (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    user_text: |body| &body["messages"][0]["content"],
};

pub(crate) const OPENAI: Wire = Wire {
    name: "openai",
    path: "/v1/chat/completions",
    key_header: ("authorization", "Bearer sk-test-very-secret"),
    request_id_header: "x-request-id",
    remaining_headers: ["x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"],
    model: "gpt-5.4-nano",
    provider: |settings| {
        let settings = HttpSettings { base_url: format!("{}/v1", settings.base_url), ..settings.clone() };
        Arc::new(HttpProvider::new(OpenAi::default(), &settings).unwrap())
    },
    message: |text, finish, input, cached, output| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5.4-nano",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": text, "refusal": null }, "finish_reason": finish }],
            "usage": {
                "prompt_tokens": input + cached, "completion_tokens": output, "total_tokens": input + cached + output,
                "prompt_tokens_details": { "cached_tokens": cached },
            },
        })
    },
    finishes: [("stop", "stop"), ("length", "length"), ("refusal", "content_filter")],
    error: |code, message| json!({ "error": { "message": message, "type": "invalid_request_error", "param": null, "code": code } }),
    out_of_money: &[
        (402, "insufficient_credits", "Insufficient credits"),
        (429, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details."),
        (400, "billing_hard_limit_reached", "Billing hard limit has been reached"),
    ],
    too_long: (400, "context_length_exceeded", "This model's maximum context length is 128000 tokens."),
    wrong_key: (401, "invalid_api_key", "Incorrect API key provided."),
    bad_request: (400, "invalid_value", "Invalid value for max_completion_tokens."),
    throttled: (429, "rate_limit_exceeded", "Rate limit reached for requests"),
    user_text: |body| &body["messages"][1]["content"],
};

impl Wire {
    /// The provider at this URL, with a short time limit.
    pub(crate) fn at(&self, url: &str) -> Arc<dyn Provider> {
        (self.provider)(&HttpSettings {
            base_url: url.to_owned(),
            key: Some(Secret::new(KEY)),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_millis(500),
            timeout: Duration::from_millis(700),
        })
    }

    pub(crate) fn request(&self) -> Request {
        Request {
            model: self.model.to_owned(),
            system: "You write summaries.".to_owned(),
            user: "The unmistakable document.".to_owned(),
            max_output_tokens: 100,
            temperature: None,
            extra: serde_json::Map::new(),
            attempt_id: "attempt-1".to_owned(),
        }
    }

    /// A whole answer; `finish` as Précis spells it.
    pub(crate) fn ok(&self, text: &str, finish: &str, input: u64, cached: u64, output: u64) -> Answer {
        let (_, theirs) = self.finishes.iter().find(|(ours, _)| *ours == finish).unwrap();
        Answer::json(200, &(self.message)(text, theirs, input, cached, output)).with(self.request_id_header, "req_1")
    }

    pub(crate) fn problem(&self, (status, code, message): (u16, &str, &str)) -> Answer {
        Answer::json(status, &(self.error)(code, message)).with(self.request_id_header, "req_1")
    }
}
