#![allow(clippy::unwrap_used)]

use std::panic::catch_unwind;

use super::*;

fn span(start: usize, len: usize, context: usize, blocks: &[u32]) -> Span<'_> {
    Span { start, len, context, blocks }
}

/// What the panic says; empty where there is none.
fn refusal(spans: &[Span<'_>]) -> String {
    let panicked = catch_unwind(|| Spans::new(spans, 4, 2)).err();
    panicked.map_or_else(String::new, |panic| panic.downcast_ref::<String>().unwrap().clone())
}

#[test]
fn spans_that_share_a_row_or_a_written_block_are_refused() {
    for (what, spans, says) in [
        ("one row twice", &[span(0, 2, 2, &[0]), span(1, 1, 1, &[1])][..], "rows from 1, after 2"),
        ("one span twice", &[span(0, 1, 1, &[0]), span(0, 1, 1, &[0])], "rows from 0, after 1"),
        ("a row of nobody", &[span(0, 1, 1, &[0]), span(2, 1, 1, &[1])], "rows from 2, after 1"),
        ("not from the first", &[span(1, 1, 1, &[0])], "rows from 1, after 0"),
        ("no rows", &[span(0, 0, 4, &[0])], "has 0 rows"),
        ("one place of the pool", &[span(0, 1, 5, &[3]), span(1, 1, 5, &[3])], "block 3 is written by two"),
        // The first one's last token is even: a 0 is written in the place of the next.
        ("neighbours in a block", &[span(0, 1, 5, &[3]), span(1, 1, 6, &[3])], "block 3 is written by two"),
        ("another's last block", &[span(0, 1, 40, &[1, 2]), span(1, 64, 64, &[7, 2])], "block 2 is written by two"),
        ("one block twice in a span", &[span(0, 64, 64, &[5, 5])], "block 5 is written by two"),
        ("more rows than tokens", &[span(0, 3, 2, &[0])], "3 rows of 2 tokens"),
        ("more tokens than blocks", &[span(0, 1, 33, &[0])], "1 blocks for 33 tokens"),
    ] {
        let refusal = refusal(spans);
        assert!(refusal.contains(says), "{what}: {refusal:?}");
    }
}

#[test]
fn heads_that_cannot_share_key_value_heads_are_refused() {
    for (heads, kv_heads) in [(5, 2), (0, 2), (2, 0), (2, 4)] {
        assert!(catch_unwind(|| Spans::new(&[], heads, kv_heads)).is_err(), "{heads} heads, {kv_heads} of keys");
    }
}

/// A beginning that sequences share is read by all of them and written by none.
#[test]
fn spans_may_read_the_same_blocks() {
    let spans = [span(0, 1, 65, &[0, 1, 2]), span(1, 3, 67, &[0, 1, 3]), span(4, 32, 96, &[0, 1, 4])];
    let checked = Spans::new(&spans, 4, 2);
    assert_eq!((checked.rows(), refusal(&spans)), (36, String::new()));
    for (row, index) in [(0, 0), (1, 1), (3, 1), (4, 2), (35, 2)] {
        assert_eq!((checked.of_row(row).start, checked.of_row(row).blocks), (spans[index].start, spans[index].blocks));
    }
    assert_eq!(Spans::new(&[], 4, 2).rows(), 0);
}

#[test]
fn every_head_of_every_token_is_in_one_tile() {
    for (heads, kv_heads) in [(4, 2), (9, 3), (16, 1), (28, 2)] {
        let blocks: Vec<u32> = (0..8).collect();
        let checked = Spans::new(&[span(0, 1, 33, &[8, 9]), span(1, 50, 200, &blocks)], heads, kv_heads);
        let mut seen = vec![0; checked.rows() * heads];
        for tile in checked.tiles() {
            assert!(tile.heads * tile.tokens <= ROWS && tile.head / (heads / kv_heads) == tile.kv_head);
            for token in tile.token..tile.token + tile.tokens {
                for head in tile.head..tile.head + tile.heads {
                    seen[(checked.get(tile.span).start + token) * heads + head] += 1;
                }
            }
        }
        assert!(seen.iter().all(|times| *times == 1), "{heads}/{kv_heads}");
    }
}
