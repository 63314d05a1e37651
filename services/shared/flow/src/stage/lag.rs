//! How far the stage is behind, as a gauge.

use std::sync::Arc;

use precis_telemetry::metrics::Gauge;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::work::Context;
use crate::log::Log;
use crate::values::PartitionId;

/// Measures the lag of these partitions beside the loop, since the answer may take its time.
/// Dropping the handle gives it up.
pub(super) fn measure(log: Arc<dyn Log>, context: Arc<Context>, owned: Vec<PartitionId>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        match log.group_lag(&context.config.group).await {
            Ok(lags) => {
                let lag: i64 = lags.iter().filter(|lag| owned.contains(&lag.partition)).map(|lag| lag.lag).sum();
                Gauge::StageLag.set(lag as f64, &[&context.config.name]);
            }
            Err(error) => debug!(stage = context.config.name, %error, "cannot measure lag"),
        }
    }))
}
