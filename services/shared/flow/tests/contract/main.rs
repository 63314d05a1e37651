//! The contract of the log and the stage: one suite, run on every implementation.
//!
//! Each test is a function of a [`World`]; `contract!` makes a test of it for the embedded log,
//! which always runs, and one for real Kafka, which is ignored without one: `PRECIS_TEST_KAFKA`
//! names its bootstrap servers. What only one of them can show is in `embedded_only` and
//! `on_kafka_only`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(missing_docs, reason = "the names of the tests say what they hold")]

/// Makes two tests of each function: one an implementation.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::World::embedded()).await;
            })*
        }

        mod on_kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs Kafka: make test starts it"]
            async fn $name() {
                super::$name(crate::support::World::kafka()).await;
            })*
        }
    };
}

mod crash;
mod damage;
mod embedded_only;
mod fairness;
mod kill;
mod log;
mod on_kafka_only;
mod outages;
mod outputs;
mod oversize;
mod raw;
mod recreated;
mod returns;
mod stage;
mod stage_failures;
mod stage_floods;
mod support;
mod table;
