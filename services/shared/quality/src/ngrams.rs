//! N-grams that two texts share, of all orders up to one. Linear in both texts.

use std::collections::HashMap;

/// What is known of the n-grams of one order of a text, beside another text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Order {
    /// N-grams of the text.
    pub(crate) own: usize,
    /// N-grams of the other text.
    pub(crate) other: usize,
    /// N-grams that both have; each counts as often as it occurs in the text that has it less
    /// often.
    pub(crate) shared: usize,
    /// N-grams of the text that the other has nowhere.
    pub(crate) novel: usize,
}

impl Order {
    /// Share of the text's n-grams that the other text has nowhere; `None` for a text without any.
    pub(crate) fn novel_share(self) -> Option<f64> {
        (self.own > 0).then(|| self.novel as f64 / self.own as f64)
    }
}

/// An n-gram of the other text that the text does not have.
const ABSENT: u32 = u32::MAX;

/// The n-grams of orders 1 to N of `text` beside those of `other`; tokens are numbers.
///
/// An n-gram is a pair: the n-gram of one order less that it begins with, by its number, and its
/// last token. So no n-gram is read twice, and one that begins with an absent one is absent.
pub(crate) fn compare<const N: usize>(text: &[u32], other: &[u32]) -> [Order; N] {
    let (mut own_numbers, mut other_numbers) = (vec![0; text.len()], vec![0; other.len()]);
    let mut known: HashMap<u64, u32> = HashMap::with_capacity(text.len());
    std::array::from_fn(|order| {
        known.clear();
        let (own_places, other_places) = (text.len().saturating_sub(order), other.len().saturating_sub(order));
        // Occurrences of each n-gram in the text, and how many of them the other text has not
        // taken.
        let (mut all, mut left) = (Vec::<usize>::new(), Vec::<usize>::new());
        for (number, last) in own_numbers.iter_mut().zip(&text[text.len() - own_places..]) {
            let next = all.len() as u32;
            *number = *known.entry(pair(*number, *last)).or_insert(next);
            if *number == next {
                all.push(0);
            }
            all[*number as usize] += 1;
        }
        left.clone_from(&all);
        let mut is_found = vec![false; all.len()];
        let mut shared = 0;
        for (number, last) in other_numbers.iter_mut().zip(&other[other.len() - other_places..]) {
            if *number == ABSENT {
                continue;
            }
            *number = known.get(&pair(*number, *last)).copied().unwrap_or(ABSENT);
            if let Some(left) = left.get_mut(*number as usize) {
                is_found[*number as usize] = true;
                shared += usize::from(*left > 0);
                *left = left.saturating_sub(1);
            }
        }
        let novel = all.iter().zip(is_found).filter(|(_, is_found)| !is_found).map(|(all, _)| all).sum();
        Order { own: own_places, other: other_places, shared, novel }
    })
}

fn pair(number: u32, last: u32) -> u64 {
    (u64::from(number) << 32) | u64::from(last)
}
