//! Contract of every provider, whatever its wire format.

use std::time::Duration;

use precis_api_worker::provider::{Billing, Failure, FailureKind, Finish, Remaining, Reply};
use precis_policy::Tokens;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::faults::{Answer, Faults};
use crate::wires::{KEY, Wire};

/// Sends one request to a provider that gives this answer.
async fn ask(wire: &Wire, answer: Answer) -> Result<Reply, Failure> {
    let faults = Faults::start(Vec::new(), answer).await;
    let result = wire.at(&faults.url).complete(&wire.request()).await;
    assert_eq!(faults.seen().len(), 1, "a provider sends each request once");
    result
}

fn summary(failure: &Failure) -> (FailureKind, Billing) {
    (failure.kind, failure.billing)
}

pub(crate) async fn an_answer_comes_with_its_tokens_and_the_providers_request_id(wire: &Wire) {
    let reply = ask(wire, wire.ok("A summary.", "stop", 120, 0, 30)).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("A summary.", Finish::Stop));
    assert_eq!(reply.usage, Some(Tokens { input: 120, cached_input: 0, cache_write: 0, output: 30 }));
    assert_eq!(reply.request_id.as_deref(), Some("req_1"));
}

pub(crate) async fn cached_tokens_are_counted_apart(wire: &Wire) {
    let reply = ask(wire, wire.ok("A summary.", "stop", 86, 1920, 30)).await.unwrap();
    assert_eq!(reply.usage, Some(Tokens { input: 86, cached_input: 1920, cache_write: 0, output: 30 }));
}

pub(crate) async fn the_request_carries_key_model_and_text(wire: &Wire) {
    let faults = Faults::start(Vec::new(), wire.ok("A summary.", "stop", 1, 0, 1)).await;
    wire.at(&faults.url).complete(&wire.request()).await.unwrap();
    let seen = &faults.seen()[0];
    assert_eq!(seen.path, wire.path);
    assert_eq!(seen.header(wire.key_header.0), wire.key_header.1);
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.body["model"], wire.model);
    assert_eq!((wire.user_text)(&seen.body), "The unmistakable document.");
    assert!(seen.body.get("stream").is_none());
}

pub(crate) async fn a_refusal_is_an_answer_that_says_so(wire: &Wire) {
    let reply = ask(wire, wire.ok("", "refusal", 120, 0, 3)).await.unwrap();
    assert_eq!((reply.finish, reply.usage.map(|usage| usage.output)), (Finish::Refusal, Some(3)), "and is billed");
}

pub(crate) async fn a_cut_answer_says_so(wire: &Wire) {
    assert_eq!(ask(wire, wire.ok("A summ", "length", 120, 0, 100)).await.unwrap().finish, Finish::Length);
}

pub(crate) async fn throttling_carries_the_wait_it_asks_for(wire: &Wire) {
    let seconds = Duration::from_secs;
    for (answer, wait) in [
        (wire.problem(wire.throttled), None),
        (wire.problem(wire.throttled).with("retry-after", "17"), Some(seconds(17))),
        (wire.problem(wire.throttled).with("retry-after-ms", "1500"), Some(Duration::from_millis(1500))),
        (
            wire.problem(wire.throttled)
                .with("date", "Mon, 23 Nov 2026 12:00:00 GMT")
                .with("retry-after", "Mon, 23 Nov 2026 12:00:20 GMT"),
            Some(seconds(20)),
        ),
    ] {
        let failure = ask(wire, answer).await.unwrap_err();
        assert_eq!((summary(&failure), failure.retry_after), ((FailureKind::Throttled, Billing::NotBilled), wait));
        assert_eq!(failure.request_id.as_deref(), Some("req_1"));
    }
}

pub(crate) async fn out_of_money_is_not_throttling(wire: &Wire) {
    for problem in wire.out_of_money {
        let failure = ask(wire, wire.problem(*problem)).await.unwrap_err();
        assert_eq!(summary(&failure), (FailureKind::OutOfMoney, Billing::NotBilled), "{problem:?}");
        assert!(!failure.kind.is_retryable());
    }
}

pub(crate) async fn overload_and_errors_of_theirs_may_be_tried_again(wire: &Wire) {
    let page = |status| Answer::Http { status, headers: Vec::new(), body: b"<html>sorry</html>".to_vec() };
    for (status, expected) in [
        (529, (FailureKind::Overloaded, Billing::NotBilled)),
        (503, (FailureKind::Overloaded, Billing::NotBilled)),
        (500, (FailureKind::Transient, Billing::Unknown)),
        (502, (FailureKind::Transient, Billing::Unknown)),
        (504, (FailureKind::Transient, Billing::Unknown)),
        (408, (FailureKind::Transient, Billing::Unknown)),
    ] {
        let failure = ask(wire, page(status)).await.unwrap_err();
        assert_eq!(summary(&failure), expected, "{status}");
        assert!(failure.kind.is_retryable(), "{status}");
    }
}

pub(crate) async fn what_never_succeeds_is_told_apart(wire: &Wire) {
    for (problem, kind) in [
        (wire.too_long, FailureKind::TooLong),
        (wire.wrong_key, FailureKind::Auth),
        (wire.bad_request, FailureKind::BadRequest),
    ] {
        let failure = ask(wire, wire.problem(problem)).await.unwrap_err();
        assert_eq!(summary(&failure), (kind, Billing::NotBilled));
        assert!(!failure.kind.is_retryable(), "{kind:?}");
    }
}

pub(crate) async fn a_garbled_answer_may_have_been_billed(wire: &Wire) {
    for body in [&b"<html>hello</html>"[..], b"", b"{}", b"null", b"{\"choices\": [], \"content\": []}", b"\xff\xfe"] {
        let answer = Answer::Http { status: 200, headers: Vec::new(), body: body.to_vec() };
        assert_eq!(
            summary(&ask(wire, answer).await.unwrap_err()),
            (FailureKind::Unreadable, Billing::Unknown),
            "{body:?}"
        );
    }
}

pub(crate) async fn half_an_answer_may_have_been_billed(wire: &Wire) {
    let Answer::Http { body, .. } = wire.ok("A summary.", "stop", 120, 0, 30) else { unreachable!() };
    let failure = ask(wire, Answer::Half(body)).await.unwrap_err();
    assert_eq!(summary(&failure), (FailureKind::Transient, Billing::Unknown));
}

pub(crate) async fn no_answer_in_time_may_have_been_billed(wire: &Wire) {
    let failure = ask(wire, Answer::Hangs).await.unwrap_err();
    assert_eq!(summary(&failure), (FailureKind::Transient, Billing::Unknown));
    assert!(failure.to_string().contains("time"), "{failure}");
}

pub(crate) async fn a_connection_closed_without_a_word_may_have_been_billed(wire: &Wire) {
    let failure = ask(wire, Answer::Closes).await.unwrap_err();
    assert_eq!(summary(&failure), (FailureKind::Transient, Billing::Unknown));
}

pub(crate) async fn an_answer_that_begins_too_late_may_have_been_billed(wire: &Wire) {
    let late = |milliseconds| {
        let answer = wire.ok("A summary.", "stop", 1, 0, 1);
        Answer::Late(Duration::from_millis(milliseconds), Box::new(answer))
    };
    assert!(ask(wire, late(50)).await.is_ok());
    let failure = ask(wire, late(600)).await.unwrap_err();
    assert_eq!(summary(&failure), (FailureKind::Transient, Billing::Unknown));
    assert!(failure.to_string().contains("no answer began in time"), "{failure}");
}

/// By hand: no server library sends a head and then waits.
pub(crate) async fn an_answer_that_stops_half_way_may_have_been_billed(wire: &Wire) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
        // Reads until the client has had enough.
        while connection.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
    });
    let failure = wire.at(&url).complete(&wire.request()).await.unwrap_err();
    assert_eq!(summary(&failure), (FailureKind::Transient, Billing::Unknown));
    assert!(failure.to_string().contains("no complete answer in time"), "{failure}");
    server.await.unwrap();
}

pub(crate) async fn what_is_left_of_the_limits_is_read(wire: &Wire) {
    let [requests, tokens] = wire.remaining_headers;
    let answer = wire.ok("A summary.", "stop", 1, 0, 1).with(requests, "7").with(tokens, "39500");
    let remaining = ask(wire, answer).await.unwrap().remaining;
    assert_eq!((remaining.requests, remaining.tokens), (Some(7), Some(39_500)));
    assert_eq!(ask(wire, wire.ok("A summary.", "stop", 1, 0, 1)).await.unwrap().remaining, Remaining::default());
}

pub(crate) async fn an_answer_without_end_is_cut_off(wire: &Wire) {
    let answer = wire.ok(&"x".repeat(5 * 1024 * 1024), "stop", 1, 0, 1);
    let failure = ask(wire, answer).await.unwrap_err();
    assert_eq!(summary(&failure), (FailureKind::Unreadable, Billing::Unknown));
}

pub(crate) async fn no_connection_is_not_billed(wire: &Wire) {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure = wire.at(&format!("http://{free}")).complete(&wire.request()).await.unwrap_err();
    assert_eq!(summary(&failure), (FailureKind::Unreachable, Billing::NotBilled));
}

pub(crate) async fn redirects_are_not_followed(wire: &Wire) {
    let elsewhere = Faults::start(Vec::new(), wire.ok("A summary.", "stop", 1, 0, 1)).await;
    let there = Answer::json(307, &json!({})).with("location", &format!("{}{}", elsewhere.url, wire.path));
    assert_eq!(ask(wire, there).await.unwrap_err().kind, FailureKind::BadRequest);
    assert!(elsewhere.seen().is_empty(), "key and document went elsewhere");
}

pub(crate) async fn no_error_shows_key_or_document(wire: &Wire) {
    let text = format!("bad input {KEY} in: The unmistakable document.");
    for answer in [
        wire.problem((400, "invalid_value", &text)),
        wire.problem((500, &text, &text)),
        Answer::Hangs,
        Answer::Half(vec![b' '; 9]),
    ] {
        let failure = ask(wire, answer).await.unwrap_err();
        for shown in [failure.to_string(), format!("{failure:?}")] {
            assert!(!shown.contains("unmistakable document") && !shown.contains("bad input"), "{shown}");
        }
    }
    let shown = format!("{:?} {}", wire.request().model, wire.name);
    assert!(!shown.contains(KEY));
}
