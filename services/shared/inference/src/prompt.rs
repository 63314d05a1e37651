//! Prompts that small instruction models follow well.
//!
//! What was tried with SmolLM2-135M on news, papers and manuals, in English and French, greedy:
//! with the instruction *after* the document it summarises; with the instruction before, it tends
//! to edit, to continue or to repeat the text. It rarely stops by itself after the sentences asked
//! for, and what follows the first paragraph is mostly that paragraph again: ask for
//! [`one_paragraph`](crate::SummaryRequest::one_paragraph). Asked in English about a French text it
//! answers in English, so the instruction is in the language of the answer.

use crate::request::{Prompt, Prompts};

/// A good start for summaries of `sentences` sentences, in the language with this ISO 639-1 code
/// (English for those that have no text here).
pub fn recommended(language: &str, sentences: usize) -> Prompts {
    let texts = match language {
        "fr" => &FRENCH,
        _ => &ENGLISH,
    };
    let prompt = |what: &str| Prompt {
        before: texts.before.to_owned(),
        after: what.replace("{sentences}", &sentences.to_string()),
    };
    Prompts {
        system: Some(texts.system.to_owned()),
        whole: prompt(texts.whole),
        map: prompt(texts.map),
        reduce: Prompt { before: texts.before_parts.to_owned(), ..prompt(texts.reduce) },
    }
}

struct Texts {
    system: &'static str,
    before: &'static str,
    before_parts: &'static str,
    whole: &'static str,
    map: &'static str,
    reduce: &'static str,
}

const ENGLISH: Texts = Texts {
    system: "You summarise documents. You only state what the document says.",
    before: "Document:\n\n",
    before_parts: "Notes on a document:\n\n",
    whole: "\n\nSummarise the document above in {sentences} sentences.",
    map: "\n\nSummarise this part of the document in {sentences} sentences.",
    reduce: "\n\nSummarise the document that these notes describe in {sentences} sentences.",
};

const FRENCH: Texts = Texts {
    system: "Tu résumes des documents. Tu ne dis que ce que dit le document.",
    before: "Document :\n\n",
    before_parts: "Notes sur un document :\n\n",
    whole: "\n\nRésume le document ci-dessus en {sentences} phrases.",
    map: "\n\nRésume cette partie du document en {sentences} phrases.",
    reduce: "\n\nRésume en {sentences} phrases le document que décrivent ces notes.",
};

#[cfg(test)]
mod tests;
