//! `precis doctor`: whether everything that the services need is there, each with what to do if
//! not.

mod checks;

use serde::Serialize;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis doctor
  precis doctor --config kafka.toml --json

Looks at the settings, the log (reachable, topics as they should be, a transaction goes through, none hangs), the store (creates an \
object at most once), the policy in force, the model (there, and its digest right), the disk and who may read the state folder. \
Warns where clear text crosses the network, or where every residency or every tenant may leave for a provider. Writes one empty marker \
to dead-letter-actions and one object that it removes again. Exit code 2 if something is wrong.";

/// Check what the services need: log, store, model, disk
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Leave the model's file unread: its digest takes a while
    #[arg(long)]
    quick: bool,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// What one check found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, detail: detail.into() }
    }

    fn warning(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, detail: detail.into() }
    }

    fn failed(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Failed, detail: detail.into() }
    }

    fn of(check: &'static str, result: anyhow::Result<String>) -> Self {
        match result {
            Ok(detail) => Self::ok(check, detail),
            Err(error) => Self::failed(check, format!("{error:#}")),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A settings file that cannot be read; everything else is a finding.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let mut failed = false;
    let mut tell = |finding: Finding| {
        failed |= finding.verdict == Verdict::Failed;
        if out.json() {
            return out.value(&finding);
        }
        let mark = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
        };
        out.line(format_args!("{mark:8} {:13} {}", finding.check, finding.detail));
        Ok(())
    };
    tell(checks::settings(&environment))?;
    for finding in checks::log(&environment).await {
        tell(finding)?;
    }
    tell(checks::store(&environment).await)?;
    tell(checks::model(&environment, args.quick))?;
    tell(checks::disk(&environment))?;
    tell(checks::privacy(&environment))?;
    Ok(if failed { Exit::SomeFailed } else { Exit::Done })
}
