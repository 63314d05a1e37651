//! The main function of a service.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use precis_config::Settings;
use precis_telemetry::{Info, Server, Shutdown, TelemetryConfig, init_logging, serve};
use tokio_util::sync::CancellationToken;

use super::arguments::{Arguments, tell};
use super::{CommonSettings, Runtime};

/// How long a process that is done waits for tasks that still block.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves metrics and health if the settings name an address.
///
/// # Errors
/// The address cannot be had.
pub async fn serve_telemetry(
    service: &str,
    runtime: &Runtime,
    telemetry: &TelemetryConfig,
) -> anyhow::Result<Option<Server>> {
    let Some(address) = telemetry.listen else { return Ok(None) };
    let info = Info::new(service).with("policy", runtime.control.effective().digest);
    Ok(Some(serve(address, runtime.recorder.clone(), runtime.health.clone(), info).await?))
}

/// The main of a service: reads arguments and settings, then runs until SIGTERM or SIGINT, drains
/// and exits with 0. Every error exits with 1.
///
/// `read` takes the service's own sections, so that `--check-config` shows their problems too;
/// `run` runs the service.
pub fn service_main<S, R>(
    service: &'static str,
    read: impl FnOnce(&Settings) -> anyhow::Result<S>,
    run: impl FnOnce(Arc<Runtime>, S, CancellationToken) -> R,
) -> ExitCode
where
    R: Future<Output = anyhow::Result<()>>,
{
    let arguments = match Arguments::read(service, std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(answer) => return tell(&answer),
    };
    match service_body(service, &arguments, read, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may not be up yet, and its level may hide errors: the reason for a failed
            // start must be seen.
            let _ = writeln!(std::io::stderr(), "precis-{service}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn service_body<S, R>(
    service: &'static str,
    arguments: &Arguments,
    read: impl FnOnce(&Settings) -> anyhow::Result<S>,
    run: impl FnOnce(Arc<Runtime>, S, CancellationToken) -> R,
) -> anyhow::Result<()>
where
    R: Future<Output = anyhow::Result<()>>,
{
    let settings = Settings::load(arguments.config.as_deref())?;
    CommonSettings::read(&settings)?;
    let telemetry: TelemetryConfig = settings.section("telemetry")?;
    let own = read(&settings)?;
    if arguments.check_config {
        return Ok(());
    }
    if arguments.print_config {
        return Ok(std::io::stdout().write_all(settings.render_redacted().as_bytes())?);
    }
    init_logging(&telemetry)?;
    let _chaos = precis_chaos::start().map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::from_signals()?;
        let runtime = Arc::new(Runtime::open(&settings).await?);
        let _server = serve_telemetry(service, &runtime, &telemetry).await?;
        tracing::info!(service, log = runtime.log.describe(), store = runtime.store.describe(), "started");
        run(runtime, own, shutdown).await?;
        tracing::info!(service, "drained and stopped");
        Ok(())
    });
    // A request to a log that does not answer may block longer.
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    result
}
