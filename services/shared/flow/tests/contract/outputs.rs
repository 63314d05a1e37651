//! What a stage's processor puts out, and the log or a record has no room for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use precis_flow::{DeadLetterStore, Delivery, Output, Record, StageConfig, StageError, TopicSpec};
use precis_schemas::BodyReference;

use crate::stage_failures::{dead_letters, letter};
use crate::support::{FromFn, Running, World, copy, lag, publish_numbers, read_count, text};

contract! {
    a_dead_letter_too_large_for_a_record_goes_to_the_store,
    an_output_too_large_for_any_record_becomes_a_dead_letter,
    an_output_too_large_for_its_topic_becomes_a_dead_letter,
    an_output_that_its_topic_refuses_becomes_a_dead_letter,
}

struct Store(Mutex<Vec<Vec<u8>>>, AtomicUsize);

#[async_trait]
impl DeadLetterStore for Store {
    async fn store(&self, _record: &Record, value: &[u8]) -> Result<BodyReference, StageError> {
        if self.1.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(StageError::dependency("s3_away", "try again"));
        }
        self.0.lock().unwrap().push(value.to_vec());
        Ok(BodyReference { key: "bodies/x".to_owned(), sha256: "00".to_owned(), size_bytes: value.len() as i64 })
    }
}

async fn a_dead_letter_too_large_for_a_record_goes_to_the_store(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let (config, dead) = dead_letters(&world, &log, &input).await;
    let value = vec![7; 50_000];
    log.publish(vec![Output::to(&input).key("k").value(value.clone()).header("h", "x")]).await.unwrap();
    let reject: Arc<dyn precis_flow::Processor> =
        Arc::new(FromFn(|_: Delivery| async { Err(StageError::reject("bad", "it is bad")) }));
    let config = StageConfig { max_output_bytes: 20_000, ..config };
    let stage = Running::start(&log, config.clone(), Arc::clone(&reject));
    assert_eq!(
        stage.ended().await.unwrap_err().code(),
        "dead_letter_too_large",
        "without a store, nothing is thrown away"
    );
    let store = Arc::new(Store(Mutex::default(), AtomicUsize::new(0)));
    let config = StageConfig { dead_letter_store: Some(store.clone()), ..config };
    let stage = Running::start(&log, config, reject);
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    stage.stop().await.unwrap();
    assert_eq!((letter.value, letter.key.as_deref()), (None, Some(b"k".as_slice())));
    assert_eq!(
        letter.value_ref.map(|reference| (reference.key, reference.size_bytes)),
        Some(("bodies/x".to_owned(), 50_000))
    );
    assert_eq!(letter.headers.len(), 1);
    assert_eq!(*store.0.lock().unwrap(), [value]);
}

async fn an_output_too_large_for_any_record_becomes_a_dead_letter(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 3, 3).await;
    let processor = {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let mut output = copy(&delivery.record, &output);
            if text(&delivery.record) == "1" {
                output.value = Some(vec![0; 3 * 1024 * 1024]);
            }
            async move { Ok(vec![output]) }
        }))
    };
    let stage = Running::start(&log, config, processor);
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    read_count(&log, &output, 2).await;
    stage.stop().await.unwrap();
    assert_eq!((letter.code.as_str(), letter.value.as_deref()), ("output_too_large", Some(b"1".as_slice())));
}

async fn an_output_too_large_for_its_topic_becomes_a_dead_letter(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let small = TopicSpec { max_message_bytes: 10_000, ..world.spec("small", 1) };
    log.ensure_topics(std::slice::from_ref(&small)).await.unwrap();
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 6, 6).await;
    let processor = {
        let small = small.name.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let mut output = copy(&delivery.record, &small);
            if text(&delivery.record) == "3" {
                output.value = Some((0..50_000).map(|_| rand::random()).collect());
            }
            async move { Ok(vec![output]) }
        }))
    };
    let stage = Running::start(&log, config, processor);
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    let records = read_count(&log, &small.name, 5).await;
    stage.stop().await.unwrap();
    assert_eq!((letter.code.as_str(), letter.value.as_deref()), ("output_too_large", Some(b"3".as_slice())));
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["0", "1", "2", "4", "5"]);
    assert_eq!(lag(&log, &world.name("group")).await, 0);
}

async fn an_output_that_its_topic_refuses_becomes_a_dead_letter(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let compacted = TopicSpec { compacted: true, retention_ms: None, ..world.spec("compacted", 1) };
    log.ensure_topics(std::slice::from_ref(&compacted)).await.unwrap();
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 5, 5).await;
    let processor = {
        let compacted = compacted.name.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let mut output = copy(&delivery.record, &compacted);
            if text(&delivery.record) == "2" {
                output.key = None;
            }
            async move { Ok(vec![output]) }
        }))
    };
    let stage = Running::start(&log, config, processor);
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    let records = read_count(&log, &compacted.name, 4).await;
    stage.stop().await.unwrap();
    assert_eq!((letter.code.as_str(), letter.value.as_deref()), ("output_refused", Some(b"2".as_slice())));
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["0", "1", "3", "4"]);
}
