#![allow(clippy::unwrap_used)]

use super::*;
use crate::provider::{Billing, Failure};

const REFUSE_AFTER: Duration = Duration::from_mins(2);
const PROBE_WAIT: Duration = Duration::from_secs(15);

fn down_for(lasted: Duration) -> Down {
    Down { wait: PROBE_WAIT, lasted }
}

fn end_of(kind: FailureKind, down: Option<Down>) -> GenerateError {
    let retry_after = Some(Duration::from_secs(9));
    let failure = Failure {
        provider: "openai",
        kind,
        detail: "HTTP 500".to_owned(),
        retry_after,
        billing: Billing::Unknown,
        request_id: None,
    };
    generate_error(ApiError::Provider { failure, down }, REFUSE_AFTER)
}

fn wait(error: &GenerateError) -> (Scope, Option<Duration>) {
    let GenerateError::Retry { scope, after, .. } = error else { panic!("{error:?}") };
    (*scope, *after)
}

#[test]
fn what_another_tier_could_do_is_refused() {
    for kind in [
        FailureKind::OutOfMoney,
        FailureKind::TooLong,
        FailureKind::Refused,
        FailureKind::BadRequest,
        FailureKind::Unreadable,
    ] {
        assert!(matches!(end_of(kind, None), GenerateError::Refused { code, .. } if code == kind.code()), "{kind:?}");
    }
    let end = |error| generate_error(error, REFUSE_AFTER);
    assert!(matches!(end(ApiError::NoMoney), GenerateError::Refused { code: "out_of_money", .. }));
    let exhausted = BudgetError::Exhausted { budget: "daily".to_owned(), amount: precis_schemas::Usd::ZERO };
    assert!(matches!(end(exhausted.into()), GenerateError::Refused { code: "budget_exhausted", .. }));
    let spent = |unreadable| end(ApiError::Spent(precis_pipeline::Spent { requests: 6, unreadable }));
    assert!(matches!(spent(false), GenerateError::Refused { code: "paid_requests_exhausted", .. }));
    assert!(matches!(spent(true), GenerateError::Refused { code: "provider_unreadable", .. }));
    let unreadable = BudgetError::Unreadable { key: String::new() };
    assert_eq!(wait(&end(unreadable.into())).0, Scope::Dependency);
}

/// The intake stops for as long as the provider demands.
#[test]
fn a_provider_that_is_away_stops_the_intake() {
    for kind in [FailureKind::Throttled, FailureKind::Overloaded, FailureKind::Unreachable] {
        assert_eq!(wait(&end_of(kind, None)), (Scope::Dependency, Some(Duration::from_secs(9))), "{kind:?}");
    }
    assert_eq!(wait(&end_of(FailureKind::Auth, None)).0, Scope::Dependency);
}

/// In an outage documents wait up to a bound; then another tier gets them.
#[test]
fn one_documents_failures_are_bounded_and_outages_waited_out() {
    assert_eq!(wait(&end_of(FailureKind::Transient, None)).0, Scope::Record);
    let just_under = REFUSE_AFTER.checked_sub(Duration::from_millis(1)).unwrap();
    for kind in [FailureKind::Transient, FailureKind::Overloaded, FailureKind::Unreachable, FailureKind::Auth] {
        assert_eq!(wait(&end_of(kind, Some(down_for(just_under)))), (Scope::Dependency, Some(PROBE_WAIT)), "{kind:?}");
        let refused = end_of(kind, Some(down_for(REFUSE_AFTER)));
        assert!(matches!(refused, GenerateError::Refused { code: "provider_down", .. }), "{kind:?}");
    }
    let unreadable = |lasted| generate_error(ApiError::Unreadable(down_for(lasted)), REFUSE_AFTER);
    assert_eq!(wait(&unreadable(just_under)), (Scope::Dependency, Some(PROBE_WAIT)));
    assert!(matches!(unreadable(REFUSE_AFTER), GenerateError::Refused { code: "provider_unreadable", .. }));
    let nothing_sent = |lasted| generate_error(ApiError::Down(down_for(lasted)), REFUSE_AFTER);
    assert_eq!(wait(&nothing_sent(just_under)), (Scope::Dependency, Some(PROBE_WAIT)));
    assert!(matches!(nothing_sent(REFUSE_AFTER), GenerateError::Refused { code: "provider_down", .. }));
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
fn the_whole_document_comes_before_the_instruction() {
    let prompt = Prompt::for_document(&precis_schemas::Document::default(), Some("en"));
    let request = Decoding { extra_output_tokens: 1000, ..Decoding::default() }.request(
        "m",
        "The text.\nAll of it.",
        &prompt,
        false,
    );
    assert!(request.user.contains(">\nThe text.\nAll of it.\n</document-"), "{}", request.user);
    assert!(request.user.ends_with(&format!("\n\n{}", prompt.whole)) && request.system.starts_with(&prompt.system));
    assert_eq!(request.max_output_tokens, prompt.max_output_tokens() + 1000);
}
