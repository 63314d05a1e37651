//! The list of all problems of the settings.

use std::fmt;

/// Types that know rules beyond their fields' types.
pub trait Validate {
    /// Adds every rule that `self` breaks to `out`. `at` is the key of `self`, such as `log.kafka`.
    fn validate(&self, at: &str, out: &mut Violations);
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key, such as `log.kafka.brokers`.
    pub at: String,
    /// What is wrong and what to do; never a secret.
    pub problem: String,
    /// The environment variable that set the key; `None` when the file did, or nobody.
    pub variable: Option<String>,
}

/// All problems, in the order in which they were found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Adds a problem: the key, then what is wrong with it and what to do.
    pub fn push(&mut self, at: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Violation { at: at.into(), problem: problem.into(), variable: None });
    }

    /// Adds problems that are written as `field: what is wrong`, with fields relative to `at`. A
    /// line without a field is about `at` itself.
    pub fn extend_lines(&mut self, at: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) {
        for line in lines {
            match line.as_ref().split_once(": ").filter(|(field, _)| is_key(field)) {
                Some((field, problem)) => self.push(format!("{at}.{field}"), problem),
                None => self.push(at, line.as_ref()),
            }
        }
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of problems.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each problem.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }

    /// Notes the environment variable of each violation, which `variable_of` finds by its key.
    pub(crate) fn attribute(&mut self, variable_of: impl Fn(&str) -> Option<String>) {
        for violation in &mut self.0 {
            violation.variable = variable_of(&violation.at);
        }
    }

    pub(crate) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.problem)?;
        match &self.variable {
            Some(variable) => write!(f, " (set by {variable})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            1 => write!(f, "one setting is wrong:")?,
            count => write!(f, "{count} settings are wrong:")?,
        }
        self.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
}
