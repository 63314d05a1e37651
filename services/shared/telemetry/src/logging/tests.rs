#![allow(clippy::unwrap_used)]

use precis_config::{Validate, Violations};

use super::*;

fn config(log_level: &str) -> TelemetryConfig {
    TelemetryConfig { log_level: log_level.to_owned(), ..TelemetryConfig::default() }
}

fn problems(log_level: &str) -> Violations {
    let mut violations = Violations::default();
    config(log_level).validate("telemetry", &mut violations);
    violations
}

#[test]
fn levels_and_targets_are_filters() {
    for level in ["info", "WARN", "info,precis_flow=debug", "off"] {
        assert!(problems(level).is_empty(), "{level}: {}", problems(level));
    }
}

#[test]
fn what_is_no_filter_is_told_with_its_key() {
    for level in ["", "   ", "precis_flow=loud", "[["] {
        let problems = problems(level);
        assert_eq!(problems.len(), 1, "{level:?}");
        assert!(problems.to_string().contains("telemetry.log_level"), "{problems}");
    }
    assert_eq!(init_logging(&config("precis_flow=loud")).unwrap_err().code(), "bad_log_level");
}

#[test]
fn logging_may_be_started_twice() {
    init_logging(&config("info")).unwrap();
    init_logging(&TelemetryConfig { log_format: crate::LogFormat::Json, ..config("debug") }).unwrap();
}

#[test]
fn colours_are_for_terminals_that_have_and_want_them() {
    let wants = |variables: &[(&str, &str)], is_terminal| {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        wants_colours(&find, is_terminal)
    };
    assert!(wants(&[("TERM", "xterm"), ("NO_COLOR", "")], true));
    assert!(!wants(&[("TERM", "xterm")], false));
    assert!(!wants(&[("TERM", "xterm"), ("NO_COLOR", "1")], true));
    assert!(!wants(&[("TERM", "dumb")], true) && !wants(&[], true));
}
