//! From logits to an answer: which token, how sure, and when to stop.

pub(crate) mod logprob;
pub(crate) mod stop;
