//! A topic that is deleted and made again under the same name is another topic, on Kafka: all of it
//! is read, whatever was read of the old one, and nothing else stands still for it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use precis_flow::{Delivery, Log, Output, Processor, ReadStart, Record, StageConfig, Subscription, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tokio::sync::Semaphore;

use crate::on_kafka_only::delete_records;
use crate::support::{
    FromFn, Running, World, assert_each_once, copy, copy_to, counts, publish_numbers, read_all, read_count, text,
    until, within,
};

/// Deletes topics, and returns when the brokers have.
async fn delete(world: &World, topics: &[&str]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &world.config.kafka.brokers).create().unwrap();
    for deleted in admin.delete_topics(topics, &AdminOptions::new()).await.unwrap() {
        deleted.unwrap();
    }
}

/// Deletes a topic and makes another of its name, so fast that members may never see it gone.
async fn recreate(world: &World, name: &str, partitions: i32) {
    delete(world, &[&world.name(name)]).await;
    let log = world.open().await;
    // The name is free a moment after the deletion was acknowledged.
    until(|| async { log.ensure_topics(&[world.spec(name, partitions)]).await.is_ok() }).await;
}

/// Publishes these numbers as another process would.
async fn publish(world: &World, topic: &str, numbers: Range<usize>) {
    let outputs = numbers.map(|n| Output::to(topic).key(format!("key-{n}")).value(n.to_string()));
    world.open().await.publish(outputs.collect()).await.unwrap();
}

/// What was copied to the output so far, each once or more.
async fn copied(log: &Arc<dyn Log>, output: &str) -> BTreeSet<usize> {
    counts(&read_all(log, output).await).into_keys().collect()
}

async fn until_copied(log: &Arc<dyn Log>, output: &str, numbers: Range<usize>) {
    let wanted: BTreeSet<usize> = numbers.collect();
    until(|| async { copied(log, output).await.is_superset(&wanted) }).await;
}

/// A stage that reads two topics.
fn two_topics(world: &World, one: &str, two: &str) -> StageConfig {
    StageConfig { subscription: Subscription::topics([one, two]), ..world.stage("unused") }
}

/// A processor that copies, and counts how often it was asked for records that hold a record back
/// until the gate opens.
fn gated(output: &str, held: &'static str) -> (Arc<dyn Processor>, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (gate, asked, output) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)), output.to_owned());
    let (opened, counted) = (Arc::clone(&gate), Arc::clone(&asked));
    let processor = FromFn(move |delivery: Delivery| {
        let (gate, asked, output) = (Arc::clone(&gate), Arc::clone(&asked), copy(&delivery.record, &output));
        async move {
            if text(&delivery.record) == held {
                asked.fetch_add(1, Ordering::SeqCst);
                drop(gate.acquire().await.unwrap());
            }
            Ok(vec![output])
        }
    });
    (Arc::new(processor), opened, counted)
}

fn numbers(records: &[Record], range: Range<usize>) -> Vec<usize> {
    let mut found: Vec<usize> = records.iter().map(|record| text(record).parse().unwrap()).collect();
    found.retain(|number| range.contains(number));
    found.sort_unstable();
    found
}

/// More records than the old topic had, fewer, and as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_topic_made_again_is_read_whole_by_a_running_stage() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 20, 20).await;
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    assert_each_once(&read_count(&log, &output, 20).await, 20);
    let mut end = 20;
    for more in [50, 4, 4] {
        recreate(&world, "in", 2).await;
        publish(&world, &input, end..end + more).await;
        end += more;
        until_copied(&log, &output, 0..end).await;
    }
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_topic_made_again_while_the_stage_was_down_is_read_whole() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 20, 20).await;
    let mut end = 20;
    for more in [50, 4, 4] {
        let stage = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
        until_copied(&log, &output, 0..end).await;
        stage.stop().await.unwrap();
        recreate(&world, "in", 1).await;
        publish(&world, &input, end..end + more).await;
        end += more;
    }
    let stage = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
    until_copied(&log, &output, 0..end).await;
    stage.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, end);
}

/// The offsets that a stage commits for the old topic after the new one is there are not taken for
/// the new one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn offset_committed_after_a_recreation_is_the_old_topics() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 6, 6).await;
    let (processor, gate, asked) = gated(&output, "5");
    let stage = Running::start(&log, world.stage(&input), processor);
    until(|| async { asked.load(Ordering::SeqCst) > 0 }).await;
    recreate(&world, "in", 1).await;
    publish(&world, &input, 10..30).await;
    // The record of the old topic is finished and its offset committed, as the stage ends.
    stage.ask_to_stop();
    gate.add_permits(1);
    stage.ended().await.unwrap();
    let stage = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
    until_copied(&log, &output, 10..30).await;
    stage.stop().await.unwrap();
    let records = read_all(&log, &output).await;
    assert_eq!(numbers(&records, 10..30), (10..30).collect::<Vec<_>>());
}

/// Work in process of the other topic is neither thrown away nor done twice, as a new start of the
/// member would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn another_topic_is_read_on_while_one_is_made_again() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, other) = (world.topic(&log, "in", 1).await, world.topic(&log, "other", 1).await);
    let output = world.topic(&log, "out", 1).await;
    publish_numbers(&log, &input, 10, 10).await;
    publish(&world, &other, 1000..1001).await;
    let (processor, gate, asked) = gated(&output, "1000");
    let stage = Running::start(&log, two_topics(&world, &input, &other), processor);
    until_copied(&log, &output, 0..10).await;
    until(|| async { asked.load(Ordering::SeqCst) == 1 }).await;
    recreate(&world, "in", 1).await;
    publish(&world, &input, 10..40).await;
    publish(&world, &other, 1001..1005).await;
    until_copied(&log, &output, 10..40).await;
    gate.add_permits(1);
    until_copied(&log, &output, 1000..1005).await;
    stage.stop().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "what was in process stayed in process");
    let records = read_all(&log, &output).await;
    assert_eq!(numbers(&records, 0..40), (0..40).collect::<Vec<_>>());
    assert_eq!(numbers(&records, 1000..1005), (1000..1005).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_topic_that_is_deleted_holds_up_no_other() {
    let world = World::kafka();
    let log = world.open().await;
    let prefix = world.name("documents") + ".";
    let named = |tenant: &str| TopicSpec { name: format!("{prefix}{tenant}"), ..world.spec("", 2) };
    log.ensure_topics(&[named("a"), named("b")]).await.unwrap();
    let (input, other) = (named("a").name, named("b").name);
    let output = world.topic(&log, "out", 1).await;
    let config = StageConfig { subscription: Subscription::default().and_prefix(&prefix), ..world.stage("unused") };
    publish_numbers(&log, &input, 10, 10).await;
    let (processor, gate, asked) = gated(&output, "9");
    let stage = Running::start(&log, config, processor);
    until(|| async { asked.load(Ordering::SeqCst) == 1 }).await;
    delete(&world, &[&input]).await;
    publish(&world, &other, 100..110).await;
    until_copied(&log, &output, 100..110).await;
    gate.add_permits(1);
    publish(&world, &other, 110..120).await;
    until_copied(&log, &output, 100..120).await;
    stage.stop().await.unwrap();
    assert_eq!(numbers(&read_all(&log, &output).await, 100..120), (100..120).collect::<Vec<_>>());
}

/// Records that expired before they were read stop their own partition, until its topic is made
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_partition_that_lost_records_unread_stops_alone() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, other) = (world.topic(&log, "in", 1).await, world.topic(&log, "other", 1).await);
    let output = world.topic(&log, "out", 1).await;
    publish_numbers(&log, &input, 3, 3).await;
    delete_records(&world.config.kafka.brokers, &input).await;
    publish(&world, &input, 3..6).await;
    let stage = Running::start(&world.open().await, two_topics(&world, &input, &other), copy_to(&output));
    publish(&world, &other, 100..110).await;
    until_copied(&log, &output, 100..110).await;
    assert!(numbers(&read_all(&log, &output).await, 0..6).is_empty(), "nobody guesses");
    recreate(&world, "in", 1).await;
    publish(&world, &input, 6..9).await;
    until_copied(&log, &output, 6..9).await;
    stage.stop().await.unwrap();
    assert_eq!(numbers(&read_all(&log, &output).await, 0..200), (6..9).chain(100..110).collect::<Vec<_>>());
}

/// The last offset of a topic that is written in transactions is a marker's, which nobody commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_topic_that_expired_while_idle_is_read_on() {
    let world = World::kafka();
    let log = world.open().await;
    let (source, input) = (world.topic(&log, "source", 1).await, world.topic(&log, "in", 1).await);
    let output = world.topic(&log, "out", 1).await;
    let writing = StageConfig { group: world.name("writers"), ..world.stage(&source) };
    let writer = Running::start(&world.open().await, writing, copy_to(&input));
    let reader = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
    publish(&world, &source, 0..5).await;
    until_copied(&log, &output, 0..5).await;
    reader.stop().await.unwrap();
    delete_records(&world.config.kafka.brokers, &input).await;
    let reader = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
    publish(&world, &source, 5..9).await;
    until_copied(&log, &output, 0..9).await;
    reader.stop().await.unwrap();
    writer.stop().await.unwrap();
}

/// The same while the stage runs: what it has read is still finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn full_partition_whose_records_expire_stops_no_other() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, other) = (world.topic(&log, "in", 1).await, world.topic(&log, "other", 1).await);
    let output = world.topic(&log, "out", 1).await;
    let (processor, gate, asked) = gated(&output, "0");
    let config = StageConfig { max_held: 4, max_in_flight: 4, ..two_topics(&world, &input, &other) };
    let outputs = (0..400).map(|n| Output::to(&input).key("one").value(n.to_string()));
    log.publish(outputs.collect()).await.unwrap();
    let stage = Running::start(&world.open().await, config, processor);
    until(|| async { asked.load(Ordering::SeqCst) == 1 }).await;
    // A full topic is paused for as long, and what was fetched is thrown away.
    publish(&world, &other, 1000..1010).await;
    until_copied(&log, &output, 1000..1010).await;
    delete_records(&world.config.kafka.brokers, &input).await;
    gate.add_permits(1);
    publish(&world, &other, 1010..1020).await;
    until_copied(&log, &output, 1000..1020).await;
    until(|| async { copied(&log, &output).await.contains(&0) }).await;
    // Of the new topic nothing expired.
    recreate(&world, "in", 1).await;
    publish(&world, &input, 500..510).await;
    until_copied(&log, &output, 500..510).await;
    stage.stop().await.unwrap();
    let records = read_all(&log, &output).await;
    assert_eq!(numbers(&records, 1000..1020), (1000..1020).collect::<Vec<_>>());
    assert!(numbers(&records, 0..400).len() < 400, "what expired is not there");
}

/// A reader without a group, such as one of `control`, reads the new topic too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_reader_goes_on_with_the_topic_that_was_made_again() {
    let world = World::kafka();
    let log = world.open().await;
    let topic = world.topic(&log, "in", 2).await;
    publish_numbers(&log, &topic, 6, 6).await;
    let mut reader = log.reader(&topic, ReadStart::Beginning).await.unwrap();
    let mut seen = BTreeSet::new();
    for end in [6, 40, 42] {
        within(async {
            while seen.len() < end {
                let record = reader.next(Duration::from_secs(1)).await.unwrap();
                seen.extend(record.map(|record| text(&record).parse::<usize>().unwrap()));
            }
        })
        .await;
        recreate(&world, "in", 2).await;
        publish(&world, &topic, end..if end == 6 { 40 } else { 42 }).await;
    }
}
