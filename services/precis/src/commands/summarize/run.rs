//! The run itself. Settled documents come from the store; the others are published, the services
//! process them, and their outcomes are followed.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use precis_objects::keys;
use precis_pipeline::identity::request_digest;
use precis_pipeline::{Runtime, now_ms, topics};
use precis_policy::Policy;
use precis_schemas::{Document, Outcome, codec};
use precis_telemetry::{Shutdown, Troubles};
use tokio_util::sync::CancellationToken;

use super::wait::{self, OutcomeWait};
use super::{Args, left};
use crate::compose::{Sections, Services};
use crate::documents;
use crate::environment::Environment;
use crate::follow::{Ending, Follower};
use crate::inputs::{Input, Inputs};
use crate::operations::models::ensure_present;
use crate::operations::operator::Operator;
use crate::operations::policy;
use crate::operations::publish::{BATCH_DOCUMENTS, Publisher};
use crate::output::Output;
use crate::progress::{Pace, Progress};
use crate::report::{self, End, Row};
use crate::workers::Workers;

/// Owner of the documents of one machine.
const TENANT: &str = "local";
/// How long services may drain that cannot save anything: this run loses what they have in process
/// either way.
const MAX_HOPELESS_DRAIN: Duration = Duration::from_secs(3);

/// What came of the documents.
#[derive(Debug, Default)]
pub(super) struct Finished {
    /// A row for each input, in their order.
    pub(super) rows: Vec<Row>,
    /// From the first publication to the last outcome.
    pub(super) elapsed: Duration,
    /// Whether the user interrupted the run.
    pub(super) interrupted: bool,
    /// Why the run ended before its documents did.
    pub(super) failure: Option<anyhow::Error>,
}

/// A document and its inputs: two equal files are one document.
struct Requested<'a> {
    document: Document,
    inputs: Vec<&'a Input>,
}

pub(super) async fn run(
    environment: &Environment,
    sections: Sections,
    args: &Args,
    inputs: &Inputs,
    troubles: &Troubles,
    out: &Output,
) -> anyhow::Result<Finished> {
    let started = Instant::now();
    let entry = sections.model.load_manifest()?.find(&sections.model.name)?.clone();
    let runtime = Arc::new(Runtime::open(&environment.settings).await?);
    let wanted = args.policy.as_deref().map(read_policy).transpose()?;
    let effective = runtime.control.effective();
    let limits = &wanted.as_ref().map_or(&*effective.policy, |(_, policy)| policy).limits;
    precis_router::check_options(&documents::requested(&args.request), limits)
        .context("the policy does not allow what is asked")?;
    if let (Some(path), Some((text, policy))) = (&args.policy, &wanted) {
        put_in_force(environment, &runtime, (path, text, policy), out).await?;
    }
    let policy = runtime.control.effective().digest;
    let prompt = documents::prompt_digest(&args.request);
    let requested = requested(&inputs.documents, args, &[&entry.name, &entry.sha256, &policy, &prompt]);
    let mut endings = settled(&runtime, &requested).await?;
    let fresh: Vec<&Requested<'_>> =
        requested.iter().filter(|one| !endings.contains_key(&one.document.document_id)).collect();
    if fresh.is_empty() {
        let rows = rows(&requested, &inputs.documents, &endings, &[]);
        return Ok(Finished { rows, elapsed: started.elapsed(), ..Finished::default() });
    }

    let mut workers = Workers::new(&sections);
    every_tier_is_served(&runtime, &workers)?;
    if workers.need_model(&runtime) {
        // Before signals are caught: Ctrl-C ends a download at once.
        ensure_present(&sections.model, out).await?;
    }
    let stop = Shutdown::from_signals()?;
    let mut services = Services::new(stop.clone());
    services.router(&runtime, sections.router);
    // Another process that works in this state folder is noticed here, before anything was
    // published.
    tokio::select! {
        ready = services.ready(&runtime) => ready?,
        error = wait::until_over(troubles, out) => return Err(error),
    }
    let go_on = || {
        anyhow::ensure!(!stop.is_cancelled(), "interrupted before anything was published");
        Ok(())
    };
    if left::any_left(&runtime, &runtime.control.effective().policy.worker_tiers().map(topics::work).collect()).await? {
        out.note("documents of an earlier run are still waiting: they are worked on, too");
    }
    let mut follower = Follower::new(&runtime.log, TENANT).await?;
    go_on()?;
    workers.serve(&runtime, &mut services, out).await?;
    go_on()?;

    let open = fresh.iter().map(|one| (one.document.document_id.clone(), one.inputs[0].text.len()));
    let mut progress = Progress::new(Pace::new(requested.len(), open), out);
    let mut published = Vec::new();
    let store = Some(runtime.store.clone());
    let mut publisher = Publisher::new(environment, &*runtime.log, TENANT, store);
    let mut failure = publish(&mut publisher, &fresh, &mut follower, &mut published, &stop).await.err();
    let mut wait = OutcomeWait::new(&runtime, &mut services, &mut workers, troubles, &stop, out);
    if failure.is_none() {
        failure = wait.until_all_ended(&mut follower, &mut progress, &mut endings).await.err();
    }
    let hopeless = failure.is_some() || wait.nothing_is_saved();
    progress.finish();
    follower.skipped().tell(out);
    let elapsed = progress.elapsed();
    let interrupted = stop.is_cancelled();
    let drained = if hopeless { services.drain_within(MAX_HOPELESS_DRAIN).await } else { services.drain().await };
    Ok(Finished {
        rows: rows(&requested, &inputs.documents, &endings, &published),
        elapsed,
        interrupted,
        // The first failure is the cause of the others.
        failure: failure.or(drained.err()),
    })
}

/// The documents that the inputs are, in their order.
fn requested<'a>(inputs: &'a [Input], args: &Args, answering: &[&str]) -> Vec<Requested<'a>> {
    let mut requested: Vec<Requested<'a>> = Vec::with_capacity(inputs.len());
    let mut places = BTreeMap::new();
    for input in inputs {
        let document = documents::document(input, &args.request, answering, now_ms());
        let place = *places.entry(document.document_id.clone()).or_insert(requested.len());
        match requested.get_mut(place) {
            Some(known) => known.inputs.push(input),
            None => requested.push(Requested { document, inputs: vec![input] }),
        }
    }
    requested
}

/// The ends of the documents that are settled already, by id. Nothing is published for them: the
/// stored outcome is the one that there is.
async fn settled(runtime: &Runtime, requested: &[Requested<'_>]) -> anyhow::Result<BTreeMap<String, Ending>> {
    let mut settled = BTreeMap::new();
    for Requested { document, .. } in requested {
        let key = keys::result(TENANT, &document.document_id, document.revision);
        let Some(bytes) = runtime.store.get(&key).await? else { continue };
        // The services judge an outcome that cannot be read or answers another request.
        let Ok(outcome) = codec::decode::<Outcome>(&bytes) else { continue };
        if outcome.request_digest == request_digest(document) {
            let ending = Ending::Outcome { outcome: Box::new(outcome), repeat: true };
            settled.insert(document.document_id.clone(), ending);
        }
    }
    Ok(settled)
}

/// Refuses a policy with a tier that no worker of this process serves: its documents would wait for
/// ever.
fn every_tier_is_served(runtime: &Runtime, workers: &Workers) -> anyhow::Result<()> {
    let unserved = workers.unserved(runtime);
    let named: Vec<String> = unserved.iter().map(|(tier, setting)| format!("{tier} ({setting})")).collect();
    anyhow::ensure!(
        unserved.is_empty(),
        "the policy in force has tiers that nobody serves here: {}; disable them in the policy, or name them in that setting",
        named.join(", ")
    );
    Ok(())
}

/// A policy file's text and what it says.
fn read_policy(path: &Path) -> anyhow::Result<(String, Policy)> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("the policy {} cannot be read", path.display()))?;
    let policy = Policy::parse(&text).with_context(|| format!("the policy {} cannot be used", path.display()))?;
    Ok((text, policy))
}

async fn put_in_force(
    environment: &Environment,
    runtime: &Runtime,
    (path, text, policy): (&Path, &str, &Policy),
    out: &Output,
) -> anyhow::Result<()> {
    let before = runtime.control.effective().digest;
    let wanted = policy.digest();
    if wanted != before {
        let topics = environment.common()?.topics;
        let operator = Operator::of_process("precis summarize");
        policy::put_in_force(&*runtime.log, &*runtime.store, &topics, (text, policy), &operator).await?;
        // The ids of the documents hold the policy's digest, so that this process must have read
        // it.
        runtime.control.for_record(&wanted).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        out.note(format_args!(
            "the policy {} is in force here from now on (before: {})",
            path.display(),
            report::short(&before)
        ));
    }
    Ok(())
}

/// Publishes documents and keeps the ids of those that are in the log. Ends early when the run is
/// to stop.
async fn publish(
    publisher: &mut Publisher<'_>,
    requested: &[&Requested<'_>],
    follower: &mut Follower,
    published: &mut Vec<String>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    for batch in requested.chunks(BATCH_DOCUMENTS) {
        if stop.is_cancelled() {
            break;
        }
        let mut documents: Vec<Document> = batch.iter().map(|requested| requested.document.clone()).collect();
        let positions = publisher.publish(&mut documents).await?;
        for (document, position) in documents.into_iter().zip(positions) {
            follower.expect(&document.document_id, Some(position));
            published.push(document.document_id);
        }
    }
    Ok(())
}

/// A row for each input, in their order.
fn rows(
    requested: &[Requested<'_>],
    inputs: &[Input],
    endings: &BTreeMap<String, Ending>,
    published: &[String],
) -> Vec<Row> {
    let published: HashSet<&String> = published.iter().collect();
    let mut rows = BTreeMap::new();
    for Requested { document, inputs: same } in requested {
        let id = &document.document_id;
        let left = if published.contains(id) {
            "published, but not done when the run ended"
        } else {
            "not published: the run ended before its turn"
        };
        for input in same {
            let row = match endings.get(id) {
                Some(Ending::Outcome { outcome, repeat }) => Row::of(&input.name, outcome, *repeat),
                Some(Ending::DeadLetter(letter)) => {
                    Row::without_summary(&input.name, Some(id), End::Failed, &letter.code, &letter.message)
                }
                None => Row::without_summary(&input.name, Some(id), End::Waiting, "waiting", left),
            };
            rows.insert(std::ptr::from_ref::<Input>(input), row);
        }
    }
    inputs.iter().filter_map(|input| rows.remove(&std::ptr::from_ref(input))).collect()
}
