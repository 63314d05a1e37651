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

/// An id that would write on the screen, turn the text around and begin a log line of its own.
const HOSTILE: &str = "evil\u{1b}[31m\u{1b}]0;title\u{7}\u{9b}2J\u{7f}\u{202e}\u{200b}\r\n2026-01-01 ERROR forged";

/// What a layer writes of hostile fields.
fn written<L>(layer: impl FnOnce(Lines) -> L) -> String
where
    L: tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync,
{
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(layer(lines.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::info_span!("document", id = %HOSTILE).entered();
        tracing::warn!(text = HOSTILE, shown = %HOSTILE, debug = ?HOSTILE, "about {HOSTILE}");
    });
    String::from_utf8(std::mem::take(&mut *precis_base::lock::locked(&lines.0))).unwrap()
}

#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        precis_base::lock::locked(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn assert_harmless(text: &str) {
    let found = text.chars().find(|character| visible::is_invisible(*character) && *character != '\n');
    assert!(found.is_none(), "{found:?} in {text:?}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn no_log_line_can_control_a_terminal_or_forge_another() {
    let people = written(|lines| human_layer(move || lines.clone(), false));
    assert_harmless(&people);
    assert!(people.contains("id=evil\\u{1b}[31m") && people.contains("about evil\\u{1b}"), "{people}");
    let json = written(|lines| json_layer(move || lines.clone()));
    assert_harmless(&json);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["shown"], HOSTILE);
}

#[test]
fn a_line_for_people_has_message_and_fields() {
    let plain = written(|lines| human_layer(move || lines.clone(), false));
    assert!(plain.contains("WARN document{id=evil") && plain.contains(" shown=evil"), "{plain}");
    let coloured = written(|lines| human_layer(move || lines.clone(), true));
    assert!(coloured.contains("\u{1b}[3mshown\u{1b}[0m"), "{coloured}");
}
