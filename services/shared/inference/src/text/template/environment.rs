//! Jinja as transformers sets it up for chat templates (`_compile_jinja_template` in its
//! `chat_template_utils.py`): blocks trimmed on both sides, Python's string methods, `break` and
//! `continue`, and four names of its own.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind};

use super::{date, json};

/// The environment. The tag `generation` is not in it: see [`super::generation`].
pub(super) fn new() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |text: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    environment.add_function("strftime_now", |format: &str| date::formatted(format));
    environment.add_filter("tojson", json::tojson);
    Ok(environment)
}
