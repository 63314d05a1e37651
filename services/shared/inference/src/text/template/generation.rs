//! The tag `generation` of transformers: it marks the text that a model is trained to write, and
//! does not change the output.
//!
//! minijinja knows no tags of others, so the source is rewritten: `{% generation %}` becomes
//! `{% with %}`, which is a block with a scope of its own, as transformers' tag is. Only tags are
//! rewritten: the scan knows strings, comments, `raw` blocks and expressions as the lexer does.
//! White space and its control (`{%-`) stay.

/// The source without the tag.
pub(super) fn without_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.as_bytes().get(1) {
            Some(b'#') => rest.find("#}").map_or(rest.len(), |end| end + 2),
            Some(b'{') => end_of(rest, "}}"),
            Some(b'%') => {
                let tag = &rest[..end_of(rest, "%}")];
                let raw = if word(tag).1 == "raw" { end_of_raw(&rest[tag.len()..]) } else { 0 };
                push_tag(tag, &mut out);
                out.push_str(&rest[tag.len()..tag.len() + raw]);
                rest = &rest[tag.len() + raw..];
                continue;
            }
            _ => 1,
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// End of the block or expression that `text` begins with: after the first `end` that is in no
/// string and in no bracket.
fn end_of(text: &str, end: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (2, 0_usize);
    let mut quote = None;
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(mark) if byte == mark => quote = None,
            Some(_) => {}
            None if depth == 0 && bytes[at..].starts_with(end.as_bytes()) => return at + end.len(),
            None => match byte {
                b'"' | b'\'' => quote = Some(byte),
                b'{' | b'[' | b'(' => depth += 1,
                b'}' | b']' | b')' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
        at += 1;
    }
    text.len()
}

/// End of the text of a `raw` block: before the tag `endraw`.
fn end_of_raw(text: &str) -> usize {
    let is_end = |at: &usize| word(&text[*at..]).1 == "endraw";
    text.match_indices("{%").map(|(at, _)| at).find(is_end).unwrap_or(text.len())
}

/// Position of the first word of a tag, and the word.
fn word(tag: &str) -> (usize, &str) {
    let inside = tag.get(2..).unwrap_or_default();
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside).trim_start();
    let end = inside.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(inside.len());
    (tag.len() - inside.len(), &inside[..end])
}

/// Copies a tag, with another name for `generation` and its end.
fn push_tag(tag: &str, out: &mut String) {
    let (at, name) = word(tag);
    let behind = &tag[at + name.len()..];
    let stands_alone = matches!(behind.trim_start().strip_prefix(['-', '+']).unwrap_or(behind.trim_start()), "%}");
    let other = match name {
        "generation" if stands_alone => "with",
        "endgeneration" if stands_alone => "endwith",
        name => name,
    };
    out.push_str(&tag[..at]);
    out.push_str(other);
    out.push_str(behind);
}

#[cfg(test)]
mod tests {
    use super::without_tags;

    #[test]
    fn tags_become_a_block_and_keep_their_white_space() {
        for (source, expected) in [
            ("a{% generation %}b{% endgeneration %}c", "a{% with %}b{% endwith %}c"),
            ("{%- generation -%} b {%+ endgeneration +%}", "{%- with -%} b {%+ endwith +%}"),
            ("{%generation%}{%-endgeneration-%}", "{%with%}{%-endwith-%}"),
            ("{%\n  generation\n%}x{% endgeneration %}", "{%\n  with\n%}x{% endwith %}"),
        ] {
            assert_eq!(without_tags(source), expected);
        }
    }

    #[test]
    fn only_tags_are_rewritten() {
        for source in [
            "{{ '{% generation %}' }}",
            "{# {% generation %} #}{% set generation = 1 %}",
            "{% raw %}{% generation %}{% endgeneration %}{%- endraw %}",
            "{% set a = \"%}{% generation %}\" %}",
            "{% set a = '\\'%}{% generation %}' %}",
            "{{ {'a': {'b': '}}{% generation %}'}} }}",
            "{% generations %}{% if generation %}{% generation x %}",
            "generation { generation } {generation",
            "{%",
            "{{ 'open {% generation %}",
            "{% raw %}{% generation %}",
        ] {
            assert_eq!(without_tags(source), source);
        }
        let after = "{% raw %}{{{% endraw %}{% generation %}{% endgeneration %}";
        assert_eq!(without_tags(after), "{% raw %}{{{% endraw %}{% with %}{% endwith %}");
        let after = "{{ {'a': 1} }}{# it's #}{% generation %}é{% endgeneration %}";
        assert_eq!(without_tags(after), "{{ {'a': 1} }}{# it's #}{% with %}é{% endwith %}");
    }
}
