#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{of, without_controls};

const SUMMARY: &str = "The quay is closed.\n\nShips use the other basin.";

/// How an answer with reasoning `R` and the summary `S` may look.
const WITH_REASONING: [&str; 22] = [
    "<think>R</think>S",
    "<think>\nR\n</think>\n\nS",
    "\n <THINK>\nR\n</THINK>\nS\n",
    "<think>\n\n</think>\n\nS",
    "<think>R <think>R</think>\n\nS",
    "<think>R</think><think>R</think>\nS",
    "<think>R</think>\n<reasoning>R</reasoning>\nS",
    "<thinking>R</thinking>\n\nS",
    "<reasoning>R, not <think></reasoning>\n\nS",
    "[THINK]R[/THINK]S",
    "◁think▷R◁/think▷S",
    "<seed:think>R</seed:think>S",
    "<|begin_of_thought|>R<|end_of_thought|>\nS",
    "R\n</think>\n\nS",
    "R</think>\nS",
    "R\n</think>S",
    "R\n\nR\n[/THINK]\n\nS",
    "</think>\n\nS",
    "R\n</think>\n<think>R</think>S",
    "<|channel|>analysis<|message|>R<|end|><|start|>assistant<|channel|>final<|message|>S",
    "<|start|>assistant<|channel|>analysis<|message|>R<|end|><|start|>assistant<|channel|>final<|message|>S<|return|>",
    "<|channel|>final<|message|>S",
];

#[test]
fn reasoning_at_the_beginning_is_no_summary() {
    for shape in WITH_REASONING {
        let answer = shape.replace('R', "The user wants it short; the quay matters").replace('S', SUMMARY);
        assert_eq!(of(&answer), Some(SUMMARY), "{shape}");
    }
}

#[test]
fn a_closing_tag_between_two_sentences_ends_reasoning() {
    for answer in ["I keep it short.</think>The quay is closed.", "I keep it short. </think> The quay is closed."] {
        assert_eq!(of(answer), Some("The quay is closed."));
    }
}

#[test]
fn reasoning_without_end_is_no_answer() {
    for answer in [
        "<think>The user wants",
        "<think>",
        "[THINK] The user wants a summary of [/IMG]",
        "<thinking>one</think> two",
        "<think>a</think><think>b",
        "<|channel|>analysis<|message|>The user wants",
        "<|channel|>analysis",
    ] {
        assert_eq!(of(answer), None, "{answer}");
    }
    for answer in ["<think>all of it</think>", "all of it\n</think>", ""] {
        assert_eq!(of(answer), Some(""), "{answer}");
    }
}

#[test]
fn a_text_about_such_tags_stays() {
    for text in [
        "Models write <think> before they reason and </think> after it.",
        "The tag `</think>` ends the reasoning.",
        "A lone </think> tag confuses parsers.",
        "The page explains the <think> tag:\n<think>example</think>\nand its rendering.",
        "An analysis [think] of markup. It covers <details> and <summary>.",
        "Reasoning is important.",
        "The channel <|channel|>analysis is named.",
        "x < y and y > z",
    ] {
        assert_eq!(of(text), Some(text));
    }
    let answer = "<think>hm</think>Models write <think> and </think> around it.";
    assert_eq!(of(answer), Some("Models write <think> and </think> around it."));
}

#[test]
fn a_fence_around_the_whole_answer_is_taken_off() {
    for shape in [
        "```\nS\n```",
        "```markdown\nS\n```",
        "```Markdown \nS\n```  \n",
        "~~~\nS\n~~~",
        "````md\nS\n````",
        "```text\r\nS\r\n```",
        "<think>hm</think>\n```markdown\nS\n```",
        "```\n<think>hm</think>\nS\n```",
        // Cut at its limit.
        "```markdown\nS",
    ] {
        assert_eq!(of(&shape.replace('S', SUMMARY)), Some(SUMMARY), "{shape}");
    }
    assert_eq!(of("```The quay is closed.```"), Some("The quay is closed."));
    assert_eq!(of("```markdown\n```"), Some(""));
}

#[test]
fn fences_within_an_answer_stay() {
    for text in [
        "It prints:\n```\nhello\n```",
        "```\nmake\n```\nbuilds it, and\n```\nmake test\n```\ntests it.",
        "```\nmake\n```\nbuilds it.",
        "``code`` is what it is about.",
        "```inline``` is how it begins\nand this is the rest.",
        "~ 5 km",
    ] {
        assert_eq!(of(text), Some(text));
    }
}

proptest! {
    /// Whatever the answer: nothing is added to it, and no white space is left around it.
    #[test]
    fn what_is_left_is_part_of_the_answer(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<think>", "</think>", "[THINK]", "[/think]", "◁think▷", "◁/think▷", "```", "```md\n", "\n", " ", "Ab.", "é",
                "<|channel|>", "final", "<|message|>", "<|end|>", "<", "~~~\n",
            ]),
            0..24,
        ),
    ) {
        let answer = parts.concat();
        if let Some(text) = of(&answer) {
            prop_assert!(answer.contains(text));
            prop_assert_eq!(text.trim(), text);
        }
    }
}

/// Models repeat what they read, and a provider may answer anything.
#[test]
fn answers_are_read_in_linear_time_whatever_their_shape() {
    precis_fuzz::grows_linearly("answers", 2048, precis_fuzz::shapes::TEXTS, |text| {
        for answer in [text, &format!("<think>{text}"), &format!("```\n{text}"), &format!("{text}</think>\n{text}")] {
            let _ = of(answer);
        }
    });
}

/// A provider's answer ends on terminals; U+001B is no part of a summary.
#[test]
fn control_characters_in_an_answer_do_nothing() {
    let hostile = "The quay\u{1b}[2J is closed.\u{7}\n\tShips\u{9b}31m use\u{0} the basin.\r\n";
    let harmless = without_controls(hostile);
    assert_eq!(harmless, "The quay\u{fffd}[2J is closed.\u{fffd}\n\tShips\u{fffd}31m use\u{fffd} the basin.\r\n");
    assert_eq!(without_controls(SUMMARY), SUMMARY);
    assert_eq!(without_controls("می\u{200c}خواهم \u{200f}"), "می\u{200c}خواهم \u{200f}");
}
