use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// Collects what `log` logs at the level at which commands collect.
fn collected(log: impl FnOnce()) -> Vec<Trouble> {
    let troubles = Troubles::default();
    let subscriber = tracing_subscriber::registry().with(troubles.clone().with_filter(LevelFilter::WARN));
    tracing::subscriber::with_default(subscriber, log);
    troubles.take()
}

fn trouble(code: &str, message: &str) -> Trouble {
    Trouble { code: code.to_owned(), message: message.to_owned() }
}

#[test]
fn a_warning_with_a_code_is_kept_with_its_error() {
    let kept = collected(|| {
        let error = fmt::Error;
        tracing::warn!(stage = "router", code = "log_full", %error, "a transaction was aborted");
        tracing::error!(code = "policy_unreadable", "the policy cannot be read");
    });
    let expected = trouble("log_full", &fmt::Error.to_string());
    assert_eq!(kept, [expected, trouble("policy_unreadable", "the policy cannot be read")]);
}

#[test]
fn what_has_no_code_or_is_no_warning_is_not_kept() {
    let kept = collected(|| {
        tracing::warn!("a warning of another kind");
        tracing::info!(code = "refused", "part of the work");
    });
    assert_eq!(kept, []);
}

#[test]
fn only_the_newest_are_kept_and_each_is_taken_once() {
    let troubles = Troubles::default();
    (0..MAX_KEPT + 3).for_each(|number| troubles.keep(trouble("log_full", &number.to_string())));
    let taken = troubles.take();
    assert_eq!((taken.len(), taken[0].message.as_str()), (MAX_KEPT, "3"));
    assert_eq!(troubles.take(), []);
}
