//! The checks of `precis doctor`. Each tells what it found, or what is wrong and what to do.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use precis_base::private;
use precis_flow::{Change, Log, LogKind, Output as Record};
use precis_gpu_worker::ModelSettings;
use precis_inference::models;
use precis_pipeline::runtime::CommonSettings;
use precis_pipeline::topics;
use precis_policy::Policy;

use super::Finding;
use crate::compose::Sections;
use crate::environment::Environment;
use crate::report;

/// How long one check of the log or the store may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(20);
/// Name of the exclusive writer of the probe.
const WRITER: &str = "doctor";
/// Free space below which the doctor warns: a model with its download, and some days of a small
/// log.
const MIN_FREE_DISK_KIB: u64 = 2 * 1024 * 1024;

/// Whether every section can be read.
pub(super) fn settings(environment: &Environment) -> Finding {
    let read = || -> anyhow::Result<String> {
        environment.common()?;
        Sections::read(&environment.settings)?.api_worker.check_keys()?;
        Ok(environment
            .file
            .as_ref()
            .map_or_else(|| "defaults and environment".to_owned(), |file| file.display().to_string()))
    };
    Finding::of("settings", read())
}

/// The log, its topics, a transaction and the policy in it.
pub(super) async fn log(environment: &Environment) -> Vec<Finding> {
    let opened = within_timeout("opening the log", async {
        let settings = environment.common()?;
        let log = environment.log().await?;
        let known = log.topics().await.context("its topics cannot be listed")?;
        Ok((settings, log, known.into_iter().map(|topic| topic.name).collect::<Vec<_>>()))
    });
    let (settings, log, known) = match opened.await {
        Ok(opened) => opened,
        Err(error) => return vec![Finding::failed("log", format!("{error:#}"))],
    };
    let mut findings = vec![Finding::ok("log", format!("{}: reachable", log.describe()))];
    if let Some(host) = settings.log.kafka.clear_text_broker().filter(|_| settings.log.kind == LogKind::Kafka) {
        findings.push(Finding::warning(
            "log",
            format!("what goes to {host} crosses the network in clear (log.kafka.allow_plaintext); use TLS"),
        ));
    }
    if !known.iter().any(|topic| topic == topics::CONTROL) {
        findings.push(Finding::failed(
            "topics",
            "the topic control is missing; create the topics with `precis topics apply`",
        ));
        return findings;
    }
    match policy_tiers(environment, &log).await {
        Ok((detail, warnings, tiers)) => {
            findings.push(Finding::ok("policy", detail));
            findings.extend(warnings.into_iter().map(|warning| Finding::warning("policy", warning)));
            findings.push(topics_of(&log, &settings, &tiers, &known).await);
            findings.extend(unread(&settings, &known));
        }
        Err(error) => findings.push(Finding::failed("policy", format!("{error:#}"))),
    }
    findings.push(Finding::of("transactions", transaction(&log, &known).await));
    findings.push(Finding::of("hanging", hanging(&log, &known).await));
    findings
}

/// The policy in force in words, what it allows that is wide, and its tiers with topics.
async fn policy_tiers(
    environment: &Environment,
    log: &Arc<dyn Log>,
) -> anyhow::Result<(String, Vec<String>, Vec<String>)> {
    let control = within_timeout("reading control", environment.control(log)).await?;
    if let Some(applied) = control.applied()
        && let Err(problems) = Policy::parse(&applied.toml)
    {
        bail!(
            "the applied policy cannot be read by this build, and API tiers are off until one is applied that can: {problems}"
        );
    }
    let effective = control.effective();
    let tiers: Vec<&str> = effective.policy.tier_names().collect();
    let origin = if control.applied().is_some() { "applied" } else { "from the settings; none was applied" };
    let detail = format!("{} ({origin}), tiers {}", report::short(&effective.digest), tiers.join(", "));
    let with_topics = effective.policy.worker_tiers().map(str::to_owned).collect();
    Ok((detail, effective.policy.warnings(), with_topics))
}

/// Whether all topics are there and as they should be. Only existing topics are compared, so that
/// nothing is created.
async fn topics_of(log: &Arc<dyn Log>, settings: &CommonSettings, tiers: &[String], known: &[String]) -> Finding {
    let wanted = topics::all(&settings.topics.tenants, tiers, settings.topics.partitions, settings.topics.replication);
    let (there, missing): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|spec| known.contains(&spec.name));
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|spec| spec.name.as_str()).collect();
        return Finding::failed(
            "topics",
            format!("missing: {}; create them with `precis topics apply`", names.join(", ")),
        );
    }
    match within_timeout("comparing topics", async { Ok(log.ensure_topics(&there).await?) }).await {
        Err(error) => Finding::failed("topics", format!("{error:#}")),
        Ok(changes) => {
            let differing: Vec<String> = changes
                .into_iter()
                .filter_map(|change| match change.change {
                    Change::Differs(differences) => Some(format!("{} ({})", change.topic, differences.join("; "))),
                    Change::Created | Change::Unchanged => None,
                })
                .collect();
            if differing.is_empty() {
                Finding::ok("topics", format!("all {} as they should be", there.len()))
            } else {
                Finding::warning("topics", format!("not as they should be: {}", differing.join(", ")))
            }
        }
    }
}

/// Topics of documents that the router does not read, since their tenants are not listed.
fn unread(settings: &CommonSettings, known: &[String]) -> Option<Finding> {
    let unread = precis_router::unread(known.iter().map(String::as_str), &settings.topics);
    (!unread.is_empty()).then(|| {
        let names = unread.join(", ");
        Finding::warning("tenants", format!("not read, since topics.tenants does not list their tenants: {names}"))
    })
}

/// A transaction from start to commit. It writes an empty marker under the doctor's own key.
async fn transaction(log: &Arc<dyn Log>, known: &[String]) -> anyhow::Result<String> {
    if !known.iter().any(|topic| topic == topics::DEAD_LETTER_ACTIONS) {
        bail!("the topic {} is missing; create the topics with `precis topics apply`", topics::DEAD_LETTER_ACTIONS);
    }
    within_timeout("a transaction", async {
        let mut writer = log.exclusive(WRITER).await?;
        writer.commit(vec![Record::to(topics::DEAD_LETTER_ACTIONS).key(WRITER)]).await?;
        Ok("one went through".to_owned())
    })
    .await
}

/// Whether all transactions end. This check has no timeout, since it waits for open transactions to
/// end: those that do not end are hanging.
async fn hanging(log: &Arc<dyn Log>, known: &[String]) -> anyhow::Result<String> {
    let hanging = log.hanging(known).await.context("open transactions cannot be looked for")?;
    if hanging.is_empty() {
        return Ok("every transaction ends".to_owned());
    }
    let places: Vec<String> = hanging.iter().map(ToString::to_string).collect();
    bail!(
        "nobody ends the transactions at {}, and what comes after them is not read; see \"stand still\" in the runbook of \
         docs/operate/guarantees.md",
        places.join(", ")
    );
}

/// The store; opening it proves that it creates objects at most once.
pub(super) async fn store(environment: &Environment) -> Finding {
    let probed =
        within_timeout("asking the store", Box::pin(async { environment.store().await.map(|store| store.describe()) }))
            .await;
    Finding::of("store", probed.map(|store| format!("{store}: creates an object at most once")))
}

/// The model's file and its digest.
pub(super) fn model(environment: &Environment, quick: bool) -> Finding {
    let verify = || -> anyhow::Result<String> {
        let settings: ModelSettings = environment.settings.section("model")?;
        let manifest = settings.load_manifest()?;
        let entry = manifest.find(&settings.name)?;
        let folder = settings.models_directory();
        let path = if quick { models::locate(entry, &folder)? } else { models::verify(entry, &folder)? };
        let what = if quick { "there, its digest not looked at" } else { "its digest is the pinned one" };
        Ok(format!("{} at {}: {what}", entry.name, path.display()))
    };
    Finding::of("model", tokio::task::block_in_place(verify))
}

/// Whether others on this machine may open what lies in the state folder.
pub(super) fn privacy(environment: &Environment) -> Finding {
    let state = &environment.state;
    // A private folder hides what is in it; without one each part must be private itself.
    let is_open = private::wider_mode(state).is_some();
    let parts = ["log.db", "log.db-wal", "log.db-shm", "objects"].map(|name| state.join(name));
    let open: Vec<String> = parts
        .iter()
        .filter_map(|path| Some(format!("{} ({:o})", path.display(), private::wider_mode(path)?)))
        .collect();
    if open.is_empty() || !is_open {
        return Finding::ok("privacy", format!("what lies in {} is its owner's alone", state.display()));
    }
    Finding::warning(
        "privacy",
        format!("others on this machine may open {}; run chmod -R go= {}", open.join(", "), state.display()),
    )
}

/// Free space where log and store lie. POSIX `df`, since the standard library cannot tell.
pub(super) fn disk(environment: &Environment) -> Finding {
    let place = environment.state.ancestors().find(|path| path.exists()).unwrap_or(&environment.state);
    let output = Command::new("df").args(["-Pk", "--"]).arg(place).output();
    let free = output.ok().filter(|output| output.status.success()).and_then(|output| free_kib(&output.stdout));
    match free {
        None => {
            Finding::warning("disk", format!("free space at {} could not be told (`df -Pk` failed)", place.display()))
        }
        Some(free) => {
            let detail = format!("{:.1} GiB free at {}", free as f64 / (1024.0 * 1024.0), place.display());
            if free < MIN_FREE_DISK_KIB {
                Finding::warning("disk", detail + "; that is little")
            } else {
                Finding::ok("disk", detail)
            }
        }
    }
}

/// The fourth column of the second line.
fn free_kib(output: &[u8]) -> Option<u64> {
    std::str::from_utf8(output).ok()?.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

async fn within_timeout<T>(doing: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(CHECK_TIMEOUT, work).await.with_context(|| {
        format!("{doing} took longer than {} seconds; is it reachable from here?", CHECK_TIMEOUT.as_secs())
    })?
}

#[cfg(test)]
mod tests {
    use super::free_kib;

    #[test]
    fn free_space_is_read_from_posix_df() {
        let output = b"Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 100 40 60 40% /\n";
        assert_eq!(free_kib(output), Some(60));
        assert_eq!(free_kib(b"nonsense"), None);
    }
}
