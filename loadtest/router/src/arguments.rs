//! Arguments as `--name value` pairs: the only caller is `run.py`.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::Context as _;

/// The options, by name.
pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// The command and its options.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<(String, Self)> {
        let command = words.next().context("no command; known: fill, raw, count, latency")?;
        let mut options = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").with_context(|| format!("{word} is no option"))?;
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            options.insert(name.to_owned(), value);
        }
        Ok((command, Self(options)))
    }

    pub(crate) fn text(&self, name: &str) -> anyhow::Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("--{name} is missing"))
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> anyhow::Result<T> {
        self.optional(name)?.with_context(|| format!("--{name} is missing"))
    }

    pub(crate) fn optional<T: FromStr>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| anyhow::anyhow!("--{name} {value} is no number"))
    }
}
