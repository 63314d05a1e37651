//! The API worker against providers that misbehave: one contract suite for both wire formats, paid
//! calls with their ledger, the whole worker, and manners that an independent stand-in for
//! providers judges.
#![allow(clippy::unwrap_used)]

mod budgets;
mod calls;
mod deployment;
mod faults;
mod llmock;
mod memory;
mod money;
mod paid_requests;
mod secrets;
mod suite;
mod switches;
mod wires;
mod worker;

/// Runs every test of the suite on every wire format.
macro_rules! contract {
    ($($test:ident),+ $(,)?) => {
        mod anthropic {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::suite::$test(&crate::wires::ANTHROPIC).await;
            })+
        }
        mod openai {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::suite::$test(&crate::wires::OPENAI).await;
            })+
        }
    };
}

contract!(
    an_answer_comes_with_its_tokens_and_the_providers_request_id,
    cached_tokens_are_counted_apart,
    the_request_carries_key_model_and_text,
    a_refusal_is_an_answer_that_says_so,
    a_cut_answer_says_so,
    throttling_carries_the_wait_it_asks_for,
    out_of_money_is_not_throttling,
    overload_and_errors_of_theirs_may_be_tried_again,
    what_never_succeeds_is_told_apart,
    a_garbled_answer_may_have_been_billed,
    half_an_answer_may_have_been_billed,
    a_connection_closed_without_a_word_may_have_been_billed,
    an_answer_that_begins_too_late_may_have_been_billed,
    an_answer_that_stops_half_way_may_have_been_billed,
    what_is_left_of_the_limits_is_read,
    no_answer_in_time_may_have_been_billed,
    an_answer_without_end_is_cut_off,
    no_connection_is_not_billed,
    redirects_are_not_followed,
    no_error_shows_key_or_document,
);
