use super::Batch;

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
