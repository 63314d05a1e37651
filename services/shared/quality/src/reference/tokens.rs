//! Tokens of ROUGE, as numbers: equal tokens are equal numbers.

use std::collections::HashMap;

use super::porter;
use crate::spelling::plain;
use crate::text::Text;

/// How a text is cut into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Splitting {
    /// As rouge-score does: lower case, runs of a to z and 0 to 9.
    RougeScore,
    /// The same, each token of more than three characters without its English ending.
    RougeScoreStemmed,
    /// Words as the checks read them, folded.
    Unicode,
}

/// Tokens of at most so many characters are never stemmed.
const MAX_UNSTEMMED: usize = 3;

/// The tokens of one text, and where its lines end: ROUGE-Lsum takes a line for a sentence.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) tokens: Vec<u32>,
    ends: Vec<usize>,
}

impl Lines {
    /// The tokens of each line, of the first `most` tokens of the text.
    pub(super) fn first(&self, most: usize) -> impl Iterator<Item = &[u32]> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let bounds = starts.zip(&self.ends).take_while(move |(start, _)| *start < most);
        bounds.map(move |(start, end)| &self.tokens[start..most.min(*end)]).filter(|line| !line.is_empty())
    }
}

/// The numbers of the tokens that were read.
pub(super) struct Vocabulary {
    splitting: Splitting,
    /// By the token as it is written, so that each is stemmed once.
    numbers: HashMap<String, u32>,
    /// By the stem.
    stems: HashMap<String, u32>,
}

impl Vocabulary {
    pub(super) fn new(splitting: Splitting) -> Self {
        Self { splitting, numbers: HashMap::new(), stems: HashMap::new() }
    }

    /// Tokens and lines of a text.
    pub(super) fn lines(&mut self, text: &str) -> Lines {
        let text = if self.splitting == Splitting::Unicode { plain(text) } else { text.into() };
        let mut lines = Lines::default();
        for line in text.split('\n') {
            self.read(line, &mut lines.tokens);
            lines.ends.push(lines.tokens.len());
        }
        lines
    }

    /// Tokens of a text.
    pub(super) fn tokens(&mut self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        self.read(text, &mut tokens);
        tokens
    }

    fn read(&mut self, text: &str, tokens: &mut Vec<u32>) {
        if self.splitting == Splitting::Unicode {
            let text = Text::read(text);
            tokens.extend((0..text.len()).map(|index| self.number(&text.folded(index))));
            return;
        }
        let mut token = String::new();
        let mut end = |vocabulary: &mut Self, token: &mut String| {
            if !token.is_empty() {
                tokens.push(vocabulary.number(token));
                token.clear();
            }
        };
        // A character may have several in lower case: `İ` is `i` and a dot.
        for character in text.chars().flat_map(char::to_lowercase) {
            if character.is_ascii_lowercase() || character.is_ascii_digit() {
                token.push(character);
            } else {
                end(self, &mut token);
            }
        }
        end(self, &mut token);
    }

    fn number(&mut self, token: &str) -> u32 {
        if let Some(number) = self.numbers.get(token) {
            return *number;
        }
        let number = if self.splitting == Splitting::RougeScoreStemmed {
            let stem = if token.len() > MAX_UNSTEMMED { porter::stem(token) } else { token.to_owned() };
            let next = next_number(&self.stems);
            *self.stems.entry(stem).or_insert(next)
        } else {
            next_number(&self.numbers)
        };
        self.numbers.insert(token.to_owned(), number);
        number
    }
}

fn next_number(numbers: &HashMap<String, u32>) -> u32 {
    u32::try_from(numbers.len()).unwrap_or(u32::MAX)
}
