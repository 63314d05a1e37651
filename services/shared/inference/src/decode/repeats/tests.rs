use super::refused;
use crate::text::detokenise::Detokeniser;

const TEXTS: [&str; 12] =
    ["Ġthe", "Ġtext", "Ġis", "Ġclear", "Ġand", ".", "ĠPublic", "ĠLic", "ense", "Ġlo", "op", "ĠThe"];

fn after(answer: &[u32], limit: usize) -> Vec<u32> {
    refused(answer, limit, &Detokeniser::new(TEXTS.iter().map(|text| (*text, false))))
}

#[test]
fn the_token_that_completes_a_repeated_run_is_refused() {
    // "the text is clear and the text is" must not go on with "clear" where four tokens count.
    assert_eq!(after(&[0, 1, 2, 3, 4, 0, 1, 2], 4), [3]);
    assert!(after(&[0, 1, 2, 3, 4, 0, 1], 4).is_empty());
    assert!(after(&[0, 1, 2, 3, 4, 0, 1, 2], 5).is_empty());
}

/// However often a name is said, it is written out; what follows it may still be refused.
#[test]
fn names_do_not_count_and_are_not_broken() {
    let name = [6, 7, 8];
    let twice = [&[0][..], &name, &[0], &name[..1]].concat();
    assert!(after(&twice, 2).is_empty());
    let twice = [&[4, 0][..], &name, &[2, 4, 0], &name].concat();
    assert_eq!(after(&twice, 3), [2]);
}

#[test]
fn words_are_not_broken() {
    let answer = [0, 1, 9, 10, 4, 0, 1, 9];
    assert!(after(&answer, 3).is_empty());
    assert_eq!(after(&[&answer[..], &[10]].concat(), 4), [4]);
}

/// No run of counted tokens ever stands twice, whatever the model would like to write.
#[test]
fn a_model_that_loops_for_ever_is_led_out() {
    let mut answer: Vec<u32> = Vec::new();
    for step in 0..60_u32 {
        let refused = after(&answer, 4);
        let wish = (0..5).map(|next| (step + next) % 3).chain(0..6).find(|id| !refused.contains(id));
        answer.push(wish.unwrap_or(5));
    }
    let runs: Vec<&[u32]> = answer.windows(4).collect();
    let repeated = runs.iter().enumerate().filter(|(at, run)| runs[..*at].contains(run)).count();
    assert!(repeated <= 2, "{repeated} of {answer:?}");
}
