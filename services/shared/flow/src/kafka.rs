//! The Kafka log: librdkafka behind the [`Log`] trait.
//!
//! - Input is `read_committed`; offsets move in transactions only; where to start is decided by
//!   committed offsets alone.
//! - One transactional producer a member. Its id is stable when the instance has a name, and then a
//!   restart ends at once what the last run left open; random otherwise.
//! - Everything that blocks runs on threads of this module or on tokio's blocking pool.
//!
//! librdkafka's `MockCluster` fakes transactions: nothing here is proven on it. The contract suite
//! runs on real brokers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use precis_base::lock::locked;
use rdkafka::admin::AdminClient;
use rdkafka::consumer::BaseConsumer;

use self::client::{Logs, flow_error};
use crate::config::KafkaConfig;
use crate::error::FlowError;
use crate::log::{ExclusiveWriter, Log, PartitionLag, ReadStart, Reader, TopicChange, TopicSpec, TopicStatus};
use crate::member::{JoinRequest, Membership};
use crate::values::{Output, Position, Record};

mod admin;
mod begin;
mod bounded;
mod client;
mod convert;
mod exclusive;
mod hanging;
mod joining;
mod lag;
mod member;
pub(crate) mod ownership;
mod poll;
mod publish;
mod reader;
mod rebalance;
mod restart;
mod single;
mod start;
mod topic_id;
mod transaction;

/// A Kafka cluster. Cheap to clone.
#[derive(Clone)]
pub(crate) struct KafkaLog(Arc<Shared>);

struct Shared {
    config: KafkaConfig,
    asking: Mutex<Arc<Asking>>,
    publisher: publish::Publisher,
}

/// The clients that ask. They are replaced together when an answer failed to come: a broker that
/// was fenced and asked about itself names none, and librdkafka 2.12 then gives up all it knew, for
/// ever (confluentinc/librdkafka#5511 and its kind).
struct Asking {
    /// Asks for metadata and ends.
    observer: BaseConsumer<Logs>,
    /// Ask for the committed offsets of a group each.
    of_groups: Mutex<HashMap<String, Arc<OnceLock<BaseConsumer<Logs>>>>>,
    admin: AdminClient<Logs>,
}

impl Asking {
    /// Starts them. Does not wait for the brokers.
    fn start(config: &KafkaConfig) -> Result<Self, FlowError> {
        let failed = |error| flow_error("starting a client", &error);
        let observer = client::observer(config, None)?.create_with_context(Logs).map_err(failed)?;
        let admin = client::admin(config)?.create_with_context(Logs).map_err(failed)?;
        Ok(Self { observer, of_groups: Mutex::default(), admin })
    }
}

impl KafkaLog {
    /// Starts the clients. Does not wait for the brokers: whoever asks something of them does.
    pub(crate) fn open(config: &KafkaConfig) -> Result<Self, FlowError> {
        let asking = Mutex::new(Arc::new(Asking::start(config)?));
        Ok(Self(Arc::new(Shared { config: config.clone(), asking, publisher: publish::Publisher::default() })))
    }

    /// Runs what blocks where that is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&KafkaConfig, &Asking) -> Result<T, FlowError> + Send + 'static,
    ) -> Result<T, FlowError> {
        let shared = Arc::clone(&self.0);
        let result = tokio::task::spawn_blocking(move || shared.ask(run)).await;
        result.map_err(|error| FlowError::Internal { detail: error.to_string() })?
    }
}

impl Shared {
    /// Asks with the clients there are, and replaces them when the brokers gave no answer.
    fn ask<T>(&self, run: impl FnOnce(&KafkaConfig, &Asking) -> Result<T, FlowError>) -> Result<T, FlowError> {
        let asking = Arc::clone(&locked(&self.asking));
        let result = run(&self.config, &asking);
        if matches!(result, Err(FlowError::Unavailable { .. })) {
            let next = Arc::new(Asking::start(&self.config)?);
            let mut current = locked(&self.asking);
            // Somebody else may have been faster.
            if Arc::ptr_eq(&current, &asking) {
                *current = next;
            }
            drop(current);
            bounded::end(asking)?;
        }
        result
    }
}

impl Asking {
    /// The lag of a group, by a client that is kept: making one means connecting.
    fn lag(&self, config: &KafkaConfig, group: &str) -> Result<Vec<PartitionLag>, FlowError> {
        let cell = {
            let mut of_groups = locked(&self.of_groups);
            Arc::clone(of_groups.entry(group.to_owned()).or_default())
        };
        if cell.get().is_none() {
            let client = client::observer(config, Some(group))?;
            let client = client.create_with_context(Logs).map_err(|error| flow_error("starting a client", &error))?;
            // Somebody else may have been faster: then this one goes.
            drop(cell.set(client));
        }
        let of_group = cell.get().ok_or(FlowError::Closed)?;
        lag::of_group(config, &self.observer, of_group)
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicChange>, FlowError> {
        let specs = specs.to_vec();
        self.blocking(move |_, asking| admin::ensure(&asking.admin, &asking.observer, &specs)).await
    }

    async fn topics(&self) -> Result<Vec<TopicStatus>, FlowError> {
        self.blocking(|_, asking| admin::statuses(&asking.observer)).await
    }

    async fn group_lag(&self, group: &str) -> Result<Vec<PartitionLag>, FlowError> {
        let group = group.to_owned();
        self.blocking(move |config, asking| asking.lag(config, &group)).await
    }

    async fn hanging(&self, topics: &[String]) -> Result<Vec<Position>, FlowError> {
        let topics = topics.to_vec();
        self.blocking(move |config, asking| hanging::find(config, &asking.observer, &topics)).await
    }

    async fn publish(&self, outputs: Vec<Output>) -> Result<Vec<Position>, FlowError> {
        self.0.publisher.publish(&self.0.config, outputs).await
    }

    async fn reader(&self, topic: &str, start: ReadStart) -> Result<Box<dyn Reader>, FlowError> {
        let topic = topic.to_owned();
        let open = move |config: &KafkaConfig, asking: &Asking| {
            reader::KafkaReader::open(config, &asking.observer, &topic, start)
        };
        Ok(Box::new(self.blocking(open).await?))
    }

    async fn record_at(&self, position: &Position) -> Result<Option<Record>, FlowError> {
        let position = position.clone();
        self.blocking(move |config, asking| single::read(config, &asking.observer, &position)).await
    }

    async fn exclusive(&self, name: &str) -> Result<Box<dyn ExclusiveWriter>, FlowError> {
        let name = name.to_owned();
        let take_over = move |config: &KafkaConfig, _: &Asking| exclusive::KafkaWriter::take_over(config, &name);
        Ok(Box::new(self.blocking(take_over).await?))
    }

    async fn join(&self, request: JoinRequest) -> Result<Membership, FlowError> {
        self.blocking(move |config, asking| {
            let known = admin::names(&asking.observer)?;
            let missing =
                request.subscription.topics.iter().find(|topic| !known.iter().any(|(name, _)| name == *topic));
            if let Some(topic) = missing {
                return Err(FlowError::UnknownTopic { topic: topic.clone() });
            }
            member::join(config, request)
        })
        .await
    }

    fn describe(&self) -> String {
        format!("Kafka at {}", self.0.config.brokers)
    }
}
