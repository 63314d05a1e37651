//! `precis dead-letters replay`: a record goes back to where its stage reads it, or to `returns`,
//! exactly once ([`precis_pipeline::returns`]).
//!
//! ```text
//! take the name over (fences an older replay) ─▶ read what was done before ─▶ refuse or build ─▶ transactions of some letters:
//!                                                                        records + "replayed" + one audit record
//! ```
//!
//! Only who holds the name may commit, and the markers are read after it was taken: so of two
//! replays of one dead letter, on any machines, one commits and the other is fenced or finds the
//! marker. Each transaction has its own record on `audit`, which names the topics that it wrote to
//! and how many records it wrote to each.

mod original;
mod refusal;
mod target;

use std::collections::{BTreeMap, HashSet};

use anyhow::Context as _;
use precis_flow::{ExclusiveWriter, Log, Output as Record};
use precis_objects::{ObjectStore, claim_check, keys};
use precis_pipeline::audit::{self, actions};
use precis_pipeline::returns::{self, Target};
use precis_pipeline::source::MAX_TEXT_BYTES;
use precis_pipeline::{RoutingKeys, now_ms, topics};
use precis_schemas::{DeadLetter, DeadLetterAction, Document, Outcome, RoutedDocument, codec};
use serde_json::json;

use super::Filter;
use super::read::{Letter, Letters, letters};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::operations::operator::{Operator, Why};
use crate::output::Output;
use original::{Original, original};
use refusal::Refusal;
use target::{replay_target, revision_target};

/// Name of the exclusive writer: a deployment has one replay at a time.
const WRITER: &str = "dead-letters-replay";
/// Dead letters that are replayed in one transaction: its audit record names them all.
const MAX_BATCH_LETTERS: usize = 100;
/// Bytes of records that are written in one transaction, beyond its first record.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["ids", "all"])))]
pub(super) struct ReplayArgs {
    /// Ids, as `list` shows them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All that were not replayed yet and that the filters leave
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// Ask for it again as the next revision: for documents that are settled, whose outcome no
    /// replay changes
    #[arg(long)]
    new_revision: bool,
    /// Where the record itself has expired in its topic, believe what the dead letter says it was
    #[arg(long)]
    from_letter: bool,
    #[command(flatten)]
    why: Why,
}

pub(super) async fn run(environment: &Environment, args: &ReplayArgs, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let store = environment.store().await?;
    // Before the actions are read: the earlier holder of the name can commit nothing any more.
    let writer = log.exclusive(WRITER).await.context("the right to replay could not be taken")?;
    let all = letters(&log).await?;
    all.skipped.tell(out);
    let chosen = chosen(&all, args);
    let mut replay =
        Replay { args, operator: args.why.operator(), selected: chosen.len(), writer, ready: Vec::new(), out };
    let mut refused = 0;
    for (id, letters) in &chosen {
        match build(letters, args, &*log, &*store).await? {
            Ok(record) => replay.add(id, record).await?,
            Err(refusal) => {
                refused += 1;
                tell_refused(id, &refusal, out)?;
            }
        }
    }
    replay.commit().await?;
    if chosen.is_empty() {
        out.note("nothing to replay");
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::SomeFailed })
}

fn tell_refused(id: &str, refusal: &Refusal, out: &Output) -> anyhow::Result<()> {
    if out.json() {
        let message = refusal.to_string();
        out.value(&json!({ "id": id, "replayed": false, "code": refusal.code(), "message": message }))?;
    } else {
        out.note(format_args!("{id}: not replayed ({}): {refusal}", refusal.code()));
    }
    Ok(())
}

/// The selected ids, in order and each once, with their dead letters: none for an id that no dead
/// letter has, several where they say different things of one record.
fn chosen<'a>(all: &'a Letters, args: &'a ReplayArgs) -> Vec<(&'a str, Vec<&'a Letter>)> {
    let mut known = HashSet::new();
    let ids: Vec<&str> = if args.all {
        let open = all.all.iter().filter(|letter| letter.action.is_none() && args.filter.matches(&letter.letter));
        open.map(|letter| letter.letter.id.as_str()).collect()
    } else {
        args.ids.iter().map(String::as_str).collect()
    };
    ids.into_iter().filter(|id| known.insert(*id)).map(|id| (id, all.of_id(id).collect())).collect()
}

/// Records that are ready, and the writer that commits them.
struct Replay<'a> {
    args: &'a ReplayArgs,
    operator: Operator,
    /// How many dead letters the command selected.
    selected: usize,
    writer: Box<dyn ExclusiveWriter>,
    ready: Vec<(String, Record)>,
    out: &'a Output,
}

impl Replay<'_> {
    /// Adds a record, and commits before that where there are enough for one transaction.
    async fn add(&mut self, id: &str, record: Record) -> anyhow::Result<()> {
        let bytes: usize = self.ready.iter().map(|(_, record)| record.size_bytes()).sum();
        if self.ready.len() >= MAX_BATCH_LETTERS || bytes + record.size_bytes() > MAX_BATCH_BYTES {
            self.commit().await?;
        }
        self.ready.push((id.to_owned(), record));
        Ok(())
    }

    /// Writes what is ready, the markers and the audit record, all or nothing.
    async fn commit(&mut self) -> anyhow::Result<()> {
        if self.ready.is_empty() {
            return Ok(());
        }
        let ready = std::mem::take(&mut self.ready);
        let mut outputs = vec![self.audit_entry(&ready)?];
        let mut done = Vec::with_capacity(ready.len());
        for (id, record) in ready {
            outputs.push(marker(&id, &self.operator)?);
            done.push((id, record.topic.clone()));
            outputs.push(record);
        }
        let ids = || done.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ");
        self.writer.commit(outputs).await.with_context(|| format!("{} not replayed", ids()))?;
        for (id, topic) in &done {
            if self.out.json() {
                self.out.value(&json!({ "id": id, "replayed": true, "topic": topic }))?;
            } else {
                self.out.line(format_args!("{id}: replayed to {topic}"));
            }
        }
        Ok(())
    }

    /// What the command selected, and what this transaction writes where.
    fn audit_entry(&self, ready: &[(String, Record)]) -> anyhow::Result<Record> {
        let Filter { stage, code, tenant } = &self.args.filter;
        let filters = [("stage", stage), ("code", code), ("tenant", tenant)];
        let filters = filters.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value).clone()?)));
        let mut record = self.operator.actor().did(actions::DEAD_LETTERS_REPLAYED, topics::DEAD_LETTERS);
        record.details.extend(filters);
        let flags =
            [("all", self.args.all), ("new_revision", self.args.new_revision), ("from_letter", self.args.from_letter)];
        record
            .details
            .extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| ((*name).to_owned(), "true".to_owned())));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, record) in ready {
            *counts.entry(record.topic.as_str()).or_default() += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(topic, count)| format!("{topic}={count}")).collect();
        let ids: Vec<&str> = ready.iter().map(|(id, _)| id.as_str()).collect();
        record.details.insert("selected".to_owned(), self.selected.to_string());
        record.details.insert("replayed".to_owned(), ready.len().to_string());
        record.details.insert("topics".to_owned(), counts.join(" "));
        record.details.insert("ids".to_owned(), ids.join(" "));
        Ok(audit::entry(&record)?)
    }
}

/// The record to write, or why there is none. The dead letters have one id.
async fn build(
    found: &[&Letter],
    args: &ReplayArgs,
    log: &dyn Log,
    store: &dyn ObjectStore,
) -> anyhow::Result<Result<Record, Refusal>> {
    let Some(first) = found.first() else { return Ok(Err(Refusal::Unknown)) };
    if let Some(action) = &first.action {
        return Ok(Err(Refusal::AlreadyReplayed { at: crate::report::utc(action.at), by: action.by.clone() }));
    }
    let letter = &first.letter;
    // Before anything is read at the place that the dead letter names.
    if let Err(refusal) = replay_target(letter, precis_flow::Headers::new()) {
        return Ok(Err(refusal));
    }
    let letters: Vec<&DeadLetter> = found.iter().map(|found| &found.letter).collect();
    let original = match original(&letters, args.from_letter, log, store).await? {
        Ok(original) => original,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let subject = Subject::of(letter, original.value.as_deref());
    if let Some(subject) = &subject
        && let Some(body) = &subject.document.body
        && let Err(error) = claim_check::fetch_body(store, &subject.tenant, body, MAX_TEXT_BYTES).await
    {
        return Ok(Err(Refusal::BodyMissing(error.to_string())));
    }
    // Else whoever may write to a work topic could have an operator publish in any tenant's name.
    if args.new_revision
        && topics::is_routed(&letter.topic)
        && RoutingKeys::open(store).await?.check_letter(letter, original.value.as_deref()).is_err()
    {
        return Ok(Err(Refusal::Unproved));
    }
    if args.new_revision {
        return match subject {
            Some(subject) => next_revision(letter, subject),
            None => Ok(Err(Refusal::NoDocument(letter.code.clone()))),
        };
    }
    if let Some(Subject { tenant, document }) = &subject
        && let Some(bytes) = store.get(&keys::result(tenant, &document.document_id, document.revision)).await?
    {
        let outcome: Outcome = codec::decode(&bytes).context("the stored result cannot be read")?;
        return Ok(Err(Refusal::Settled { status: outcome.status.as_str(), revision: outcome.revision }));
    }
    Ok(same_again(letter, original))
}

/// The document in a record, where its bytes are one.
struct Subject {
    tenant: String,
    document: Document,
}

impl Subject {
    fn of(letter: &DeadLetter, value: Option<&[u8]>) -> Option<Self> {
        if let Some(tenant) = returns::tenant_of(letter) {
            return Some(Self { tenant, document: codec::decode(value?).ok()? });
        }
        let routed: RoutedDocument = codec::decode(value?).ok()?;
        Some(Self { document: codec::decode(&routed.document).ok()?, tenant: routed.tenant })
    }
}

/// The record as it was.
fn same_again(letter: &DeadLetter, original: Original) -> Result<Record, Refusal> {
    let Target { topic, partition, headers } = replay_target(letter, original.headers)?;
    Ok(Record { topic, key: original.key, value: original.value, headers, partition })
}

/// The document as its next revision, published as a new one.
fn next_revision(letter: &DeadLetter, subject: Subject) -> anyhow::Result<Result<Record, Refusal>> {
    let Subject { tenant, mut document } = subject;
    let Some(revision) = document.revision.checked_add(1) else { return Ok(Err(Refusal::LastRevision)) };
    document.revision = revision;
    document.submitted_at = now_ms();
    let Target { topic, partition, headers } = match revision_target(letter, &tenant) {
        Ok(target) => target,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut record = Record { partition, ..Record::to(topic) };
    record = record.key(document.document_id.as_bytes()).record(&document)?;
    for (name, value) in headers.iter() {
        record = record.header(name, value);
    }
    Ok(Ok(record))
}

fn marker(id: &str, operator: &Operator) -> anyhow::Result<Record> {
    let action = DeadLetterAction {
        id: id.to_owned(),
        action: "replayed".to_owned(),
        by: operator.by.clone(),
        at: now_ms(),
        reason: operator.reason.clone(),
    };
    Ok(Record::to(topics::DEAD_LETTER_ACTIONS).key(id.as_bytes()).record(&action)?)
}

#[cfg(test)]
mod tests;
