//! From logits to an answer: which token, how sure, and when to stop.

pub(crate) mod logprob;
pub(crate) mod stop;

/// The token chosen for one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Choice {
    pub(crate) id: u32,
    /// Natural logarithm of its probability under the whole distribution. Not finite when the row was not.
    pub(crate) logprob: f32,
}
