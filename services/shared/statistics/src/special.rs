//! Distribution functions and their quantiles.
//!
//! `libm` has the gamma and error functions; the rest is by the standard expansions: Lentz's
//! continued fraction for the incomplete beta and gamma functions (Press et al., Numerical Recipes,
//! 3rd edition, 6.2 and 6.4), and Halley's or a safeguarded Newton's step for quantiles. All agree
//! with scipy within 1e-9 (`tests/golden/special.json`).

/// Most terms of a continued fraction or series; one of the incomplete beta function needs about
/// the square root of the larger parameter.
const MAX_TERMS: u32 = 100_000;

/// Most steps of a quantile's search: bisection alone needs fewer.
const MAX_STEPS: u32 = 200;

/// Degrees of freedom beyond which an expansion is more precise than the beta function.
const NEARLY_NORMAL: f64 = 1e6;

/// Where a continued fraction's factor counts as 1.
const PRECISION: f64 = 1e-16;

/// Stands for 0 in a denominator.
const TINY: f64 = 1e-300;

/// P(Z ≤ z) of the standard normal distribution.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The z with P(Z ≤ z) = `probability`, which lies between 0 and 1.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    if probability > 0.5 {
        // The lower tail keeps its relative precision.
        return -lower_normal_quantile(1.0 - probability);
    }
    lower_normal_quantile(probability)
}

fn lower_normal_quantile(probability: f64) -> f64 {
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // Abramowitz and Stegun 26.2.23 is within 4.5e-4; each step of Halley's triples the digits.
    let t = (-2.0 * probability.ln()).sqrt();
    let numerator = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let denominator = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut z = numerator / denominator - t;
    for _ in 0..3 {
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let newton = (normal_cdf(z) - probability) / density;
        z -= newton / (1.0 + 0.5 * z * newton);
    }
    z
}

/// The regularised incomplete beta function `I_x(a, b)`: P(X ≤ x) of a beta variable; `a`, `b` > 0.
pub(crate) fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = beta_front(x, a, b);
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

/// x^a (1 - x)^b / B(a, b).
fn beta_front(x: f64, a: f64, b: f64) -> f64 {
    (libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * libm::log1p(-x)).exp()
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    let or_tiny = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut upper = 1.0;
    let mut lower = 1.0 / or_tiny(1.0 - (a + b) * x / (a + 1.0));
    let mut value = lower;
    for term in 1..=MAX_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut factor = 1.0;
        for coefficient in [even, odd] {
            lower = 1.0 / or_tiny(1.0 + coefficient * lower);
            upper = or_tiny(1.0 + coefficient / upper);
            factor = upper * lower;
            value *= factor;
        }
        if (factor - 1.0).abs() < PRECISION {
            break;
        }
    }
    value
}

/// The x with `I_x(a, b)` = `probability`; `a`, `b` > 0.
pub(crate) fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    if probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = a / (a + b);
    for _ in 0..MAX_STEPS {
        let excess = beta_cdf(x, a, b) - probability;
        if excess == 0.0 {
            break;
        }
        if excess < 0.0 {
            low = x;
        } else {
            high = x;
        }
        let density = beta_front(x, a, b) / (x * (1.0 - x));
        let newton = x - excess / density;
        // A step out of the bracket, or one from where the density vanishes: halve the bracket.
        let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
        if (next - x).abs() <= 1e-16 * next || high - low <= f64::MIN_POSITIVE {
            return next;
        }
        x = next;
    }
    x
}

/// P(X ≤ `count`) of a binomial variable: `trials` trials that succeed with `probability`.
pub(crate) fn binomial_cdf(count: u64, trials: u64, probability: f64) -> f64 {
    if count >= trials {
        return 1.0;
    }
    beta_cdf(1.0 - probability, (trials - count) as f64, count as f64 + 1.0)
}

/// The t with P(|T| ≤ t) = `probability` of Student's distribution; `freedom` > 0.
pub(crate) fn student_two_sided_quantile(probability: f64, freedom: f64) -> f64 {
    if freedom > NEARLY_NORMAL {
        // The first term of Cornish and Fisher's expansion; the next is of order 1 / freedom².
        let z = normal_quantile(f64::midpoint(1.0, probability));
        return z + (z.powi(3) + z) / (4.0 * freedom);
    }
    // T² / (freedom + T²) is a beta variable of (1/2, freedom/2).
    let share = beta_quantile(probability, 0.5, 0.5 * freedom);
    (freedom * share / (1.0 - share)).sqrt()
}

/// P(X > x) of a chi-square variable with `freedom` degrees of freedom.
pub(crate) fn chi_square_sf(x: f64, freedom: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let (a, x) = (0.5 * freedom, 0.5 * x);
    let front = (a * x.ln() - x - libm::lgamma(a)).exp();
    if x < a + 1.0 { 1.0 - front * gamma_series(a, x) } else { front * gamma_fraction(a, x) }
}

/// The series of the lower incomplete gamma function, without its front factor.
fn gamma_series(a: f64, x: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    for step in 1..=MAX_TERMS {
        term *= x / (a + f64::from(step));
        sum += term;
        if term < sum * PRECISION {
            break;
        }
    }
    sum
}

/// The continued fraction of the upper incomplete gamma function, without its front factor.
fn gamma_fraction(a: f64, x: f64) -> f64 {
    let or_tiny = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut b = x + 1.0 - a;
    let mut upper = 1.0 / TINY;
    let mut lower = 1.0 / or_tiny(b);
    let mut value = lower;
    for step in 1..=MAX_TERMS {
        let coefficient = -f64::from(step) * (f64::from(step) - a);
        b += 2.0;
        lower = 1.0 / or_tiny(coefficient * lower + b);
        upper = or_tiny(b + coefficient / upper);
        let factor = upper * lower;
        value *= factor;
        if (factor - 1.0).abs() < PRECISION {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests;
