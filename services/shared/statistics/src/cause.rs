//! What an alarm comes from: input, prompt, model, provider or judge.
//!
//! A fall of the quality index says nothing about its cause. [`diagnose`] names the cause by
//! holding the rest fixed: it compares what differs in one thing alone.
//!
//! | cause | what speaks for it | what is held fixed |
//! | --- | --- | --- |
//! | judge | the judge agrees less with people, with itself or with canaries | the answers: scores without the judge stay |
//! | input | tests of the documents moved | the mix: weighted as in the baseline, nothing fell |
//! | prompt | a new version, or publishers' new instructions | model and time: the old version did not fall |
//! | model | a new version | prompt and time: the old version did not fall |
//! | provider | its canaries are answered otherwise | documents, prompt and model's name: canaries have them fixed |
//!
//! Each cause is confirmed, possible or excluded. Confirmed causes are named, all of them. Without
//! one, the possible causes are named as such: one alone is likely. With neither the cause is
//! unknown, and [`Diagnosis::causes`] is empty: nothing is guessed.
//!
//! A table of values to a list of causes, without state; the same evidence gives the same causes.

use serde::{Deserialize, Serialize};

/// What a test said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// What it watches changed.
    Moved,
    /// What it watches stayed.
    Steady,
    /// It was not run, or had too few values.
    #[default]
    Unknown,
}

/// Whether a version is that of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// In use when the baseline was taken.
    Old,
    /// Newer than the baseline.
    New,
}

/// The quality index of one tier, provider, model and prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The tier's name.
    pub tier: String,
    /// Who runs the model.
    pub provider: String,
    /// The model's version.
    pub model: Version,
    /// The prompt's version.
    pub prompt: Version,
    /// Whether the index fell.
    pub index: Reading,
}

/// A provider's canaries: fixed documents, prompt and model, asked again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// The provider.
    pub provider: String,
    /// Whether its answers changed.
    pub answers: Reading,
}

/// What is known of the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Judge {
    /// Whether its agreement with people changed.
    pub agreement_with_people: Reading,
    /// Whether its agreement with itself changed.
    pub agreement_with_itself: Reading,
    /// Whether its scores of kept answers changed.
    pub canaries: Reading,
    /// Whether quality fell by what does not ask the judge: people's labels, automatic metrics.
    pub without_judge: Reading,
}

/// What is known of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Input {
    /// Whether a test of the documents moved: length, language, type, entities.
    pub documents: Reading,
    /// Whether a test of the publishers' instructions moved.
    pub instructions: Reading,
    /// Whether the index fell with its strata weighted as in the baseline.
    pub index_at_baseline_mix: Reading,
}

/// Everything that the tests said about one alarm.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// The index by tier, provider, model and prompt, old versions among them while they run.
    pub series: Vec<Series>,
    /// Canaries by provider.
    pub canaries: Vec<Canary>,
    /// The judge.
    pub judge: Judge,
    /// The inputs.
    pub input: Input,
}

/// What moved quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The documents are of another kind.
    Input,
    /// The instructions changed: the pipeline's prompt, or the publishers'.
    Prompt,
    /// Another version of the model.
    Model,
    /// The provider answers otherwise under the same model's name.
    Provider,
    /// The evaluator model scores otherwise; the answers are what they were.
    Judge,
}

impl Cause {
    /// All causes, in the order in which they are named.
    pub const ALL: [Self; 5] = [Self::Judge, Self::Provider, Self::Model, Self::Prompt, Self::Input];

    /// The name in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Prompt => "prompt",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Judge => "judge",
        }
    }
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Something speaks for it, and for other causes too.
    Possible,
    /// Something speaks for it, and for no other cause.
    Likely,
    /// With the rest held fixed it made the difference.
    Confirmed,
}

/// The causes of an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The causes with their certainty; empty: unknown.
    pub causes: Vec<(Cause, Certainty)>,
}

impl Diagnosis {
    /// The name of the only cause; `several` or `unknown` otherwise.
    pub fn name(&self) -> &'static str {
        match self.causes[..] {
            [] => "unknown",
            [(cause, _)] => cause.as_str(),
            _ => "several",
        }
    }
}

/// What the evidence says about one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Confirmed,
    Possible,
    Excluded,
}

/// Names the causes of an alarm.
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    let findings = Cause::ALL.map(|cause| (cause, evidence.finding(cause)));
    let having = |wanted: Finding| findings.iter().filter(move |(_, found)| *found == wanted).map(|(cause, _)| *cause);
    let possible = if having(Finding::Possible).count() == 1 { Certainty::Likely } else { Certainty::Possible };
    let mut causes: Vec<_> = having(Finding::Confirmed).map(|cause| (cause, Certainty::Confirmed)).collect();
    if causes.is_empty() {
        causes = having(Finding::Possible).map(|cause| (cause, possible)).collect();
    }
    Diagnosis { causes }
}

impl Evidence {
    fn finding(&self, cause: Cause) -> Finding {
        // A judge that scores otherwise while nothing else fell explains everything.
        let only_judge = self.judge_moved() && self.judge.without_judge == Reading::Steady;
        match cause {
            Cause::Judge => self.judge_finding(),
            _ if only_judge => Finding::Excluded,
            Cause::Provider => self.provider_finding(),
            Cause::Model => self.version_finding(|series| series.model, |series| series.prompt),
            Cause::Prompt => self.prompt_finding(),
            Cause::Input => self.input_finding(),
        }
    }

    fn judge_moved(&self) -> bool {
        let Judge { agreement_with_people, agreement_with_itself, canaries, .. } = self.judge;
        [agreement_with_people, agreement_with_itself, canaries].contains(&Reading::Moved)
    }

    fn judge_finding(&self) -> Finding {
        match (self.judge_moved(), self.judge.without_judge) {
            (true, Reading::Steady) => Finding::Confirmed,
            // The answers may be worse too; that the judge changed is a fact either way.
            (true, Reading::Moved) if self.judge.canaries == Reading::Moved => Finding::Confirmed,
            (true, _) => Finding::Possible,
            (false, _) => Finding::Excluded,
        }
    }

    /// The series whose index fell.
    fn fallen(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| series.index == Reading::Moved)
    }

    /// A model or prompt of a new version, beside the old one with everything else alike.
    ///
    /// `held`: the version of the other one of the two.
    fn version_finding(&self, own: fn(&Series) -> Version, held: fn(&Series) -> Version) -> Finding {
        let alike = |a: &Series, b: &Series| (&a.tier, &a.provider, held(a)) == (&b.tier, &b.provider, held(b));
        let (mut is_possible, mut is_excluded) = (false, false);
        for new in self.fallen().filter(|series| own(series) == Version::New) {
            is_possible = true;
            let old = self.series.iter().filter(|old| own(old) == Version::Old && alike(old, new));
            for old in old {
                match old.index {
                    Reading::Steady => return Finding::Confirmed,
                    Reading::Moved => is_excluded = true,
                    Reading::Unknown => {}
                }
            }
        }
        if is_possible && !is_excluded { Finding::Possible } else { Finding::Excluded }
    }

    fn prompt_finding(&self) -> Finding {
        let own = self.version_finding(|series| series.prompt, |series| series.model);
        if own == Finding::Excluded && self.input.instructions == Reading::Moved { Finding::Possible } else { own }
    }

    fn provider_finding(&self) -> Finding {
        let changed: Vec<_> = self.canaries.iter().filter(|canary| canary.answers == Reading::Moved).collect();
        let is_changed = |series: &Series| changed.iter().any(|canary| canary.provider == series.provider);
        // A new model's canaries change by its version, which outcomes name.
        let fell_by_itself = self.fallen().any(|series| is_changed(series) && series.model == Version::Old);
        let fell_with_model = self.fallen().any(is_changed);
        match (fell_by_itself, fell_with_model) {
            (true, _) => Finding::Confirmed,
            (false, true) => Finding::Possible,
            (false, false) if self.only_one_provider_fell() => Finding::Possible,
            (false, false) => Finding::Excluded,
        }
    }

    /// Whether one provider's series fell, of old versions, while another's stayed, and its
    /// canaries say nothing.
    fn only_one_provider_fell(&self) -> bool {
        let mut fallen = self.fallen().filter(|series| series.model == Version::Old && series.prompt == Version::Old);
        let Some(first) = fallen.next() else { return false };
        let canaries = self.canaries.iter().filter(|canary| canary.provider == first.provider);
        let is_alone = self.fallen().all(|series| series.provider == first.provider);
        let others_stayed =
            self.series.iter().any(|series| series.index == Reading::Steady && series.provider != first.provider);
        is_alone && others_stayed && canaries.map(|canary| canary.answers).all(|answers| answers == Reading::Unknown)
    }

    fn input_finding(&self) -> Finding {
        match (self.input.documents, self.input.index_at_baseline_mix) {
            (Reading::Moved, Reading::Steady) => Finding::Confirmed,
            (Reading::Moved, Reading::Unknown) => Finding::Possible,
            // A new kind of document within the strata lowers every series; if only
            // a few fell, the cause is another.
            (Reading::Moved, Reading::Moved) if self.series.iter().all(|series| series.index == Reading::Moved) => {
                Finding::Possible
            }
            _ => Finding::Excluded,
        }
    }
}

#[cfg(test)]
mod tests;
