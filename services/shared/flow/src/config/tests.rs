#![allow(clippy::unwrap_used)]

use super::*;

fn kafka(change: impl FnOnce(&mut KafkaConfig)) -> LogConfig {
    let mut config = LogConfig { kind: LogKind::Kafka, ..LogConfig::default() };
    change(&mut config.kafka);
    config
}

fn problem_of(change: impl FnOnce(&mut KafkaConfig)) -> String {
    let problems = kafka(change).problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn the_defaults_are_valid_for_both_logs() {
    assert_eq!(LogConfig::default().problems(), Vec::<String>::new());
    assert_eq!(kafka(|_| ()).problems(), Vec::<String>::new());
}

#[test]
fn a_message_may_not_outlive_its_transaction() {
    let problem = problem_of(|kafka| {
        kafka.transaction_timeout_ms = 10_000;
        kafka.message_timeout_ms = 10_001;
    });
    assert!(
        problem.contains("message_timeout_ms") && problem.contains("10001") && problem.contains("10000"),
        "{problem}"
    );
}

/// Properties that exactly once rests on are refused with their reason.
#[test]
fn properties_of_exactly_once_are_refused_with_a_reason() {
    for name in [
        "isolation.level",
        "enable.auto.commit",
        "transactional.id",
        "acks",
        "sasl.password",
        "ssl.key.pem",
        "group.protocol",
        "auto.commit.interval.ms",
    ] {
        let problem = problem_of(|kafka| {
            kafka.properties.insert(name.to_owned(), "x".to_owned());
        });
        assert!(problem.contains(name) && problem.contains("may not be set"), "{problem}");
    }
}

#[test]
fn other_properties_pass() {
    let config = kafka(|kafka| {
        kafka.properties.insert("socket.keepalive.enable".to_owned(), "true".to_owned());
    });
    assert_eq!(config.problems(), Vec::<String>::new());
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = kafka(|kafka| {
        kafka.brokers = "localhost:1,,localhost:2".to_owned();
        kafka.client_id = String::new();
        kafka.session_timeout_ms = 1;
    })
    .problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

/// The rule that providers and S3 have, too: another machine without TLS must be asked for.
#[test]
fn brokers_elsewhere_need_tls_or_consent() {
    for brokers in
        ["kafka-0:9092", "localhost:9092,10.0.0.7:9092", "PLAINTEXT://kafka:9092", "[2001:db8::1]:9092", "::2"]
    {
        let problem = problem_of(|kafka| kafka.brokers = brokers.to_owned());
        assert!(problem.contains("kafka.brokers") && problem.contains("allow_plaintext"), "{brokers}: {problem}");
        let allowed = kafka(|kafka| (kafka.brokers, kafka.allow_plaintext) = (brokers.to_owned(), true));
        assert_eq!(allowed.problems(), Vec::<String>::new());
        let encrypted = kafka(|kafka| (kafka.brokers, kafka.security.protocol) = (brokers.to_owned(), Protocol::Ssl));
        assert_eq!(encrypted.problems(), Vec::<String>::new());
    }
    for brokers in ["localhost:9092", "127.0.0.1:1, 127.0.0.2:2", "[::1]:9092", "PLAINTEXT://localhost:9092", "::1"] {
        assert_eq!(kafka(|kafka| kafka.brokers = brokers.to_owned()).problems(), Vec::<String>::new(), "{brokers}");
    }
}

#[test]
fn a_password_in_clear_needs_consent() {
    let sasl = |mechanism, allowed| {
        kafka(|kafka| {
            (kafka.brokers, kafka.allow_plaintext) = ("kafka-0:9092".to_owned(), allowed);
            kafka.security = SecurityConfig {
                protocol: Protocol::SaslPlaintext,
                sasl_mechanism: Some(mechanism),
                username: Some("ada".to_owned()),
                password: Some(precis_config::Secret::new("x")),
                ..SecurityConfig::default()
            };
        })
        .problems()
    };
    let problems = sasl(SaslMechanism::Plain, false);
    assert!(problems.len() == 1 && problems[0].contains("the password"), "{problems:?}");
    let problems = sasl(SaslMechanism::ScramSha512, false);
    assert!(problems.len() == 1 && !problems[0].contains("the password"), "{problems:?}");
    assert!(sasl(SaslMechanism::Plain, true).is_empty());
}

#[test]
fn unknown_fields_are_refused() {
    assert!(serde_json::from_str::<LogConfig>(r#"{"kafka": {"broker": "x"}}"#).is_err());
    assert!(serde_json::from_str::<LogConfig>(r#"{"kafka": {"brokers": "x"}}"#).is_ok());
}

#[cfg(not(feature = "tls"))]
#[test]
fn asking_for_tls_in_a_build_without_it_says_so() {
    let error = kafka(|kafka| kafka.security.protocol = Protocol::Ssl).check().unwrap_err();
    assert_eq!(error.code(), "tls_not_built");
    assert!(error.to_string().contains("security.protocol"), "{error}");
}

#[test]
fn sasl_needs_all_of_its_parts() {
    let problems = kafka(|kafka| kafka.security.protocol = Protocol::SaslPlaintext).problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn passwords_are_never_shown() {
    let config: SecurityConfig = serde_json::from_str(
        r#"{"protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN", "username": "u", "password": "hunter2"}"#,
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    assert!(config.properties().unwrap().contains(&("sasl.password", "hunter2".to_owned())));
}
