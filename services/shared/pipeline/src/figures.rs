//! The figures of a summary that gate nothing: as records, as one index, as metrics.

use precis_policy::Policy;
use precis_quality::reference as measured;
use precis_quality::{CheckFigure, CheckName, IndexParts, IndexWeights};
use precis_schemas::{
    CheckResult, Document, Evaluation, ModelIdentity, Outcome, PrecisionRecall, ReferenceScores, Rouge, Scores,
};
use precis_telemetry::metrics::Histogram;

/// What describes a summary beside its checks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Its scores; `None` where they were not measured.
    pub scores: Option<Scores>,
    /// Its quality index; `None` where nothing was measured that has a weight.
    pub quality_index: Option<f64>,
}

impl Figures {
    /// The scores without those against a document's own reference: what holds for every equal
    /// request.
    pub fn shared_scores(&self) -> Option<Scores> {
        self.scores.map(|scores| Scores { reference: None, ..scores })
    }
}

/// What the metrics of quality are told apart by. Each value is from a small set that publishers
/// cannot add to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    has_instruction: bool,
    document_type: String,
    language: &'static str,
}

impl Labels {
    /// Of a document, whose summary is to be in `language`.
    pub fn of(policy: &Policy, document: &Document, language: Option<&str>) -> Self {
        Self {
            has_instruction: document.instruction.is_some(),
            document_type: policy.type_label(&document.document_type).to_owned(),
            language: language.map_or("unknown", |tag| precis_quality::known_code(tag).unwrap_or("other")),
        }
    }

    /// Counts the figures of an outcome that was created.
    pub(crate) fn record(&self, outcome: &Outcome) {
        let tier = outcome.tier.as_deref().unwrap_or("none");
        let model = outcome.model.as_ref().map_or_else(|| "none".to_owned(), model_label);
        let prompt = self.prompt(outcome.is_extract());
        let (document_type, language) = (self.document_type.as_str(), self.language);
        if let Some(index) = outcome.quality_index {
            Histogram::QualityIndex.record(index, &[tier, &model, prompt, document_type, language]);
        }
        for (name, value) in named(outcome) {
            Histogram::QualityScore.record(value, &[name, tier, &model, prompt, document_type, language]);
        }
    }
}

impl Labels {
    /// Counts the scores of an evaluation that was created.
    pub(crate) fn record_evaluation(&self, evaluation: &Evaluation) {
        let Some(scores) = evaluation.scores else { return };
        let tier = evaluation.tier.as_deref().unwrap_or("none");
        let model = evaluation.model.as_ref().map_or_else(|| "none".to_owned(), model_label);
        let prompt = self.prompt(evaluation.model.as_ref().is_some_and(ModelIdentity::is_extractor));
        let of_five = |number: i32| f64::from(number - 1) / 4.0;
        for (criterion, value) in [
            ("faithfulness", of_five(scores.faithfulness)),
            ("coverage", of_five(scores.coverage)),
            ("coherence", of_five(scores.coherence)),
            ("conciseness", of_five(scores.conciseness)),
            ("all", scores.score),
        ] {
            let labels = [criterion, tier, &model, prompt, &self.document_type, self.language];
            Histogram::EvaluationScore.record(value, &labels);
        }
    }

    fn prompt(&self, is_extract: bool) -> &'static str {
        match (is_extract, self.has_instruction) {
            (true, _) => "none",
            (false, true) => "instruction",
            (false, false) => "standard",
        }
    }
}

fn model_label(model: &ModelIdentity) -> String {
    match &model.adapter {
        None => model.name.clone(),
        Some(adapter) => format!("{}+{adapter}", model.name),
    }
}

/// Every figure of an outcome that has a fixed range, by the name that it has in metrics.
fn named(outcome: &Outcome) -> impl Iterator<Item = (&'static str, f64)> {
    let check = |name: CheckName| outcome.checks.iter().find(|check| check.name == name.as_str());
    let checks = [CheckName::Coverage, CheckName::Repetition];
    let checks = checks.map(|name| (name.as_str(), check(name).and_then(|check| check.value)));
    let scores = outcome.scores.unwrap_or_default();
    let sources = [
        ("source_rouge1", scores.source_rouge1),
        ("source_rouge2", scores.source_rouge2),
        ("source_rouge_l", scores.source_rouge_l),
        ("novelty1", scores.novelty1),
        ("novelty2", scores.novelty2),
        ("novelty3", scores.novelty3),
        ("length_ratio", scores.length_ratio),
    ];
    let references = scores.reference.map(|scores| {
        let rouge = scores.rouge_stemmed;
        [
            ("rouge1", Some(rouge.rouge1.f)),
            ("rouge2", Some(rouge.rouge2.f)),
            ("rouge_l", Some(rouge.rouge_l.f)),
            ("rouge_lsum", Some(rouge.rouge_lsum.f)),
            ("bleu", Some(scores.bleu / 100.0)),
            ("chrf", Some(scores.chrf / 100.0)),
            ("exact_match", Some(f64::from(u8::from(scores.exact_match)))),
        ]
    });
    let all = checks.into_iter().chain(sources).chain(references.into_iter().flatten());
    all.filter_map(|(name, value)| Some((name, value?)))
}

/// The quality index of an answer by its stored checks and scores.
pub(crate) fn index(checks: &[CheckResult], scores: &Scores, weights: &IndexWeights) -> Option<f64> {
    precis_quality::index(|name| figure(checks, name), &to_quality(scores), weights)
}

/// The parts of that index; `None` for a summary without words and for a refusal.
pub fn index_parts(checks: &[CheckResult], scores: &Scores) -> Option<IndexParts> {
    precis_quality::index_parts(|name| figure(checks, name), &to_quality(scores))
}

fn figure(checks: &[CheckResult], name: CheckName) -> Option<CheckFigure> {
    let check = checks.iter().find(|check| check.name == name.as_str())?;
    Some((check.passed, check.value))
}

/// Scores as a record.
pub(crate) fn of_quality(scores: &precis_quality::Scores) -> Scores {
    Scores {
        source_rouge1: scores.source_rouge1,
        source_rouge2: scores.source_rouge2,
        source_rouge_l: scores.source_rouge_l,
        novelty1: scores.novelty1,
        novelty2: scores.novelty2,
        novelty3: scores.novelty3,
        length_ratio: scores.length_ratio,
        reference: scores.reference.as_ref().map(of_reference),
    }
}

pub(crate) fn of_reference(scores: &measured::ReferenceScores) -> ReferenceScores {
    let one = |score: measured::PrecisionRecall| PrecisionRecall {
        precision: score.precision,
        recall: score.recall,
        f: score.f,
    };
    let rouge = |rouge: measured::Rouge| Rouge {
        rouge1: one(rouge.rouge1),
        rouge2: one(rouge.rouge2),
        rouge_l: one(rouge.rouge_l),
        rouge_lsum: one(rouge.rouge_lsum),
    };
    ReferenceScores {
        rouge: rouge(scores.rouge),
        rouge_stemmed: rouge(scores.rouge_stemmed),
        unicode_rouge: rouge(scores.unicode_rouge),
        bleu: scores.bleu,
        chrf: scores.chrf,
        exact_match: scores.exact_match,
    }
}

fn to_quality(scores: &Scores) -> precis_quality::Scores {
    let one = |score: PrecisionRecall| measured::PrecisionRecall {
        precision: score.precision,
        recall: score.recall,
        f: score.f,
    };
    let rouge = |rouge: Rouge| measured::Rouge {
        rouge1: one(rouge.rouge1),
        rouge2: one(rouge.rouge2),
        rouge_l: one(rouge.rouge_l),
        rouge_lsum: one(rouge.rouge_lsum),
    };
    precis_quality::Scores {
        source_rouge1: scores.source_rouge1,
        source_rouge2: scores.source_rouge2,
        source_rouge_l: scores.source_rouge_l,
        novelty1: scores.novelty1,
        novelty2: scores.novelty2,
        novelty3: scores.novelty3,
        length_ratio: scores.length_ratio,
        reference: scores.reference.map(|scores| measured::ReferenceScores {
            rouge: rouge(scores.rouge),
            rouge_stemmed: rouge(scores.rouge_stemmed),
            unicode_rouge: rouge(scores.unicode_rouge),
            bleu: scores.bleu,
            chrf: scores.chrf,
            exact_match: scores.exact_match,
        }),
    }
}
