//! `precis config`: the reference, made from the types, and the settings in force.

use clap::Subcommand;
use precis_api_worker::ApiWorkerSettings;
use precis_config::reference::markdown;
use precis_controller::ControllerSettings;
use precis_flow::LogConfig;
use precis_gpu_worker::{GpuWorkerSettings, ModelSettings};
use precis_objects::StoreConfig;
use precis_pipeline::runtime::{PolicySettings, TopicSettings};
use precis_router::RouterSettings;
use precis_telemetry::TelemetryConfig;
use serde_json::json;

use crate::compose::Sections;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis config reference                  every setting, as Markdown
  precis config check --config precis.toml
  PRECIS_LOG__KIND=kafka precis config show

Settings come from a TOML file and from environment variables over it. Every service reads the sections it needs from the \
same file; what nobody knows is an error.";

/// Print the configuration reference, or check and show settings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every setting with its default, meaning and variable, as Markdown
    Reference,
    /// Print every metric, as Markdown
    Metrics,
    /// Print every code of an error, outcome, refusal or check, as Markdown
    Codes,
    /// Say everything that is wrong with the settings
    Check,
    /// Print the settings in force as TOML, secrets redacted
    Show,
}

/// Runs the command.
///
/// # Errors
/// A settings file that cannot be read.
pub fn run(globals: &Globals, args: &Args, out: &Output) -> anyhow::Result<Exit> {
    match args.action {
        Action::Reference => {
            for (name, table) in sections() {
                out.file(&format!("### `[{name}]`\n\n{table}"));
            }
            Ok(Exit::Done)
        }
        Action::Metrics => {
            out.file(&precis_telemetry::metrics::markdown());
            Ok(Exit::Done)
        }
        Action::Codes => {
            out.file(precis_schemas::codes::markdown().trim());
            Ok(Exit::Done)
        }
        Action::Check => check(globals, out),
        Action::Show => {
            let environment = Environment::load(globals)?;
            read_all(&environment)?;
            out.file(environment.settings.render_redacted().trim_end());
            Ok(Exit::Done)
        }
    }
}

/// The sections, each with its reference.
fn sections() -> [(&'static str, String); 10] {
    [
        ("log", markdown::<LogConfig>("log")),
        ("store", markdown::<StoreConfig>("store")),
        ("topics", markdown::<TopicSettings>("topics")),
        ("policy", markdown::<PolicySettings>("policy")),
        ("telemetry", markdown::<TelemetryConfig>("telemetry")),
        ("model", markdown::<ModelSettings>("model")),
        ("router", markdown::<RouterSettings>("router")),
        ("gpu_worker", markdown::<GpuWorkerSettings>("gpu_worker")),
        ("api_worker", markdown::<ApiWorkerSettings>("api_worker")),
        ("controller", markdown::<ControllerSettings>("controller")),
    ]
}

fn check(globals: &Globals, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let verdict = read_all(&environment);
    if out.json() {
        let problem = verdict.as_ref().err().map(|error| format!("{error:#}"));
        out.value(&json!({ "ok": verdict.is_ok(), "problem": problem }))?;
    } else {
        match &verdict {
            Ok(()) => out.line("the settings are fine"),
            Err(error) => out.error(format_args!("{error:#}")),
        }
    }
    Ok(if verdict.is_ok() { Exit::Done } else { Exit::SomeFailed })
}

fn read_all(environment: &Environment) -> anyhow::Result<()> {
    environment.common()?;
    Sections::read(&environment.settings)?.api_worker.check_keys()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_section() {
        let documented: Vec<_> = sections().map(|(name, _)| name).to_vec();
        for section in precis_config::SECTIONS {
            assert!(documented.contains(&section), "{section} is not in the reference");
        }
        for (name, table) in sections() {
            assert!(table.contains(&format!("`{name}.")), "{name}: {table}");
        }
    }
}
