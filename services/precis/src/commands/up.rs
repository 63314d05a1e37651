//! `precis up`: every service in this process.
//!
//! The same services as in processes of their own, on the same log and store: moving one out later
//! changes nothing for the others.

use std::sync::Arc;
use std::time::Duration;

use precis_pipeline::{Runtime, runtime, topics};
use precis_telemetry::{Shutdown, init_logging};
use serde::Serialize;

use crate::compose::{Sections, Services};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::output::Output;
use crate::report;
use crate::workers::Workers;

/// How often it is checked whether the policy in force needs workers that do not run yet.
const POLICY_INTERVAL: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  precis up                                embedded log and directory store, nothing to install
  precis up --config kafka.toml            on Kafka and S3
  PRECIS_TELEMETRY__LISTEN=127.0.0.1:9464 precis up

SIGTERM or Ctrl-C drains: documents in flight are finished or given back, then the process ends with exit code 0. \
Documents come from `precis submit` or any Kafka client; `precis results --follow` shows outcomes.";

/// Run all services in this process
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// What runs where, as the command tells it.
#[derive(Debug, Serialize)]
struct UpView {
    log: String,
    store: String,
    policy: String,
    services: Vec<ServiceView>,
    telemetry: Option<String>,
}

#[derive(Debug, Serialize)]
struct ServiceView {
    service: &'static str,
    does: String,
}

/// Runs the command until it is told to stop.
///
/// # Errors
/// Settings, log, store or model that are not there; a service that failed.
pub async fn run(globals: &Globals, _args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    environment.common()?;
    let sections = Sections::read(&environment.settings)?;
    init_logging(&sections.telemetry)?;
    let stop = Shutdown::from_signals()?;
    let runtime = Arc::new(Runtime::open(&environment.settings).await?);
    let server = runtime::serve_telemetry("precis", &runtime, &sections.telemetry).await?;
    let mut running = UpView {
        log: runtime.log.describe(),
        store: runtime.store.describe(),
        policy: runtime.control.effective().digest,
        services: Vec::new(),
        telemetry: server.as_ref().map(|server| format!("http://{}/metrics", server.local_addr())),
    };
    let mut services = Services::new(stop.clone());
    let mut workers = Workers::new(&sections);
    services.router(&runtime, sections.router);
    workers.serve(&runtime, &mut services, out).await?;
    running.services = list(&runtime, &workers);
    tell(&running, out)?;
    // A group that another process holds, or a broker that is away, shows here.
    services.ready(&runtime).await?;
    // It only watches, so it neither delays the others nor counts as one of them being ready.
    services.controller(&runtime, sections.controller);
    if !out.json() {
        out.line("up: publish with `precis submit`, see outcomes with `precis results --follow`, stop with Ctrl-C");
        out.flush();
    }
    let mut ended = Ok(());
    let mut policy = tokio::time::interval(POLICY_INTERVAL);
    while ended.is_ok() && !services.all_ended() {
        tokio::select! {
            _ = policy.tick() => ended = workers.serve(&runtime, &mut services, out).await,
            result = services.one_ended() => ended = result,
            () = stop.cancelled() => {
                out.note("draining; once more Ctrl-C ends at once, and nothing settled is lost");
                ended = services.drain().await;
            }
        }
    }
    // A failed service takes the others down in order.
    let drained = services.drain().await;
    ended?;
    drained?;
    out.note("drained and stopped");
    Ok(Exit::Done)
}

/// What runs, and what does not and why.
fn list(runtime: &Runtime, workers: &Workers) -> Vec<ServiceView> {
    let mut services = vec![ServiceView {
        service: "router",
        does: "documents.*, returns and escalations → work.<tier>, or a settled outcome".to_owned(),
    }];
    let gpu = workers.gpu_tier();
    let does = match workers.engine() {
        Some((_, entry)) => format!("{}, with {} {}", topics::work(gpu), entry.name, entry.quantisation),
        None => format!("not yet: the policy in force has no enabled gpu tier {gpu:?}; it starts with one that has"),
    };
    services.push(ServiceView { service: "gpu-worker", does });
    let own = topics::work(gpu);
    let served: Vec<String> = workers.topics(runtime).into_iter().filter(|topic| *topic != own).collect();
    let does = if served.is_empty() {
        "not yet: the policy in force has no tier of a provider; it starts with one that has".to_owned()
    } else {
        format!("{}; a tier without a key is off", served.join(", "))
    };
    services.push(ServiceView { service: "api-worker", does });
    services
        .push(ServiceView { service: "controller", does: "summaries → metrics of quality, and alarms".to_owned() });
    for (tier, setting) in workers.unserved(runtime) {
        let does = format!("not here: its documents wait for a worker elsewhere that {setting} names it for");
        services.push(ServiceView { service: "no worker", does: format!("{}: {does}", topics::work(&tier)) });
    }
    services
}

fn tell(running: &UpView, out: &Output) -> anyhow::Result<()> {
    if out.json() {
        return Ok(out.value(running)?);
    }
    out.line(format_args!("{:11} {}", "log", running.log));
    out.line(format_args!("{:11} {}", "store", running.store));
    out.line(format_args!("{:11} {}", "policy", report::short(&running.policy)));
    for ServiceView { service, does } in &running.services {
        out.line(format_args!("{service:11} {does}"));
    }
    let telemetry = running.telemetry.as_deref().unwrap_or("not served; set telemetry.listen, such as 127.0.0.1:9464");
    out.line(format_args!("{:11} {telemetry}", "metrics"));
    out.flush();
    Ok(())
}
