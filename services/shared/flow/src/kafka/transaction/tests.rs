//! What a client does when its brokers misbehave, on librdkafka's mock brokers: of no use to show
//! what enters a real log.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::error::Class;

const TOPIC: &str = "t";
const BROKER: i32 = 1;
const OTHER_BROKER: i32 = 2;
const GROUP: &str = "g";
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Where nothing is answered: twice this is waited for.
const SHORT_TIMEOUT: Duration = Duration::from_secs(2);

fn config(cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("transactional.id", "id")
        .set("message.timeout.ms", "1500")
        .set("topic.metadata.refresh.interval.ms", "200")
        .set("delivery.report.only.error", "true");
    config
}

fn group() -> MockCoordinator {
    MockCoordinator::Group(GROUP.to_owned())
}

fn write(producer: &TransactionalProducer) -> Result<(), FlowError> {
    producer.run(&[&Output::to(TOPIC).value("v")], None, &|| false)
}

#[test]
fn a_client_that_did_not_find_its_broker_in_time_is_replaced() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut renewed = Renewed::start(config(&cluster), TRANSACTION_TIMEOUT, Step::default()).unwrap();
    // Before the first write: the mock crashes on a write to a partition that it took the leader
    // from.
    cluster.partition_leader(TOPIC, 0, None).unwrap();
    assert_eq!(write(renewed.ready().unwrap()).unwrap_err().code(), "log_unavailable");
    cluster.partition_leader(TOPIC, 0, Some(BROKER)).unwrap();
    assert!(renewed.producer.as_ref().is_some_and(TransactionalProducer::is_spent));
    write(renewed.ready().unwrap()).unwrap();
    assert!(renewed.producer.is_some_and(|producer| !producer.is_spent()), "another one");
}

#[test]
fn a_client_whose_connection_broke_is_replaced() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut renewed = Renewed::start(config(&cluster), TRANSACTION_TIMEOUT, Step::default()).unwrap();
    let says = |renewed: &Renewed, facility: &str, message: &str| {
        let producer = renewed.producer.as_ref().unwrap();
        producer.producer.context().log(RDKafkaLogLevel::Warning, facility, message);
        producer.is_spent()
    };
    // A broker that is away, tried again and again, is no reason.
    assert!(!says(
        &renewed,
        "FAIL",
        "b:9092/2: Connect to ipv4#10.0.0.2:9092 failed: refused (after 0ms in state CONNECT)"
    ));
    assert!(says(
        &renewed,
        "REQTMOUT",
        "b:9092/1: Timed out TxnOffsetCommitRequest in flight (after 60000ms, timeout #0)"
    ));
    write(renewed.ready().unwrap()).unwrap();
    // It was told so by a broker that is fenced, and may know none any more.
    let told = |renewed: &Renewed, brokers: u32| {
        let producer = renewed.producer.as_ref().unwrap();
        let line = format!("[thrd:main]: b:9092/1: {brokers} brokers, 2 topics");
        producer.producer.context().log(RDKafkaLogLevel::Debug, "METADATA", &line);
        producer.is_spent()
    };
    assert!(!told(&renewed, 1));
    assert!(told(&renewed, 0));
    write(renewed.ready().unwrap()).unwrap();
    // librdkafka says so where requests were under way.
    assert!(says(&renewed, "FAIL", "b:9092/1: Disconnected: connection reset by peer (after 908ms in state UP)"));
    write(renewed.ready().unwrap()).unwrap();
    assert!(renewed.producer.is_some_and(|producer| !producer.is_spent()), "another one");
}

#[test]
fn a_client_that_works_is_kept() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut renewed = Renewed::start(config(&cluster), TRANSACTION_TIMEOUT, Step::default()).unwrap();
    let mut client = || std::ptr::from_ref(renewed.ready().unwrap().producer.client().native_client()) as usize;
    assert_eq!(client(), client());
}

#[test]
fn a_client_that_cannot_be_replaced_yet_is_asked_for_again() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut renewed = Renewed::start(config(&cluster), Duration::from_secs(2), Step::default()).unwrap();
    cluster.partition_leader(TOPIC, 0, None).unwrap();
    write(renewed.ready().unwrap()).unwrap_err();
    cluster.broker_down(BROKER).unwrap();
    let error = renewed.ready().err().unwrap();
    assert_eq!(error.class(), Class::Retry, "{error}");
    cluster.broker_up(BROKER).unwrap();
    cluster.partition_leader(TOPIC, 0, Some(BROKER)).unwrap();
    write(renewed.ready().unwrap()).unwrap();
}

/// A transaction that cannot be aborted is left to the next client.
#[test]
fn unabortable_transaction_is_left_to_the_next_client() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut renewed = Renewed::start(config(&cluster), TRANSACTION_TIMEOUT, Step::default()).unwrap();
    cluster.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE]);
    let producer = renewed.ready().unwrap();
    // Not before there is something to abort.
    let when_delivered = || producer.producer.in_flight_count() == 0;
    let abandoned = producer.run(&[&Output::to(TOPIC).value("v")], None, &when_delivered).unwrap_err();
    assert_eq!((abandoned.code(), abandoned.class()), ("log_unavailable", Class::Retry), "{abandoned}");
    renewed.check("writing").unwrap();
    write(renewed.ready().unwrap()).unwrap();
}

/// The client waits for ever for a coordinator of the group that went; its transaction is tried
/// again with another client.
#[test]
fn offsets_without_an_answer_are_sent_by_the_next_client() {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    for (coordinator, broker) in [(MockCoordinator::Transaction("id".to_owned()), BROKER), (group(), OTHER_BROKER)] {
        cluster.coordinator(coordinator, broker).unwrap();
    }
    cluster.partition_leader(TOPIC, 0, Some(BROKER)).unwrap();
    let mut renewed = Renewed::start(config(&cluster), SHORT_TIMEOUT, Step::default()).unwrap();
    let consumer: BaseConsumer = config(&cluster).remove("transactional.id").set("group.id", GROUP).create().unwrap();
    let offsets = || {
        let mut next = TopicPartitionList::new();
        next.add_partition_offset(TOPIC, 0, Offset::Offset(1)).unwrap();
        Some(Offsets { next, member: consumer.group_metadata().unwrap() })
    };
    cluster.broker_down(OTHER_BROKER).unwrap();
    let output = Output::to(TOPIC).value("v");
    let error = renewed.ready().unwrap().run(&[&output], offsets(), &|| false).unwrap_err();
    assert_eq!((error.code(), error.class()), ("log_unavailable", Class::Retry), "{error}");
    renewed.check("writing").unwrap();
    cluster.coordinator(group(), BROKER).unwrap();
    renewed.ready().unwrap().run(&[&output], offsets(), &|| false).unwrap();
}

/// A commit whose answer never comes ends within its bound, and nobody tries it again.
#[test]
fn commit_without_an_answer_is_unknown() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut renewed = Renewed::start(config(&cluster), SHORT_TIMEOUT, Step::default()).unwrap();
    cluster.request_errors(
        RDKafkaApiKey::EndTxn,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 1_000],
    );
    let error = write(renewed.ready().unwrap()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("commit_unknown", Class::Fatal), "{error}");
    assert!(error.ends_membership_only());
}

/// A transaction that may be committed and cannot be aborted is not tried again.
#[test]
fn possibly_committed_transaction_is_not_tried_again() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut renewed = Renewed::start(config(&cluster), TRANSACTION_TIMEOUT, Step::default()).unwrap();
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN, RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE];
    cluster.request_errors(RDKafkaApiKey::EndTxn, &errors);
    let error = write(renewed.ready().unwrap()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("commit_unknown", Class::Fatal), "{error}");
}
