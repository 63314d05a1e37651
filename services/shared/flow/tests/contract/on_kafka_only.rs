//! What only Kafka can show: rebalances, fencing, lost membership.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use precis_flow::{Delivery, KafkaConfig, Log, LogConfig, Output, Processor, StageError};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::stage_failures::patient;
use crate::support::{
    FromFn, Running, World, assert_each_once, copy, copy_to, lag, publish_numbers, read_all, read_count, text, until,
    within,
};

/// Removes all records of a topic's partition 0, as retention would.
pub(crate) async fn delete_records(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, 0, Offset::End).unwrap();
    admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
}

/// A processor that takes a moment, so that rebalances find work in process.
fn slow_copy(topic: &str, milliseconds: u64) -> (Arc<dyn Processor>, Arc<AtomicUsize>) {
    let (topic, processed) = (topic.to_owned(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&processed);
    let processor = FromFn(move |delivery: Delivery| {
        let (output, counter) = (copy(&delivery.record, &topic), Arc::clone(&counter));
        async move {
            tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % (2 * milliseconds))).await;
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(vec![output])
        }
    });
    (Arc::new(processor), processed)
}

/// Services that start together all find the topics that one of them makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn services_starting_together_all_find_the_topics() {
    let world = World::kafka();
    let specs: Vec<_> = (0..8).map(|number| world.spec(&format!("new-{number}"), 4)).collect();
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (log, specs) = (world.open().await, specs.clone());
        starting.spawn(async move { log.ensure_topics(&specs).await.map(|changes| changes.len()) });
    }
    for ensured in starting.join_all().await {
        assert_eq!(ensured.unwrap(), specs.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn members_come_and_go_without_loss_or_duplicates() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 6).await, world.topic(&log, "out", 2).await);
    let enough = Arc::new(AtomicBool::new(false));
    let publisher = {
        let (log, input, enough) = (Arc::clone(&log), input.clone(), Arc::clone(&enough));
        tokio::spawn(async move {
            let mut published = 0;
            while !enough.load(Ordering::SeqCst) {
                let record = Output::to(&input).key((published % 40).to_string()).value(published.to_string());
                log.publish(vec![record]).await.unwrap();
                published += 1;
            }
            published
        })
    };
    let mut members: Vec<Running> = Vec::new();
    for _ in 0..6 {
        let (processor, processed) = slow_copy(&output, 10);
        members.push(Running::start(&world.open().await, world.stage(&input), processor));
        // It has got partitions of the others, and work is under way in all of them.
        until(|| async { processed.load(Ordering::SeqCst) > 20 }).await;
        if members.len() == 3 {
            members.remove(0).stop().await.unwrap();
        }
    }
    enough.store(true, Ordering::SeqCst);
    let published = publisher.await.unwrap();
    assert_each_once(&read_count(&log, &output, published).await, published);
    until(|| async { lag(&log, &world.name("group")).await == 0 }).await;
    for member in members {
        member.stop().await.unwrap();
    }
    assert_each_once(&read_all(&log, &output).await, published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_revocation_waits_for_work_in_process_and_commits_it() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 4).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 12, 12).await;
    let (first, processed) = slow_copy(&output, 700);
    let first = Running::start(&world.open().await, world.stage(&input), first);
    until(|| async { first.health.report().ready }).await;
    let (second, by_second) = slow_copy(&output, 1);
    let second = Running::start(&world.open().await, world.stage(&input), second);
    assert_each_once(&read_count(&log, &output, 12).await, 12);
    until(|| async { second.health.report().ready }).await;
    let both = processed.load(Ordering::SeqCst) + by_second.load(Ordering::SeqCst);
    assert_eq!(both, 12, "nothing that was in process was thrown away");
    first.stop().await.unwrap();
    second.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 12);
}

/// A revocation while a dependency is away ends at once and loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn revocation_during_an_outage_is_prompt_and_loses_nothing() {
    let mut world = World::kafka();
    let input = world.name("in");
    let config = patient(&mut world, &input);
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 4).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 40, 40).await;
    let failed = Arc::new(AtomicUsize::new(0));
    let away = {
        let failed = Arc::clone(&failed);
        Arc::new(FromFn(move |_: Delivery| {
            failed.fetch_add(1, Ordering::SeqCst);
            async { Err(StageError::dependency("s3_away", "connection refused")) }
        }))
    };
    let first = Running::start(&world.open().await, config, away);
    until(|| async { failed.load(Ordering::SeqCst) > 0 }).await;
    // What is away for the first is not for the second, which gets a share of its partitions.
    let second = Running::start(&world.open().await, world.stage(&input), copy_to(&output));
    until(|| async { !read_all(&log, &output).await.is_empty() }).await;
    first.stop().await.unwrap();
    assert_each_once(&read_count(&log, &output, 40).await, 40);
    second.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 40);
}

/// A partition that was not read when it left is read when it comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn paused_partition_is_read_when_it_comes_back() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 4).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 200, 200).await;
    // One flag for each member: as long as it is set, the store is away for it, and it reads
    // nothing.
    let start = |away: &Arc<AtomicBool>, log: &Arc<dyn Log>| {
        let (away, output) = (Arc::clone(away), output.clone());
        let processor = FromFn(move |delivery: Delivery| {
            let (away, output) = (away.load(Ordering::SeqCst), copy(&delivery.record, &output));
            async move { if away { Err(StageError::dependency("s3_away", "refused")) } else { Ok(vec![output]) } }
        });
        Running::start(log, world.stage(&input), Arc::new(processor))
    };
    let (first_away, second_away) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let first = start(&first_away, &world.open().await);
    until(|| async { first.health.report().ready }).await;
    let second = start(&second_away, &world.open().await);
    until(|| async { second.health.report().ready }).await;
    // The first goes on with what it kept; the second's comes back to it.
    first_away.store(false, Ordering::SeqCst);
    until(|| async { !read_all(&log, &output).await.is_empty() }).await;
    second.stop().await.unwrap();
    assert_each_once(&read_count(&log, &output, 200).await, 200);
    first.stop().await.unwrap();
}

/// A member that takes too long to drain commits nothing of what it gave away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn late_drain_commits_nothing_of_what_was_given_away() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 2).await, world.topic(&log, "out", 1).await);
    publish_numbers(&log, &input, 8, 8).await;
    let (gate, held) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let stuck = {
        let (gate, held, output) = (Arc::clone(&gate), Arc::clone(&held), output.clone());
        Arc::new(FromFn(move |delivery: Delivery| {
            let (gate, held, output) = (Arc::clone(&gate), Arc::clone(&held), copy(&delivery.record, &output));
            async move {
                held.fetch_add(1, Ordering::SeqCst);
                // Deaf to `shutdown`, as a call into a device might be.
                gate.acquire().await.unwrap().forget();
                Ok(vec![output])
            }
        }))
    };
    let mut config = world.stage(&input);
    config.drain_budget = Duration::from_millis(500);
    let first = Running::start(&world.open().await, config.clone(), stuck);
    until(|| async { held.load(Ordering::SeqCst) == 8 }).await;
    let second = Running::start(&world.open().await, config, copy_to(&output));
    // One partition went: the second member does all of it.
    until(|| async { !read_all(&log, &output).await.is_empty() }).await;
    gate.add_permits(100);
    assert_each_once(&read_count(&log, &output, 8).await, 8);
    first.stop().await.unwrap();
    second.stop().await.unwrap();
    assert_each_once(&read_all(&log, &output).await, 8);
}

/// An instance with a name that starts again fences its older self.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn restarted_named_instance_fences_its_older_self() {
    let world = World::kafka();
    let named = KafkaConfig { instance_id: Some(world.name("pod-0")), ..world.config.kafka.clone() };
    let config = LogConfig { kafka: named, ..world.config.clone() };
    let (one, two): (Arc<dyn Log>, Arc<dyn Log>) =
        (precis_flow::open(&config).await.unwrap(), precis_flow::open(&config).await.unwrap());
    let (input, output) = (world.topic(&one, "in", 2).await, world.topic(&one, "out", 1).await);
    let older = Running::start(&one, world.stage(&input), copy_to(&output));
    publish_numbers(&one, &input, 5, 5).await;
    read_count(&one, &output, 5).await;
    let newer = Running::start(&two, world.stage(&input), copy_to(&output));
    let error = older.ended().await.unwrap_err();
    assert_eq!(error.code(), "fenced", "{error}");
    let outputs = (5..10).map(|n| Output::to(&input).key(n.to_string()).value(n.to_string()));
    two.publish(outputs.collect()).await.unwrap();
    assert_each_once(&read_count(&two, &output, 10).await, 10);
    newer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_header_whose_name_is_not_text_does_not_stop_the_stage() {
    let world = World::kafka();
    let log = world.open().await;
    let (input, output) = (world.topic(&log, "in", 1).await, world.topic(&log, "out", 1).await);
    crate::raw::publish_header(&world.config.kafka.brokers, &input, &[0xFF, 0xFE]).await;
    let stage = Running::start(&log, world.stage(&input), copy_to(&output));
    let records = read_count(&log, &output, 1).await;
    assert_eq!(text(&records[0]), "0");
    stage.stop().await.unwrap();
}

/// Brokers that cannot be reached are waited for and do not hang a shutdown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn unreachable_brokers_are_waited_for_without_hanging() {
    let mut world = World::kafka();
    world.config.kafka.brokers = "127.0.0.1:9".to_owned();
    let log = world.open().await;
    let stage = Running::start(&log, world.stage("in"), copy_to("out"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!stage.health.report().ready);
    assert!(stage.health.report().live, "a broker that is away is no reason to restart");
    within(stage.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka: make test starts it"]
async fn a_transaction_that_nobody_ends_is_told_from_one_that_is_open() {
    let mut world = World::kafka();
    world.config.kafka.transaction_timeout_ms = 1_000;
    world.config.kafka.message_timeout_ms = 1_000;
    let log = world.open().await;
    let (topic, other) = (world.topic(&log, "topic", 1).await, world.topic(&log, "other", 1).await);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &world.config.kafka.brokers)
        .set("transactional.id", world.name("id"))
        // By the tests' settings it hangs: far longer than its own may last.
        .set("transaction.timeout.ms", "120000")
        .create()
        .unwrap();
    let timeout = Duration::from_secs(30);
    let begin = || {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<(), str>::to(&topic).payload("v")).unwrap();
        producer.flush(timeout).unwrap();
    };
    producer.init_transactions(timeout).unwrap();
    // What other tests leave open lies in other topics; the one with all offsets is shared.
    let hanging = || async {
        let found = log.hanging(&[topic.clone(), other.clone()]).await.unwrap();
        found.into_iter().filter(|position| !position.topic.starts_with("__")).map(|position| position.to_string())
    };
    begin();
    assert_eq!(hanging().await.collect::<Vec<_>>(), [format!("{topic}/0/0")]);
    let ended_meanwhile = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        producer.commit_transaction(timeout).unwrap();
    };
    assert_eq!(tokio::join!(hanging(), ended_meanwhile).0.count(), 0);
    assert_eq!(read_all(&log, &topic).await.len(), 1);
}
