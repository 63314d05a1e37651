//! SIGTERM and SIGINT as a cancellation token.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::TelemetryError;

/// Exit status of a process that SIGINT ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// How a service learns that it shall stop.
#[derive(Debug, Clone, Copy)]
pub struct Shutdown;

impl Shutdown {
    /// A token that the first SIGTERM or SIGINT cancels: stop taking work in, finish or give back
    /// what is in flight, exit. A second SIGINT, that is Ctrl-C from someone who has waited long
    /// enough, ends the process at once; that is safe at any point, as kill -9 is. Needs a Tokio
    /// runtime.
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

#[expect(clippy::exit, reason = "a second Ctrl-C asks for just that")]
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
