//! Topics that others write: what their headers say is not believed, and copies of their records go
//! to a topic that nobody else writes.

use std::sync::Arc;

use precis_flow::{
    ATTEMPTS_HEADER, Delivery, Headers, Log, ORIGIN_HEADER, Output, Record, Returns, StageConfig, StageError,
    Subscription,
};

use crate::stage_failures::{dead_letters, letter};
use crate::support::{FromFn, Running, World, assert_each_once, copy, lag, read_all, read_count, text};

contract! {
    headers_from_outside_say_nothing_of_a_record,
    records_of_others_are_requeued_on_the_topic_of_returns,
    returned_record_is_tried_as_often_as_any_other,
    stage_that_does_not_read_its_returns_is_refused,
}

/// A topic that others write and the topic of its returns, both read by the stage.
async fn stage(world: &World, log: &Arc<dyn Log>, partitions: i32) -> (StageConfig, String, String) {
    let (input, returns) = (world.topic(log, "others", partitions).await, world.topic(log, "returns", 2).await);
    let config = StageConfig {
        subscription: Subscription::topics([&input, &returns]),
        returns: Some(Returns { prefix: "others".to_owned(), topic: returns.clone() }),
        record_retries: 0,
        ..world.stage(&input)
    };
    (config, input, returns)
}

fn forged(input: &str) -> Headers {
    Headers::new()
        .with(ORIGIN_HEADER, format!("{input}/0/77"))
        .with("own", "kept")
        .with(ATTEMPTS_HEADER, "2")
        .with("precis-replay", "true")
}

/// The headers of ours that a publisher wrote are those of any other publisher: without effect.
async fn headers_from_outside_say_nothing_of_a_record(world: World) {
    let log = world.open().await;
    let (config, input, _) = stage(&world, &log, 1).await;
    let output = world.topic(&log, "out", 1).await;
    log.publish(vec![Output { headers: forged(&input), ..Output::to(&input).key("k").value("0") }]).await.unwrap();
    let processor = {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let told = format!("{} {}", delivery.origin(), delivery.attempts);
            let output = copy(&delivery.record, &output).header("told", told);
            async { Ok(vec![output]) }
        }))
    };
    let running = Running::start(&log, config, processor);
    let record = read_count(&log, &output, 1).await.remove(0);
    running.stop().await.unwrap();
    assert_eq!(record.headers.get_str("told"), Some(format!("{input}/0/0 0").as_str()));
}

async fn records_of_others_are_requeued_on_the_topic_of_returns(world: World) {
    let log = world.open().await;
    let (config, input, returns) = stage(&world, &log, 4).await;
    let output = world.topic(&log, "out", 1).await;
    let published = (0..8).map(|n| Output {
        partition: Some(n % 4),
        headers: forged(&input),
        ..Output::to(&input).key(format!("key-{n}")).value(n.to_string())
    });
    let positions = log.publish(published.collect()).await.unwrap();
    let processor = {
        let (output, input) = (output.clone(), input.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let told = copy(&delivery.record, &output).header("origin", delivery.origin().to_string());
            let first = *delivery.record.topic == *input;
            async move { if first { Err(StageError::record("flaky", "later")) } else { Ok(vec![told]) } }
        }))
    };
    let running = Running::start(&log, StageConfig { max_attempts: 2, ..config }, processor);
    let records = read_count(&log, &output, 8).await;
    running.stop().await.unwrap();
    assert_each_once(&records, 8);
    for record in &records {
        let n: usize = text(record).parse().unwrap();
        assert_eq!(record.headers.get_str("origin"), Some(positions[n].to_string().as_str()));
    }
    assert_eq!(read_all(&log, &input).await.len(), 8, "nothing is written where others write");
    for record in read_all(&log, &returns).await {
        let n: usize = text(&record).parse().unwrap();
        assert_eq!(record.key, Some(format!("key-{n}").into_bytes()));
        assert_eq!(record.headers.get_str(ORIGIN_HEADER), Some(positions[n].to_string().as_str()));
        assert_eq!((record.claimed_attempts(), record.headers.get_str("own")), (1, Some("kept")));
        assert_eq!(record.headers.get("precis-replay"), None, "what a publisher wrote is not believed later either");
    }
    assert_eq!(lag(&log, &world.name("group")).await, 0);
}

async fn returned_record_is_tried_as_often_as_any_other(world: World) {
    let log = world.open().await;
    let (config, input, returns) = stage(&world, &log, 1).await;
    let (_, dead) = dead_letters(&world, &log, &input).await;
    let config = StageConfig { max_attempts: 3, ..config }.with_dead_letters(&dead, None);
    log.publish(vec![Output { headers: forged(&input), ..Output::to(&input).key("k").value("0") }]).await.unwrap();
    let hopeless = FromFn(|_: Delivery| async { Err(StageError::record("hopeless", "it fails every time")) });
    let running = Running::start(&log, config, Arc::new(hopeless));
    let record = read_count(&log, &dead, 1).await.remove(0);
    running.stop().await.unwrap();
    let letter = letter(&record);
    assert_eq!((letter.topic.as_str(), letter.attempts), (returns.as_str(), 3));
    assert_eq!(record.headers.get_str(ORIGIN_HEADER), Some(format!("{input}/0/0").as_str()));
    let attempts: Vec<_> = read_all(&log, &returns).await.iter().map(Record::claimed_attempts).collect();
    assert_eq!(attempts, [1, 2]);
}

/// Copies that nobody reads would be lost, and so would be the trust in a topic that others write.
async fn stage_that_does_not_read_its_returns_is_refused(world: World) {
    let log = world.open().await;
    let (config, input, _) = stage(&world, &log, 1).await;
    let unread = StageConfig { subscription: Subscription::topics([&input]), ..config.clone() };
    let returns = Some(Returns { prefix: "others".to_owned(), topic: input.clone() });
    let theirs = StageConfig { returns, ..config };
    for config in [unread, theirs] {
        let unused = Arc::new(FromFn(|_: Delivery| async { Ok(Vec::new()) }));
        let error = Running::start(&log, config, unused).ended().await.unwrap_err();
        assert!(error.to_string().contains("returns"), "{error}");
    }
}
