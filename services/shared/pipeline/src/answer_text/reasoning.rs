//! Reasoning at the beginning of an answer.

/// How models spell the two tags, in lower case; upper case is the same.
const TAGS: [(&str, &str); 14] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    ("<reflection>", "</reflection>"),
    ("<analysis>", "</analysis>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
];

/// What stands before each message of gpt-oss, and before its text.
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// What may stand before a channel, and at the end of a message.
const FRAMES: [&str; 4] = ["<|start|>assistant", "<|start|>", "<|end|>", "<|return|>"];

/// A tag of [`TAGS`] in a text.
struct Tag {
    /// Which pair.
    pair: usize,
    opens: bool,
    start: usize,
    end: usize,
}

/// The text after the reasoning that it begins with, without white space around it; `None` where
/// that has no end.
pub(super) fn after(text: &str) -> Option<&str> {
    let text = after_channels(text)?;
    let tags = tags(text);
    let mut tags = tags.as_slice();
    let mut begin = 0;
    loop {
        begin += text[begin..].len() - text[begin..].trim_start().len();
        let end = match tags.first() {
            // Its own closing tag ends it; other tags in between are part of it.
            Some(open) if open.opens && open.start == begin => {
                Some(tags.iter().position(|tag| !tag.opens && tag.pair == open.pair)?)
            }
            _ => lone_end(text, tags),
        };
        let Some(end) = end else { return Some(text[begin..].trim()) };
        begin = tags[end].end;
        tags = &tags[end + 1..];
    }
}

/// The first closing tag that no opening tag precedes and that stands as a border: on a line's end,
/// or between a sentence and the beginning of another. A text that speaks of the tag has it within
/// a sentence.
fn lone_end(text: &str, tags: &[Tag]) -> Option<usize> {
    let mut open = [false; TAGS.len()];
    for (at, tag) in tags.iter().enumerate() {
        if tag.opens {
            open[tag.pair] = true;
        } else if !open[tag.pair] && is_border(&text[..tag.start], &text[tag.end..]) {
            return Some(at);
        }
    }
    None
}

fn is_border(before: &str, after: &str) -> bool {
    let is_quote = |character: char| matches!(character, '`' | '"' | '\'' | '“' | '”' | '«' | '»');
    if after.starts_with(is_quote) || before.ends_with('`') {
        return false;
    }
    let spaces = |character: char| character.is_whitespace() && character != '\n';
    let (before, after) = (before.trim_end_matches(spaces), after.trim_start_matches(spaces));
    let ends_line = after.is_empty() || after.starts_with(['\n', '\r']);
    let ends_sentence =
        before.is_empty() || before.ends_with(['\n', '.', '!', '?', '…', '。', '！', '？', '"', '”', ')']);
    let begins_sentence = after
        .chars()
        .next()
        .is_some_and(|first| !first.is_lowercase() && (first.is_alphanumeric() || "#*-•\"“«<`~".contains(first)));
    ends_line || (ends_sentence && begins_sentence)
}

/// All tags in the text, in order.
fn tags(text: &str) -> Vec<Tag> {
    let begins = text.match_indices(['<', '[', '◁']);
    begins.filter_map(|(start, _)| tag_at(text, start)).collect()
}

fn tag_at(text: &str, start: usize) -> Option<Tag> {
    let is_here = |spelling: &str| {
        let here = text.as_bytes().get(start..start + spelling.len());
        here.is_some_and(|here| here.eq_ignore_ascii_case(spelling.as_bytes()))
    };
    TAGS.iter().enumerate().find_map(|(pair, (open, close))| {
        let (spelling, opens) = [(open, true), (close, false)].into_iter().find(|(spelling, _)| is_here(spelling))?;
        Some(Tag { pair, opens, start, end: start + spelling.len() })
    })
}

/// The text of the last message on the channel `final`, where the text begins with a channel;
/// `None` where there is no such message.
fn after_channels(text: &str) -> Option<&str> {
    let frame = FRAMES.into_iter().find(|frame| text.starts_with(frame)).unwrap_or_default();
    if !text[frame.len()..].trim_start().starts_with(CHANNEL) {
        return Some(text);
    }
    let (_, last) = text.rsplit_once(CHANNEL)?;
    let (name, message) = last.split_once(MESSAGE)?;
    if !name.trim_start().starts_with("final") {
        return None;
    }
    let end = FRAMES.into_iter().filter_map(|frame| message.find(frame)).min().unwrap_or(message.len());
    Some(message[..end].trim())
}
