#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{Secret, Validate, Violations};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Log {
    /// Which log: one machine,
    /// or many.
    kind: Kind,
    /// The cluster.
    kafka: Option<Kafka>,
    /// A share | a part.
    ratio: f64,
    /// The password.
    password: Option<Secret>,
    /// More.
    more: BTreeMap<String, u32>,
    /// Several.
    targets: Vec<Target>,
    engine: Engine,
}

impl Default for Log {
    fn default() -> Self {
        let (more, targets) = (BTreeMap::new(), Vec::new());
        Self {
            kind: Kind::Embedded,
            kafka: None,
            ratio: 0.5,
            password: None,
            more,
            targets,
            engine: Engine { threads: 4 },
        }
    }
}

impl Validate for Log {
    fn validate(&self, _: &str, _: &mut Violations) {}
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// One.
    Embedded,
    /// Many.
    Kafka,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Kafka {
    /// Where the brokers are.
    brokers: Vec<String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self { brokers: vec!["localhost:9092".to_owned()] }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Target {
    /// Its name.
    name: String,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Engine {
    /// Threads.
    threads: usize,
}

#[test]
fn every_key_has_its_row_with_type_default_meaning_and_variable() {
    let table = markdown::<Log>("log");
    for row in [
        "| key | type | default | meaning | environment variable |",
        "| `log.kind` | `embedded` or `kafka` | `\"embedded\"` | Which log: one machine, or many. | `PRECIS_LOG__KIND` |",
        "| `log.kafka.brokers` | list of string | `[\"localhost:9092\"]` | Where the brokers are. | `PRECIS_LOG__KAFKA__BROKERS` |",
        "| `log.ratio` | number | `0.5` | A share \\| a part. | `PRECIS_LOG__RATIO` |",
        "| `log.password` | secret |  | The password. | `PRECIS_LOG__PASSWORD` |",
        "| `log.more` | table of integer | `{}` | More. | `PRECIS_LOG__MORE` |",
        "| `log.targets` | list of tables | `[]` | Several. | `PRECIS_LOG__TARGETS` |",
        "| `log.targets[].name` | string |  | Its name. |  |",
        "| `log.engine.threads` | integer | `4` | Threads. | `PRECIS_LOG__ENGINE__THREADS` |",
    ] {
        assert!(table.lines().any(|line| line == row), "{row}\nin\n{table}");
    }
    assert_eq!(table.lines().count(), 2 + 8);
}
