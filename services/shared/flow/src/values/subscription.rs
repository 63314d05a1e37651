//! The topics that a member reads.

/// What a member reads: topics by name and, with every topic that appears later, by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Exact names; each must exist.
    pub topics: Vec<String>,
    /// Name prefixes, such as `documents.`.
    pub prefixes: Vec<String>,
}

impl Subscription {
    /// Exact names only.
    pub fn topics<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self { topics: names.into_iter().map(Into::into).collect(), prefixes: Vec::new() }
    }

    /// The same and one prefix more.
    #[must_use]
    pub fn and_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Whether a topic of this name is read.
    pub fn matches(&self, topic: &str) -> bool {
        self.topics.iter().any(|name| name == topic)
            || self.prefixes.iter().any(|prefix| topic.starts_with(prefix.as_str()))
    }
}
