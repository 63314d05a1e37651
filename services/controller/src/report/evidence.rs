//! What outcomes alone say about the cause of a fall.
//!
//! A model or prompt is *old* if the baseline has enough documents of it, else *new*. The index of
//! each tier, model and prompt is compared with its own baseline, or where it is new with its
//! tier's, the mix of types and languages held fixed. Series outside of the group, of its types and
//! languages, only show what stayed beside it.
//!
//! Canaries are not known yet, and whether the judge changed is not told apart. A provider that
//! changes silently is therefore at most likely, and a judge is never named.

use std::collections::{BTreeMap, BTreeSet};

use precis_statistics::cause::{self, Certainty, Diagnosis, Evidence, Input, Reading, Version};
use precis_statistics::means::{Pair, Sample};
use serde::Serialize;

use super::{Change, Fall, InputChange, Keyed, MIN_DOCUMENTS, Windows};
use crate::calendar::Days;
use crate::view::{Merge as _, Moments, SeriesKey};

/// Least share of the baseline whose types and languages the current window must have, too, for a
/// comparison at a fixed mix.
const MIN_COVERED: f64 = 0.8;

/// What a fall comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The one cause; `several` or `unknown`.
    pub name: &'static str,
    /// Every cause with how sure it is.
    pub causes: Vec<NamedCause>,
}

/// One cause of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NamedCause {
    /// What moved quality.
    pub cause: cause::Cause,
    /// How sure that is.
    pub certainty: Certainty,
}

impl Cause {
    pub(super) fn of(diagnosis: &Diagnosis) -> Self {
        let causes =
            diagnosis.causes.iter().map(|(cause, certainty)| NamedCause { cause: *cause, certainty: *certainty });
        Self { name: diagnosis.name(), causes: causes.collect() }
    }
}

/// The index by type and language.
type Strata<'a> = BTreeMap<(&'a str, &'a str), Moments>;

/// The index of some series in both windows.
#[derive(Default)]
struct Both<'a> {
    baseline: Strata<'a>,
    current: Strata<'a>,
}

impl<'a> Both<'a> {
    fn add(&mut self, keyed: &Keyed<'a>, baseline: Days, windows: &Windows) {
        let (key, series) = keyed;
        let stratum = key.map_or(("", ""), |key| (key.document_type.as_str(), key.language.as_str()));
        self.baseline.entry(stratum).or_default().merge(series.index_during(baseline));
        self.current.entry(stratum).or_default().merge(series.index_during(windows.current));
    }
}

/// The evidence for the fall of a group.
pub(super) fn of(own: &[Keyed<'_>], all: &[Keyed<'_>], inputs: &[InputChange], windows: &Windows) -> Evidence {
    let Some(baseline) = windows.baseline else { return Evidence::default() };
    let mut whole = Both::default();
    for keyed in own {
        whole.add(keyed, baseline, windows);
    }
    Evidence {
        series: series(own, all, baseline, windows),
        input: Input {
            documents: documents(inputs),
            instructions: Reading::Unknown,
            index_at_baseline_mix: at_fixed_mix(&whole.baseline, &whole.current),
        },
        ..Evidence::default()
    }
}

/// Whether the documents changed by any feature.
fn documents(inputs: &[InputChange]) -> Reading {
    let mut readings = inputs.iter().map(|input| input.reading);
    if readings.clone().any(|reading| reading == Reading::Moved) {
        Reading::Moved
    } else if !inputs.is_empty() && readings.all(|reading| reading == Reading::Steady) {
        Reading::Steady
    } else {
        Reading::Unknown
    }
}

/// The index of every tier, model and prompt of the group, and of those that the group can be
/// compared with.
fn series(own: &[Keyed<'_>], all: &[Keyed<'_>], baseline: Days, windows: &Windows) -> Vec<cause::Series> {
    let inside: BTreeSet<&SeriesKey> = own.iter().filter_map(|(key, _)| *key).collect();
    let strata: BTreeSet<_> = inside.iter().map(|key| (&key.document_type, &key.language)).collect();
    let mut by_prompt: BTreeMap<(bool, &str, &str, &str), (Both<'_>, &SeriesKey)> = BTreeMap::new();
    let mut by_tier: BTreeMap<&str, Both<'_>> = BTreeMap::new();
    let (mut of_models, mut of_prompts) = (BTreeMap::new(), BTreeMap::new());
    for (key, series) in all {
        // Series that are counted together have no model and no prompt of their own.
        let Some(key) = *key else { continue };
        // Other types and languages are another mix.
        if !strata.contains(&(&key.document_type, &key.language)) {
            continue;
        }
        let keyed = &(Some(key), *series);
        let (tier, model, prompt) = (key.tier.as_str(), key.model.as_str(), key.prompt.as_str());
        let place = by_prompt.entry((inside.contains(&key), tier, model, prompt));
        place.or_insert_with(|| (Both::default(), key)).0.add(keyed, baseline, windows);
        by_tier.entry(tier).or_default().add(keyed, baseline, windows);
        let documents = series.documents_during(baseline);
        *of_models.entry((tier, model)).or_insert(0) += documents;
        *of_prompts.entry((tier, prompt)).or_insert(0) += documents;
    }
    let version = |documents: u64| if documents >= MIN_DOCUMENTS { Version::Old } else { Version::New };
    let found = by_prompt.iter().map(|((is_inside, tier, model, prompt), (both, key))| {
        let is_known = count(&both.baseline) >= MIN_DOCUMENTS;
        let before = if is_known { &both.baseline } else { &by_tier[tier].baseline };
        let index = at_fixed_mix(before, &both.current);
        cause::Series {
            tier: (*tier).to_owned(),
            provider: key.provider().to_owned(),
            model: version(of_models[&(*tier, *model)]),
            prompt: version(of_prompts[&(*tier, *prompt)]),
            index: if !is_inside && index == Reading::Moved { Reading::Unknown } else { index },
        }
    });
    found.collect()
}

fn count(strata: &Strata<'_>) -> u64 {
    strata.values().map(Moments::count).sum()
}

/// Whether the index fell by more than 5 %, the types and languages weighted as in the baseline.
fn at_fixed_mix(baseline: &Strata<'_>, current: &Strata<'_>) -> Reading {
    if count(baseline) < MIN_DOCUMENTS || count(current) < MIN_DOCUMENTS {
        return Reading::Unknown;
    }
    let in_both: Vec<_> = baseline
        .iter()
        .filter_map(|(stratum, before)| Some((before.sample(), current.get(stratum)?.sample())))
        .filter(|(before, now)| before.count > 1 && now.count > 1)
        .collect();
    let covered: u64 = in_both.iter().map(|(before, _)| before.count).sum();
    if (covered as f64) < MIN_COVERED * count(baseline) as f64 {
        return Reading::Unknown;
    }
    let weight = |from: &Sample| from.count as f64 / covered as f64;
    let pairs: Vec<Pair> = in_both.into_iter().map(|(from, to)| Pair { weight: weight(&from), from, to }).collect();
    let Some(change) = Change::of_pairs(&pairs) else { return Reading::Unknown };
    match change.fall {
        Fall::Proven => Reading::Moved,
        Fall::Likely if change.interval.high < 0.0 => Reading::Moved,
        Fall::Excluded => Reading::Steady,
        Fall::Likely | Fall::Possible => Reading::Unknown,
    }
}
