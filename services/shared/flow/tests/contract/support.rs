//! Worlds to test in, and small helpers: every test makes its own topics and groups.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use precis_flow::{
    Attempt, AttemptMarkers, Delivery, FlowError, GroupProtocol, KafkaConfig, Log, LogConfig, LogKind, Output,
    Processor, ReadStart, Record, Rejection, StageConfig, StageError, Subscription, TopicSpec, run_stage,
};
use precis_telemetry::Health;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before the test gives up: far beyond what it needs.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A log to test, and names that nobody else uses.
pub(crate) struct World {
    pub(crate) config: LogConfig,
    suffix: String,
    _folder: Option<TempDir>,
}

impl World {
    pub(crate) fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LogConfig::default();
        config.embedded.path = folder.path().join("log.db");
        Self { config, suffix: suffix(), _folder: Some(folder) }
    }

    pub(crate) fn kafka() -> Self {
        let brokers = std::env::var("PRECIS_TEST_KAFKA").expect("PRECIS_TEST_KAFKA names the bootstrap servers");
        // The whole suite with the newer protocol: `PRECIS_TEST_GROUP_PROTOCOL=consumer`.
        let consumer = std::env::var("PRECIS_TEST_GROUP_PROTOCOL").is_ok_and(|protocol| protocol == "consumer");
        let kafka = KafkaConfig {
            brokers,
            group_protocol: if consumer { GroupProtocol::Consumer } else { GroupProtocol::Classic },
            // The least the brokers take: a member that was killed is missed no longer than that.
            session_timeout_ms: 6_000,
            transaction_timeout_ms: 10_000,
            message_timeout_ms: 10_000,
            max_poll_interval_ms: 60_000,
            topic_refresh_ms: 500,
            ..KafkaConfig::default()
        };
        let config = LogConfig { kind: LogKind::Kafka, kafka, ..LogConfig::default() };
        Self { config, suffix: suffix(), _folder: None }
    }

    pub(crate) fn is_kafka(&self) -> bool {
        self.config.kind == LogKind::Kafka
    }

    /// A handle to the log, as another process would have it.
    pub(crate) async fn open(&self) -> Arc<dyn Log> {
        precis_flow::open(&self.config).await.unwrap()
    }

    /// A name of this test's own.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}.{}", self.suffix)
    }

    /// Makes a topic and returns its name.
    pub(crate) async fn topic(&self, log: &Arc<dyn Log>, name: &str, partitions: i32) -> String {
        let spec = self.spec(name, partitions);
        log.ensure_topics(std::slice::from_ref(&spec)).await.unwrap();
        spec.name
    }

    pub(crate) fn spec(&self, name: &str, partitions: i32) -> TopicSpec {
        TopicSpec {
            name: self.name(name),
            partitions,
            compacted: false,
            retention_ms: Some(86_400_000),
            max_message_bytes: 2 * 1024 * 1024,
            replication: Some(1),
        }
    }

    /// A stage that reads `input`, with short waits.
    pub(crate) fn stage(&self, input: &str) -> StageConfig {
        StageConfig {
            commit_interval: Duration::from_millis(20),
            backoff: Duration::from_millis(5),
            max_backoff: Duration::from_millis(50),
            drain_budget: Duration::from_secs(20),
            ..StageConfig::new("test", self.name("group"), Subscription::topics([input]))
        }
    }
}

/// A name's end that no other test has. With `PRECIS_TEST_LOG` set, the log of what happens goes to
/// standard error.
fn suffix() -> String {
    if std::env::var_os("PRECIS_TEST_LOG").is_some() {
        // Only the first test of a process can.
        let _ = precis_telemetry::init_logging(&precis_telemetry::TelemetryConfig::default());
    }
    format!("{:012x}", rand::random::<u64>() >> 16)
}

/// A processor made of a function.
pub(crate) struct FromFn<F>(pub(crate) F);

#[async_trait]
impl<F, R> Processor for FromFn<F>
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Output>, StageError>> + Send + 'static,
{
    async fn process(&self, delivery: &Delivery) -> Result<Vec<Output>, StageError> {
        (self.0)(delivery.clone()).await
    }
}

/// The same with a function for rejections.
pub(crate) struct WithRejected<F, G>(pub(crate) F, pub(crate) G);

#[async_trait]
impl<F, R, G, S> Processor for WithRejected<F, G>
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Output>, StageError>> + Send + 'static,
    G: Fn(Delivery, Rejection) -> S + Send + Sync + 'static,
    S: Future<Output = Result<Vec<Output>, StageError>> + Send + 'static,
{
    async fn process(&self, delivery: &Delivery) -> Result<Vec<Output>, StageError> {
        (self.0)(delivery.clone()).await
    }

    async fn rejected(&self, delivery: &Delivery, rejection: &Rejection) -> Result<Vec<Output>, StageError> {
        (self.1)(delivery.clone(), rejection.clone()).await
    }
}

/// Markers of records that run alone, as files.
pub(crate) struct FileMarkers {
    folder: PathBuf,
    process: String,
}

impl FileMarkers {
    /// As another process would have them.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), process: format!("{:016x}", rand::random::<u64>()) }
    }

    /// This process's marker, made if need be; none: as many processes as may died with the record.
    fn open(&self, record: &Record, attempt: Attempt) -> Option<PathBuf> {
        let position = record.position().to_string().replace('/', "~");
        (0..attempt.max_deaths()).find_map(|number| {
            let path = self.folder.join(format!("{position}.{}-{number}", attempt.as_str()));
            match std::fs::File::create_new(&path) {
                Ok(_) => std::fs::write(&path, &self.process).unwrap(),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("a marker: {error}"),
            }
            (std::fs::read_to_string(&path).unwrap() == self.process).then_some(path)
        })
    }
}

#[async_trait]
impl AttemptMarkers for FileMarkers {
    async fn begin(&self, record: &Record, attempt: Attempt) -> Result<bool, StageError> {
        Ok(self.open(record, attempt).is_some())
    }

    async fn survived(&self, record: &Record, attempt: Attempt) -> Result<(), StageError> {
        if let Some(path) = self.open(record, attempt) {
            std::fs::remove_file(path).unwrap();
        }
        Ok(())
    }
}

/// A processor that copies each record to a topic.
pub(crate) fn copy_to(topic: &str) -> Arc<dyn Processor> {
    let topic = topic.to_owned();
    Arc::new(FromFn(move |delivery: Delivery| {
        let output = copy(&delivery.record, &topic);
        async move { Ok(vec![output]) }
    }))
}

pub(crate) fn copy(record: &Record, topic: &str) -> Output {
    Output { topic: topic.to_owned(), key: record.key.clone(), value: record.value.clone(), ..Output::default() }
}

/// A stage in the background.
pub(crate) struct Running {
    pub(crate) health: Health,
    shutdown: CancellationToken,
    stage: JoinHandle<Result<(), FlowError>>,
}

impl Running {
    pub(crate) fn start(log: &Arc<dyn Log>, config: StageConfig, processor: Arc<dyn Processor>) -> Self {
        let (health, shutdown) = (Health::new(), CancellationToken::new());
        let run = run_stage(Arc::clone(log), config, processor, health.clone(), shutdown.clone());
        Self { health, shutdown, stage: tokio::spawn(run) }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), FlowError> {
        self.shutdown.cancel();
        self.ended().await
    }

    /// Waits until it stops by itself.
    pub(crate) async fn ended(self) -> Result<(), FlowError> {
        within(self.stage).await.unwrap()
    }

    /// Takes it away without a drain, as a crash would.
    pub(crate) async fn crash(self) {
        self.stage.abort();
        let _ = self.stage.await;
    }

    pub(crate) fn ask_to_stop(&self) {
        self.shutdown.cancel();
    }
}

/// Waits for something that must come.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, future).await.expect("this takes far too long")
}

/// Reads a topic from its beginning until it has been quiet at its end, at this moment.
pub(crate) async fn read_all(log: &Arc<dyn Log>, topic: &str) -> Vec<Record> {
    within(async {
        let mut reader = log.reader(topic, ReadStart::Beginning).await.unwrap();
        let mut records = Vec::new();
        while !reader.caught_up() {
            records.extend(reader.next(Duration::from_secs(1)).await.unwrap());
        }
        records
    })
    .await
}

/// Reads a topic from its beginning until it has given as many records, or too long has passed.
pub(crate) async fn read_count(log: &Arc<dyn Log>, topic: &str, count: usize) -> Vec<Record> {
    within(async {
        let mut reader = log.reader(topic, ReadStart::Beginning).await.unwrap();
        let mut records = Vec::new();
        while records.len() < count {
            records.extend(reader.next(Duration::from_secs(1)).await.unwrap());
        }
        records
    })
    .await
}

/// Publishes `count` records with the values 0, 1, …, over `keys` keys.
pub(crate) async fn publish_numbers(log: &Arc<dyn Log>, topic: &str, count: usize, keys: usize) {
    let outputs = (0..count).map(|n| Output::to(topic).key(format!("key-{}", n % keys)).value(n.to_string()));
    log.publish(outputs.collect()).await.unwrap();
}

pub(crate) fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap()).unwrap()
}

/// How often each value occurs.
pub(crate) fn counts(records: &[Record]) -> BTreeMap<usize, usize> {
    records.iter().fold(BTreeMap::new(), |mut counts, record| {
        *counts.entry(text(record).parse().unwrap()).or_default() += 1;
        counts
    })
}

/// Asserts that the values 0, 1, …, `count - 1` occur once each.
pub(crate) fn assert_each_once(records: &[Record], count: usize) {
    let expected: BTreeMap<usize, usize> = (0..count).map(|n| (n, 1)).collect();
    let found = counts(records);
    let missing: Vec<_> = expected.keys().filter(|n| !found.contains_key(n)).collect();
    let repeated: Vec<_> = found.iter().filter(|(_, times)| **times != 1).collect();
    assert!(found == expected, "missing {missing:?}, repeated {repeated:?}");
}

/// Asserts that the records of each key come in rising order of their values.
pub(crate) fn assert_ordered_by_key(records: &[Record]) {
    let mut last = BTreeMap::new();
    for record in records {
        let (key, value) = (record.key.clone(), text(record).parse::<usize>().unwrap());
        let before = last.insert(key, value);
        assert!(before.is_none_or(|before| before < value), "{value} after {before:?}");
    }
}

/// The lag of a group, summed.
pub(crate) async fn lag(log: &Arc<dyn Log>, group: &str) -> i64 {
    log.group_lag(group).await.unwrap().iter().map(|lag| lag.lag).sum()
}

/// Waits until a condition holds, asking again and again.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    within(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

impl World {
    /// Makes a topic with a retention of one millisecond lose its records now; returns a handle
    /// that sees it.
    pub(crate) async fn forget_old_records(&self, topic: &str) -> Arc<dyn Log> {
        if self.is_kafka() {
            crate::on_kafka_only::delete_records(&self.config.kafka.brokers, topic).await;
            return self.open().await;
        }
        // Opening removes what is over its time; records have to be older than one millisecond for
        // it.
        let mut log = self.open().await;
        within(async {
            while log.topics().await.unwrap().iter().any(|found| found.name == topic && found.partitions[0].low == 0) {
                log = self.open().await;
            }
        })
        .await;
        log
    }
}
