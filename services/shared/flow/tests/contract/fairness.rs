//! Topics of one stage: none keeps the others out, whatever it holds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_flow::{Delivery, Log, Output, StageConfig, Subscription};
use tokio::sync::Semaphore;

use crate::support::{FromFn, Running, World, assert_each_once, copy, read_all, read_count, text, until};

contract! {
    a_topic_whose_records_never_finish_leaves_room_for_another,
    flooded_topic_delays_another_by_a_bounded_number,
}

/// Two inputs and an output.
async fn topics(world: &World, log: &Arc<dyn Log>) -> (String, String, String) {
    (world.topic(log, "in.one", 2).await, world.topic(log, "in.other", 1).await, world.topic(log, "out", 1).await)
}

fn stage(world: &World, inputs: [&String; 2]) -> StageConfig {
    StageConfig { subscription: Subscription::topics(inputs.map(String::as_str)), ..world.stage("unused") }
}

/// Publishes these numbers, each with a key of its own.
async fn publish(log: &Arc<dyn Log>, topic: &str, numbers: std::ops::Range<usize>) {
    let outputs = numbers.map(|n| Output::to(topic).key(n.to_string()).value(n.to_string()));
    log.publish(outputs.collect()).await.unwrap();
}

async fn a_topic_whose_records_never_finish_leaves_room_for_another(world: World) {
    let log = world.open().await;
    let (stuck, other, output) = topics(&world, &log).await;
    let (gate, started) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let processor = {
        let (gate, started) = (Arc::clone(&gate), Arc::clone(&started));
        let (stuck, output) = (stuck.clone(), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let (gate, started) = (Arc::clone(&gate), Arc::clone(&started));
            let (is_stuck, output) = (*delivery.record.topic == *stuck, copy(&delivery.record, &output));
            async move {
                if is_stuck {
                    started.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                }
                Ok(vec![output])
            }
        }))
    };
    // Room for 36: two thirds of it for one topic. Of 12 places it has 8.
    let config = StageConfig { max_in_flight: 12, max_held: 36, ..stage(&world, [&stuck, &other]) };
    let stage = Running::start(&log, config, processor);
    until(|| async { stage.health.report().ready }).await;
    publish(&log, &stuck, 0..300).await;
    until(|| async { started.load(Ordering::SeqCst) == 8 }).await;
    publish(&log, &other, 300..500).await;
    read_count(&log, &output, 200).await;
    assert_eq!(started.load(Ordering::SeqCst), 8, "it has its share, all the time");
    gate.add_permits(300);
    assert_each_once(&read_count(&log, &output, 500).await, 500);
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 500);
}

async fn flooded_topic_delays_another_by_a_bounded_number(world: World) {
    const FLOOD: usize = 8_000;
    // What is held of the flood; on Kafka also what is processed of it, at most 600 a second, until
    // it has to make way.
    let bound = if world.is_kafka() { 2_500 } else { 120 };
    let log = world.open().await;
    let (flooded, other, output) = topics(&world, &log).await;
    let (order, is_seen) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let processor = {
        let (order, is_seen, output) = (Arc::clone(&order), Arc::clone(&is_seen), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            order.lock().unwrap().push(text(&delivery.record).parse::<usize>().unwrap());
            let (is_seen, output) = (is_seen.load(Ordering::SeqCst), copy(&delivery.record, &output));
            async move {
                if !is_seen {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(vec![output])
            }
        }))
    };
    let config = StageConfig { max_in_flight: 6, max_held: 240, ..stage(&world, [&flooded, &other]) };
    publish(&log, &flooded, 0..FLOOD).await;
    let stage = Running::start(&log, config, processor);
    until(|| async { order.lock().unwrap().len() >= 300 }).await;
    publish(&log, &other, FLOOD..FLOOD + 10).await;
    let published = order.lock().unwrap().len();
    let last = || order.lock().unwrap().iter().enumerate().filter(|(_, n)| **n >= FLOOD).map(|(at, _)| at).nth(9);
    until(|| async { last().is_some() }).await;
    is_seen.store(true, Ordering::SeqCst);
    let before = last().unwrap().saturating_sub(published);
    assert!(before <= bound, "{before} records of the flood came before the last of ten");
    assert_each_once(&read_count(&log, &output, FLOOD + 10).await, FLOOD + 10);
    stage.stop().await.unwrap();
}
