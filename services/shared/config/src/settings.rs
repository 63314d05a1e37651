//! The settings of a process, read section by section.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Mutex;

use precis_base::lock::locked;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::environment::Override;
use crate::{ConfigError, Validate, Violations, schema};

/// The sections of the settings. One file may configure every service, so each service accepts the
/// sections of the others.
pub const SECTIONS: [&str; 10] =
    ["log", "store", "telemetry", "topics", "policy", "model", "router", "gpu_worker", "api_worker", "controller"];

/// What can be a section. Implemented for every type that can.
pub trait Section: Serialize + DeserializeOwned + JsonSchema + Validate + Default {}

impl<T: Serialize + DeserializeOwned + JsonSchema + Validate + Default> Section for T {}

/// File and environment, not yet typed.
pub struct Settings {
    sections: BTreeMap<String, toml::Value>,
    overrides: Vec<Override>,
    /// Problems whatever section is read: unknown sections.
    violations: Violations,
    /// Sections as they were read, redacted.
    rendered: Mutex<BTreeMap<String, String>>,
}

impl Settings {
    /// Reads the file, if one is given, and this process's environment.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] and [`ConfigError::Syntax`]. Other problems are reported when
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
        // A variable that is not Unicode is none of ours, whose names and values are text.
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
    /// [`ConfigError::Invalid`] with every problem of the section, and with unknown sections. For
    /// the problems of several sections at once, use [`Settings::read`].
    pub fn section<T: Section>(&self, name: &str) -> Result<T, ConfigError> {
        let mut reader = self.read();
        let section = reader.section(name);
        reader.finish().map(|()| section)
    }

    /// Starts reading several sections.
    pub fn read(&self) -> Reader<'_> {
        Reader { settings: self, violations: self.violations.clone() }
    }

    /// Every section that was read, with the values in force (of file, environment and defaults)
    /// and secrets redacted.
    pub fn render_redacted(&self) -> String {
        let rendered = locked(&self.rendered);
        rendered.values().cloned().collect::<Vec<_>>().join("\n")
    }

    fn remember<T: Serialize>(&self, name: &str, section: &T) {
        let text = toml::to_string(&BTreeMap::from([(name, section)]))
            .unwrap_or_else(|error| format!("# [{name}] cannot be shown: {error}\n"));
        locked(&self.rendered).insert(name.to_owned(), text);
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
    /// The section `name`. A section with problems must not be used, and [`Reader::finish`] then
    /// fails.
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
    /// [`ConfigError::Invalid`] with every problem of every section that was read.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.violations.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(self.violations)) }
    }
}

impl Settings {
    /// The section as its type. Wrong keys are reported and removed first, so that the rules of
    /// [`Validate`] are checked on the rest.
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
                // A removed key may be missing here; its problem has been reported.
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

/// The parser's message with the number of its line, without the line's text, which may hold a
/// secret.
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
