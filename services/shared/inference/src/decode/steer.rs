//! The rules that lead an answer beside the model's own choice: which tokens may come next, and
//! where the answer ends.
//!
//! - **Numbers**: only those of the document that the request is about ([`super::numerals`]).
//! - **Names**: inside a sentence, only words of the document with a capital ([`super::names`]).
//! - **Repeats**: no phrase twice ([`super::repeats`]).
//! - **Sentences**: an answer of one paragraph ends its line, and itself, only where a sentence
//!   ends, so that a heading is no answer. The last quarter of its room is spent on finishing:
//!   there the answer ends with the sentence. At its limit it is cut back to its last sentence, if
//!   half of it is left. Such an answer says so ([`FinishReason::Sentence`]).
//!
//! All of them are functions of the request and of the answer so far, so the batch that an answer
//! is computed in changes nothing. Reasoning before the answer is led by none.

use std::sync::Arc;

use super::names::Names;
use super::numerals::Numerals;
use super::stop::{AnswerLimits, StopRules, Verdict};
use super::tokens::TokenClasses;
use super::{repeats, sentences};
use crate::request::{End, FinishReason, Request, RuleChanges};
use crate::step::Restriction;

/// The rules of one engine.
#[derive(Debug, Clone)]
pub(crate) struct SteeringRules {
    pub(crate) classes: Arc<TokenClasses>,
    pub(crate) numbers_from_source: bool,
    pub(crate) names_from_source: bool,
    /// 0 for none.
    pub(crate) no_repeat_tokens: usize,
    pub(crate) whole_sentences: bool,
}

/// The rules for one answer.
#[derive(Debug)]
pub(crate) struct Steering {
    rules: SteeringRules,
    numerals: Option<Numerals>,
    names: Option<Names>,
}

impl SteeringRules {
    /// The rules with what a request has in place of them.
    pub(crate) fn changed(&self, changes: &RuleChanges) -> Self {
        let RuleChanges { numbers_from_source, names_from_source, no_repeat_tokens } = *changes;
        Self {
            classes: Arc::clone(&self.classes),
            numbers_from_source: numbers_from_source.unwrap_or(self.numbers_from_source),
            names_from_source: names_from_source.unwrap_or(self.names_from_source),
            no_repeat_tokens: no_repeat_tokens.unwrap_or(self.no_repeat_tokens),
            whole_sentences: self.whole_sentences,
        }
    }

    /// The changes that are any, in a stable spelling; empty if there are none.
    pub(crate) fn spelled(&self, changes: &RuleChanges) -> String {
        let changed = self.changed(changes);
        let rules = [
            ("numbers_from_source", usize::from(self.numbers_from_source), usize::from(changed.numbers_from_source)),
            ("names_from_source", usize::from(self.names_from_source), usize::from(changed.names_from_source)),
            ("no_repeat_tokens", self.no_repeat_tokens, changed.no_repeat_tokens),
        ];
        let differing = rules.into_iter().filter(|(_, own, new)| own != new);
        differing.map(|(name, _, new)| format!(" {name}={new}")).collect()
    }
}

impl Steering {
    /// The rules for the answer to this request.
    pub(crate) fn of(rules: &SteeringRules, request: &Request) -> Self {
        let document = &*request.document;
        let source = request.source.as_deref().unwrap_or(document);
        let numerals = rules.numbers_from_source.then(|| Numerals::of(document, Arc::clone(&rules.classes)));
        let names = rules.names_from_source.then(|| Names::of(source, Arc::clone(&rules.classes))).flatten();
        Self { rules: rules.clone(), numerals, names }
    }

    /// Which tokens may follow the answer.
    pub(crate) fn restriction(&self, answer: &[u32], limits: AnswerLimits, stop: &StopRules) -> Restriction {
        if stop.is_reasoning(answer) {
            return Restriction::default();
        }
        let written = stop.after_reasoning(answer);
        let classes = &*self.rules.classes;
        let mut restriction = self.numerals.as_ref().map(|numerals| numerals.restriction(written)).unwrap_or_default();
        if let Some(names) = &self.names {
            names.restrict(written, &mut restriction);
        }
        if self.rules.no_repeat_tokens > 1 {
            restriction.except.extend(repeats::refused(written, self.rules.no_repeat_tokens, &classes.detokeniser));
        }
        if self.rules.whole_sentences
            && limits.end == End::Paragraph
            && !sentences::is_finished(&classes.detokeniser.text(written))
        {
            restriction.except.extend(classes.line_ends.iter().chain(&classes.endings));
        }
        restriction.settle();
        restriction
    }

    /// Judges an answer after each token, as [`StopRules::verdict`] does, and by these rules. What
    /// is kept of it holds no number that its source does not support.
    pub(crate) fn verdict(&self, answer: &[u32], limits: AnswerLimits, stop: &StopRules) -> Verdict {
        match (self.ended(answer, limits, stop), &self.numerals) {
            (Verdict::Finished { reason, keep }, Some(numerals)) => {
                let before = (answer.len() - stop.after_reasoning(answer).len()).min(keep);
                finished(reason, before + numerals.supported(&answer[before..keep]))
            }
            (verdict, _) => verdict,
        }
    }

    fn ended(&self, answer: &[u32], limits: AnswerLimits, stop: &StopRules) -> Verdict {
        let verdict = stop.verdict(answer, limits);
        let before = answer.len() - stop.after_reasoning(answer).len();
        match verdict {
            Verdict::Continue => {
                let late = limits.max_new_tokens - limits.max_new_tokens / 4;
                if !self.rules.whole_sentences || answer.len() < late {
                    return verdict;
                }
                match self.to_last_end(&answer[before..], false) {
                    Some(keep) if before + keep >= late => finished(FinishReason::Sentence, before + keep),
                    _ => verdict,
                }
            }
            Verdict::Finished { reason: FinishReason::Stop, .. } => verdict,
            Verdict::Finished { reason, keep } => {
                let written = &answer[before.min(keep)..keep];
                let cut = self.to_last_end(written, true).filter(|cut| 2 * cut >= written.len());
                match cut.filter(|_| self.rules.whole_sentences) {
                    Some(cut) if reason == FinishReason::Length => finished(FinishReason::Sentence, before + cut),
                    Some(cut) => finished(reason, before + cut),
                    None => {
                        let whole = self.numerals.as_ref().map_or(written.len(), |numerals| numerals.whole(written));
                        finished(reason, keep - written.len() + whole)
                    }
                }
            }
        }
    }

    fn to_last_end(&self, written: &[u32], whole: bool) -> Option<usize> {
        sentences::tokens_to_last_end(written, whole, &self.rules.classes.detokeniser)
    }
}

fn finished(reason: FinishReason, keep: usize) -> Verdict {
    Verdict::Finished { reason, keep }
}

#[cfg(test)]
mod tests;
