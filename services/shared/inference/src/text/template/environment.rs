//! Jinja as transformers sets it up for chat templates (`_compile_jinja_template` in its
//! `chat_template_utils.py`): blocks trimmed on both sides, Python's string methods, `break` and
//! `continue`, and four names of its own.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::{date, json};

/// The environment. The tag `generation` is not in it: see [`super::generation`].
pub(super) fn new() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(method);
    environment.add_function("raise_exception", |text: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    environment.add_function("strftime_now", |format: &str| date::formatted(format));
    environment.add_filter("tojson", json::tojson);
    Ok(environment)
}

/// Largest width or precision in a text for `str.format`.
const MAX_FORMAT_WIDTH: u64 = 1000;

/// Python's methods. `str.format` burns no fuel while it makes its text, so it pays before, for the
/// most that it can make, and takes no widths and values whose size is not known.
fn method(state: &mut State<'_, '_>, value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    if method == "format"
        && let Some(text) = value.as_str()
    {
        let refused = |what| Err(Error::new(ErrorKind::InvalidOperation, what));
        let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
        if numbers.any(|digits| digits.parse::<u64>().unwrap_or(u64::MAX) > MAX_FORMAT_WIDTH) {
            return refused("a width of `format` is too large");
        }
        let mut values = Vec::new();
        for argument in arguments {
            if argument.is_kwargs() {
                for name in argument.try_iter()? {
                    values.push(argument.get_item(&name)?);
                }
            } else {
                values.push(argument.clone());
            }
        }
        let mut longest = MAX_FORMAT_WIDTH;
        for value in values {
            match value.kind() {
                // A number can be a width.
                ValueKind::Number if text.contains(":{") => return refused("`format` takes no width from its values"),
                ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::Undefined => {}
                ValueKind::String => longest = longest.max(value.as_str().map_or(0, str::len) as u64),
                _ => return refused("`format` takes texts and numbers"),
            }
        }
        state.consume_fuel((text.matches('{').count() as u64).saturating_mul(1 + longest / 64))?;
    }
    unknown_method_callback(state, value, method, arguments)
}
