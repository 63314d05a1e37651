//! `precis dead-letters replay`: a record goes back to where it came from, or to `returns`, exactly
//! once ([`precis_pipeline::returns`]).
//!
//! ```text
//! take the name over (fences an older replay) ─▶ read what was done before ─▶ refuse or build ─▶ one transaction:
//!                                                                               record + "replayed" (+ audit, with the first)
//! ```
//!
//! Only who holds the name may commit, and the markers are read after it was taken: so of two
//! replays of one dead letter, on any machines, one commits and the other is fenced or finds the
//! marker. The command's record on `audit` goes with the first dead letter that it replays.

use anyhow::Context as _;
use precis_flow::Output as Record;
use precis_objects::{ObjectStore, claim_check, keys};
use precis_pipeline::audit::{self, actions};
use precis_pipeline::identity::REPLAY_HEADER;
use precis_pipeline::source::MAX_TEXT_BYTES;
use precis_pipeline::{RoutingKeys, now_ms, returns, topics};
use precis_schemas::{DeadLetter, DeadLetterAction, Document, Outcome, RoutedDocument, codec, codes};
use serde_json::json;

use super::{Filter, Letter, letters};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::operations::dead_letters::record_value;
use crate::operations::operator::{Operator, Why};
use crate::output::Output;

/// Name of the exclusive writer: a deployment has one replay at a time.
const WRITER: &str = "dead-letters-replay";
/// Ids that an audit record names.
const MAX_IDS_SHOWN: usize = 100;

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
    #[command(flatten)]
    why: Why,
}

/// Why a dead letter is not replayed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("no dead letter has this id; `precis dead-letters list` shows them")]
    Unknown,
    #[error("was replayed already at {at} by {by}; a dead letter is replayed once: publish the document anew instead")]
    AlreadyReplayed { at: String, by: String },
    #[error("its body cannot be had: {0}")]
    BodyMissing(String),
    #[error(
        "its document is settled as {status} (revision {revision}), and a settled outcome never changes: replay it with --new-revision, \
         which asks again under revision {}", revision.saturating_add(1)
    )]
    Settled { status: &'static str, revision: i64 },
    #[error("its revision is the last there can be: publish the document anew under another id instead")]
    LastRevision,
    #[error(
        "nothing shows that it was ours, so nothing says whose document it is: publish the document anew instead, if it is known to be one"
    )]
    Unproved,
    #[error("it is no document ({0}), so it has no next revision: replay it without --new-revision")]
    NoDocument(String),
}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_id",
            Self::AlreadyReplayed { .. } => "already_replayed",
            Self::BodyMissing(_) => "body_missing",
            Self::Settled { .. } => "already_settled",
            Self::LastRevision => "last_revision",
            Self::NoDocument(_) => "no_document",
            Self::Unproved => codes::UNPROVED,
        }
    }
}

pub(super) async fn run(environment: &Environment, args: &ReplayArgs, out: &Output) -> anyhow::Result<Exit> {
    let log = environment.log().await?;
    let store = environment.store().await?;
    // Before the actions are read: the earlier holder of the name can commit nothing any more.
    let mut writer = log.exclusive(WRITER).await.context("the right to replay could not be taken")?;
    let all = letters(&log).await?;
    let operator = args.why.operator();
    let mut refused = 0;
    let chosen = chosen(&all, args);
    let mut audit = Some(audit_entry(args, &operator, chosen.len())?);
    for (id, letter) in &chosen {
        let built = match letter {
            None => Err(Refusal::Unknown),
            Some(letter) => build(letter, args.new_revision, &*store).await?,
        };
        match built {
            Ok(record) => {
                let topic = record.topic.clone();
                let mut outputs = vec![record, marker(id, &operator)?];
                outputs.extend(audit.take());
                writer.commit(outputs).await.with_context(|| format!("{id} was not replayed"))?;
                if out.json() {
                    out.value(&json!({ "id": id, "replayed": true, "topic": topic }))?;
                } else {
                    out.line(format_args!("{id}: replayed to {topic}"));
                }
            }
            Err(refusal) => {
                refused += 1;
                if out.json() {
                    out.value(
                        &json!({ "id": id, "replayed": false, "code": refusal.code(), "message": refusal.to_string() }),
                    )?;
                } else {
                    out.note(format_args!("{id}: not replayed ({}): {refusal}", refusal.code()));
                }
            }
        }
    }
    if chosen.is_empty() {
        out.note("nothing to replay");
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::SomeFailed })
}

/// The selected dead letters, in order; `None` for an id that no dead letter has.
fn chosen<'a>(all: &'a [Letter], args: &ReplayArgs) -> Vec<(String, Option<&'a Letter>)> {
    if args.all {
        let open = all.iter().filter(|letter| letter.action.is_none() && args.filter.matches(&letter.letter));
        return open.map(|letter| (letter.letter.id.clone(), Some(letter))).collect();
    }
    let mut ids = args.ids.clone();
    ids.dedup();
    ids.into_iter()
        .map(|id| {
            let found = all.iter().find(|letter| letter.letter.id == id);
            (id, found)
        })
        .collect()
}

/// The record to write, or why there is none.
async fn build(found: &Letter, new_revision: bool, store: &dyn ObjectStore) -> anyhow::Result<Result<Record, Refusal>> {
    if let Some(action) = &found.action {
        return Ok(Err(Refusal::AlreadyReplayed { at: crate::report::utc(action.at), by: action.by.clone() }));
    }
    let letter = &found.letter;
    let value = match record_value(letter, store).await {
        Ok(value) => value,
        Err(error) => return Ok(Err(Refusal::BodyMissing(format!("{error:#}")))),
    };
    let subject = Subject::of(letter, value.as_deref());
    if let Some(subject) = &subject
        && let Some(body) = &subject.document.body
        && let Err(error) = claim_check::fetch_body(store, &subject.tenant, body, MAX_TEXT_BYTES).await
    {
        return Ok(Err(Refusal::BodyMissing(error.to_string())));
    }
    // Else whoever may write to a work topic could have an operator publish in any tenant's name.
    if new_revision
        && topics::is_routed(&letter.topic)
        && RoutingKeys::open(store).await?.check_letter(letter, value.as_deref()).is_err()
    {
        return Ok(Err(Refusal::Unproved));
    }
    if new_revision {
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
    Ok(Ok(returns::replayed(letter, value)))
}

/// The document in a dead letter, where its bytes are one.
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

/// The document as its next revision, published as a new one.
fn next_revision(letter: &DeadLetter, subject: Subject) -> anyhow::Result<Result<Record, Refusal>> {
    let Subject { tenant, mut document } = subject;
    let Some(revision) = document.revision.checked_add(1) else { return Ok(Err(Refusal::LastRevision)) };
    document.revision = revision;
    document.submitted_at = now_ms();
    Ok(Ok(Record::to(topics::documents(&tenant))
        .key(document.document_id.as_bytes())
        .record(&document)?
        .header(REPLAY_HEADER, letter.id.as_bytes())))
}

/// The audit record of the command: its selection, and how many dead letters that was.
fn audit_entry(args: &ReplayArgs, operator: &Operator, count: usize) -> anyhow::Result<Record> {
    let Filter { stage, code, tenant } = &args.filter;
    let filters = [("stage", stage), ("code", code), ("tenant", tenant)];
    let filters = filters.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value).clone()?)));
    let mut record = operator.actor().did(actions::DEAD_LETTERS_REPLAYED, topics::DEAD_LETTERS);
    record.details.extend(filters);
    record.details.insert("selected".to_owned(), count.to_string());
    if args.all {
        record.details.insert("all".to_owned(), "true".to_owned());
    } else {
        record.details.insert("ids".to_owned(), shown_ids(&args.ids));
    }
    if args.new_revision {
        record.details.insert("new_revision".to_owned(), "true".to_owned());
    }
    Ok(audit::entry(&record)?)
}

/// The stated ids, as many as one record has room for; the markers have all of them.
fn shown_ids(ids: &[String]) -> String {
    let shown = ids.iter().take(MAX_IDS_SHOWN).map(String::as_str).collect::<Vec<_>>().join(" ");
    if ids.len() > MAX_IDS_SHOWN { format!("{shown} …") } else { shown }
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
