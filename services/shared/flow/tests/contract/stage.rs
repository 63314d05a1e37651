//! The stage when all goes well: each record once, in order, across restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_flow::{Delivery, Output, StageConfig, StageError, Subscription, TopicSpec};
use precis_telemetry::TraceContext;
use precis_telemetry::trace::TRACEPARENT;
use tokio::sync::Semaphore;

use crate::support::{
    FromFn, Running, World, assert_each_once, assert_ordered_by_key, copy, copy_to, lag, publish_numbers, read_all,
    read_count, text, until, within,
};

contract! {
    every_record_leads_to_its_output_once_and_no_lag_is_left,
    a_restart_goes_on_where_the_last_run_committed,
    uncommitted_records_come_again_and_appear_once,
    one_key_is_processed_in_order_and_keys_beside_each_other,
    a_slow_record_holds_back_the_outputs_behind_it,
    at_most_max_in_flight_records_are_processed_at_once,
    a_small_intake_reads_everything_all_the_same,
    a_burst_leads_to_every_output_once,
    a_full_intake_is_committed_without_waiting_for_more,
    a_shutdown_finishes_and_commits_what_is_in_process,
    a_shutdown_gives_up_what_takes_too_long,
    a_shutdown_of_an_idle_stage_is_quick_and_healthy,
    lag_counts_what_waits,
    topics_that_appear_under_a_prefix_are_read,
    the_trace_goes_on_to_the_outputs,
    a_start_without_a_committed_offset_needs_the_whole_log,
    a_subscription_to_a_topic_that_does_not_exist_is_refused,
}

async fn every_record_leads_to_its_output_once_and_no_lag_is_left(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 3).await, world.topic(&log, "out", 2).await);
    publish_numbers(&log, &input, 100, 10).await;
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    assert_each_once(&read_count(&log, &output, 100).await, 100);
    until(|| async { stage.health.report().ready }).await;
    let group = world.name("group");
    until(|| async { lag(&log, &group).await == 0 }).await;
    stage.stop().await.unwrap();
    let records = read_all(&log, &output).await;
    assert_each_once(&records, 100);
    assert_ordered_by_key(&records);
    // The inputs of the next stage were written in transactions: markers lie behind them, and are
    // no lag.
    let config = StageConfig { group: world.name("second"), ..world.stage(&output) };
    let last = world.topic(&log, "last", 1).await;
    let stage = Running::start(&log, config, copy_to(&last));
    assert_each_once(&read_count(&log, &last, 100).await, 100);
    let group = world.name("second");
    until(|| async { lag(&log, &group).await == 0 }).await;
    stage.stop().await.unwrap();
    let lags = log.group_lag(&group).await.unwrap();
    assert_eq!(lags.iter().map(|lag| lag.lag).collect::<Vec<_>>(), [0, 0]);
}

async fn a_restart_goes_on_where_the_last_run_committed(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 1).await);
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let processor = |seen: Arc<Mutex<BTreeMap<String, usize>>>| {
        let output = output.clone();
        Arc::new(FromFn(move |delivery: Delivery| {
            *seen.lock().unwrap().entry(text(&delivery.record)).or_default() += 1;
            let output = copy(&delivery.record, &output);
            async move { Ok(vec![output]) }
        }))
    };
    for round in 1..=3 {
        let outputs = (0..20).map(|n| Output::to(&input).key(n.to_string()).value((20 * (round - 1) + n).to_string()));
        log.publish(outputs.collect()).await.unwrap();
        let stage = Running::start(&world.open().await, world.stage(&input), processor(Arc::clone(&seen)));
        assert_each_once(&read_count(&log, &output, 20 * round).await, 20 * round);
        stage.stop().await.unwrap();
    }
    assert!(seen.lock().unwrap().values().all(|times| *times == 1), "processed once each: {seen:?}");
}

async fn a_burst_leads_to_every_output_once(world: World) {
    const RECORDS: usize = 3_000;
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 2).await);
    publish_numbers(&log, &input, RECORDS, 100).await;
    let config = StageConfig { max_in_flight: 64, max_held: 2 * RECORDS, ..world.stage(&input) };
    let stage = Running::start(&log, config, copy_to(&output));
    read_count(&log, &output, RECORDS).await;
    stage.stop().await.unwrap();
    let records = read_all(&log, &output).await;
    assert_each_once(&records, RECORDS);
    assert_ordered_by_key(&records);
}

async fn a_full_intake_is_committed_without_waiting_for_more(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 200, 10).await;
    let config = StageConfig {
        commit_interval: Duration::from_secs(3_600),
        max_in_flight: 10,
        max_held: 50,
        ..world.stage(&input)
    };
    let stage = Running::start(&log, config, copy_to(&output));
    // The rest fills no intake.
    assert_each_once(&read_count(&log, &output, 150).await[..150], 150);
    stage.stop().await.unwrap();
}

async fn uncommitted_records_come_again_and_appear_once(world: World) {
    let log = world.open().await;
    // One partition: the commit that says that somebody works on a second one would hold what is
    // finished of the first.
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 20, 20).await;
    let processed = Arc::new(AtomicUsize::new(0));
    let counting = {
        let (processed, output) = (Arc::clone(&processed), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            processed.fetch_add(1, Ordering::SeqCst);
            let output = copy(&delivery.record, &output);
            async move { Ok(vec![output]) }
        }))
    };
    // Finishes everything and commits nothing: its next commit is an hour away.
    let config = StageConfig { commit_interval: Duration::from_secs(3_600), ..world.stage(&input) };
    let stage = Running::start(&world.open().await, config, counting.clone());
    until(|| async { processed.load(Ordering::SeqCst) == 20 }).await;
    stage.crash().await;
    assert!(read_all(&log, &output).await.is_empty());
    let stage = Running::start(&world.open().await, world.stage(&input), counting);
    assert_each_once(&read_count(&log, &output, 20).await, 20);
    stage.stop().await.unwrap();
    assert_eq!(processed.load(Ordering::SeqCst), 40, "each was delivered again");
    assert_each_once(&read_all(&log, &output).await, 20);
}

async fn one_key_is_processed_in_order_and_keys_beside_each_other(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    publish_numbers(&log, &input, 60, 3).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let (busy, together) = (Arc::new(Mutex::new(BTreeSet::<Vec<u8>>::new())), Arc::new(AtomicUsize::new(0)));
    let processor = {
        let (order, together) = (Arc::clone(&order), Arc::clone(&together));
        Arc::new(FromFn(move |delivery: Delivery| {
            let (order, busy, together) = (Arc::clone(&order), Arc::clone(&busy), Arc::clone(&together));
            async move {
                let key = delivery.record.key.clone().unwrap();
                {
                    let mut busy = busy.lock().unwrap();
                    assert!(busy.insert(key.clone()), "two of one key at once");
                    together.fetch_max(busy.len(), Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 5)).await;
                order.lock().unwrap().push(delivery.record.clone());
                busy.lock().unwrap().remove(&key);
                Ok(vec![])
            }
        }))
    };
    let stage = Running::start(&log, world.stage(&input), processor);
    until(|| async { order.lock().unwrap().len() == 60 }).await;
    stage.stop().await.unwrap();
    assert_ordered_by_key(&order.lock().unwrap());
    assert_eq!(together.load(Ordering::SeqCst), 3, "three keys at once");
}

async fn a_slow_record_holds_back_the_outputs_behind_it(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 10, 10).await;
    let (gate, done) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let processor = {
        let (gate, done, output) = (Arc::clone(&gate), Arc::clone(&done), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let (gate, done, output) = (Arc::clone(&gate), Arc::clone(&done), copy(&delivery.record, &output));
            async move {
                if text(&delivery.record) == "3" {
                    gate.acquire().await.unwrap().forget();
                }
                done.fetch_add(1, Ordering::SeqCst);
                Ok(vec![output])
            }
        }))
    };
    let stage = Running::start(&log, world.stage(&input), processor);
    until(|| async { done.load(Ordering::SeqCst) == 9 }).await;
    assert_each_once(&read_count(&log, &output, 3).await, 3);
    let lags = log.group_lag(&world.name("group")).await.unwrap();
    assert!(lags[0].committed <= 3, "committed up to the slow record: {lags:?}");
    assert_eq!(read_all(&log, &output).await.len(), 3, "4 to 9 are finished and wait");
    gate.add_permits(1);
    let records = read_count(&log, &output, 10).await;
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    stage.stop().await.unwrap();
}

async fn at_most_max_in_flight_records_are_processed_at_once(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 40, 40).await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let processor = {
        let (output, most) = (output.clone(), Arc::clone(&most));
        Arc::new(FromFn(move |delivery: Delivery| {
            let (running, most, output) = (Arc::clone(&running), Arc::clone(&most), copy(&delivery.record, &output));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(3)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(vec![output])
            }
        }))
    };
    let config = StageConfig { max_in_flight: 5, max_held: 20, ..world.stage(&input) };
    let stage = Running::start(&log, config, processor);
    assert_each_once(&read_count(&log, &output, 40).await, 40);
    stage.stop().await.unwrap();
    assert!((2..=5).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

async fn a_small_intake_reads_everything_all_the_same(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 3).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 120, 50).await;
    let config = StageConfig { max_in_flight: 2, max_held: 3, max_in_flight_bytes: 600, ..world.stage(&input) };
    let stage = Running::start(&log, config, copy_to(&output));
    assert_each_once(&read_count(&log, &output, 120).await, 120);
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 120);
}

async fn a_shutdown_finishes_and_commits_what_is_in_process(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 10, 10).await;
    let (gate, started) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let processor = {
        let (gate, started, output) = (Arc::clone(&gate), Arc::clone(&started), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let (gate, started, output) = (Arc::clone(&gate), Arc::clone(&started), copy(&delivery.record, &output));
            async move {
                started.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                assert!(!delivery.shutdown.is_cancelled(), "it is still wanted");
                Ok(vec![output])
            }
        }))
    };
    let config = StageConfig { max_in_flight: 4, ..world.stage(&input) };
    let stage = Running::start(&log, config, processor);
    until(|| async { started.load(Ordering::SeqCst) == 4 }).await;
    stage.ask_to_stop();
    gate.add_permits(100);
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 4);
    assert_eq!(started.load(Ordering::SeqCst), 4, "nothing new was started");
    let stage = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
    assert_each_once(&read_count(&log, &output, 10).await, 10);
    stage.stop().await.unwrap();
}

/// Counts its end.
struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn a_shutdown_gives_up_what_takes_too_long(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 3, 3).await;
    let given_up = Arc::new(AtomicUsize::new(0));
    let processor = {
        let (given_up, output) = (Arc::clone(&given_up), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let (given_up, output) = (Arc::clone(&given_up), copy(&delivery.record, &output));
            async move {
                if text(&delivery.record) == "1" {
                    // Told, or dropped before it could listen: either way it is over.
                    let _over = OnDrop(given_up);
                    delivery.shutdown.cancelled().await;
                }
                Ok(vec![output])
            }
        }))
    };
    let config = StageConfig { drain_budget: Duration::from_millis(300), ..world.stage(&input) };
    let stage = Running::start(&log, config, processor);
    read_count(&log, &output, 1).await;
    stage.stop().await.unwrap();
    until(|| async { given_up.load(Ordering::SeqCst) == 1 }).await;
    assert_each_once(&read_all(&log, &output).await, 1);
}

async fn a_shutdown_of_an_idle_stage_is_quick_and_healthy(world: World) {
    let log = world.open().await;
    let input = world.topic(&log, "in", 1).await;
    let stage = Running::start(&log, world.stage(&input), copy_to(&input));
    until(|| async { stage.health.report().ready }).await;
    let health = stage.health.clone();
    within(stage.stop()).await.unwrap();
    assert!(health.report().live, "{:?}", health.report());
}

async fn lag_counts_what_waits(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 1).await);
    assert!(log.group_lag(&world.name("group")).await.unwrap().is_empty(), "a group that nobody knows");
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    let group = world.name("group");
    // Committed from the first moment on, though nothing was processed.
    until(|| async { log.group_lag(&group).await.unwrap().len() == 2 }).await;
    assert_eq!(lag(&log, &group).await, 0);
    stage.stop().await.unwrap();
    publish_numbers(&log, &input, 7, 7).await;
    assert_eq!(lag(&log, &group).await, 7);
}

async fn topics_that_appear_under_a_prefix_are_read(world: World) {
    let log = world.open().await;
    let output = world.topic(&log, "out", 1).await;
    let prefix = world.name("documents") + ".";
    let named = |tenant: &str| TopicSpec { name: format!("{prefix}{tenant}"), ..world.spec("", 1) };
    log.ensure_topics(&[named("a")]).await.unwrap();
    // Differs in the dot only: a regular expression would take it for the same.
    let lookalike = TopicSpec { name: format!("{}x", prefix.replace('.', "-")), ..world.spec("", 1) };
    log.ensure_topics(std::slice::from_ref(&lookalike)).await.unwrap();
    let config = StageConfig { subscription: Subscription::default().and_prefix(&prefix), ..world.stage("unused") };
    let stage = Running::start(&log, config, copy_to(&output));
    log.publish(vec![Output::to(&lookalike.name).value("9"), Output::to(format!("{prefix}a")).value("0")])
        .await
        .unwrap();
    read_count(&log, &output, 1).await;
    log.ensure_topics(&[named("b")]).await.unwrap();
    log.publish(vec![Output::to(format!("{prefix}b")).value("1")]).await.unwrap();
    read_count(&log, &output, 2).await;
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 2);
}

async fn the_trace_goes_on_to_the_outputs(world: World) {
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    let parent = TraceContext::new();
    log.publish(vec![Output::to(&input).value("0").header(TRACEPARENT, parent.to_header())]).await.unwrap();
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    let record = read_count(&log, &output, 1).await.remove(0);
    stage.stop().await.unwrap();
    let child = TraceContext::parse(record.headers.get_str(TRACEPARENT).unwrap()).unwrap();
    assert_eq!(child.trace_id(), parent.trace_id());
    assert_ne!(child.to_header(), parent.to_header(), "a span of its own");
}

async fn a_start_without_a_committed_offset_needs_the_whole_log(world: World) {
    let log = world.open().await;
    let spec = TopicSpec { retention_ms: Some(1), ..world.spec("in", 1) };
    log.ensure_topics(std::slice::from_ref(&spec)).await.unwrap();
    publish_numbers(&log, &spec.name, 3, 1).await;
    let log = world.forget_old_records(&spec.name).await;
    publish_numbers(&log, &spec.name, 1, 1).await;
    let stage = Running::start(&log, world.stage(&spec.name), copy_to(&spec.name));
    let health = stage.health.clone();
    let error = stage.ended().await.unwrap_err();
    assert_eq!(error.code(), "offsets_lost", "{error}");
    assert!(error.to_string().contains(&spec.name), "{error}");
    assert!(!health.report().live, "the process should end");
}

async fn a_subscription_to_a_topic_that_does_not_exist_is_refused(world: World) {
    let log = world.open().await;
    let absent = world.name("absent");
    let processor = Arc::new(FromFn(|_: Delivery| async { Err(StageError::fatal("never", "is not called")) }));
    let error = Running::start(&log, world.stage(&absent), processor).ended().await.unwrap_err();
    assert_eq!(error.code(), "unknown_topic", "{error}");
}
