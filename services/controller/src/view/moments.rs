//! Count, mean, variance and skewness of values, from sums of integers.

use precis_statistics::drift::Baseline;
use precis_statistics::means::Sample;

use super::Merge;

/// A value's unit: a millionth. Sums of whole units are the same in every order.
const UNITS: f64 = 1e6;

/// Values beyond it count as it. Up to 10^12 documents no sum overflows.
const MAX_VALUE: f64 = 100.0;

/// Power sums of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moments {
    count: u64,
    /// Σ v, Σ v², Σ v³ in units.
    sums: [i128; 3],
}

impl Moments {
    /// Counts a value. One that is not finite is none.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let value = (value.clamp(-MAX_VALUE, MAX_VALUE) * UNITS).round() as i128;
        self.count += 1;
        self.sums[0] += value;
        self.sums[1] += value * value;
        self.sums[2] += value * value * value;
    }

    /// Values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sums[0] as f64 / self.count as f64 / UNITS)
    }

    /// Count, mean and variance.
    pub fn sample(&self) -> Sample {
        let [square, _] = self.central();
        let count = self.count as f64;
        let variance = if self.count > 1 { square * count / (count - 1.0) } else { 0.0 };
        Sample { count: self.count, mean: self.mean().unwrap_or_default(), variance: variance / UNITS.powi(2) }
    }

    /// The same with the skewness, for a test that compares with these values.
    pub fn baseline(&self) -> Baseline {
        let Sample { count, mean, variance } = self.sample();
        let [square, cube] = self.central();
        let skewness = if square > 0.0 { cube / square.powf(1.5) } else { 0.0 };
        Baseline { count, mean, deviation: variance.sqrt(), skewness }
    }

    /// The second and third central moment, in units.
    fn central(&self) -> [f64; 2] {
        if self.count == 0 {
            return [0.0; 2];
        }
        // About the whole unit next to the mean, in integers, so that no digits are lost.
        let count = i128::from(self.count);
        let [first, second, third] = self.sums;
        let centre = (first + count / 2).div_euclid(count);
        let square = second - 2 * centre * first + count * centre * centre;
        let cube = third - 3 * centre * second + 3 * centre * centre * first - count * centre * centre * centre;
        let rest = (first - centre * count) as f64 / count as f64;
        let (square, cube) = (square as f64 / count as f64, cube as f64 / count as f64);
        [(square - rest.powi(2)).max(0.0), cube - 3.0 * rest * square + 2.0 * rest.powi(3)]
    }
}

impl Merge for Moments {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sums.iter_mut().zip(other.sums).for_each(|(own, more)| *own += more);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn moments_are_those_of_the_values() {
        let values: Vec<f64> = (0..500).map(|step| 1.0 - (f64::from(step * 7919 % 500) / 500.0).powi(6)).collect();
        let mut moments = Moments::default();
        for value in &values {
            moments.add(*value);
        }
        moments.add(f64::NAN);
        let (found, direct) = (moments.baseline(), Baseline::of(&values).unwrap());
        assert_eq!(found.count, 500);
        for (ours, theirs) in
            [(found.mean, direct.mean), (found.deviation, direct.deviation), (found.skewness, direct.skewness)]
        {
            assert!((ours - theirs).abs() < 1e-5, "{found:?} {direct:?}");
        }
    }

    #[test]
    fn values_that_are_all_alike_have_no_variance() {
        let mut moments = Moments::default();
        (0..1000).for_each(|_| moments.add(0.123_456_7));
        let sample = moments.sample();
        assert!((sample.mean - 0.123_457).abs() < 1e-12 && sample.variance.abs() < 1e-20, "{sample:?}");
        assert!(moments.baseline().skewness.abs() < 1e-12);
    }
}
