//! Records so large that not even their dead letter holds them: none of them may stop a stage, or
//! hold it for ever.

use std::sync::Arc;

use async_trait::async_trait;
use precis_flow::{DeadLetterStore, Delivery, Output, Processor, Record, StageConfig, StageError};
use precis_schemas::BodyReference;

use crate::stage_failures::{dead_letters, letter};
use crate::support::{FromFn, Running, World, lag, read_count};

contract! {
    value_that_no_store_takes_leaves_a_dead_letter,
    a_key_and_headers_too_large_for_a_dead_letter_are_left_out,
    a_dead_letter_keeps_the_key_and_the_headers_that_fit,
}

/// A store with a limit.
struct Small;

#[async_trait]
impl DeadLetterStore for Small {
    async fn store(&self, _record: &Record, value: &[u8]) -> Result<BodyReference, StageError> {
        if value.len() > 30_000 {
            return Err(StageError::reject("object_too_large", "it is over the limit"));
        }
        Ok(BodyReference { key: "bodies/x".to_owned(), sha256: "00".to_owned(), size_bytes: value.len() as i64 })
    }
}

fn rejecting() -> Arc<dyn Processor> {
    Arc::new(FromFn(|_: Delivery| async { Err(StageError::reject("bad", "it is bad")) }))
}

async fn value_that_no_store_takes_leaves_a_dead_letter(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let (config, dead) = dead_letters(&world, &log, &input).await;
    log.publish(vec![Output::to(&input).key("k").value(vec![7; 50_000]).header("h", "x")]).await.unwrap();
    let config = StageConfig { max_output_bytes: 20_000, dead_letter_store: Some(Arc::new(Small)), ..config };
    let stage = Running::start(&log, config, rejecting());
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    stage.stop().await.unwrap();
    assert_eq!((letter.code.as_str(), letter.value, letter.key), ("bad", None, Some(b"k".to_vec())));
    assert_eq!(letter.value_ref.map(|body| (body.key, body.size_bytes)), Some((String::new(), 50_000)));
    assert!(letter.message.contains("50000 bytes"), "{}", letter.message);
    assert_eq!(lag(&log, &world.name("group")).await, 0, "and the stage goes on");
}

async fn a_key_and_headers_too_large_for_a_dead_letter_are_left_out(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let (config, dead) = dead_letters(&world, &log, &input).await;
    let large = || Output::to(&input).key(vec![1; 30_000]).header("h", vec![2; 30_000]);
    log.publish(vec![large().value("v"), large()]).await.unwrap();
    let config = StageConfig { max_output_bytes: 20_000, dead_letter_store: Some(Arc::new(Small)), ..config };
    let stage = Running::start(&log, config, rejecting());
    let letters: Vec<_> = read_count(&log, &dead, 2).await.iter().map(letter).collect();
    stage.stop().await.unwrap();
    for letter in &letters {
        assert_eq!((letter.key.as_ref(), letter.headers.len()), (None, 0));
        assert!(letter.message.contains("its key of 30000 bytes is left out"), "{}", letter.message);
        assert!(letter.message.contains("1 of its 1 headers are left out"), "{}", letter.message);
    }
    assert_eq!(letters[0].value_ref.as_ref().map(|body| body.key.as_str()), Some("bodies/x"));
    assert_eq!((&letters[1].value, &letters[1].value_ref), (&None, &None), "it had none");
}

/// Endless headers cost a dead letter neither its key nor the first headers, and one whose value
/// went to the store has as many as it has room for.
async fn a_dead_letter_keeps_the_key_and_the_headers_that_fit(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let (config, dead) = dead_letters(&world, &log, &input).await;
    let with = |count: usize, bytes: usize| {
        let record = Output::to(&input).key("k").value("v");
        (0..count).fold(record, |record, n| record.header(format!("h{n}"), vec![b'x'; bytes]))
    };
    log.publish(vec![with(1_500, 0), with(200, 1_000)]).await.unwrap();
    let config = StageConfig { max_output_bytes: 150_000, dead_letter_store: Some(Arc::new(Small)), ..config };
    let stage = Running::start(&log, config, rejecting());
    let letters: Vec<_> = read_count(&log, &dead, 2).await.iter().map(letter).collect();
    stage.stop().await.unwrap();
    assert!(letters.iter().all(|letter| letter.key.as_deref() == Some(b"k")));
    assert_eq!((letters[0].headers.len(), letters[0].value.as_deref()), (1_000, Some(b"v".as_slice())));
    assert!(letters[0].message.contains("500 of its 1500 headers are left out"), "{}", letters[0].message);
    assert!((140..150).contains(&letters[1].headers.len()), "{}", letters[1].headers.len());
    assert_eq!(letters[1].headers[0].name, "h0");
}
