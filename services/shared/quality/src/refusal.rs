//! `refusal`: the model speaks of itself or asks for the text, instead of summarising it.
//!
//! Only the opening of the summary is looked at, and a phrase that the source has too is the
//! source's: a letter of complaint may well say "I cannot".

use crate::fold::fold;
use crate::{Check, CheckName, Input};

/// How much of the opening is looked at, in bytes: two sentences.
const OPENING: usize = 300;

/// Folded phrases, apostrophes as spaces. Each is said by an assistant about its own task.
const PHRASES: &[&str] = &[
    "i cannot",
    "i can not",
    "i can t ",
    "i am unable to",
    "i m unable to",
    "i am not able to",
    "i m not able to",
    "i am sorry",
    "i m sorry",
    "i apologize",
    "i apologise",
    "as an ai",
    "as a language model",
    "as a large language model",
    "i do not have access",
    "i don t have access",
    "i do not have enough",
    "i don t have enough",
    "i will not be able",
    "i won t be able",
    "please provide the",
    "please provide me",
    "please share the",
    "could you please provide",
    "no text was provided",
    "no document was provided",
    "you haven t provided",
    "you have not provided",
    "there is no text to summarize",
    "there is no text to summarise",
    "je ne peux pas",
    "je ne suis pas en mesure",
    "je ne suis pas capable",
    "je suis desole",
    "je regrette mais",
    "en tant qu ia",
    "en tant qu intelligence artificielle",
    "en tant que modele de langage",
    "en tant qu assistant",
    "je n ai pas acces",
    "je n ai pas la capacite",
    "veuillez fournir",
    "veuillez me fournir",
    "pourriez vous fournir",
    "pouvez vous fournir",
    "aucun texte n a ete fourni",
    "aucun document n a ete fourni",
    "vous n avez pas fourni",
];

pub(crate) fn check(input: &Input<'_>) -> Check {
    let opening = spaced(prefix(input.summary, OPENING));
    let said = input.finish_reason == "refusal";
    let phrase = PHRASES.iter().find(|phrase| opening.contains(&format!(" {phrase}")));
    // Folding the source is worth it only once a phrase was found.
    let detail = match phrase {
        _ if said => "the model or its provider refused".to_owned(),
        Some(phrase) if !spaced(input.source).contains(&format!(" {phrase}")) => {
            format!("opens with a refusal: {}", phrase.trim())
        }
        _ => String::new(),
    };
    Check::new(CheckName::Refusal, detail.is_empty(), None, detail)
}

/// Folded, every run of other characters one space, with a space at both ends.
fn spaced(text: &str) -> String {
    let mut out = String::from(" ");
    for word in fold(text).split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() {
            out.push_str(word);
            out.push(' ');
        }
    }
    out
}

/// The text up to about `limit` bytes, cut between characters.
fn prefix(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests;
