//! What is asked of a model: the same words for every tier, so that their answers can be compared.
//!
//! The document stands before the instruction: small models follow what they read last. Publishers'
//! own instructions replace the task sentence and nothing else. [`Prompt::digest`] is part of the
//! answer's fingerprint: a changed word here is a new answer.

use precis_schemas::{Document, Format};

use crate::identity::sha256_hex;

/// Words asked for where the publisher names no number.
pub const DEFAULT_MAX_WORDS: u32 = 120;

/// Bytes of a long token of text, in the languages for which tokenizers are made.
const MAX_BYTES_PER_TOKEN: usize = 16;
/// Bytes that an answer of any length may have beside its tokens.
const ANSWER_SLACK_BYTES: usize = 4 * 1_024;

/// The parts of one request's prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The system message.
    pub system: String,
    /// Instruction when the whole document fits one request.
    pub whole: String,
    /// Instruction for one chunk of a longer document.
    pub chunk: String,
    /// Instruction that merges the partial answers.
    pub merge: String,
    /// The number of words asked for.
    pub max_words: u32,
    /// Whether the answer ends with its first paragraph.
    pub one_paragraph: bool,
    /// SHA-256 (hex) over all texts of the prompt.
    pub digest: String,
}

impl Prompt {
    /// The prompt for a document whose summary is to be in `language` (ISO 639-1; `None`: the
    /// document's own).
    pub fn for_document(document: &Document, language: Option<&str>) -> Self {
        let max_words = max_words(document);
        let shape = match document.format {
            Format::Paragraph => sentences(max_words),
            Format::Bullets => format!("as a list of short points of at most {max_words} words together"),
        };
        let in_language = language.and_then(language_name).map_or(String::new(), |name| format!(" Write in {name}."));
        let task = |thing: &str| match &document.instruction {
            Some(instruction) => format!("{} ({thing}, {shape}.){in_language}", instruction.trim()),
            None => format!("Summarize {thing} {shape}.{in_language}"),
        };
        let instructions = [
            task("the text above"),
            task("this part of a longer text"),
            task("the notes above, which cover one text from start to end,"),
        ];
        let system = "You write short, factual summaries. You only use what the text says.".to_owned();
        // After the first paragraph a small model mostly writes the same paragraph again.
        Self::new(system, instructions, max_words, document.format == Format::Paragraph)
    }

    /// The prompt of these texts; the instructions are those for the whole, a chunk and the merge.
    pub(crate) fn new(system: String, instructions: [String; 3], max_words: u32, one_paragraph: bool) -> Self {
        let [whole, chunk, merge] = instructions;
        let digest = sha256_hex([&system, &whole, &chunk, &merge].map(String::as_str).join("\u{0}").as_bytes());
        Self { system, whole, chunk, merge, max_words, one_paragraph, digest }
    }

    /// Room for the answer, tokens. Two a word and a margin: an answer that keeps to its length is
    /// never cut.
    pub fn max_output_tokens(&self) -> u32 {
        self.max_words.saturating_mul(2).saturating_add(48)
    }

    /// Longest text of an answer that is kept, bytes: twice what that many tokens make where they
    /// are long. More than this no model wrote that kept to its limit.
    pub fn max_answer_bytes(&self) -> usize {
        (self.max_output_tokens() as usize).saturating_mul(2 * MAX_BYTES_PER_TOKEN).saturating_add(ANSWER_SLACK_BYTES)
    }
}

/// The number of words asked for.
pub fn max_words(document: &Document) -> u32 {
    let asked = document.max_words.and_then(|words| u32::try_from(words).ok());
    asked.filter(|words| *words > 0).unwrap_or(DEFAULT_MAX_WORDS)
}

/// The language that was asked for, else the document's own as far as it can be told.
pub fn expected_language(document: &Document, text: &str) -> Option<String> {
    document
        .output_language
        .clone()
        .or_else(|| document.language.clone())
        .or_else(|| precis_quality::language_of(text).map(str::to_owned))
}

/// Sentences of a summary of at most so many words.
pub fn sentence_count(max_words: u32) -> u32 {
    (max_words / 25).clamp(1, 12)
}

/// Small models follow a number of sentences better than a number of words.
fn sentences(max_words: u32) -> String {
    match sentence_count(max_words) {
        1 => format!("in one sentence of at most {max_words} words"),
        count => format!("in {count} sentences of at most {max_words} words together"),
    }
}

/// English name of a language code, for the languages that the checks can tell apart.
fn language_name(code: &str) -> Option<&'static str> {
    Some(match code {
        "en" => "English",
        "fr" => "French",
        "de" => "German",
        "es" => "Spanish",
        "it" => "Italian",
        "pt" => "Portuguese",
        "nl" => "Dutch",
        "pl" => "Polish",
        "ru" => "Russian",
        "ja" => "Japanese",
        "zh" => "Chinese",
        "ar" => "Arabic",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_language_are_in_the_prompt() {
        let document = Document { max_words: Some(60), format: Format::Paragraph, ..Document::default() };
        let prompt = Prompt::for_document(&document, Some("fr"));
        assert!(prompt.whole.contains("60 words") && prompt.whole.contains("French"), "{}", prompt.whole);
        assert!(prompt.max_output_tokens() >= 120);
    }

    #[test]
    fn own_instruction_replaces_the_task_and_changes_the_digest() {
        let plain = Prompt::for_document(&Document::default(), None);
        let own = Prompt::for_document(
            &Document { instruction: Some("List the obligations of the tenant.".into()), ..Document::default() },
            None,
        );
        assert!(own.whole.starts_with("List the obligations"));
        assert_ne!(plain.digest, own.digest);
    }
}
