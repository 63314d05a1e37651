//! The run itself: publish, let the services work, follow the outcomes.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use precis_gpu_worker::load_engine;
use precis_inference::Engine;
use precis_objects::keys;
use precis_pipeline::{
    House,
    audit::Actor,
    control::apply_policy,
    house::{HouseSettings, group},
    now_ms, topics,
};
use precis_policy::{Policy, TierKind};
use precis_schemas::Document;
use precis_telemetry::Shutdown;
use tokio_util::sync::CancellationToken;

use super::Args;
use crate::{
    commands::{models, operator, policy::create_work_topics, submit},
    compose::{self, Sections, Services},
    documents,
    environment::Environment,
    follow::{Ending, Follower},
    inputs::{Input, Inputs},
    output::Output,
    progress::{Pace, Progress, Tokens},
    report::{self, End, Row},
};

/// Owner of the documents of one machine.
const TENANT: &str = "local";
/// Time between two looks at the progress.
const TICK: Duration = Duration::from_millis(250);
/// Records published at once.
const BATCH: usize = 64;
/// How long, after all services have drained, the last outcomes they committed are waited for.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// What came of the documents.
#[derive(Debug, Default)]
pub(super) struct Finished {
    /// A row for each input, in their order.
    pub(super) rows: Vec<Row>,
    /// From the first publication to the last outcome.
    pub(super) elapsed: Duration,
    /// The user did not want to wait.
    pub(super) interrupted: bool,
}

/// A document and the inputs that are it: two equal files are one document.
struct Asked<'a> {
    document: Document,
    inputs: Vec<&'a Input>,
}

pub(super) async fn run(
    environment: &Environment,
    sections: Sections,
    args: &Args,
    inputs: &Inputs,
    out: &Output,
) -> anyhow::Result<Finished> {
    let (entry, _) = models::ensure_present(&sections.model, out).await?;
    let house = Arc::new(House::open(&environment.settings).await?);
    if let Some(path) = &args.policy {
        put_in_force(environment, &house, path, out).await?;
    }
    every_tier_is_served(&house, &sections.gpu_worker.tier)?;
    let policy = house.control.governing().digest;
    let prompt = documents::prompt_digest(&args.wishes);
    let asked = asked(&inputs.documents, args, &[&entry.name, &entry.sha256, &policy, &prompt]);
    let settled = settled(&house, &asked).await?;
    let fresh = asked.len() - settled.len();

    let stop = Shutdown::from_signals()?;
    let mut services = Services::new(stop.clone());
    services.router(&house, sections.router);
    // Another process that works in this state folder is noticed here, before anything was published.
    services.ready(&house).await?;
    let engine = if fresh == 0 {
        None
    } else {
        if waiting(&house).await? {
            out.note("documents of an earlier run are still waiting: they are done, too");
        }
        out.note(format_args!("loading the model {}", entry.name));
        Some(load_engine(&sections.model, sections.gpu_worker.engine.clone()).await?)
    };
    anyhow::ensure!(!stop.is_cancelled(), "interrupted before anything was published");
    let mut follower = Follower::new(&house.log, TENANT).await?;
    let words = asked.iter().filter(|asked| !settled.contains(&asked.document.document_id));
    let words = words.map(|asked| asked.inputs[0].words()).sum();
    let mut progress = Progress::new(Pace::new(asked.len(), fresh, words), out);
    publish(&house, &asked, &mut follower).await?;
    if let Some(engine) = &engine {
        services.gpu_worker(&house, sections.gpu_worker, engine.clone());
        if !compose::tiers(&house, TierKind::Api).is_empty() {
            services.api_worker(&house, sections.api_worker);
        }
    }
    let endings = follow(&mut follower, &mut services, &mut progress, engine.as_ref(), &stop).await;
    progress.finish();
    let elapsed = progress.elapsed();
    let interrupted = stop.is_cancelled();
    let drained = services.drain().await;
    // What went wrong first is the cause.
    let endings = endings?;
    drained?;
    Ok(Finished { rows: rows(&asked, &inputs.documents, &endings), elapsed, interrupted })
}

/// The documents that the inputs are, in their order.
fn asked<'a>(inputs: &'a [Input], args: &Args, answering: &[&str]) -> Vec<Asked<'a>> {
    let mut asked: Vec<Asked<'a>> = Vec::with_capacity(inputs.len());
    let mut places = BTreeMap::new();
    for input in inputs {
        let document = documents::document(input, &args.wishes, answering, now_ms());
        let place = *places.entry(document.document_id.clone()).or_insert(asked.len());
        match asked.get_mut(place) {
            Some(known) => known.inputs.push(input),
            None => asked.push(Asked { document, inputs: vec![input] }),
        }
    }
    asked
}

/// Ids of the documents that are settled already.
async fn settled(house: &House, asked: &[Asked<'_>]) -> anyhow::Result<HashSet<String>> {
    let mut settled = HashSet::new();
    for Asked { document, .. } in asked {
        let key = keys::result(TENANT, &document.document_id, document.revision);
        if house.store.get(&key).await?.is_some() {
            settled.insert(document.document_id.clone());
        }
    }
    Ok(settled)
}

/// Refuses a policy with a tier whose work nobody would take in this process: its documents would wait for ever.
fn every_tier_is_served(house: &House, ours: &str) -> anyhow::Result<()> {
    let mut unserved = compose::tiers(house, TierKind::Gpu);
    unserved.remove(ours);
    anyhow::ensure!(
        unserved.is_empty(),
        "the policy in force has gpu tiers that nobody serves here: {}; disable them in the policy, or name one in gpu_worker.tier",
        unserved.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Whether something that an earlier run published has not ended.
async fn waiting(house: &House) -> anyhow::Result<bool> {
    let tiers = house.control.governing().policy;
    let stages = tiers.tier_names().map(topics::work).chain([precis_router::STAGE.to_owned()]);
    for stage in stages {
        let lag = house.log.group_lag(&group(&stage)).await?;
        if lag.iter().any(|partition| partition.lag > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn put_in_force(environment: &Environment, house: &House, path: &Path, out: &Output) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("the policy {} cannot be read", path.display()))?;
    let before = house.control.governing().digest;
    let policy = Policy::parse(&text).with_context(|| format!("the policy {} cannot be used", path.display()))?;
    let wanted = policy.digest();
    if wanted != before {
        let settings = HouseSettings::read(&environment.settings)?.topics;
        let (by, reason) = (operator(None), "precis summarize");
        create_work_topics(&*house.log, &settings, &policy, Actor { by: &by, reason }).await?;
        apply_policy(&*house.log, &*house.store, &text, reason, &by).await?;
        // Until this process has read it, too: the ids of the documents hold its digest.
        house.control.for_record(&wanted, false).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        out.note(format_args!(
            "the policy {} is in force here from now on (before: {})",
            path.display(),
            report::short(&before)
        ));
    }
    Ok(())
}

async fn publish(house: &House, asked: &[Asked<'_>], follower: &mut Follower) -> anyhow::Result<()> {
    for batch in asked.chunks(BATCH) {
        let mut records = Vec::with_capacity(batch.len());
        for Asked { document, .. } in batch {
            let mut document = document.clone();
            submit::check_in(&mut document, TENANT, &*house.store).await?;
            records.push(submit::record(TENANT, &document)?);
        }
        let positions = house.log.publish(records).await.context("the documents were not published")?;
        for (Asked { document, .. }, position) in batch.iter().zip(positions) {
            follower.expect(&document.document_id, Some(position));
        }
    }
    Ok(())
}

/// Follows until every document has ended, or, after an interruption, until the services have drained.
async fn follow(
    follower: &mut Follower,
    services: &mut Services,
    progress: &mut Progress<'_>,
    engine: Option<&Engine>,
    stop: &CancellationToken,
) -> anyhow::Result<BTreeMap<String, Ending>> {
    let mut endings = BTreeMap::new();
    let mut told = false;
    let mut last_look = None;
    while follower.open() > 0 && last_look.is_none_or(|since: Instant| since.elapsed() < LAST_LOOK) {
        tokio::select! {
            ending = follower.next(TICK) => {
                if let Some((id, ending)) = ending? {
                    account(progress.pace(), &ending);
                    endings.insert(id, ending);
                }
            }
            ended = services.one_ended(), if !services.all_ended() => ended?,
        }
        let stats = engine.map(Engine::stats).unwrap_or_default();
        progress.tick(Tokens { read: stats.prefill_tokens, written: stats.decode_tokens });
        if stop.is_cancelled() && !told {
            progress.note("finishing what is in flight; once more Ctrl-C ends at once, and nothing settled is lost");
            told = true;
        }
        if services.all_ended() && last_look.is_none() {
            last_look = Some(Instant::now());
        }
    }
    Ok(endings)
}

fn account(pace: &mut Pace, ending: &Ending) {
    match ending {
        Ending::Outcome { outcome, repeat: false } => {
            let count = |tokens: i64| u64::try_from(tokens).unwrap_or(0);
            let tokens = Tokens { read: count(outcome.input_tokens), written: count(outcome.output_tokens) };
            pace.computed(usize::try_from(outcome.words_in).unwrap_or(0), tokens);
        }
        Ending::Outcome { .. } | Ending::DeadLetter(_) => pace.settled_from_store(),
    }
}

/// A row for each input, in their order.
fn rows(asked: &[Asked<'_>], inputs: &[Input], endings: &BTreeMap<String, Ending>) -> Vec<Row> {
    let mut rows = BTreeMap::new();
    for Asked { document, inputs: same } in asked {
        let id = &document.document_id;
        for input in same {
            let row = match endings.get(id) {
                Some(Ending::Outcome { outcome, repeat }) => Row::of(&input.name, outcome, *repeat),
                Some(Ending::DeadLetter(letter)) => {
                    Row::without_summary(&input.name, Some(id), End::Failed, &letter.code, &letter.message)
                }
                None => Row::without_summary(
                    &input.name,
                    Some(id),
                    End::Waiting,
                    "waiting",
                    "published, but not done when the run was stopped",
                ),
            };
            rows.insert(std::ptr::from_ref::<Input>(input), row);
        }
    }
    inputs.iter().filter_map(|input| rows.remove(&std::ptr::from_ref(input))).collect()
}
