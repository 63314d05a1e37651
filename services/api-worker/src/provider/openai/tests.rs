#![allow(clippy::unwrap_used)]

use super::*;

const WIRE: OpenAi = OpenAi { token_limit: TokenLimit::MaxCompletionTokens };

fn request() -> Request {
    Request {
        model: "gpt-5.4-nano".to_owned(),
        system: "system".to_owned(),
        user: "user".to_owned(),
        max_output_tokens: 300,
        temperature: None,
        extra: serde_json::Map::new(),
        attempt_id: "a1".to_owned(),
    }
}

fn completion(content: &Value, refusal: &Value, finish_reason: &str, usage: &Value) -> Result<Reply, NoReply> {
    let message = json!({ "role": "assistant", "content": content, "refusal": refusal });
    let body = json!({ "choices": [{ "message": message, "finish_reason": finish_reason }], "usage": usage });
    WIRE.reply(body.to_string().as_bytes())
}

fn problem(status: u16, body: &Value) -> FailureKind {
    WIRE.problem(status, body.to_string().as_bytes()).kind
}

#[test]
fn a_request_is_a_chat_completion() {
    let expected = json!({
        "model": "gpt-5.4-nano", "max_completion_tokens": 300,
        "messages": [{ "role": "system", "content": "system" }, { "role": "user", "content": "user" }],
    });
    assert_eq!(WIRE.body(&request()), expected);
    assert_eq!(WIRE.authorisation("k"), ("authorization", "Bearer k".to_owned()));
    assert_eq!(WIRE.headers(&request()), [("x-client-request-id", "a1".to_owned())]);
    let older = OpenAi { token_limit: TokenLimit::MaxTokens }.body(&request());
    assert_eq!((&older["max_tokens"], older.get("max_completion_tokens")), (&json!(300), None));
}

#[test]
fn cached_tokens_are_taken_out_of_the_prompt_tokens() {
    let usage =
        json!({ "prompt_tokens": 2006, "completion_tokens": 300, "prompt_tokens_details": { "cached_tokens": 1920 } });
    let reply = completion(&json!("Text."), &Value::Null, "stop", &usage).unwrap();
    assert_eq!(reply.usage, Some(Tokens { input: 86, cached_input: 1920, cache_write: 0, output: 300 }));
    let plain = json!({ "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8, "prompt_tokens_details": null });
    assert_eq!(
        completion(&json!("T"), &Value::Null, "stop", &plain).unwrap().usage,
        Some(Tokens { input: 5, cached_input: 0, cache_write: 0, output: 3 })
    );
}

#[test]
fn usage_that_does_not_add_up_is_no_usage() {
    let usage = json!({ "prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": { "cached_tokens": 6 } });
    assert_eq!(completion(&json!("T"), &Value::Null, "stop", &usage).unwrap().usage, None);
    assert_eq!(completion(&json!("T"), &Value::Null, "stop", &Value::Null).unwrap().usage, None);
}

#[test]
fn ends_and_refusals_are_recognised() {
    for (refusal, finish_reason, finish) in [
        (Value::Null, "stop", Finish::Stop),
        (Value::Null, "length", Finish::Length),
        (Value::Null, "something_new", Finish::Length),
        (Value::Null, "content_filter", Finish::Refusal),
        (json!("I cannot help with that."), "stop", Finish::Refusal),
        (json!(""), "stop", Finish::Stop),
    ] {
        assert_eq!(
            completion(&Value::Null, &refusal, finish_reason, &Value::Null).unwrap().finish,
            finish,
            "{finish_reason} {refusal}"
        );
    }
}

fn reply(body: &Value) -> Result<Reply, NoReply> {
    WIRE.reply(body.to_string().as_bytes())
}

/// Answers as compatible servers write them: the text is there each time.
#[test]
fn a_text_is_found_however_it_is_wrapped() {
    let parts = json!([{ "type": "thinking", "thinking": [] }, { "type": "text", "text": "Ships " }, "sail.", { "type": "image_url", "text": 1 }]);
    for (choices, finish) in [
        (json!([{ "message": { "content": "Ships sail." }, "finish_reason": "stop" }]), Finish::Stop),
        (json!([{ "message": { "content": parts }, "finish_reason": "stop" }]), Finish::Stop),
        (
            json!([{ "message": { "content": { "type": "text", "text": "Ships sail." } }, "finish_reason": "stop" }]),
            Finish::Stop,
        ),
        (
            json!([{ "message": { "content": "Ships sail.", "reasoning_content": "Hm.", "refusal": 7, "tool_calls": {} }, "finish_reason": "stop" }]),
            Finish::Stop,
        ),
        (json!([{ "message": { "content": "Ships sail." }, "finish_reason": null }]), Finish::Length),
        (json!([{ "message": { "content": "Ships sail." } }]), Finish::Length),
        (json!([{ "text": "Ships sail.", "finish_reason": "stop" }]), Finish::Stop),
        (
            json!([{ "message": null }, { "message": { "content": "Ships sail." }, "finish_reason": "stop" }]),
            Finish::Stop,
        ),
    ] {
        let body = json!({ "id": 7, "choices": choices, "usage": [], "error": null, "system_fingerprint": {} });
        let reply = reply(&body).unwrap();
        assert_eq!((reply.text.as_str(), reply.finish, reply.usage), ("Ships sail.", finish, None), "{choices}");
    }
}

#[test]
fn a_message_that_says_nothing_is_an_empty_answer() {
    for message in
        [json!({ "content": null, "reasoning_content": "Hm." }), json!({ "content": "" }), json!({ "content": [] })]
    {
        let body = json!({ "choices": [{ "message": message, "finish_reason": "length" }] });
        assert_eq!(reply(&body).unwrap().text, "", "{message}");
    }
}

#[test]
fn what_has_no_text_anywhere_cannot_be_read() {
    for body in [
        json!({ "choices": [] }),
        json!({ "choices": null }),
        json!({ "choices": [{ "message": {} }] }),
        json!({ "choices": [{ "message": { "content": 7 }, "finish_reason": "stop" }] }),
        json!({ "choices": [{ "delta": { "content": "Ships" }, "finish_reason": null }] }),
        json!("Ships sail."),
        json!(null),
    ] {
        assert!(matches!(reply(&body), Err(NoReply::Unreadable(_))), "{body}");
    }
    assert!(matches!(WIRE.reply(br#"{"choices": [{"mess"#), Err(NoReply::Unreadable(_))));
}

#[test]
fn an_error_with_200_is_told_as_the_error_it_is() {
    for (error, kind) in [
        (json!({ "code": 429, "message": "upstream rate limited" }), FailureKind::Throttled),
        (json!({ "code": "429" }), FailureKind::Throttled),
        (json!({ "code": "rate_limit_exceeded", "type": "requests" }), FailureKind::Throttled),
        (json!({ "code": 402, "message": "credits" }), FailureKind::OutOfMoney),
        (json!({ "type": "insufficient_quota" }), FailureKind::OutOfMoney),
        (json!({ "code": 503 }), FailureKind::Overloaded),
        (json!({ "type": "overloaded_error" }), FailureKind::Overloaded),
        (json!({ "code": "invalid_api_key" }), FailureKind::Auth),
        (json!({ "type": "invalid_request_error", "code": "context_length_exceeded" }), FailureKind::TooLong),
        (json!({ "type": "invalid_request_error", "code": "invalid_value" }), FailureKind::BadRequest),
        (json!({ "message": "x" }), FailureKind::Transient),
        (json!("something went wrong"), FailureKind::Transient),
    ] {
        for body in [
            json!({ "error": error }),
            json!([{ "error": error }]),
            json!({ "choices": null, "error": error }),
            json!({ "choices": [{ "message": { "content": "" }, "finish_reason": "error", "error": error }] }),
        ] {
            let Err(NoReply::Problem(problem)) = reply(&body) else { panic!("{body}") };
            assert_eq!(problem.kind, kind, "{body}");
        }
    }
}

#[test]
fn tokens_are_counted_however_they_are_written() {
    let counted = Some(Tokens { input: 300, cached_input: 0, cache_write: 0, output: 60 });
    for (usage, expected) in [
        (json!({ "prompt_tokens": 300.0, "completion_tokens": 60.0 }), counted),
        (json!({ "prompt_tokens": "300", "completion_tokens": "60", "total_tokens": {} }), counted),
        (json!({ "prompt_tokens": 300 }), None),
        (json!({ "prompt_tokens": null, "completion_tokens": null }), None),
        (json!({ "prompt_tokens": -1, "completion_tokens": 60 }), None),
        (
            json!({ "prompt_tokens": 300, "completion_tokens": 60, "prompt_tokens_details": { "cached_tokens": "few" } }),
            None,
        ),
        // A server that does not count.
        (json!({ "prompt_tokens": 0, "completion_tokens": 0 }), None),
        (json!({ "prompt_tokens": 300, "completion_tokens": 0 }), None),
        (json!("300"), None),
    ] {
        assert_eq!(completion(&json!("T"), &Value::Null, "stop", &usage).unwrap().usage, expected, "{usage}");
    }
}

#[test]
fn errors_are_told_apart_by_what_they_mean() {
    let error =
        |code: &str, kind: &str| json!({ "error": { "message": "m", "type": kind, "param": null, "code": code } });
    for (status, body, expected) in [
        (429, error("rate_limit_exceeded", "tokens"), FailureKind::Throttled),
        (429, error("insufficient_quota", "insufficient_quota"), FailureKind::OutOfMoney),
        (429, json!({ "error": { "type": "insufficient_quota" } }), FailureKind::OutOfMoney),
        (400, error("billing_hard_limit_reached", "invalid_request_error"), FailureKind::OutOfMoney),
        (402, json!({ "error": { "code": 402, "message": "Insufficient credits" } }), FailureKind::OutOfMoney),
        (400, error("context_length_exceeded", "invalid_request_error"), FailureKind::TooLong),
        (
            400,
            json!({ "error": { "code": 400, "type": "exceed_context_size_error", "message": "m" } }),
            FailureKind::TooLong,
        ),
        (
            400,
            json!({ "object": "error", "message": "This model's maximum context length is 4096 tokens.", "type": "BadRequestError", "code": 400 }),
            FailureKind::TooLong,
        ),
        (413, json!({}), FailureKind::TooLong),
        (400, error("content_filter", "invalid_request_error"), FailureKind::Refused),
        (400, error("invalid_value", "invalid_request_error"), FailureKind::BadRequest),
        (404, error("model_not_found", "invalid_request_error"), FailureKind::BadRequest),
        (401, error("invalid_api_key", "invalid_request_error"), FailureKind::Auth),
        (403, error("unsupported_country_region_territory", "request_forbidden"), FailureKind::Auth),
        (409, json!({}), FailureKind::Transient),
        (500, error("server_error", "server_error"), FailureKind::Transient),
        (503, error("overloaded", "server_error"), FailureKind::Overloaded),
        (529, json!(null), FailureKind::Overloaded),
    ] {
        assert_eq!(problem(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn a_providers_code_is_kept_and_its_message_is_not() {
    let code = |code: &str| {
        let body = json!({ "error": { "code": code, "message": "the document says: secret" } });
        WIRE.problem(400, body.to_string().as_bytes()).code
    };
    assert_eq!(code("invalid_value"), "invalid_value");
    assert_eq!(code("the document says"), "");
    assert_eq!(code("sk-secret"), "");
}

#[test]
fn broken_answers_are_survived() {
    let answer = json!({ "choices": [{ "message": { "role": "assistant", "content": "A summary.", "refusal": null }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": { "cached_tokens": 4 } } });
    let error = json!({ "error": { "message": "Rate limit", "type": "requests", "code": "rate_limit_exceeded" } });
    let corpus = [answer, error].map(|body| body.to_string().into_bytes());
    precis_fuzz::survives("openai", &corpus, |bytes| {
        let _ = WIRE.reply(bytes);
        for status in [400, 401, 429, 503] {
            let _ = WIRE.problem(status, bytes);
        }
    });
}
