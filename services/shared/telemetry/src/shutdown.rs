//! SIGTERM and SIGINT as a cancellation token.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::TelemetryError;

/// Exit status of a process that SIGINT ended, by the convention of shells.
const INTERRUPTED: i32 = 130;

/// Source of the signal to stop.
#[derive(Debug, Clone, Copy)]
pub struct Shutdown;

impl Shutdown {
    /// A token that the first SIGTERM or SIGINT cancels. A service then takes no more work in,
    /// finishes or gives back the work in flight, and exits. A second SIGINT (Ctrl-C by a person
    /// who has waited long enough) ends the process at once, which is as safe as kill -9. Needs a
    /// Tokio runtime.
    ///
    /// # Errors
    /// [`TelemetryError::Signals`] when the handlers cannot be installed.
    pub fn from_signals() -> Result<CancellationToken, TelemetryError> {
        let failed = |source| TelemetryError::Signals { source };
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let token = CancellationToken::new();
        tokio::spawn(watch(terminate, interrupt, token.clone()));
        Ok(token)
    }
}

#[expect(clippy::exit, reason = "a second Ctrl-C ends the process at once")]
async fn watch(mut terminate: Signal, mut interrupt: Signal, token: CancellationToken) {
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "shutting down");
    token.cancel();
    interrupt.recv().await;
    std::process::exit(INTERRUPTED);
}
