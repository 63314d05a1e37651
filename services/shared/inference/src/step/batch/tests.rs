use super::{Batch, Restriction};

#[test]
fn rows_go_to_the_slots_of_their_positions() {
    let mut batch = Batch::default();
    batch.push(&[7, 8, 9], 31, &[4, 2], Some(&[]));
    assert_eq!(batch.positions, [31, 32, 33]);
    assert_eq!(batch.slots, [4 * 32 + 31, 2 * 32, 2 * 32 + 1]);
    assert_eq!(batch.spans[0].context, 34);
}

#[test]
fn only_the_last_row_of_a_finished_prompt_is_wanted() {
    let mut batch = Batch::default();
    batch.push(&[1, 2], 0, &[0], None);
    batch.push(&[3], 5, &[1], Some(&[3]));
    batch.push(&[4, 5, 6], 0, &[2], Some(&[]));
    assert_eq!(batch.logit_rows, [2, 5]);
    assert_eq!(batch.written, [vec![3], vec![]]);
    assert_eq!(batch.spans.iter().map(|span| (span.start, span.len)).collect::<Vec<_>>(), [(0, 2), (2, 1), (3, 3)]);
}

#[test]
fn a_restriction_belongs_to_the_rows_pushed_last() {
    let refuse = Restriction { only: None, except: vec![7] };
    let mut batch = Batch::default();
    batch.push(&[3], 5, &[1], Some(&[3]));
    batch.restrict_last(&refuse);
    batch.push(&[4], 0, &[2], Some(&[]));
    batch.push(&[1, 2], 0, &[0], None);
    batch.restrict_last(&refuse);
    assert_eq!(batch.restrictions, [refuse, Restriction::default()]);
}

#[test]
fn of_the_only_tokens_one_is_always_left() {
    let mut restriction = Restriction { only: Some(vec![1, 2]), except: vec![2, 9] };
    restriction.settle();
    assert_eq!(restriction, Restriction { only: Some(vec![1]), except: Vec::new() });
    restriction.except = vec![1];
    restriction.settle();
    assert_eq!(restriction.only, Some(vec![1]));
}
