//! Untrusted text inside of a Markdown document: shown as it is, never as markup.

use crate::output::visible;

/// ASCII punctuation that Markdown or HTML may take for markup inside of a line.
const MARKUP: &str = "\\`*_{}[]<>#|~&!$@";

/// A name, a code or a finding, on one line.
pub(super) fn field(text: &str) -> String {
    let text = visible::line(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        // What looks like an address would become a link.
        let starts_address = (character == ':' && characters.peek() == Some(&'/'))
            || (character == '.' && out.to_ascii_lowercase().ends_with("www"));
        if MARKUP.contains(character) || starts_address {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// A summary: lists and emphasis stay, since answers have them. Everything stays inside of its
/// section: no line of it is a heading, a quotation, a rule, a table or the fence of a code block,
/// and there is neither HTML nor a link or an image.
pub(super) fn text(text: &str) -> String {
    visible::block(text).lines().map(summary_line).collect::<Vec<_>>().join("\n")
}

fn summary_line(line: &str) -> String {
    let start = line.trim_start();
    let indent = &line[..line.len() - start.len()];
    let mut characters = start.chars();
    let first = characters.next().unwrap_or_default();
    let is_rule = "=-_*".contains(first) && start.chars().all(|other| other == first || other.is_whitespace());
    let is_list = "-*+".contains(first) && characters.next() == Some(' ') && !is_rule;
    let mut out = indent.to_owned();
    if is_rule || "#>=~|".contains(first) && !is_list {
        out.push('\\');
    }
    for character in start.chars() {
        if "\\`<[]&".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_without_markup() {
        assert_eq!(field("a\n## b <i>*c*</i>"), "a\\\\n\\#\\# b \\<i\\>\\*c\\*\\</i\\>");
        assert_eq!(field("![x](http://a.b/c) | www.a.b"), "\\!\\[x\\](http\\://a.b/c) \\| www\\.a.b");
        assert_eq!(field("a\u{202e}b"), "a\\\\u\\{202e\\}b");
        assert_eq!(field("報告 2024-1 (final).txt"), "報告 2024-1 (final).txt");
    }

    #[test]
    fn a_summary_keeps_lists_and_emphasis() {
        let summary = "The **first** part.\n\n- one\n- two\n  * three\n1. four";
        assert_eq!(text(summary), summary);
    }

    #[test]
    fn a_summary_does_not_leave_its_section() {
        for (line, shown) in [
            ("## Another", "\\## Another"),
            ("  # Another", "  \\# Another"),
            ("> Checks: none", "\\> Checks: none"),
            ("---", "\\---"),
            ("- - -", "\\- - -"),
            ("===", "\\==="),
            ("```sh", "\\`\\`\\`sh"),
            ("~~~", "\\~~~"),
            ("| a | b |", "\\| a | b |"),
            ("<script>x</script>", "\\<script>x\\</script>"),
            ("![x](http://a)", "!\\[x\\](http://a)"),
            ("a\u{1b}[2J", "a\\\\u{1b}\\[2J"),
        ] {
            assert_eq!(text(line), shown);
            assert_eq!(text(&format!("Before.\n{line}\nAfter.")), format!("Before.\n{shown}\nAfter."));
        }
    }
}
