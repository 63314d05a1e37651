//! Prompts that small instruction models follow well.
//!
//! Found with SmolLM2-135M on news, papers and manuals, in English and French, greedy:
//! - With the instruction *after* the document the model summarises. With the instruction before,
//!   it tends to edit, to continue or to repeat the text.
//! - The model rarely stops by itself after the requested sentences, and the text after the first
//!   paragraph is mostly that paragraph again. So ask for
//!   [`one_paragraph`](crate::SummaryRequest::one_paragraph).
//! - An English instruction about a French text is answered in English. So the instruction is in
//!   the language of the answer.

use crate::request::{Prompt, Prompts};

/// Recommended prompts for summaries of `sentences` sentences, in the language with this ISO 639-1
/// code; in English for a language without texts here.
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
        reduce: Prompt { before: texts.before_notes.to_owned(), ..prompt(texts.reduce) },
    }
}

struct PromptTexts {
    system: &'static str,
    before: &'static str,
    before_notes: &'static str,
    whole: &'static str,
    map: &'static str,
    reduce: &'static str,
}

const ENGLISH: PromptTexts = PromptTexts {
    system: "You summarise documents. You only state what the document says.",
    before: "Document:\n\n",
    before_notes: "Notes on a document:\n\n",
    whole: "\n\nSummarise the document above in {sentences} sentences.",
    map: "\n\nSummarise this part of the document in {sentences} sentences.",
    reduce: "\n\nSummarise the document that these notes describe in {sentences} sentences.",
};

const FRENCH: PromptTexts = PromptTexts {
    system: "Tu résumes des documents. Tu ne dis que ce que dit le document.",
    before: "Document :\n\n",
    before_notes: "Notes sur un document :\n\n",
    whole: "\n\nRésume le document ci-dessus en {sentences} phrases.",
    map: "\n\nRésume cette partie du document en {sentences} phrases.",
    reduce: "\n\nRésume en {sentences} phrases le document que décrivent ces notes.",
};

#[cfg(test)]
mod tests;
