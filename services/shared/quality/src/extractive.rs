//! Extractive summaries: sentences of the text itself, chosen by rank. No model is asked.
//!
//! 1. **Sentences** (`prose`): what reads as prose, each sentence once. Headings, code, tables,
//!    list entries without a full stop and navigation are left out.
//! 2. **Rank** (`rank`): LexRank (Erkan and Radev 2004): the stationary distribution of a walk
//!    over the graph of similar sentences. The walk restarts where documents say what they are
//!    about, at their beginning.
//! 3. **Choice**: the best of the ranked sentences one after the other, each marked down by its
//!    likeness to those chosen before (maximal marginal relevance, Carbonell and Goldstein 1998).
//!
//! The result is a function of the text alone, with the same bits on every machine: sums have a
//! fixed order, and no function is called that a platform may round in its own way (only `+`, `-`,
//! `*`, `/` and square roots, which IEEE 754 defines).
//!
//! Time and memory are linear in the text, plus a constant: at most `MAX_SENTENCES` sentences are
//! ranked. Of a longer text these are the first `OPENING`, the last `CLOSING`, and as many at
//! even distances between.

mod prose;
mod rank;

use rank::Graph;

/// Version of the method: it changes with every change of the sentences that are chosen.
pub const VERSION: &str = "1";

/// Most sentences that are ranked: every one is compared with every other.
const MAX_SENTENCES: usize = 400;
/// Of a longer text, how many of its first and of its last sentences are ranked.
const OPENING: usize = 150;
const CLOSING: usize = 50;
/// How much a sentence's likeness to one already chosen counts against its rank.
const REDUNDANCY_WEIGHT: f64 = 0.5;
/// Likeness, the cosine of two sentences' terms, beyond which one of both is enough.
const MAX_LIKENESS: f64 = 0.6;
/// What a sentence counts that opens with a reference to the one before, such as "However" or "It".
const DEPENDENT_FACTOR: f64 = 0.85;
/// Part of the prose that a summary may be: a copy of a short text sums nothing up.
const MAX_SHARE: usize = 2;

/// How long a summary may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Words, as [`crate::count_words`] counts them.
    pub max_words: u32,
    /// Sentences.
    pub max_sentences: usize,
}

/// Sentences of a text, as they stand there but for line breaks, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtractedSummary {
    /// The sentences; none where the text has no prose, or no sentence within the limits.
    pub sentences: Vec<String>,
}

impl ExtractedSummary {
    /// The sentences as one paragraph.
    pub fn paragraph(&self) -> String {
        self.sentences.join(" ")
    }

    /// The sentences as a list.
    pub fn bullets(&self) -> String {
        self.sentences.iter().map(|sentence| format!("- {sentence}")).collect::<Vec<_>>().join("\n")
    }
}

/// The extractive summary of a text in `language` (BCP 47 tag or ISO 639 code; `None`: unknown).
pub fn summary(text: &str, language: Option<&str>, limits: Limits) -> ExtractedSummary {
    let mut sentences = prose::sentences(text, language);
    let all_words: usize = sentences.iter().map(|sentence| sentence.words).sum();
    thin_out(&mut sentences);
    let graph = Graph::of(&sentences);
    let mut chosen = choose(&sentences, &graph, all_words, limits);
    chosen.sort_unstable();
    let text_of = |at: usize| std::mem::take(&mut sentences[at].text);
    ExtractedSummary { sentences: chosen.into_iter().map(text_of).collect() }
}

/// Keeps [`MAX_SENTENCES`] of them, as the module's text says.
fn thin_out<T>(sentences: &mut Vec<T>) {
    let between = sentences.len().saturating_sub(OPENING + CLOSING);
    let room = MAX_SENTENCES - OPENING - CLOSING;
    if between <= room {
        return;
    }
    let (mut at, mut kept) = (0, 0);
    sentences.retain(|_| {
        let place = at;
        at += 1;
        if place < OPENING || place >= OPENING + between {
            return true;
        }
        let is_next = kept < room && place - OPENING == kept * between / room;
        kept += usize::from(is_next);
        is_next
    });
}

/// The places of the chosen sentences, the best first.
fn choose(sentences: &[prose::Sentence], graph: &Graph, all_words: usize, limits: Limits) -> Vec<usize> {
    let most = (limits.max_words as usize).min(all_words.div_ceil(MAX_SHARE));
    let (mut chosen, mut words) = (Vec::new(), 0);
    let mut likeness = vec![0.0_f64; sentences.len()];
    let fits = |words: usize, more: usize| words + more <= most || words == 0 && more <= limits.max_words as usize;
    while chosen.len() < limits.max_sentences {
        let mut best: Option<(usize, f64)> = None;
        for (at, sentence) in sentences.iter().enumerate() {
            if chosen.contains(&at) || likeness[at] > MAX_LIKENESS || !fits(words, sentence.words) {
                continue;
            }
            let factor = if sentence.is_dependent { DEPENDENT_FACTOR } else { 1.0 };
            let worth = graph.rank(at) * factor - REDUNDANCY_WEIGHT * likeness[at];
            // Of equals the first.
            if best.is_none_or(|(_, most)| worth > most) {
                best = Some((at, worth));
            }
        }
        let Some((at, _)) = best else { break };
        chosen.push(at);
        words += sentences[at].words;
        for (other, known) in likeness.iter_mut().enumerate() {
            *known = known.max(graph.likeness(at, other));
        }
    }
    chosen
}

#[cfg(test)]
mod tests;
