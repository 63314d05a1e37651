//! Records of what operators do: one [`AuditRecord`] for each action, on the topic `audit`.
//!
//! The record is in the transaction of the action itself. So no action is done without its record,
//! and none is recorded that was not done. Topics cannot be created in a transaction: their
//! creation is recorded right after, and only where a topic was created.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use precis_flow::Output;
use precis_schemas::{AuditRecord, SwitchState};

use crate::{PipelineError, now_ms, topics};

/// Codes of actions. They are stable: readers of the topic select by them.
pub mod actions {
    /// A tier gets work again.
    pub const TIER_ON: &str = "tier_on";
    /// A tier gets no work and refuses what it has.
    pub const TIER_OFF: &str = "tier_off";
    /// A tier gets no new work and finishes what it has.
    pub const TIER_DRAIN: &str = "tier_drain";
    /// A policy was put in force.
    pub const POLICY_APPLIED: &str = "policy_applied";
    /// Dead letters were published again on the topics that they came from.
    pub const DEAD_LETTERS_REPLAYED: &str = "dead_letters_replayed";
    /// Topics were created.
    pub const TOPICS_CREATED: &str = "topics_created";
}

/// The code of an action on a tier's switch.
pub fn tier_action(state: SwitchState) -> &'static str {
    match state {
        SwitchState::On => actions::TIER_ON,
        SwitchState::Off => actions::TIER_OFF,
        SwitchState::Drain => actions::TIER_DRAIN,
    }
}

/// Who does something, and why.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// A person, as they or their account say, or a service.
    pub by: &'a str,
    /// In the operator's words, or a service's stable code.
    pub reason: &'a str,
}

impl Actor<'_> {
    /// The record of an action by this actor, now, from this process.
    pub fn did(&self, action: &str, target: impl Into<String>) -> AuditRecord {
        AuditRecord {
            at: now_ms(),
            by: self.by.to_owned(),
            action: action.to_owned(),
            target: target.into(),
            before: String::new(),
            after: String::new(),
            reason: self.reason.to_owned(),
            details: BTreeMap::new(),
            host: HOST.clone(),
            program: PROGRAM.clone(),
        }
    }
}

/// The record as it is written.
///
/// # Errors
/// The codec's.
pub fn entry(record: &AuditRecord) -> Result<Output, PipelineError> {
    Ok(Output::to(topics::AUDIT).key(record.target.as_bytes()).record(record)?)
}

/// Name of this machine; empty where it does not tell.
static HOST: LazyLock<String> = LazyLock::new(|| {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    told.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default().trim().to_owned()
});

/// This program and its version.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let path = std::env::current_exe().unwrap_or_default();
    let name = path.file_stem().unwrap_or(Path::new("precis").as_os_str()).to_string_lossy();
    format!("{name} {}", env!("CARGO_PKG_VERSION"))
});
