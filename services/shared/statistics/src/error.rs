//! Why there is no figure.

/// Values from which nothing can be computed. Each is the caller's to mend: the same values never
/// succeed later.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StatisticsError {
    /// A value is NaN or infinite.
    #[error("{what}: the value at position {position} is no finite number; leave it out")]
    NotFinite {
        /// Which values.
        what: &'static str,
        /// Position of the first such value, from 0.
        position: usize,
    },
    /// A value lies outside of what its meaning allows.
    #[error("{what} is {value}, which is not {allowed}")]
    OutOfRange {
        /// Which value.
        what: &'static str,
        /// The value.
        value: f64,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// Two lists that belong together differ in length.
    #[error("{what}: one list has {left} values, the other {right}; they must be as many")]
    LengthsDiffer {
        /// Which lists.
        what: &'static str,
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// There are fewer values than the method needs.
    #[error("{what}: {found} values, but {needed} are needed; collect more")]
    TooFew {
        /// Which values.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The figure has no value for such data, for example a correlation with a constant.
    #[error("{what} is undefined: {why}")]
    Undefined {
        /// Which figure.
        what: &'static str,
        /// What the data lack.
        why: &'static str,
    },
}

impl StatisticsError {
    /// The stable name of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFinite { .. } => "value_not_finite",
            Self::OutOfRange { .. } => "value_out_of_range",
            Self::LengthsDiffer { .. } => "lengths_differ",
            Self::TooFew { .. } => "too_few_values",
            Self::Undefined { .. } => "figure_undefined",
        }
    }
}
