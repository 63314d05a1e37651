//! How fast and how large a model is about, from its bytes alone.

use std::fmt;

use precis_inference::EngineConfig;

/// Tokens that the document of the figures has, prompt included, and tokens of its summary: an
/// article of three pages.
pub(super) const DOCUMENT_TOKENS: usize = 1300;
pub(super) const ANSWER_TOKENS: usize = 100;

/// Memory beyond the weights: keys and values of the default pool, and work space. A rough figure,
/// since the shape of a model that is not here is not known.
const POOL_BYTES: u64 = 1 << 30;

/// What is known of the machine.
pub(super) struct Machine {
    /// Bytes that may still be taken.
    pub(super) available: Option<u64>,
    /// Bytes a second from memory.
    pub(super) bandwidth: f64,
    /// Sequences that decode together.
    pub(super) batch: usize,
    /// Tokens of a step.
    pub(super) step: usize,
    /// Short runs.
    pub(super) speeds: Vec<Speed>,
}

/// What a short run of a model gave.
pub(super) struct Speed {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Documents a minute.
    pub(super) documents: f64,
}

/// How a figure is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Basis {
    /// By a run of this model.
    Measured,
    /// By a run of another model, and the bytes of both.
    Scaled(String),
    /// A bound: no machine is faster than its memory, and most are slower.
    Bandwidth,
}

impl Basis {
    /// A figure of this kind.
    pub(super) fn shown(&self, documents: f64) -> String {
        let figure = if documents >= 10.0 { format!("{documents:.0}") } else { format!("{documents:.1}") };
        match self {
            Self::Measured => figure,
            Self::Scaled(_) => format!("about {figure}"),
            Self::Bandwidth => format!("below {figure}"),
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured => write!(f, "measured now"),
            Self::Scaled(of) => write!(f, "from the run of {of}, by size"),
            Self::Bandwidth => write!(f, "bound by memory's speed"),
        }
    }
}

/// Bytes of memory that an engine with a model of so many bytes needs, about; the default room for
/// adapters is part of it, as it is at the start.
pub(super) fn needed(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 10).saturating_add(POOL_BYTES + EngineConfig::default().adapter_bytes)
}

/// Documents a minute of a model, and how that is known.
pub(super) fn rate(machine: &Machine, name: &str, bytes: u64) -> (f64, Basis) {
    if let Some(own) = machine.speeds.iter().find(|speed| speed.name == name) {
        return (own.documents, Basis::Measured);
    }
    // The run of the model that is nearest in size.
    let ratio = |speed: &Speed| speed.bytes as f64 / bytes.max(1) as f64;
    let nearest = machine
        .speeds
        .iter()
        .filter(|speed| speed.bytes > 0)
        .min_by(|one, other| ratio(one).ln().abs().total_cmp(&ratio(other).ln().abs()));
    match nearest {
        Some(speed) => (speed.documents * ratio(speed), Basis::Scaled(speed.name.clone())),
        None => (60.0 / seconds_by_memory(machine, bytes), Basis::Bandwidth),
    }
}

/// Which of these to begin with: the largest, since a larger model of the same kind writes better,
/// among those that were tested, fit, and reach a document a minute as far as is known.
pub(super) fn choose<'a>(candidates: &[Candidate<'a>]) -> Option<&'a str> {
    let fitting = candidates.iter().filter(|one| one.tested && one.fits && one.documents >= 1.0);
    fitting.max_by_key(|one| one.bytes).map(|one| one.name)
}

/// A model that may be recommended.
pub(super) struct Candidate<'a> {
    pub(super) name: &'a str,
    pub(super) bytes: u64,
    pub(super) tested: bool,
    pub(super) fits: bool,
    /// Documents a minute.
    pub(super) documents: f64,
}

/// Seconds of a document where nothing but reading weights takes time: its prompt fills steps, and
/// its answer shares steps with the batch.
fn seconds_by_memory(machine: &Machine, bytes: u64) -> f64 {
    let steps =
        DOCUMENT_TOKENS as f64 / machine.step.max(1) as f64 + ANSWER_TOKENS as f64 / machine.batch.max(1) as f64;
    (steps * bytes.max(1) as f64 / machine.bandwidth.max(1.0)).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(speeds: Vec<Speed>) -> Machine {
        Machine { available: None, bandwidth: 10e9, batch: 20, step: 130, speeds }
    }

    fn speed(name: &str, bytes: u64, documents: f64) -> Speed {
        Speed { name: name.into(), bytes, documents }
    }

    /// 10 steps of prompt and 5 of answer, 0.1 s each.
    #[test]
    fn without_a_run_memory_gives_a_bound() {
        let (documents, basis) = rate(&machine(Vec::new()), "m", 1_000_000_000);
        assert!((documents - 40.0).abs() < 1e-9 && basis == Basis::Bandwidth, "{documents}");
        assert_eq!(basis.shown(documents), "below 40");
    }

    #[test]
    fn a_run_tells_about_models_of_another_size() {
        let machine = machine(vec![speed("small", 100, 60.0), speed("large", 1000, 5.0)]);
        assert_eq!(rate(&machine, "small", 100), (60.0, Basis::Measured));
        let (documents, basis) = rate(&machine, "other", 2000);
        assert!((documents - 2.5).abs() < 1e-9 && basis == Basis::Scaled("large".into()));
        assert_eq!(basis.shown(documents), "about 2.5");
    }

    #[test]
    fn the_largest_tested_model_that_fits_is_the_one_to_begin_with() {
        let one = |name, bytes, tested, fits, documents| Candidate { name, bytes, tested, fits, documents };
        let mut all = vec![
            one("small", 1, true, true, 100.0),
            one("medium", 2, true, true, 2.0),
            one("slow", 3, true, true, 0.5),
            one("untested", 4, false, true, 2.0),
            one("huge", 5, true, false, 2.0),
        ];
        assert_eq!(choose(&all), Some("medium"));
        all.retain(|one| !one.tested);
        assert_eq!(choose(&all), None);
    }

    #[test]
    fn a_model_needs_more_than_its_bytes() {
        assert!(needed(5_000_000_000) > 6_000_000_000);
        assert_eq!(needed(u64::MAX), u64::MAX);
    }
}
