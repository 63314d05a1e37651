//! BLEU of one sentence: Papineni et al. (2002), as sacreBLEU's `sentence_bleu` computes it.

use std::collections::HashMap;

use super::is_python_space;
use crate::ngrams;

/// Longest n-grams.
const MAX_ORDER: usize = 4;

/// 0 to 100.
pub(super) fn bleu(reference: &str, summary: &str) -> f64 {
    let (reference, summary) = (tokenized(reference), tokenized(summary));
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let reference = numbered(&reference, &mut numbers);
    let summary = numbered(&summary, &mut numbers);
    let compared = ngrams::compare::<MAX_ORDER>(&summary, &reference);
    // An n-gram is in common only where its words are.
    if compared[0].shared == 0 {
        return 0.0;
    }
    let (mut halvings, mut logarithms, mut orders) = (1.0, 0.0, 0.0);
    for order in compared.into_iter().take_while(|order| order.own > 0) {
        let precision = if order.shared == 0 {
            halvings *= 2.0;
            100.0 / (halvings * order.own as f64)
        } else {
            100.0 * order.shared as f64 / order.own as f64
        };
        logarithms += precision.ln();
        orders += 1.0;
    }
    let (own, other) = (summary.len() as f64, reference.len() as f64);
    let brevity = if own < other { (1.0 - other / own).exp() } else { 1.0 };
    brevity * (logarithms / orders).exp()
}

fn numbered<'a>(text: &'a str, numbers: &mut HashMap<&'a str, u32>) -> Vec<u32> {
    let words = text.split(is_python_space).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let next = numbers.len() as u32;
            *numbers.entry(word).or_insert(next)
        })
        .collect()
}

/// The text with blanks around its tokens, as mteval-v13a sets them. Its regular expressions are
/// passes over characters here; each pass goes on behind what it has rewritten.
fn tokenized(text: &str) -> String {
    let text = text.trim_end_matches(is_python_space);
    let text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let mut spaced = String::with_capacity(2 * text.len());
    for character in format!(" {text} ").chars() {
        if is_separator(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    // A full stop or comma stands apart, unless a digit stands before it; then unless one stands
    // behind it; then a dash behind a digit.
    let spaced = pairs(&spaced, |one, two| (!one.is_ascii_digit() && is_point(two)).then_some([one, ' ', two, ' ']));
    let spaced = pairs(&spaced, |one, two| (is_point(one) && !two.is_ascii_digit()).then_some([' ', one, ' ', two]));
    pairs(&spaced, |one, two| (one.is_ascii_digit() && two == '-').then_some([one, ' ', two, ' ']))
}

fn is_point(character: char) -> bool {
    matches!(character, '.' | ',')
}

/// ASCII punctuation but for the full stop, the comma, the dash and the apostrophe.
fn is_separator(character: char) -> bool {
    matches!(character, ' '..='&' | '('..='+' | ':'..='@' | '/' | '['..='`' | '{'..='~')
}

/// Rewrites pairs of characters from left to right, each character once.
fn pairs(text: &str, rewrite: impl Fn(char, char) -> Option<[char; 4]>) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut characters = text.chars().peekable();
    while let Some(one) = characters.next() {
        match characters.peek().and_then(|two| rewrite(one, *two)) {
            Some(rewritten) => {
                characters.next();
                out.extend(rewritten);
            }
            None => out.push(one),
        }
    }
    out
}
