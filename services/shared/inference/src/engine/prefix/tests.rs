use super::{MAX_MISSES, MIN_SHARED_TOKENS, Prefix, PrefixShare};

fn pinned(count: u32) -> Prefix {
    let mut prefix = Prefix::default();
    let tokens: Vec<u32> = (0..count).collect();
    prefix.pin(&tokens, (0..count.div_ceil(32)).collect(), false);
    prefix
}

#[test]
fn a_prompt_shares_what_it_has_in_common() {
    let prefix = pinned(76);
    let prompt: Vec<u32> = (0..200).collect();
    let share = prefix.share(&prompt);
    assert_eq!((share.tokens, share.whole_blocks(), share.partial()), (76, 2, true));
    let other: Vec<u32> = (0..64).chain([7; 50]).collect();
    let share = prefix.share(&other);
    assert_eq!((share.tokens, share.whole_blocks(), share.partial()), (64, 2, false));
}

#[test]
fn the_last_token_of_a_prompt_is_always_computed() {
    let prompt: Vec<u32> = (0..50).collect();
    assert_eq!(pinned(76).share(&prompt).tokens, 49);
    assert_eq!(pinned(50).share(&prompt).tokens, 49);
}

#[test]
fn too_little_is_not_shared() {
    let few = MIN_SHARED_TOKENS as u32 - 1;
    let prompt: Vec<u32> = (0..few).chain([999; 20]).collect();
    assert_eq!(pinned(76).share(&prompt), PrefixShare::default());
    assert_eq!(Prefix::default().share(&prompt), PrefixShare::default());
    assert_eq!(pinned(76).share(&[]), PrefixShare::default());
}

/// A prefix is replaced only after enough misses in a row, and only while no sequence reads it.
#[test]
fn a_prefix_is_replaced_after_enough_misses_without_readers() {
    let mut prefix = pinned(76);
    assert!(!prefix.is_open() && Prefix::default().is_open());
    for _ in 1..MAX_MISSES {
        prefix.record_admission(PrefixShare::default(), 40);
    }
    prefix.record_admission(PrefixShare { tokens: 40 }, 40);
    prefix.record_admission(PrefixShare::default(), 40);
    assert!(!prefix.is_open(), "a hit lay between");
    for _ in 1..MAX_MISSES {
        prefix.record_admission(PrefixShare::default(), 40);
    }
    assert!(!prefix.is_open(), "one sequence still reads it");
    prefix.give_back();
    assert!(prefix.is_open());
    assert_eq!(prefix.unpin(), [0, 1, 2]);
    assert!(prefix.blocks().is_empty());
}
