//! The distribution of the one-sample Kolmogorov-Smirnov statistic D of n values.
//!
//! The methods and their regions are those that Simard and L'Ecuyer (Journal of Statistical
//! Software 39, 2011) compare and that scipy's `kstwo` uses: Ruben and Gambino's exact ends,
//! Durbin's matrix as Marsaglia, Tsang and Wang compute it, Pelz and Good's expansion for the
//! middle of large samples, and twice the one-sided probability for the upper tail.

use std::f64::consts::PI;

/// Largest sample whose middle is computed exactly whatever the distance.
const EXACT_SIZE: f64 = 140.0;

/// A matrix is scaled down beyond 2^SCALE, so that its powers stay finite.
const SCALE: i32 = 128;

/// P(D ≥ `distance`); `size`: a whole number, at least 1.
pub(super) fn survival(size: f64, distance: f64) -> f64 {
    if distance >= 1.0 {
        return 0.0;
    }
    let steps = size * distance;
    if steps <= 0.5 {
        return 1.0;
    }
    if steps <= 1.0 {
        // n! ((2 steps - 1) / n)^n.
        return 1.0 - (libm::lgamma(size + 1.0) + size * ((2.0 * steps - 1.0) / size).ln()).exp();
    }
    if steps >= size - 1.0 {
        return 2.0 * (1.0 - distance).powf(size);
    }
    let square = steps * distance;
    let upper_from = if size <= EXACT_SIZE { 4.0 } else { 2.2 };
    if distance >= 0.5 || square >= upper_from {
        return if square >= 370.0 { 0.0 } else { (2.0 * one_sided(size, distance)).min(1.0) };
    }
    let is_small = size <= EXACT_SIZE || (size <= 100_000.0 && size * distance.powf(1.5) <= 1.4);
    let within = if is_small { durbin(size, distance) } else { pelz_good(size, distance) };
    (1.0 - within).clamp(0.0, 1.0)
}

/// P(D⁺ ≥ d), by Smirnov's sum, whose terms are all positive: d Σ C(n, j) (j/n + d)^(j-1)
/// (1 - d - j/n)^(n-j).
fn one_sided(size: f64, distance: f64) -> f64 {
    let mut binomial = 0.0; // ln C(n, j)
    let mut sum = 0.0;
    let mut j = 0.0;
    while j <= size * (1.0 - distance) {
        let below = j / size + distance;
        let above = 1.0 - below;
        if above > 0.0 {
            sum += (binomial + (j - 1.0) * below.ln() + (size - j) * above.ln()).exp();
        }
        binomial += ((size - j) / (j + 1.0)).ln();
        j += 1.0;
    }
    distance * sum
}

/// A square matrix, row by row, times 2^`exponent`.
#[derive(Clone)]
struct Matrix {
    side: usize,
    cells: Vec<f64>,
    exponent: i32,
}

impl Matrix {
    fn times(&self, other: &Self) -> Self {
        let side = self.side;
        let mut cells = vec![0.0; side * side];
        for row in 0..side {
            for inner in 0..side {
                let factor = self.cells[row * side + inner];
                for column in 0..side {
                    cells[row * side + column] += factor * other.cells[inner * side + column];
                }
            }
        }
        let mut product = Self { side, cells, exponent: self.exponent + other.exponent };
        let largest = product.cells.iter().fold(0.0_f64, |largest, cell| largest.max(cell.abs()));
        if largest > 2.0_f64.powi(SCALE) {
            product.cells.iter_mut().for_each(|cell| *cell *= 2.0_f64.powi(-SCALE));
            product.exponent += SCALE;
        }
        product
    }
}

/// P(D < d), exactly: the middle cell of the n-th power of Durbin's matrix times n! / nⁿ.
fn durbin(size: f64, distance: f64) -> f64 {
    let steps = size * distance;
    let middle = steps.ceil();
    let rest = middle - steps;
    let (middle, side) = (middle as usize, 2 * middle as usize - 1);
    let mut inverse_factorials = vec![1.0; side + 1];
    for index in 1..=side {
        inverse_factorials[index] = inverse_factorials[index - 1] / index as f64;
    }
    let corner = (2.0 * rest - 1.0).max(0.0).powi(side as i32) - 2.0 * rest.powi(side as i32);
    let edge = |index: usize| match index + 1 {
        last if last == side => (1.0 + corner) * inverse_factorials[side],
        power => (1.0 - rest.powi(power as i32)) * inverse_factorials[power],
    };
    let mut cells = vec![0.0; side * side];
    for row in 0..side {
        for column in 0..side {
            cells[row * side + column] = match (row, column) {
                (row, 0) => edge(row),
                (row, column) if row + 1 == side => edge(side - 1 - column),
                (row, column) if row + 1 >= column => inverse_factorials[row + 1 - column],
                _ => 0.0,
            };
        }
    }
    let mut base = Matrix { side, cells, exponent: 0 };
    let mut identity = vec![0.0; side * side];
    (0..side).for_each(|index| identity[index * side + index] = 1.0);
    let mut power = Matrix { side, cells: identity, exponent: 0 };
    let mut left = size as u64;
    while left > 0 {
        if left % 2 == 1 {
            power = power.times(&base);
        }
        left /= 2;
        if left > 0 {
            base = base.times(&base);
        }
    }
    let mut probability = power.cells[(middle - 1) * side + middle - 1];
    let mut exponent = power.exponent;
    let mut factor = 1.0;
    while factor <= size {
        probability *= factor / size;
        if probability.abs() < 2.0_f64.powi(-SCALE) {
            probability *= 2.0_f64.powi(SCALE);
            exponent -= SCALE;
        }
        factor += 1.0;
    }
    libm::ldexp(probability, exponent)
}

/// P(D ≤ d) by the expansion of Pelz and Good (1976) in powers of 1 / √n, with z = d √n.
fn pelz_good(size: f64, distance: f64) -> f64 {
    let z = distance * size.sqrt();
    let (z2, z4, z6, z8) = (z.powi(2), z.powi(4), z.powi(6), z.powi(8));
    let (pi2, pi4, pi6) = (PI.powi(2), PI.powi(4), PI.powi(6));
    let root = (2.0 * PI).sqrt();
    let last = (16.0 * z / PI).ceil() as u32;
    let mut sums = [0.0; 4];
    for index in 1..=last {
        let odd = f64::from(2 * index - 1);
        let (m2, m4, m6) = (odd.powi(2), odd.powi(4), odd.powi(6));
        let decay = (-pi2 * m2 / (8.0 * z2)).exp();
        sums[0] += decay;
        sums[1] += decay * (pi2 / 4.0 * m2 - z2);
        sums[2] +=
            decay * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2 + pi4 * (1.0 - 2.0 * z2) / 16.0 * m4);
        sums[3] += decay
            * (-30.0 * z6 - 90.0 * z8
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
                + pi4 * (212.0 * z4 - 60.0 * z2) / 16.0 * m4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * m6);
    }
    let scales = [z, 6.0 * z4, 72.0 * z.powi(7), 6480.0 * z.powi(10)];
    let mut terms = [0.0; 4];
    for (term, (sum, scale)) in terms.iter_mut().zip(sums.into_iter().zip(scales)) {
        *term = root * sum / scale;
    }
    for index in 1..=last {
        let k2 = f64::from(index).powi(2);
        let decay = (-pi2 * k2 / (2.0 * z2)).exp();
        terms[2] -= pi2 * root / (36.0 * z.powi(3)) * k2 * decay;
        terms[3] += pi2 * root / (216.0 * z6) * (3.0 * z2 - pi2 * k2) * k2 * decay;
    }
    terms[0] + terms[1] / size.sqrt() + terms[2] / size + terms[3] / size.powf(1.5)
}

#[cfg(test)]
mod tests;
