//! The model's chat template, rendered without ever seeing the caller's text.
//!
//! Templates join strings, so a document with `<|im_end|>` in it would close its own message and
//! speak for the model. So the template is rendered with placeholders in the places of system and
//! user text, and its output is cut at them. Only the segments that the template itself wrote are
//! encoded with control tokens. The caller's text is encoded as plain text, and its ids are put in
//! between.
//!
//! A template is a program from a model's file. [`render`] bounds its work, memory and output.

mod date;
mod environment;
mod generation;
mod json;
mod render;

use std::borrow::Cow;

use super::gguf_bpe::{TemplatePart, Tokenizer};
use super::reasoning;
use crate::error::EngineError;

/// Placeholders in private-use characters: no template contains them and no filter changes them.
const SYSTEM: &str = "\u{E000}system\u{E001}";
const USER: &str = "\u{E000}user\u{E001}";

/// One segment of a rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// Ids that the template wrote.
    Template(Vec<u32>),
    /// Texts that are encoded as one.
    Text {
        parts: Vec<Part>,
        /// Whether white space at the beginning is left out.
        trimmed: bool,
    },
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The template's own text.
    Own(String),
    /// The place of the system message.
    System,
    /// The place of the user message.
    User,
}

/// A model's template, rendered once for each shape of conversation.
#[derive(Debug)]
pub(crate) struct Template {
    with_system: Vec<Segment>,
    without_system: Vec<Segment>,
    begin: Option<u32>,
    opening: Option<String>,
}

impl Template {
    /// Renders the Jinja template `source` for conversations with and without a system message.
    pub(crate) fn new(source: &str, tokenizer: &Tokenizer) -> Result<Self, EngineError> {
        let renderer = render::Renderer::new(source, tokenizer.begin_and_end_text())?;
        let rendered = renderer.render(None, USER)?;
        let opening = reasoning::opening(&rendered).map(str::to_owned);
        let without_system = cut(&rendered, tokenizer)?;
        // Some families know no system role and raise an error. For them the system message opens
        // the user message.
        let with_system = match renderer.render(Some(SYSTEM), USER) {
            Ok(text) if text.contains(SYSTEM) => cut(&text, tokenizer)?,
            _ => fold_system(&without_system, tokenizer)?,
        };
        Ok(Self { with_system, without_system, begin: tokenizer.begin(), opening })
    }

    /// The tag that every prompt ends with where the answer begins within reasoning.
    pub(crate) fn opening(&self) -> Option<&str> {
        self.opening.as_deref()
    }

    /// The ids of a whole prompt.
    pub(crate) fn prompt(
        &self,
        tokenizer: &Tokenizer,
        system: Option<&str>,
        user: &str,
    ) -> Result<Vec<u32>, EngineError> {
        let segments = if system.is_some() { &self.with_system } else { &self.without_system };
        let mut ids = Vec::new();
        for segment in segments {
            match segment {
                Segment::Template(written) => ids.extend_from_slice(written),
                Segment::Text { parts, trimmed } => {
                    let text = joined(parts, system.unwrap_or_default(), user);
                    let text = if *trimmed { text.trim_start() } else { &text };
                    ids.extend(tokenizer.encode_text(text)?);
                }
            }
        }
        if let Some(begin) = self.begin
            && ids.first() != Some(&begin)
        {
            ids.insert(0, begin);
        }
        Ok(ids)
    }
}

fn joined<'a>(parts: &'a [Part], system: &'a str, user: &'a str) -> Cow<'a, str> {
    let text = |part: &'a Part| match part {
        Part::Own(text) => text.as_str(),
        Part::System => system,
        Part::User => user,
    };
    match parts {
        [one] => Cow::Borrowed(text(one)),
        parts => Cow::Owned(parts.iter().map(text).collect()),
    }
}

fn cut(rendered: &str, tokenizer: &Tokenizer) -> Result<Vec<Segment>, EngineError> {
    if rendered.matches(USER).count() != 1 || rendered.matches(SYSTEM).count() > 1 {
        return Err(EngineError::BadTemplate { reason: "it does not write every message exactly once".into() });
    }
    let mut segments = Segments { tokenizer, all: Vec::new(), trimming: false };
    let mut rest = rendered;
    while !rest.is_empty() {
        let next = [(SYSTEM, Part::System), (USER, Part::User)]
            .into_iter()
            .filter_map(|(mark, part)| rest.find(mark).map(|at| (at, mark, part)))
            .min_by_key(|(at, _, _)| *at);
        let Some((at, mark, part)) = next else {
            segments.push_template(rest)?;
            break;
        };
        segments.push_template(&rest[..at])?;
        segments.push_text(part);
        rest = &rest[at + mark.len()..];
    }
    Ok(segments.all)
}

/// The segments so far.
struct Segments<'a> {
    tokenizer: &'a Tokenizer,
    all: Vec<Segment>,
    /// Whether the last token leaves out white space behind it.
    trimming: bool,
}

impl Segments<'_> {
    /// Adds what the template wrote itself. Its texts are encoded here, except where the ids of
    /// what stands around them depend on them.
    fn push_template(&mut self, text: &str) -> Result<(), EngineError> {
        for part in self.tokenizer.parts(text) {
            match part {
                TemplatePart::Text(text) if self.tokenizer.joins_texts() => self.push_text(Part::Own(text.to_owned())),
                TemplatePart::Text(text) => {
                    let ids = self.tokenizer.encode_text(text)?;
                    self.push_ids(&ids);
                }
                TemplatePart::Control { id, trims } => {
                    self.push_ids(&[id]);
                    self.trimming = trims;
                }
            }
        }
        Ok(())
    }

    fn push_ids(&mut self, new: &[u32]) {
        if let Some(Segment::Template(ids)) = self.all.last_mut() {
            ids.extend_from_slice(new);
        } else {
            self.all.push(Segment::Template(new.to_vec()));
        }
    }

    fn push_text(&mut self, part: Part) {
        match self.all.last_mut() {
            Some(Segment::Text { parts, .. }) if self.tokenizer.joins_texts() => parts.push(part),
            _ => self.all.push(Segment::Text { parts: vec![part], trimmed: self.trimming }),
        }
        self.trimming = false;
    }
}

/// The segments with the system message before the user's.
fn fold_system(segments: &[Segment], tokenizer: &Tokenizer) -> Result<Vec<Segment>, EngineError> {
    const GAP: &str = "\n\n";
    let gap = tokenizer.encode_text(GAP)?;
    let text = |part| Segment::Text { parts: vec![part], trimmed: false };
    let folded = segments.iter().flat_map(|segment| match segment {
        Segment::Text { parts, trimmed } if tokenizer.joins_texts() => {
            let parts = parts.iter().flat_map(|part| match part {
                Part::User => vec![Part::System, Part::Own(GAP.to_owned()), Part::User],
                other => vec![other.clone()],
            });
            vec![Segment::Text { parts: parts.collect(), trimmed: *trimmed }]
        }
        Segment::Text { parts, .. } if parts[..] == [Part::User] => {
            vec![text(Part::System), Segment::Template(gap.clone()), text(Part::User)]
        }
        other => vec![other.clone()],
    });
    Ok(folded.collect())
}

#[cfg(test)]
mod tests;
