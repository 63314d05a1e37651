//! Tokens that models write around their reasoning, such as `<think>` and `[/THINK]`.
//!
//! Many vocabularies have them as whole tokens. Other whole tokens have no text in an answer; these
//! have, so that a reader of the answer can tell its reasoning from the rest. A blank line within
//! the reasoning ends no paragraph.

/// The effect of such a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReasoningTag {
    /// Reasoning begins.
    Opens,
    /// Reasoning ends.
    Closes,
}

/// The effect of a token with this text; `None` for one that has nothing to do with reasoning.
pub(crate) fn tag(token: &str) -> Option<ReasoningTag> {
    let inner = [('<', '>'), ('[', ']'), ('◁', '▷')]
        .into_iter()
        .find_map(|(open, close)| token.strip_prefix(open)?.strip_suffix(close))?
        .trim_matches('|')
        .to_ascii_lowercase();
    let is_name = inner.chars().all(|character| character.is_ascii_alphabetic() || "/:_".contains(character));
    let reasons = ["think", "thought", "reason"].iter().any(|word| inner.contains(word));
    let closes = inner.starts_with('/') || inner.starts_with("end_");
    (is_name && reasons).then_some(if closes { ReasoningTag::Closes } else { ReasoningTag::Opens })
}

/// The opening tag at the end of a prompt, if there is one. Then the answer begins within
/// reasoning.
pub(crate) fn opening(prompt: &str) -> Option<&str> {
    let prompt = prompt.trim_end();
    let last = &prompt[prompt.rfind(['<', '[', '◁'])?..];
    (tag(last) == Some(ReasoningTag::Opens)).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::{ReasoningTag, opening, tag};

    #[test]
    fn tags_around_reasoning_are_known_by_their_names() {
        for token in [
            "<think>",
            "[THINK]",
            "<|begin_of_thought|>",
            "<seed:think>",
            "◁think▷",
            "<reasoning>",
            "<|START_THINKING|>",
        ] {
            assert_eq!(tag(token), Some(ReasoningTag::Opens), "{token}");
        }
        for token in ["</think>", "[/THINK]", "<|end_of_thought|>", "</seed:think>", "◁/think▷", "<|END_THINKING|>"]
        {
            assert_eq!(tag(token), Some(ReasoningTag::Closes), "{token}");
        }
        for token in ["<s>", "<|im_end|>", "[INST]", "think", "<think", "<I think so>", "<>", "", "<|eot_id|>"] {
            assert_eq!(tag(token), None, "{token}");
        }
    }

    #[test]
    fn a_prompt_may_end_within_reasoning() {
        assert_eq!(opening("<|Assistant|><think>\n"), Some("<think>"));
        assert_eq!(opening("<|Assistant|><think>\n\n</think>\n\n"), None);
        assert_eq!(opening("<|im_start|>assistant\n"), None);
        assert_eq!(opening(""), None);
    }
}
