//! A web page as the text that a reader sees: no markup, no link targets, no scripts; a line a block.

use html2text::{config, render::TrivialDecorator};

use super::TextError;

/// Lines are not wrapped: a sentence must not be cut in the middle. Wide enough for any paragraph, and far from overflows in the library.
const WIDTH: usize = 100_000;

/// The page's text.
///
/// # Errors
/// [`TextError::NoText`] when the markup cannot be rendered.
pub(super) fn text_of(page: &str) -> Result<String, TextError> {
    let rendered = config::with_decorator(TrivialDecorator::new())
        .raw_mode(true)
        .allow_width_overflow()
        .string_from_read(page.as_bytes(), WIDTH)
        .map_err(|_| TextError::NoText)?;
    Ok(tidy(&rendered))
}

/// No blanks at line ends and at most one empty line in a row: what removed markup leaves behind.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.trim().lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
