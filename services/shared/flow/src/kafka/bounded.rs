//! Waiting for calls of librdkafka within bounds, and saying what is waited for.
//!
//! librdkafka 2.12 has calls that keep to no timeout. `send_offsets_to_transaction` never returns
//! when the group's coordinator was fenced for a moment: the client gives up the broker that the
//! metadata no longer names, and goes on waiting for it (confluentinc/librdkafka#5456, #5511). A
//! call cannot be broken off. So it runs on a thread of its own, which is left to itself when the
//! call does not come back.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_base::lock::locked;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::error::FlowError;

/// How long a client that is replaced may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is said that a transaction has not ended yet.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Runs a call on a thread of its own, and waits for it at most so long. `None`: it has not come
/// back, and what it owns lives as long as it does.
///
/// # Errors
/// The system gives no thread.
pub(super) fn within<T: Send + 'static>(
    bound: Duration,
    thread: &str,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, FlowError> {
    let (sender, result) = channel();
    let body = move || {
        // Nobody may be waiting any more.
        let _ = sender.send(call());
    };
    std::thread::Builder::new()
        .name(thread.to_owned())
        .spawn(body)
        .map_err(|error| FlowError::Unavailable { doing: "starting a thread", detail: error.to_string() })?;
    Ok(result.recv_timeout(bound).ok())
}

/// Ends clients, which takes a moment, or for ever where a client waits for a broker: then it is
/// left to itself.
///
/// # Errors
/// The system gives no thread.
pub(super) fn end(clients: impl Send + 'static) -> Result<(), FlowError> {
    if within(CLOSE_TIMEOUT, "precis-close", move || drop(clients))?.is_none() {
        warn!("a Kafka client that was replaced does not end: it is left to itself");
    }
    Ok(())
}

/// What the thread that writes transactions does at the moment, for whoever waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Step(Arc<Mutex<&'static str>>);

impl Step {
    pub(super) fn begin(&self, doing: &'static str) {
        *locked(&self.0) = doing;
    }

    /// Waits for the end of a transaction, and says every few seconds which step it has come to.
    pub(super) async fn wait_for<T>(&self, whose: &str, transaction: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let mut transaction = std::pin::pin!(transaction);
        loop {
            if let Ok(ended) = timeout(WARNING_INTERVAL, &mut transaction).await {
                return ended;
            }
            let (seconds, doing) = (began.elapsed().as_secs(), *locked(&self.0));
            warn!(whose, doing, seconds, "a transaction has not ended yet: the brokers do not answer");
        }
    }
}

#[cfg(test)]
mod tests;
