//! The configuration of a process, read section by section.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::environment::Override;
use crate::{ConfigError, Validate, Violations, schema};

/// The sections of the settings. One file may configure every service: each reads its own sections,
/// and none is surprised by another's.
pub const SECTIONS: [&str; 9] =
    ["log", "store", "telemetry", "topics", "policy", "model", "router", "gpu_worker", "api_worker"];

/// What can be a section. Implemented for every type that can.
pub trait Section: Serialize + DeserializeOwned + JsonSchema + Validate + Default {}

impl<T: Serialize + DeserializeOwned + JsonSchema + Validate + Default> Section for T {}

/// File and environment, not yet typed.
pub struct Settings {
    sections: BTreeMap<String, toml::Value>,
    overrides: Vec<Override>,
    /// What is wrong whoever reads: unknown sections.
    violations: Violations,
    /// Sections as they were read, redacted.
    rendered: Mutex<BTreeMap<String, String>>,
}

impl Settings {
    /// Reads the file, if one is given, and this process's environment.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] and [`ConfigError::Syntax`]; everything else is told when
    /// sections are read.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (file, text) = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
                (path.display().to_string(), text)
            }
            None => (String::new(), String::new()),
        };
        // A variable that is not Unicode cannot be ours: all our names and values are text.
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::parse(&file, &text, environment)
    }

    /// The same from values: the file's name and text, and variables.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`]
    pub fn parse(
        file: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            file: file.to_owned(),
            problem: position(text, &error),
        })?;
        let mut overrides: Vec<_> =
            environment.into_iter().filter_map(|(name, value)| Override::parse(name, value)).collect();
        overrides.sort_by(|a, b| a.path.cmp(&b.path));
        let mut violations = Violations::default();
        let known = |name: &str| SECTIONS.contains(&name);
        let problem = format!("is not a known section; known: {}", SECTIONS.join(", "));
        for name in table.keys().filter(|name| !known(name)) {
            violations.push(name, &problem);
        }
        for unknown in overrides.iter().filter(|setting| !known(&setting.path[0])) {
            violations.push(unknown.key(), &problem);
        }
        violations.attribute(|key| variable_of(key, &overrides));
        Ok(Self { sections: table.into_iter().collect(), overrides, violations, rendered: Mutex::default() })
    }

    /// The section `name`, defaults where nothing is set.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with everything that is wrong with it, and with unknown sections.
    /// To have the problems of several sections at once, use [`Settings::read`].
    pub fn section<T: Section>(&self, name: &str) -> Result<T, ConfigError> {
        let mut reader = self.read();
        let section = reader.section(name);
        reader.finish().map(|()| section)
    }

    /// Starts reading several sections.
    pub fn read(&self) -> Reader<'_> {
        Reader { settings: self, violations: self.violations.clone() }
    }

    /// Every section that was read, as it is in force: file, environment and defaults, with secrets
    /// redacted.
    pub fn render_redacted(&self) -> String {
        let rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        rendered.values().cloned().collect::<Vec<_>>().join("\n")
    }

    fn remember<T: Serialize>(&self, name: &str, section: &T) {
        let text = toml::to_string(&BTreeMap::from([(name, section)]))
            .unwrap_or_else(|error| format!("# [{name}] cannot be shown: {error}\n"));
        self.rendered.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), text);
    }
}

impl fmt::Debug for Settings {
    /// Names only: the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<_> = self.overrides.iter().map(|setting| &setting.variable).collect();
        f.debug_struct("Settings")
            .field("sections", &self.sections.keys())
            .field("variables", &variables)
            .finish_non_exhaustive()
    }
}

/// Reads sections and keeps what is wrong with them until [`Reader::finish`].
#[must_use = "what is wrong is told by finish()"]
#[derive(Debug)]
pub struct Reader<'a> {
    settings: &'a Settings,
    violations: Violations,
}

impl Reader<'_> {
    /// The section `name`. Where something is wrong with it the value is not to be used, and
    /// [`Reader::finish`] fails.
    pub fn section<T: Section>(&mut self, name: &str) -> T {
        let mut violations = Violations::default();
        let section = self.settings.typed(name, &mut violations);
        violations.attribute(|key| variable_of(key, &self.settings.overrides));
        self.violations.append(violations);
        self.settings.remember(name, &section);
        section
    }

    /// Says whether all is well.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with everything that is wrong with any section read.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.violations.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(self.violations)) }
    }
}

impl Settings {
    /// The section as its type, as far as it can be read. Wrong keys are reported and taken out
    /// first, so that the rules of [`Validate`] are checked on the rest of it, too.
    fn typed<T: Section>(&self, name: &str, out: &mut Violations) -> T {
        let schema = schema::of::<T>();
        let mut value = self.sections.get(name).cloned().unwrap_or_else(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(table) = &mut value {
            for setting in self.overrides.iter().filter(|setting| setting.path[0] == name) {
                setting.apply(&schema, table);
            }
        }
        if !schema::prune(&schema, &mut value, name, out) {
            return T::default();
        }
        match T::deserialize(value) {
            Ok(section) => {
                section.validate(name, out);
                section
            }
            Err(error) => {
                // What was pruned may be missed here; that it is wrong has been said.
                if out.is_empty() {
                    out.push(name, format!("cannot be read: {}", error.message()));
                }
                T::default()
            }
        }
    }
}

/// The variable that set `key`, or a table around it.
fn variable_of(key: &str, overrides: &[Override]) -> Option<String> {
    let setting = overrides.iter().rev().find(|setting| {
        let rest = key.strip_prefix(&setting.key());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    });
    setting.map(|setting| setting.variable.clone())
}

/// What the parser says with its line, but without the line's text, which may hold a secret.
fn position(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => {
            let line = text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {}", error.message())
        }
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;
