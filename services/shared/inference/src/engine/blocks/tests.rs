use proptest::prelude::*;

use super::BlockPool;

#[test]
fn neighbours_are_taken_first() {
    let mut pool = BlockPool::new(8);
    assert_eq!(pool.take(2), Some(vec![0, 1]));
    assert_eq!(pool.take(2), Some(vec![2, 3]));
    pool.give_back(&[0, 1]);
    assert_eq!(pool.take(3), Some(vec![4, 5, 6]), "0 and 1 are free, but three neighbours are only after 3");
}

#[test]
fn scattered_blocks_are_taken_when_there_are_no_neighbours() {
    let mut pool = BlockPool::new(4);
    assert_eq!(pool.take(4), Some(vec![0, 1, 2, 3]));
    pool.give_back(&[0]);
    pool.give_back(&[2]);
    assert_eq!(pool.take(2), Some(vec![0, 2]));
}

#[test]
fn too_many_take_nothing() {
    let mut pool = BlockPool::new(3);
    assert_eq!(pool.take(4), None);
    assert_eq!(pool.available(), 3);
}

proptest! {
    #[test]
    fn no_block_has_two_owners_and_none_is_lost(sizes in prop::collection::vec((1_usize..6, any::<prop::sample::Index>()), 0..60)) {
        let mut pool = BlockPool::new(16);
        let mut owned: Vec<Vec<u32>> = Vec::new();
        for (size, which) in sizes {
            match pool.take(size) {
                Some(blocks) => owned.push(blocks),
                None => {
                    prop_assert!(size > pool.available());
                    let at = which.index(owned.len());
                    pool.give_back(&owned.swap_remove(at));
                }
            }
            let mut all: Vec<u32> = owned.concat();
            prop_assert_eq!(all.len() + pool.available(), pool.total());
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len() + pool.available(), pool.total());
        }
    }
}
