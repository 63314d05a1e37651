#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::provider::{Billing, Failure};

fn end_of(kind: Kind, looks_down: bool) -> GenerateError {
    let retry_after = Some(Duration::from_secs(9));
    let failure = Failure {
        provider: "openai",
        kind,
        detail: "HTTP 500".to_owned(),
        retry_after,
        billing: Billing::Unknown,
        request_id: None,
    };
    generate_error(ApiError::Provider { failure, looks_down })
}

#[test]
fn what_another_tier_could_do_is_refused() {
    for kind in [Kind::OutOfMoney, Kind::TooLong, Kind::Refused, Kind::BadRequest] {
        assert!(matches!(end_of(kind, false), GenerateError::Refused { code, .. } if code == kind.code()), "{kind:?}");
    }
    assert!(matches!(generate_error(ApiError::Closed), GenerateError::Refused { code: "out_of_money", .. }));
}

#[test]
fn a_provider_that_is_away_stops_the_intake_for_as_long_as_it_asks() {
    for kind in [Kind::Throttled, Kind::Overloaded, Kind::Unreachable] {
        let GenerateError::Retry { scope, after, .. } = end_of(kind, false) else { panic!("{kind:?}") };
        assert_eq!((scope, after), (Scope::Dependency, Some(Duration::from_secs(9))), "{kind:?}");
    }
    assert!(matches!(end_of(Kind::Auth, false), GenerateError::Retry { scope: Scope::Dependency, .. }));
}

#[test]
fn one_documents_failures_are_bounded_and_everybodys_are_waited_out() {
    assert!(matches!(end_of(Kind::Transient, false), GenerateError::Retry { scope: Scope::Record, .. }));
    assert!(matches!(end_of(Kind::Transient, true), GenerateError::Retry { scope: Scope::Dependency, .. }));
}

#[test]
fn whatever_changes_the_answer_changes_the_decoding() {
    let extra_body = Map::from_iter([("reasoning_effort".to_owned(), Value::from("low"))]);
    let all = [
        Decoding::default(),
        Decoding { temperature: Some(0.0), ..Decoding::default() },
        Decoding { extra_output_tokens: 1, ..Decoding::default() },
        Decoding { extra_body, ..Decoding::default() },
    ]
    .map(|decoding| decoding.spelling());
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{all:?}");
}

#[test]
fn the_document_stands_whole_before_the_instruction() {
    let prompt = Prompt::for_document(&precis_schemas::Document::default(), Some("en"));
    let request =
        Decoding { extra_output_tokens: 1000, ..Decoding::default() }.request("m", "The text.\nAll of it.", &prompt);
    assert_eq!(request.user, format!("<document>\nThe text.\nAll of it.\n</document>\n\n{}", prompt.whole));
    assert_eq!(request.max_output_tokens, prompt.max_output_tokens() + 1000);
}
