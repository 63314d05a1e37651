//! The choice of a log by its settings: the only module that knows both logs.

use std::sync::Arc;

use crate::config::{LogConfig, LogKind};
use crate::embedded::EmbeddedLog;
use crate::error::FlowError;
use crate::kafka::KafkaLog;
use crate::log::Log;

/// Opens the log that the configuration names.
pub async fn open(config: &LogConfig) -> Result<Arc<dyn Log>, FlowError> {
    config.check()?;
    match config.kind {
        LogKind::Embedded => Ok(Arc::new(EmbeddedLog::open(&config.embedded).await?)),
        LogKind::Kafka => Ok(Arc::new(KafkaLog::open(&config.kafka)?)),
    }
}
