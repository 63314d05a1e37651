//! The stage when records, processors or dependencies fail: no record is lost, none ends twice,
//! none stops the others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_flow::{
    ATTEMPTS_HEADER, CODE_HEADER, Delivery, Headers, Log, ORIGIN_HEADER, Output, Record, Rejection, STAGE_HEADER,
    StageConfig, StageError,
};
use precis_schemas::{DeadLetter, codec};
use tokio::sync::Semaphore;

use crate::support::{
    FromFn, Running, WithRejected, World, assert_each_once, copy, copy_to, lag, publish_numbers, read_all, read_count,
    text, until,
};

contract! {
    a_rejected_record_becomes_a_dead_letter_with_its_raw_bytes,
    what_a_rejection_leaves_comes_with_its_dead_letter,
    rejection_that_cannot_settle_leaves_a_dead_letter,
    a_record_that_fails_for_a_while_succeeds_in_place,
    a_record_that_goes_on_failing_is_requeued_and_then_rejected,
    requeued_record_keeps_its_partition_and_origin,
    outage_pauses_the_intake_and_loses_nothing,
    stop_during_an_outage_is_prompt_and_loses_nothing,
    panicking_processor_leaves_a_dead_letter,
    fatal_error_stops_the_stage_and_commits_nothing,
    one_bad_record_does_not_hold_up_the_others,
}

pub(crate) fn dead_letters(
    world: &World,
    log: &Arc<dyn Log>,
    input: &str,
) -> impl Future<Output = (StageConfig, String)> {
    let (config, log) = (world.stage(input), Arc::clone(log));
    let spec = world.spec("dead-letters", 1);
    async move {
        log.ensure_topics(std::slice::from_ref(&spec)).await.unwrap();
        (config.with_dead_letters(&spec.name, None), spec.name)
    }
}

pub(crate) fn letter(record: &Record) -> DeadLetter {
    codec::decode(record.value.as_ref().unwrap()).unwrap()
}

async fn a_rejected_record_becomes_a_dead_letter_with_its_raw_bytes(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let (config, dead) = dead_letters(&world, &log, &input).await;
    let headers = Headers::new().with("h", vec![1, 255]).with("h", "2");
    let value = vec![0, 159, 146, 150];
    let output = Output { headers, ..Output::to(&input).key(vec![255, 1]).value(value.clone()) };
    log.publish(vec![Output::to(&input).key("tombstone"), output]).await.unwrap();
    let processor = Arc::new(FromFn(|_: Delivery| async {
        Err(StageError::Reject(Rejection::new("unreadable", "it cannot be read").of_tenant("acme")))
    }));
    let stage = Running::start(&log, config, processor);
    let records = read_count(&log, &dead, 2).await;
    stage.stop().await.unwrap();
    let letters: Vec<_> = records.iter().map(letter).collect();
    assert_eq!((letters[0].key.as_deref(), &letters[0].value), (Some(b"tombstone".as_slice()), &None));
    let letter = &letters[1];
    assert_eq!(letter.id, format!("test/{input}/0/1"));
    assert_eq!((letter.stage.as_str(), letter.code.as_str()), ("test", "unreadable"));
    assert_eq!((letter.topic.as_str(), letter.partition, letter.offset), (input.as_str(), 0, 1));
    assert_eq!((letter.key.as_ref(), letter.value.as_ref()), (Some(&vec![255, 1]), Some(&value)));
    let found: Vec<_> = letter.headers.iter().map(|header| (header.name.as_str(), header.value.clone())).collect();
    assert_eq!(found, [("h", vec![1, 255]), ("h", b"2".to_vec())]);
    assert_eq!((letter.attempts, letter.tenant.as_deref()), (1, Some("acme")));
    let headers = &records[1].headers;
    assert_eq!((headers.get_str(CODE_HEADER), headers.get_str(STAGE_HEADER)), (Some("unreadable"), Some("test")));
    assert_eq!(headers.get_str(precis_flow::TOPIC_HEADER), Some(input.as_str()));
    assert_eq!(headers.get_str(precis_flow::PARTITION_HEADER), Some("0"));
    assert_eq!(headers.get_str(precis_flow::OFFSET_HEADER), Some("1"));
    assert_eq!(headers.get_str(ATTEMPTS_HEADER), Some("1"));
    assert_eq!(headers.get_str(ORIGIN_HEADER), Some(format!("{input}/0/1").as_str()));
    assert_eq!(lag(&log, &world.name("group")).await, 0);
}

async fn what_a_rejection_leaves_comes_with_its_dead_letter(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 1, 1).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let processor = Arc::new(WithRejected(|_: Delivery| async { Err(StageError::reject("bad", "it is bad")) }, {
        let output = output.clone();
        move |delivery: Delivery, rejection: Rejection| {
            let failed = Output::to(&output).value(text(&delivery.record).clone()).header("c", rejection.code);
            let tries = Arc::clone(&tries);
            async move {
                if tries.fetch_add(1, Ordering::SeqCst) < 5 {
                    return Err(StageError::dependency("s3_away", "try again"));
                }
                Ok(vec![failed])
            }
        }
    }));
    let stage = Running::start(&log, config, processor);
    let outcomes = read_count(&log, &output, 1).await;
    stage.stop().await.unwrap();
    assert_eq!(outcomes[0].headers.get_str("c"), Some("bad"));
    assert_eq!((read_all(&log, &dead).await.len(), read_all(&log, &output).await.len()), (1, 1));
}

async fn rejection_that_cannot_settle_leaves_a_dead_letter(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 1, 1).await;
    let processor = Arc::new(WithRejected(
        |_: Delivery| async { Err(StageError::reject("bad", "it is bad")) },
        |_: Delivery, _: Rejection| async { panic!("on purpose: a settling that panics") },
    ));
    let stage = Running::start(&log, config, processor);
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    stage.stop().await.unwrap();
    assert_eq!(letter.code, "bad");
    assert!(letter.message.contains("processor_panicked"), "{}", letter.message);
    assert_eq!(letter.value.as_deref(), Some(b"0".as_slice()));
}

async fn a_record_that_fails_for_a_while_succeeds_in_place(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 3, 1).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let processor = {
        let (tries, output) = (Arc::clone(&tries), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let (tries, output) = (Arc::clone(&tries), copy(&delivery.record, &output));
            async move {
                if text(&delivery.record) == "1" && tries.fetch_add(1, Ordering::SeqCst) < 2 {
                    return Err(StageError::record("flaky", "try again"));
                }
                Ok(vec![output])
            }
        }))
    };
    let stage = Running::start(&log, StageConfig { record_retries: 2, ..world.stage(&input) }, processor);
    let records = read_count(&log, &output, 3).await;
    stage.stop().await.unwrap();
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["0", "1", "2"], "its place is kept");
    assert_eq!(read_all(&log, &input).await.len(), 3, "nothing was re-enqueued");
}

async fn a_record_that_goes_on_failing_is_requeued_and_then_rejected(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 1, 1).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let processor = {
        let tries = Arc::clone(&tries);
        Arc::new(FromFn(move |_: Delivery| {
            tries.fetch_add(1, Ordering::SeqCst);
            async { Err(StageError::record("hopeless", "it fails every time")) }
        }))
    };
    let config = StageConfig { record_retries: 1, max_attempts: 3, ..config };
    let stage = Running::start(&log, config, processor);
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    stage.stop().await.unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 6, "three deliveries of two tries each");
    assert_eq!((letter.code.as_str(), letter.attempts), ("hopeless", 3));
    assert_eq!(letter.value.as_deref(), Some(b"0".as_slice()));
    let copies = read_all(&log, &input).await;
    let attempts: Vec<_> = copies.iter().map(Record::claimed_attempts).collect();
    assert_eq!(attempts, [0, 1, 2]);
    assert_eq!(lag(&log, &world.name("group")).await, 0);
}

async fn requeued_record_keeps_its_partition_and_origin(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 4).await, world.topic(&log, "out", 1).await);
    // Where no partitioner of ours would put it.
    let outputs = (0..4).map(|n| Output {
        partition: Some(n),
        ..Output::to(&input).key("same").value(n.to_string()).header("own", "kept")
    });
    log.publish(outputs.collect()).await.unwrap();
    let processor = {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let output = copy(&delivery.record, &output)
                .header("origin", delivery.origin().to_string())
                .header("own", delivery.record.headers.get_str("own").unwrap_or("lost"));
            async move {
                if delivery.attempts < 2 {
                    return Err(StageError::record("flaky", "later"));
                }
                Ok(vec![output])
            }
        }))
    };
    let config = StageConfig { record_retries: 0, max_attempts: 5, ..world.stage(&input) };
    let stage = Running::start(&log, config, processor);
    let records = read_count(&log, &output, 4).await;
    stage.stop().await.unwrap();
    assert_each_once(&records, 4);
    for record in records {
        let expected = format!("{input}/{}/0", text(&record));
        assert_eq!(record.headers.get_str("origin"), Some(expected.as_str()));
        assert_eq!(record.headers.get_str("own"), Some("kept"));
    }
    let copies = read_all(&log, &input).await;
    assert!(copies.iter().all(|copy| text(copy) == copy.partition.to_string()), "each in its own partition");
}

async fn outage_pauses_the_intake_and_loses_nothing(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 300, 300).await;
    let (away, seen) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(std::collections::BTreeSet::new())));
    let processor = {
        let (away, seen, output) = (Arc::clone(&away), Arc::clone(&seen), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            seen.lock().unwrap().insert(text(&delivery.record));
            let (away, output) = (Arc::clone(&away), copy(&delivery.record, &output));
            async move {
                if away.load(Ordering::SeqCst) {
                    return Err(StageError::dependency("s3_away", "connection refused"));
                }
                Ok(vec![output])
            }
        }))
    };
    let config = StageConfig { max_in_flight: 4, max_held: 1_000, max_attempts: 1, record_retries: 0, ..config };
    let stage = Running::start(&log, config, processor);
    until(|| async { !seen.lock().unwrap().is_empty() }).await;
    assert!(read_all(&log, &output).await.is_empty());
    assert!(seen.lock().unwrap().len() <= 4, "nothing is taken in meanwhile but what was in process already");
    away.store(false, Ordering::SeqCst);
    assert_each_once(&read_count(&log, &output, 300).await, 300);
    stage.stop().await.unwrap();
    assert!(read_all(&log, &dead).await.is_empty(), "no record is to blame");
}

/// With waits of an hour: whatever waits for one is found out by the test's timeout.
pub(crate) fn patient(world: &mut World, input: &str) -> StageConfig {
    let hour = Duration::from_hours(1);
    world.config.kafka.max_poll_interval_ms = 2 * hour.as_millis() as u32;
    StageConfig { drain_budget: hour, backoff: hour, max_backoff: hour, ..world.stage(input) }
}

async fn stop_during_an_outage_is_prompt_and_loses_nothing(mut world: World) {
    let input = world.name("in");
    let config = patient(&mut world, &input);
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 20, 20).await;
    let (gate, under_way, failed) =
        (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let processor = {
        let (gate, under_way, failed) = (Arc::clone(&gate), Arc::clone(&under_way), Arc::clone(&failed));
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let (gate, under_way, failed) = (Arc::clone(&gate), Arc::clone(&under_way), Arc::clone(&failed));
            let output = copy(&delivery.record, &output);
            async move {
                match text(&delivery.record).as_str() {
                    // A call that is paid for.
                    "0" => {
                        under_way.fetch_add(1, Ordering::SeqCst);
                        gate.acquire().await.unwrap().forget();
                        assert!(!delivery.shutdown.is_cancelled(), "it is still wanted");
                        return Ok(vec![output]);
                    }
                    // It waits itself.
                    "1" => {
                        under_way.fetch_add(1, Ordering::SeqCst);
                        delivery.draining.cancelled().await;
                    }
                    _ => {}
                }
                failed.fetch_add(1, Ordering::SeqCst);
                Err(StageError::dependency("s3_away", "connection refused"))
            }
        }))
    };
    let stage = Running::start(&log, config, processor);
    until(|| async { under_way.load(Ordering::SeqCst) == 2 && failed.load(Ordering::SeqCst) > 0 }).await;
    stage.ask_to_stop();
    gate.add_permits(1);
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 1);
    let stage = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
    assert_each_once(&read_count(&log, &output, 20).await, 20);
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 20);
}

async fn panicking_processor_leaves_a_dead_letter(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 5, 5).await;
    let processor = {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let output = copy(&delivery.record, &output);
            async move {
                assert!(text(&delivery.record) != "2", "on purpose: a processor that panics");
                Ok(vec![output])
            }
        }))
    };
    let config = StageConfig { record_retries: 1, max_attempts: 2, ..config };
    let stage = Running::start(&log, config, processor);
    let letter = letter(&read_count(&log, &dead, 1).await[0]);
    read_count(&log, &output, 4).await;
    stage.stop().await.unwrap();
    assert_eq!((letter.code.as_str(), letter.attempts), ("processor_panicked", 2));
    assert_eq!(letter.value.as_deref(), Some(b"2".as_slice()));
    assert!(!letter.message.contains("on purpose"), "a panic's text may hold document text");
    assert_eq!(read_all(&log, &output).await.len(), 4);
}

async fn fatal_error_stops_the_stage_and_commits_nothing(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 3, 3).await;
    let processor = {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let output = copy(&delivery.record, &output);
            async move {
                if text(&delivery.record) == "1" {
                    return Err(StageError::fatal("gpu_lost", "the device is gone"));
                }
                Ok(vec![output])
            }
        }))
    };
    let error = Running::start(&log, world.stage(&input), processor).ended().await.unwrap_err();
    assert_eq!(error.code(), "gpu_lost");
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    read_count(&log, &output, 3).await;
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 3);
}

async fn one_bad_record_does_not_hold_up_the_others(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 1).await);
    let (config, dead) = dead_letters(&world, &log, &input).await;
    publish_numbers(&log, &input, 100, 100).await;
    let processor = {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            let output = copy(&delivery.record, &output);
            async move {
                match text(&delivery.record).parse::<usize>().unwrap() % 10 {
                    3 => Err(StageError::reject("bad", "it is bad")),
                    6 if delivery.attempts == 0 => Err(StageError::record("flaky", "later")),
                    _ => Ok(vec![output]),
                }
            }
        }))
    };
    let stage = Running::start(&log, StageConfig { record_retries: 0, ..config }, processor);
    let published = read_count(&log, &output, 90).await;
    let letters = read_count(&log, &dead, 10).await;
    stage.stop().await.unwrap();
    let mut ends: Vec<usize> = published.iter().map(|record| text(record).parse().unwrap()).collect();
    ends.extend(
        letters
            .iter()
            .map(|record| String::from_utf8(letter(record).value.unwrap()).unwrap().parse::<usize>().unwrap()),
    );
    ends.sort_unstable();
    assert_eq!(ends, (0..100).collect::<Vec<_>>(), "each has one end");
    assert_eq!((read_all(&log, &output).await.len(), read_all(&log, &dead).await.len()), (90, 10));
}
