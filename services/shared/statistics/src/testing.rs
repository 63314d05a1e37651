//! What the tests share: a seeded generator, and the kept figures of the Python packages.
#![allow(clippy::unwrap_used)]

/// `SplitMix64` (Steele, Lea and Flood 2014): the same numbers on every machine and in every
/// version.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether an event of this probability happens.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A standard normal number, by the polar method.
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }
}

/// Kept figures: the text of a file in `tests/golden`.
pub(crate) fn golden(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// The numbers of a JSON list.
pub(crate) fn numbers(list: &serde_json::Value) -> Vec<f64> {
    serde_json::from_value(list.clone()).unwrap()
}
