//! The chaos build: failpoints as `FAILPOINTS` sets them.

use fail::{FailScenario, fail_point};
use tracing::warn;

use crate::{Point, Sabotage};

const VARIABLE: &str = "FAILPOINTS";

/// Failpoints are set as long as this lives.
#[must_use = "dropping it switches every failpoint off"]
pub struct Running {
    _scenario: FailScenario<'static>,
}

/// Reads `FAILPOINTS`, and logs that this is a chaos build and what is set.
///
/// # Errors
/// An unknown name: a test that sets it would test nothing.
///
/// # Panics
/// On an action that the crate `fail` cannot read.
pub fn start() -> Result<Running, String> {
    let set = std::env::var(VARIABLE).unwrap_or_default();
    check_names(&set)?;
    let scenario = FailScenario::setup();
    warn!(failpoints = set, "this is a chaos build: it is made to fail, and must not serve anyone");
    Ok(Running { _scenario: scenario })
}

pub(crate) fn check_names(set: &str) -> Result<(), String> {
    let known = || Point::ALL.map(Point::name).into_iter().chain(Sabotage::ALL.map(Sabotage::name));
    for one in set.split(';').map(str::trim).filter(|one| !one.is_empty()) {
        let name = one.split('=').next().unwrap_or_default().trim();
        if !known().any(|other| other == name) {
            return Err(format!("{VARIABLE}: there is no {name}; known: {}", known().collect::<Vec<_>>().join(", ")));
        }
    }
    Ok(())
}

/// Waits or dies here, if that is set. Blocks its thread.
pub fn pass(point: Point) {
    if fires(point.name()) && point != Point::HoldCompletion {
        warn!(failpoint = point.name(), "dying here");
        std::process::abort();
    }
}

/// The same for a task: other tasks go on meanwhile.
pub async fn pass_async(point: Point) {
    // Only a runtime that shuts down ends this early, and then nobody waits for the task.
    let _ = tokio::task::spawn_blocking(move || pass(point)).await;
}

/// Whether this rule is broken now.
pub fn sabotaged(rule: Sabotage) -> bool {
    fires(rule.name())
}

/// Carries out the action that is set for this name. Whether the action was a `return`.
fn fires(name: &str) -> bool {
    fail_point!(name, |_| true);
    false
}
