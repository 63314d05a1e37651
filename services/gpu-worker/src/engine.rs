//! The engine as a [`Summariser`], and how it gets its model.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use precis_flow::Scope;
use precis_inference::models::{self, Manifest};
use precis_inference::{
    Engine, EngineConfig, EngineError, ErrorClass, Prompt as EnginePrompt, Prompts, RuleChanges, SummaryRequest,
};
use precis_pipeline::prompt::Prompt;
use precis_pipeline::{BUILT_IN_PROVIDER, GenerateError, Generated, Job, Summariser, answer_text};
use precis_policy::{DecodingRules, TierKind};
use precis_schemas::{ModelIdentity, Usd};

use crate::ModelSettings;
use crate::adapters::AdapterFolder;
use crate::partials::StoredPartials;

/// Summaries from the batched engine in this process. They cost nothing per token, and no text
/// leaves the process.
pub struct EngineSummariser {
    engine: Engine,
    adapters: AdapterFolder,
}

impl EngineSummariser {
    /// A summariser on this engine, with the adapters that are registered in this folder of models.
    pub fn new(engine: Engine, models_directory: PathBuf) -> Self {
        Self { engine, adapters: AdapterFolder::new(models_directory) }
    }
}

#[async_trait]
impl Summariser for EngineSummariser {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        let identity = self.engine.identity();
        ModelIdentity {
            provider: BUILT_IN_PROVIDER.to_owned(),
            name: identity.name.clone(),
            revision: identity.revision.clone(),
            quantisation: identity.quantisation.clone(),
            adapter: None,
            prompt_digest: prompt.digest.clone(),
        }
    }

    fn adapter(&self, name: &str) -> Result<String, GenerateError> {
        self.adapters.id_of(name).map_err(|error| generate_error(&error))
    }

    fn decoding(&self, rules: &DecodingRules) -> String {
        self.engine.decoding(&changes(rules))
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Gpu
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        let adapter =
            job.adapter.map(|id| self.adapters.get(id)).transpose().map_err(|error| generate_error(&error))?;
        let after = |instruction: &str| EnginePrompt { before: String::new(), after: format!("\n\n{instruction}") };
        let request = SummaryRequest {
            prompts: Prompts {
                system: Some(job.prompt.system.clone()),
                whole: after(&job.prompt.whole),
                map: after(&job.prompt.chunk),
                reduce: after(&job.prompt.merge),
            },
            document: job.text.to_owned(),
            max_new_tokens: job.prompt.max_output_tokens() as usize,
            max_parts: Some(job.max_parts as usize),
            one_paragraph: job.prompt.one_paragraph,
            priority: job.routed.priority,
            adapter,
            rules: changes(&job.decoding),
            part_rules: changes(&job.part_decoding),
            cancel: job.shutdown.child_token(),
            text_of: Some(|answer| answer_text::of(answer).unwrap_or_default()),
            partials: Some(Arc::new(StoredPartials(job.partials.clone()))),
        };
        let summary = tokio::select! {
            summary = self.engine.summarise(request) => summary.map_err(|error| generate_error(&error))?,
            // Nothing is paid for: a document whose tier was switched off is dropped at once, and
            // the engine goes on with others.
            denied = job.clearance.revoked() => return Err(denied.into()),
        };
        Ok(Generated {
            text: summary.text,
            finish_reason: summary.finish_reason.as_str().to_owned(),
            input_tokens: count(summary.input_tokens),
            cached_input_tokens: 0,
            output_tokens: count(summary.output_tokens),
            chunks: i32::try_from(summary.chunks).unwrap_or(i32::MAX),
            cut_chunks: i32::try_from(summary.cut_chunks).unwrap_or(i32::MAX),
            cost: Usd::ZERO,
            price_digest: None,
            logprob: summary.logprob_quantiles.map(|[_, tenth, _]| tenth),
        })
    }
}

fn changes(rules: &DecodingRules) -> RuleChanges {
    RuleChanges {
        numbers_from_source: rules.numbers_from_source,
        names_from_source: rules.names_from_source,
        no_repeat_tokens: rules.no_repeat_tokens.map(|tokens| tokens as usize),
    }
}

fn count(tokens: usize) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// The meaning of an engine's error for the document.
fn generate_error(error: &EngineError) -> GenerateError {
    let (code, message) = (error.code(), error.to_string());
    match error.class() {
        // Another tier may have a larger context or another tokenizer.
        ErrorClass::Reject => GenerateError::Refused { code, message },
        ErrorClass::Retry => GenerateError::Retry { scope: Scope::Record, code, message, after: None },
        ErrorClass::Fatal => GenerateError::Fatal { code, message },
    }
}

/// Finds the configured model, fetches its file if that is missing, and starts an engine on it.
///
/// # Errors
/// An unknown name, a file that cannot be fetched or has the wrong digest, a pool that does not fit
/// into memory.
pub async fn load_engine(settings: &ModelSettings, config: EngineConfig) -> anyhow::Result<Engine> {
    let settings = settings.clone();
    let engine = tokio::task::spawn_blocking(move || -> anyhow::Result<Engine> {
        let manifest = settings.load_manifest()?;
        let entry = manifest.find(&settings.name)?;
        let directory = settings.models_directory();
        let path =
            models::pull(entry, &directory, &mut |progress| tracing::info!(model = %entry.name, ?progress, "model"))
                .with_context(|| format!("model {} in {}", entry.name, directory.display()))?;
        Ok(Engine::start(entry, &path, config)?)
    });
    engine.await.context("the loading thread ended early")?
}

impl ModelSettings {
    /// The built-in manifest with the entries of the user's own before them.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn load_manifest(&self) -> anyhow::Result<Manifest> {
        let Some(path) = self.manifest_path() else { return Ok(Manifest::builtin()) };
        let text = match std::fs::read_to_string(&path) {
            // Nobody named it, so it need not be there.
            Err(error) if self.manifest.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Manifest::builtin());
            }
            read => read.with_context(|| format!("the manifest {} cannot be read", path.display()))?,
        };
        Ok(Manifest::builtin().merged(Manifest::parse(&text).with_context(|| path.display().to_string())?))
    }

    /// The user's own manifest: the configured one, else the one of the user's configuration
    /// folder, which need not exist. `None` where the user has no such folder.
    pub fn manifest_path(&self) -> Option<std::path::PathBuf> {
        self.manifest.clone().or_else(models::default_manifest)
    }

    /// Where model files are kept.
    pub fn models_directory(&self) -> std::path::PathBuf {
        self.directory.clone().unwrap_or_else(models::default_dir)
    }
}
