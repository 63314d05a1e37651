#![allow(clippy::unwrap_used, clippy::float_cmp)]

use crate::Policy;

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");
const MIX: &str = include_str!("../../../../../infra/policy/70-20-10.toml");

#[test]
fn the_shipped_policies_are_sound() {
    assert_eq!(Policy::parse(LOCAL).unwrap().tier_names().collect::<Vec<_>>(), ["gpu"]);
    let mix = Policy::parse(MIX).unwrap();
    assert_eq!(mix.tiers.iter().map(|tier| tier.share).collect::<Vec<_>>(), [0.7, 0.2, 0.1]);
    assert_eq!(mix.external_tiers().collect::<Vec<_>>(), ["mid", "premium"]);
}

#[test]
fn every_problem_is_told_at_once_and_says_how_to_mend_it() {
    let broken = MIX
        .replace("share = 0.7", "share = 0.9")
        .replace("provider = \"openai\"", "provider = \"oracle\"")
        .replacen("max_sensitivity = \"internal\"", "max_sensitivity = \"restricted\"", 1)
        .replace("name = \"premium\"", "name = \"Premium Tier\"");
    let errors = Policy::parse(&broken).unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.lines().len(), 4, "{text}");
    for part in
        ["must add up to 1", "known: anthropic, openai", "may not see restricted documents", "becomes the topic"]
    {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn unknown_features_and_absurd_weights_are_told() {
    let weights = "[score]\nbias = 1.0\nweights = { colour = 1.0 }\n[score.types.table]\nbias = 0.0\nweights = { digits = 1e6, size = 1.0 }\n";
    let errors = Policy::parse(&format!("{LOCAL}\n{weights}")).unwrap_err();
    assert_eq!(errors.lines().len(), 3, "{errors}");
    for part in [
        "score.weights.colour: no such feature",
        "score.types.table.weights.size",
        "score.types.table: bias and weights",
    ] {
        assert!(errors.to_string().contains(part), "{part} is missing in:\n{errors}");
    }
    let sound = "[score]\nbias = 1.0\n[score.types.table]\nbias = 0.5\nweights = { digits = 2.0 }\n";
    let policy = Policy::parse(&format!("{LOCAL}\n{sound}")).unwrap();
    assert_eq!(policy.score.of_type("table").1["digits"], 2.0);
    assert!(policy.score.of_type("letter").1.contains_key("noise"), "what is left out has its default");
}

#[test]
fn rates_strengths_and_rollouts_are_checked() {
    let with = |tier: &str, line: &str| {
        Policy::parse(&MIX.replace(&format!("name = \"{tier}\""), &format!("name = \"{tier}\"\n{line}")))
    };
    for (tier, line, part) in [
        ("gpu", "tokens_per_minute = 1000", "no effect on the first tier"),
        ("mid", "tokens_per_minute = 0", "tokens_per_minute is 0"),
        ("mid", "strength = 1.5", "strength is a share"),
        ("mid", "rollout = { share = 5 }", "0.05 is 5 %"),
        ("mid", "max_paid_requests = 0", "not between 1 and 100"),
        ("mid", "max_paid_requests = 101", "not between 1 and 100"),
        ("gpu", "max_paid_requests = 3", "which no provider bills"),
        ("mid", "rollout = { share = 0.5, types = { contract = -1 } }", "rollout"),
    ] {
        let errors = with(tier, line).unwrap_err();
        assert!(errors.lines().len() == 1 && errors.to_string().contains(part), "{line}: {errors}");
    }
    for line in ["tokens_per_minute = 1000", "strength = 0.4", "rollout = { share = 0.05, tenants = { acme = 1 } }"] {
        with("mid", line).unwrap();
    }
}

/// The default is not written: it does not count in the digest, which older builds compute, too.
#[test]
fn the_bound_of_paid_requests_has_a_default() {
    let policy = Policy::parse(MIX).unwrap();
    assert_eq!(policy.max_paid_requests("mid"), 6);
    assert!(!serde_json::to_string(&policy).unwrap().contains("max_paid_requests"));
    let stated = Policy::parse(&MIX.replace("name = \"mid\"", "name = \"mid\"\nmax_paid_requests = 2")).unwrap();
    assert_eq!((stated.max_paid_requests("mid"), stated.max_paid_requests("premium")), (2, 6));
}

/// A residency that is left out once meant that every document may leave.
#[test]
fn an_api_tier_without_a_residency_is_refused() {
    let errors = Policy::parse(&MIX.replacen("residency = [\"us\"]\n", "", 1)).unwrap_err();
    assert_eq!(errors.lines().len(), 1, "{errors}");
    for part in ["tiers.mid", "residency = [\"eu\"]", "[\"*\"]"] {
        assert!(errors.to_string().contains(part), "{part} is missing in:\n{errors}");
    }
    // Tiers as inline tables are no way round.
    let inline = "version = 1\ntiers = [{ name = \"a\", kind = \"api\", provider = \"openai\", model = \"m\", share = 1.0, \
                  max_sensitivity = \"public\" }]";
    assert!(Policy::parse(inline).unwrap_err().to_string().contains("residencies"));
    // An empty list is none.
    assert!(Policy::parse(&MIX.replacen("residency = [\"us\"]", "residency = []", 1)).is_err());
    // On machines of one's own nothing leaves.
    assert_eq!(Policy::parse(LOCAL).unwrap().tiers[0].residency, ["*"]);
}

#[test]
fn what_lets_everything_leave_is_warned_about() {
    assert_eq!(Policy::parse(LOCAL).unwrap().warnings(), Vec::<String>::new());
    let listed = MIX.replace("residency = [\"us\"]", "residency = [\"us\"]\ntenants = [\"acme\"]");
    assert_eq!(Policy::parse(&listed).unwrap().warnings(), Vec::<String>::new());
    let wide =
        listed.replacen("residency = [\"us\"]", "residency = [\"*\"]", 1).replacen("[\"acme\"]", "[\"a\", \"*\"]", 1);
    let warnings = Policy::parse(&wide).unwrap().warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("tiers.mid: residency") && warnings[1].contains("tiers.mid: tenants"), "{warnings:?}");
    // Tenants that are left out are all tenants.
    assert_eq!(Policy::parse(MIX).unwrap().warnings().len(), 2);
}

/// What `policy show --toml` prints of a policy in force can be applied again.
#[test]
fn a_written_policy_can_be_read_again() {
    for text in [LOCAL, MIX] {
        let policy = Policy::parse(text).unwrap();
        assert_eq!(Policy::parse(&toml::to_string(&policy).unwrap()).unwrap(), policy);
    }
}

#[test]
fn an_unknown_key_is_told_with_its_line() {
    let error = Policy::parse(&LOCAL.replace("share = 1.0", "shares = 1.0")).unwrap_err().to_string();
    assert!(error.contains("shares") && error.contains("line"), "{error}");
}

#[test]
fn the_digest_is_of_what_it_says_and_not_of_how_it_is_written() {
    let policy = Policy::parse(LOCAL).unwrap();
    let commented = Policy::parse(&format!("# a comment\n{LOCAL}")).unwrap();
    let other = Policy::parse(&LOCAL.replace("on_exhausted = \"extract\"", "on_exhausted = \"fail\"")).unwrap();
    assert_eq!(policy.digest(), commented.digest());
    assert_ne!(policy.digest(), other.digest());
}

#[test]
fn the_cache_forgets_when_what_counts_as_good_changes() {
    let policy = Policy::parse(MIX).unwrap();
    let raised = Policy::parse(&MIX.replace("generation = 1", "generation = 2")).unwrap();
    let stricter = Policy::parse(&format!("{MIX}\n[checks.default]\nmin_words = 20\n")).unwrap();
    let unrelated = Policy::parse(&MIX.replace("\"flag\"", "\"fail\"")).unwrap();
    assert_ne!(policy.cache_generation(), raised.cache_generation());
    assert_ne!(policy.cache_generation(), stricter.cache_generation());
    assert_eq!(policy.cache_generation(), unrelated.cache_generation());
}

#[test]
fn the_parser_survives_broken_policies() {
    let corpus = [LOCAL, MIX].map(|policy| policy.as_bytes().to_vec());
    precis_fuzz::survives("policy", &corpus, |bytes| {
        if let Ok(policy) = Policy::parse(&String::from_utf8_lossy(bytes)) {
            assert!(!policy.digest().is_empty());
        }
    });
}

/// Bounds that keep every record of a document within what a topic takes.
#[test]
fn limits_that_no_record_could_hold_are_refused() {
    let with = |lines: &str| Policy::parse(&format!("{LOCAL}\n[limits]\n{lines}\n"));
    assert_eq!(with("max_summary_words = 10000").unwrap().limits.max_summary_words, 10_000);
    for (line, part) in [
        ("max_summary_words = 10001", "more than 10000"),
        ("max_summary_words = 4294967295", "more than 10000"),
        ("max_parts = 0", "limits.max_parts"),
    ] {
        let errors = with(line).unwrap_err();
        assert!(errors.lines().len() == 1 && errors.to_string().contains(part), "{line}: {errors}");
    }
    let policy = Policy::parse(LOCAL).unwrap();
    assert_eq!((policy.limits.max_text_bytes, policy.limits.max_parts), (2 * 1024 * 1024, 512));
    assert!(!serde_json::to_string(&policy).unwrap().contains("max_parts"), "a default is not in the digest");
}

#[test]
fn too_many_tiers_and_too_long_a_model_are_refused() {
    let tier = |name: usize| {
        format!("[[tiers]]\nname = \"t{name}\"\nkind = \"gpu\"\nshare = 0.0\nmax_sensitivity = \"restricted\"\n")
    };
    let tiers: String = (0..64).map(tier).collect();
    let errors = Policy::parse(&format!("{LOCAL}\n{tiers}")).unwrap_err();
    assert!(errors.to_string().contains("65 are more than 64"), "{errors}");
    let long = MIX.replacen("model = \"", &format!("model = \"{}", "m".repeat(300)), 1);
    assert!(Policy::parse(&long).unwrap_err().to_string().contains("256 bytes"));
}

/// A tier of kind `extract` may have every document unless its policy says less; a tier that reads
/// documents with a model must say what may come to it.
#[test]
fn an_extractive_tier_needs_no_sensitivity() {
    let tier = "[[tiers]]\nname = \"own-words\"\nkind = \"extract\"\nshare = 0.0\n";
    let policy = Policy::parse(&format!("{LOCAL}\n{tier}")).unwrap();
    assert_eq!(policy.tier("own-words").unwrap().max_sensitivity, crate::SensitivityName::Restricted);
    assert!(policy.is_extractive("own-words") && !policy.is_extractive("gpu"));
    assert_eq!(policy.worker_tiers().collect::<Vec<_>>(), ["gpu"]);
    assert_eq!(policy.warnings(), Vec::<String>::new());
    let errors = Policy::parse(&LOCAL.replace("max_sensitivity = \"restricted\"", "")).unwrap_err();
    assert!(errors.to_string().contains("max_sensitivity is missing"), "{errors}");
    for (line, part) in [
        ("provider = \"anthropic\"", "asks no model"),
        ("model = \"claude-haiku-4-5\"", "asks no model"),
        ("max_paid_requests = 2", "kind extract, which no provider bills"),
    ] {
        let errors = Policy::parse(&format!("{LOCAL}\n{tier}{line}\n")).unwrap_err();
        assert!(errors.lines().len() == 1 && errors.to_string().contains(part), "{line}: {errors}");
    }
    let twice = format!("{LOCAL}\n{tier}\n{}", tier.replace("own-words", "again"));
    assert!(Policy::parse(&twice).unwrap_err().to_string().contains("more than one of kind extract"));
}

/// The shipped policy of one machine extracts; a policy that does not say keeps to `flag`.
#[test]
fn what_ends_exhausted_is_extracted_where_the_policy_says_so() {
    use crate::{Exhausted, OnExhausted};
    let local = Policy::local();
    assert!(local.extracts(Exhausted::Hops) && local.extracts(Exhausted::NoTier) && local.flags(Exhausted::Hops));
    assert!(!local.extracts(Exhausted::Late), "on_late decides");
    let silent = Policy::parse(&LOCAL.replace("on_exhausted = \"extract\"", "")).unwrap();
    assert_eq!(silent.on_exhausted, OnExhausted::Flag);
    assert!(!silent.extracts(Exhausted::NoTier) && silent.flags(Exhausted::NoTier));
}
