use proptest::prelude::*;

use super::*;

/// The published procedure with the longest fragment sought at every position, in its plain,
/// quadratic form.
fn naive(source: &[u32], summary: &[u32]) -> Vec<usize> {
    let mut fragments = Vec::new();
    let mut at = 0;
    while at < summary.len() {
        let longest = (0..source.len())
            .map(|from| source[from..].iter().zip(&summary[at..]).take_while(|(a, b)| a == b).count())
            .max()
            .unwrap_or(0);
        if longest > 0 {
            fragments.push(longest);
        }
        at += longest.max(1);
    }
    fragments
}

proptest! {
    #[test]
    fn the_automaton_finds_what_the_plain_search_finds(
        source in prop::collection::vec(0u32..4, 0..60),
        summary in prop::collection::vec(0u32..5, 1..40),
    ) {
        let fragments = naive(&source, &summary);
        let words = summary.len() as f64;
        let coverage = fragments.iter().sum::<usize>() as f64 / words;
        let density = fragments.iter().map(|length| length * length).sum::<usize>() as f64 / words;
        let measured = measure(&source, &summary);
        prop_assert!((measured.coverage - coverage).abs() < 1e-12);
        prop_assert!((measured.density - density).abs() < 1e-12);
    }
}

#[test]
fn figures_of_newsroom_on_a_small_example() {
    // Fragments: "the court dismissed the appeal" (5 words), "on monday" (2); "quickly" is new.
    let measured = extraction(
        "On Monday the court dismissed the appeal of the company in full.",
        "The court dismissed the appeal quickly on Monday.",
    );
    assert!((measured.coverage - 7.0 / 8.0).abs() < 1e-12);
    assert!((measured.density - (25.0 + 4.0) / 8.0).abs() < 1e-12);
    assert!((measured.compression - 12.0 / 8.0).abs() < 1e-12);
}

#[test]
fn case_accents_and_punctuation_do_not_break_a_fragment() {
    let measured = extraction("L'Éducation nationale, en 2019, recrute.", "l’education nationale en 2019 recrute");
    assert!((measured.density - 6.0).abs() < 1e-12);
}

#[test]
fn an_empty_summary_has_no_figures() {
    assert_eq!(extraction("Some text.", ""), Extraction::default());
}

#[test]
fn a_summary_of_new_words_covers_nothing() {
    let checks = extraction("The lease ends in May.", "Football is fun");
    assert!(!coverage(&checks, &Thresholds::default()).passed);
    assert!(density(&checks, &Thresholds::default()).passed);
}

#[test]
fn copying_is_a_fault_only_where_a_limit_is_set() {
    let copied = extraction("The lease ends in May.", "The lease ends in May.");
    assert!(density(&copied, &Thresholds::default()).passed);
    assert!(!density(&copied, &Thresholds { max_density: Some(3.0), ..Thresholds::default() }).passed);
}

#[test]
fn a_long_source_of_one_word_takes_linear_time() {
    // Quadratic work on this would take minutes.
    let source = vec![1u32; 400_000];
    let summary: Vec<u32> = (0..20_000).map(|at| u32::from(at % 100 != 0)).collect();
    assert!(measure(&source, &summary).coverage > 0.9);
}
