#![allow(clippy::unwrap_used)]

use super::*;

fn request() -> Request {
    Request {
        model: "claude-haiku-4-5".to_owned(),
        system: "system".to_owned(),
        user: "user".to_owned(),
        max_output_tokens: 300,
        temperature: None,
        extra: serde_json::Map::new(),
        attempt_id: "a1".to_owned(),
    }
}

fn reply(body: &Value) -> Result<Reply, NoReply> {
    Anthropic.reply(body.to_string().as_bytes())
}

fn problem(status: u16, kind: &str, message: &str) -> FailureKind {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    Anthropic.problem(status, body.to_string().as_bytes()).kind
}

#[test]
fn a_request_is_a_message_with_its_version_header() {
    let expected = json!({
        "model": "claude-haiku-4-5", "max_tokens": 300, "system": "system",
        "messages": [{ "role": "user", "content": "user" }],
    });
    assert_eq!(Anthropic.body(&request()), expected);
    assert_eq!(Anthropic.headers(&request()), [("anthropic-version", "2023-06-01".to_owned())]);
    assert_eq!(Anthropic.authorisation("k"), ("x-api-key", "k".to_owned()));
}

#[test]
fn configured_fields_reach_the_body() {
    let mut request = request();
    request.temperature = Some(0.0);
    request.extra.insert("top_k".to_owned(), json!(1));
    let body = Anthropic.body(&request);
    assert_eq!((&body["temperature"], &body["top_k"]), (&json!(0.0), &json!(1)));
}

#[test]
fn only_a_long_system_message_is_marked_for_the_cache() {
    let mut request = request();
    assert!(Anthropic.body(&request)["system"].is_string());
    request.system = "Only what the text says. ".repeat(200);
    let system = &Anthropic.body(&request)["system"];
    assert_eq!(system[0]["text"], request.system);
    assert_eq!(system[0]["cache_control"], json!({ "type": "ephemeral" }));
}

#[test]
fn text_blocks_are_joined_and_input_classes_stay_disjoint() {
    let reply = reply(&json!({
        "content": [{ "type": "thinking", "thinking": "…" }, { "type": "text", "text": "One. " }, { "type": "text", "text": "Two." }],
        "stop_reason": "end_turn",
        "usage": { "input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 7 },
    }))
    .unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("One. Two.", Finish::Stop));
    assert_eq!(reply.usage, Some(Tokens { input: 10, cached_input: 100, cache_write: 5, output: 7 }));
}

#[test]
fn only_known_ends_count_as_whole() {
    for (stop_reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("something_new", Finish::Length),
        ("refusal", Finish::Refusal),
    ] {
        let reply = reply(&json!({ "content": [], "stop_reason": stop_reason })).unwrap();
        assert_eq!((reply.finish, reply.usage), (finish, None), "{stop_reason}");
    }
    for body in [json!({ "content": [], "stop_reason": null }), json!({ "type": "error" }), json!({ "content": 7 })] {
        assert!(matches!(reply(&body), Err(NoReply::Unreadable(_))), "{body}");
    }
    assert!(matches!(Anthropic.reply(b"<html>"), Err(NoReply::Unreadable(_))));
}

#[test]
fn a_text_is_found_among_blocks_of_any_kind() {
    for (content, stop_reason, finish) in [
        (json!([{ "type": "text", "text": "Ships sail.", "citations": 7 }]), json!("end_turn"), Finish::Stop),
        (json!("Ships sail."), json!("end_turn"), Finish::Stop),
        (
            json!([{ "type": "redacted_thinking" }, { "kind": 7 }, 7, { "type": "new", "text": {} }, { "type": "text", "text": "Ships sail." }]),
            json!("end_turn"),
            Finish::Stop,
        ),
        (json!([{ "type": "text", "text": "Ships sail." }]), Value::Null, Finish::Length),
        (json!([{ "type": "text", "text": "Ships sail." }]), json!(7), Finish::Length),
    ] {
        let body = json!({ "content": content, "stop_reason": stop_reason, "usage": "none" });
        let reply = reply(&body).unwrap();
        assert_eq!((reply.text.as_str(), reply.finish, reply.usage), ("Ships sail.", finish, None), "{content}");
    }
}

#[test]
fn tokens_are_counted_however_they_are_written() {
    let counted = Some(Tokens { input: 300, cached_input: 0, cache_write: 0, output: 60 });
    for (usage, expected) in [
        (json!({ "input_tokens": 300.0, "output_tokens": "60", "cache_read_input_tokens": null }), counted),
        (json!({ "input_tokens": 300 }), None),
        (json!({ "input_tokens": null, "output_tokens": 60 }), None),
        (json!({ "input_tokens": 300, "output_tokens": 60, "cache_creation_input_tokens": "few" }), None),
        (json!({ "input_tokens": 0, "output_tokens": 0 }), None),
    ] {
        let body = json!({ "content": [{ "type": "text", "text": "T" }], "stop_reason": "end_turn", "usage": usage });
        assert_eq!(reply(&body).unwrap().usage, expected, "{usage}");
    }
}

#[test]
fn an_error_with_200_is_told_as_the_error_it_is() {
    for (code, kind) in [
        ("rate_limit_error", FailureKind::Throttled),
        ("overloaded_error", FailureKind::Overloaded),
        ("authentication_error", FailureKind::Auth),
        ("billing_error", FailureKind::OutOfMoney),
        ("invalid_request_error", FailureKind::BadRequest),
        ("api_error", FailureKind::Transient),
    ] {
        let body = json!({ "type": "error", "error": { "type": code, "message": 7 } });
        let Err(NoReply::Problem(problem)) = reply(&body) else { panic!("{body}") };
        assert_eq!((problem.kind, problem.code.as_str()), (kind, code));
    }
}

#[test]
fn errors_are_told_apart_by_what_they_mean() {
    let invalid = "invalid_request_error";
    for (status, kind, message, expected) in [
        (400, invalid, "max_tokens: Field required", FailureKind::BadRequest),
        (400, invalid, "prompt is too long: 210000 tokens > 200000 maximum", FailureKind::TooLong),
        (400, invalid, "input length and `max_tokens` exceed context limit", FailureKind::TooLong),
        (413, "request_too_large", "", FailureKind::TooLong),
        (400, invalid, "Your credit balance is too low to access the Anthropic API.", FailureKind::OutOfMoney),
        (
            400,
            invalid,
            "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
            FailureKind::OutOfMoney,
        ),
        (402, "billing_error", "", FailureKind::OutOfMoney),
        (401, "authentication_error", "invalid x-api-key", FailureKind::Auth),
        (403, "permission_error", "", FailureKind::Auth),
        (404, "not_found_error", "model: claude-x", FailureKind::BadRequest),
        (429, "rate_limit_error", "", FailureKind::Throttled),
        (500, "api_error", "", FailureKind::Transient),
        (504, "timeout_error", "", FailureKind::Transient),
        (529, "overloaded_error", "", FailureKind::Overloaded),
    ] {
        assert_eq!(problem(status, kind, message), expected, "{status} {kind} {message}");
    }
}

#[test]
fn a_body_that_is_no_error_leaves_the_status_to_tell() {
    for (status, expected) in [
        (400, FailureKind::BadRequest),
        (401, FailureKind::Auth),
        (402, FailureKind::OutOfMoney),
        (429, FailureKind::Throttled),
        (503, FailureKind::Overloaded),
        (502, FailureKind::Transient),
        (529, FailureKind::Overloaded),
    ] {
        assert_eq!(Anthropic.problem(status, b"<html>busy</html>").kind, expected, "{status}");
    }
}

#[test]
fn broken_answers_are_survived() {
    let answer = json!({ "content": [{ "type": "text", "text": "A summary." }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 12, "output_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0 } });
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let corpus = [answer, error].map(|body| body.to_string().into_bytes());
    precis_fuzz::survives("anthropic", &corpus, |bytes| {
        let _ = Anthropic.reply(bytes);
        for status in [400, 401, 429, 529] {
            let _ = Anthropic.problem(status, bytes);
        }
    });
}
