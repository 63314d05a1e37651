//! The rank of sentences: a walk over the graph of their likeness.
//!
//! A sentence is a vector of its terms, each counted and weighted by how few sentences have it.
//! Likeness is the cosine of two vectors. The walk goes from a sentence to another in proportion to
//! their likeness, or restarts at a sentence of the prior, which favours the first ones.
//!
//! The constants were chosen on the papers of aclsum before 2016 (`loadtest/quality/extractive.py
//! --older`), for ROUGE at 100 words.

use std::collections::HashMap;

use super::prose::Sentence;
use crate::lexicon;
use crate::text::{Text, is_unspaced};

/// Steps of the walk: enough that the order of ranks no longer changes.
const STEPS: usize = 30;
/// How often the walk restarts.
const RESTART: f64 = 0.6;
/// Likeness below which two sentences are not neighbours.
const MIN_LIKENESS: f64 = 0.05;
/// How much more the prior gives the first sentence than a late one.
const LEAD: f64 = 30.0;
/// The sentence by which half of that advantage is gone.
const LEAD_SENTENCES: f64 = 2.0;
/// Letters of a word that make its term: a rough stem in languages that inflect at the end.
const TERM_CHARACTERS: usize = 7;
/// Shortest word that is a term.
const MIN_TERM_CHARACTERS: usize = 2;

/// Sentences with their likeness and their ranks.
pub(super) struct Graph {
    size: usize,
    /// Row by row.
    likeness: Vec<f64>,
    /// The best is 1.
    ranks: Vec<f64>,
}

impl Graph {
    pub(super) fn of(sentences: &[Sentence]) -> Self {
        let likeness = likenesses(&vectors(sentences));
        let ranks = walk(&likeness, sentences.len());
        Self { size: sentences.len(), likeness, ranks }
    }

    pub(super) fn rank(&self, at: usize) -> f64 {
        self.ranks[at]
    }

    pub(super) fn likeness(&self, at: usize, other: usize) -> f64 {
        self.likeness[at * self.size + other]
    }
}

/// Each sentence's terms and their weights, by the term's number; of length 1.
fn vectors(sentences: &[Sentence]) -> Vec<Vec<(u32, f64)>> {
    // Looked up, never walked through: its order has no effect.
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut sentences_with: Vec<u32> = Vec::new();
    let mut counted: Vec<Vec<(u32, u32)>> = Vec::with_capacity(sentences.len());
    for sentence in sentences {
        let text = Text::read(&sentence.text);
        let mut found: Vec<u32> = Vec::new();
        for term in (0..text.len()).filter_map(|index| term(text.folded(index))) {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            found.push(*numbers.entry(term).or_insert(next));
        }
        found.sort_unstable();
        let mut counts: Vec<(u32, u32)> = Vec::new();
        for term in found {
            match counts.last_mut() {
                Some((last, count)) if *last == term => *count += 1,
                _ => counts.push((term, 1)),
            }
        }
        sentences_with.resize(numbers.len(), 0);
        for (term, _) in &counts {
            sentences_with[*term as usize] += 1;
        }
        counted.push(counts);
    }
    let all = log2(counted.len() as u64 + 1);
    let weigh = |counts: Vec<(u32, u32)>| {
        let rarity = |term: u32| all - log2(u64::from(sentences_with[term as usize]));
        let weighted: Vec<_> =
            counts.into_iter().map(|(term, count)| (term, f64::from(count) * rarity(term))).collect();
        let length = weighted.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        weighted.into_iter().map(|(term, weight)| (term, weight / length.max(f64::MIN_POSITIVE))).collect()
    };
    counted.into_iter().map(weigh).collect()
}

/// The term of a folded word; none for function words.
fn term(word: String) -> Option<String> {
    if word.chars().all(is_unspaced) {
        return Some(word);
    }
    if word.chars().nth(MIN_TERM_CHARACTERS - 1).is_none()
        || lexicon::FUNCTION_WORDS.iter().any(|words| words.contains(word.as_str()))
    {
        return None;
    }
    Some(word.chars().take(TERM_CHARACTERS).collect())
}

/// The cosines of all pairs.
fn likenesses(vectors: &[Vec<(u32, f64)>]) -> Vec<f64> {
    let size = vectors.len();
    let mut all = vec![0.0; size * size];
    for (at, vector) in vectors.iter().enumerate() {
        for (other, known) in vectors.iter().enumerate().take(at) {
            let likeness = cosine(vector, known);
            all[at * size + other] = likeness;
            all[other * size + at] = likeness;
        }
    }
    all
}

/// Both are sorted by term.
fn cosine(one: &[(u32, f64)], other: &[(u32, f64)]) -> f64 {
    let (mut left, mut right, mut sum) = (0, 0, 0.0);
    while let (Some((a, x)), Some((b, y))) = (one.get(left), other.get(right)) {
        if a == b {
            sum += x * y;
        }
        left += usize::from(a <= b);
        right += usize::from(b <= a);
    }
    sum
}

/// The walk's distribution after [`STEPS`] steps, its largest value scaled to 1.
fn walk(likeness: &[f64], size: usize) -> Vec<f64> {
    let prior: Vec<f64> = (0..size).map(|at| 1.0 + LEAD * LEAD_SENTENCES / (LEAD_SENTENCES + at as f64)).collect();
    let total: f64 = prior.iter().sum();
    let edge = |value: f64| if value < MIN_LIKENESS { 0.0 } else { value };
    let leaving: Vec<f64> = (0..size).map(|at| likeness[at * size..][..size].iter().copied().map(edge).sum()).collect();
    let mut ranks: Vec<f64> = prior.iter().map(|share| share / total).collect();
    for _ in 0..STEPS {
        // What leaves a sentence without neighbours restarts.
        let lone: f64 = (0..size).filter(|at| leaving[*at] == 0.0).map(|at| ranks[at]).sum();
        let spread: Vec<f64> = ranks
            .iter()
            .zip(&leaving)
            .map(|(rank, leaving)| if *leaving == 0.0 { 0.0 } else { rank / leaving })
            .collect();
        let restarts = RESTART + (1.0 - RESTART) * lone;
        ranks = (0..size)
            .map(|at| {
                let row = &likeness[at * size..][..size];
                let arriving: f64 = row.iter().zip(&spread).map(|(value, rank)| edge(*value) * rank).sum();
                restarts * prior[at] / total + (1.0 - RESTART) * arriving
            })
            .collect();
    }
    let best = ranks.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    ranks.into_iter().map(|rank| rank / best).collect()
}

/// The logarithm to base 2, straight between powers of two: made of exact operations alone, since
/// platforms round `f64::log2` differently. Zero for 0.
fn log2(number: u64) -> f64 {
    let Some(whole) = number.checked_ilog2() else { return 0.0 };
    f64::from(whole) + (number as f64 / (1_u64 << whole) as f64 - 1.0)
}
