//! The router in its stage on the embedded log: each input has one output, on the right topic.

use std::sync::Arc;
use std::time::Duration;

use precis_flow::{Output, ReadStart, StageConfig, run_stage};
use precis_pipeline::runtime::TopicSettings;
use precis_pipeline::topics;
use precis_schemas::{DeadLetter, Document, Outcome, codec};
use precis_telemetry::Health;
use tokio_util::sync::CancellationToken;

use super::harness::*;
use crate::STAGE;

/// All values of a topic, once there are at least `least`.
pub(super) async fn values(deployment: &Deployment, topic: &str, least: usize) -> Vec<Vec<u8>> {
    let mut reader = deployment.log.reader(topic, ReadStart::Beginning).await.unwrap();
    let mut values = Vec::new();
    let read = async {
        while values.len() < least || !reader.caught_up() {
            values.extend(reader.next(Duration::from_mins(1)).await.unwrap().and_then(|record| record.value));
        }
    };
    tokio::time::timeout(Duration::from_mins(1), read).await.unwrap();
    values
}

#[tokio::test]
async fn every_record_ends_as_work_an_outcome_or_a_dead_letter() {
    let deployment = Deployment::with(THREE_TIERS).await;
    let stop = CancellationToken::new();
    let router = deployment.router_on(deployment.store.clone());
    let subscription = crate::subscription(&TopicSettings::default());
    let config = StageConfig::new(STAGE, "precis.router", subscription).with_dead_letters(topics::DEAD_LETTERS, None);
    let stage = tokio::spawn(run_stage(deployment.log.clone(), config, Arc::new(router), Health::new(), stop.clone()));

    let publish = |topic: &str, value: Vec<u8>| Output::to(topic).key("k").value(value);
    let restricted = Document { sensitivity: None, ..document() };
    let invalid = Document { document_id: "bad".to_owned(), max_words: Some(-1), ..document() };
    let theirs = Document { tenant: Some("other".to_owned()), ..document() };
    let outputs = vec![
        publish("documents.acme", codec::encode(&restricted).unwrap()),
        publish("documents.acme", codec::encode(&invalid).unwrap()),
        publish("documents.other", b"no avro".to_vec()),
        publish("documents.acme", codec::encode(&theirs).unwrap()),
    ];
    deployment.log.publish(outputs).await.unwrap();

    let work = values(&deployment, "work.gpu", 1).await;
    let routed: precis_schemas::RoutedDocument = codec::decode(&work[0]).unwrap();
    assert_eq!(routed.document_id, "minutes-1");
    let summaries = values(&deployment, topics::SUMMARIES, 1).await;
    let failed: Outcome = codec::decode(&summaries[0]).unwrap();
    assert_eq!((failed.document_id.as_str(), failed.code.as_deref()), ("bad", Some("max_words_out_of_range")));
    assert_eq!(deployment.result(&invalid).await.as_ref(), Some(&summaries[0]), "topic and store agree byte for byte");
    let letters = values(&deployment, topics::DEAD_LETTERS, 3).await;
    let mut codes: Vec<String> =
        letters.iter().map(|letter| codec::decode::<DeadLetter>(letter).unwrap().code).collect();
    codes.sort();
    assert_eq!(codes, ["max_words_out_of_range", "not_single_object", "tenant_mismatch"]);

    stop.cancel();
    stage.await.unwrap().unwrap();
    for (topic, count) in [("work.gpu", 1), (topics::SUMMARIES, 1), (topics::DEAD_LETTERS, 3), ("work.mid", 0)] {
        assert_eq!(values(&deployment, topic, count).await.len(), count, "{topic}");
    }
}
