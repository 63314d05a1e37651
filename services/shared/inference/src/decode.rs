//! From logits to an answer: which token, how sure, and when to stop.

pub(crate) mod logprob;
pub(crate) mod names;
pub(crate) mod numerals;
pub(crate) mod repeats;
pub(crate) mod sentences;
pub(crate) mod steer;
pub(crate) mod stop;
pub(crate) mod tokens;
