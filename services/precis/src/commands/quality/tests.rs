#![allow(clippy::unwrap_used)]

use precis_flow::{EmbeddedConfig, LogConfig, Output as Published};

use super::*;

/// A log that was set up by a version without evaluations.
#[tokio::test]
async fn a_log_without_the_topic_of_evaluations_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { embedded: EmbeddedConfig { path: folder.path().join("log.db") }, ..LogConfig::default() };
    let log = precis_flow::open(&config).await.unwrap();
    let mut specs = topics::all(&[], &[], 1, None);
    log.ensure_topics(&specs).await.unwrap();
    assert!(read(&log).await.unwrap().has_evaluations_topic);

    let older = LogConfig { embedded: EmbeddedConfig { path: folder.path().join("old.db") }, ..LogConfig::default() };
    let log = precis_flow::open(&older).await.unwrap();
    specs.retain(|topic| topic.name == topics::SUMMARIES);
    log.ensure_topics(&specs).await.unwrap();
    log.publish(vec![Published::to(topics::SUMMARIES).value(b"no Avro".to_vec())]).await.unwrap();
    let found = read(&log).await.unwrap();
    assert_eq!((found.has_evaluations_topic, found.skipped.count()), (false, 1));
}
