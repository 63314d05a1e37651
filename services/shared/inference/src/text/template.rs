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

use super::gguf_bpe::Tokenizer;
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
                Segment::System => ids.extend(tokenizer.encode_text(system.unwrap_or_default())?),
                Segment::User => ids.extend(tokenizer.encode_text(user)?),
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

fn cut(rendered: &str, tokenizer: &Tokenizer) -> Result<Vec<Segment>, EngineError> {
    if rendered.matches(USER).count() != 1 || rendered.matches(SYSTEM).count() > 1 {
        return Err(EngineError::BadTemplate { reason: "it does not write every message exactly once".into() });
    }
    let mut segments = Vec::new();
    let mut rest = rendered;
    while !rest.is_empty() {
        let next = [(SYSTEM, Segment::System), (USER, Segment::User)]
            .into_iter()
            .filter_map(|(mark, segment)| rest.find(mark).map(|at| (at, mark, segment)))
            .min_by_key(|(at, _, _)| *at);
        let Some((at, mark, segment)) = next else {
            segments.push(Segment::Template(tokenizer.encode_template(rest)?));
            break;
        };
        if at > 0 {
            segments.push(Segment::Template(tokenizer.encode_template(&rest[..at])?));
        }
        segments.push(segment);
        rest = &rest[at + mark.len()..];
    }
    Ok(segments)
}

fn fold_system(segments: &[Segment], tokenizer: &Tokenizer) -> Result<Vec<Segment>, EngineError> {
    let gap = tokenizer.encode_text("\n\n")?;
    let folded = segments.iter().flat_map(|segment| match segment {
        Segment::User => vec![Segment::System, Segment::Template(gap.clone()), Segment::User],
        other => vec![other.clone()],
    });
    Ok(folded.collect())
}

#[cfg(test)]
mod tests;
