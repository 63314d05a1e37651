//! Exact decimal values, however they were written.

/// A non-negative decimal number as its canonical digits: `1,200.50` and `1 200,5` are both
/// `1200.5`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// Canonical: no leading zeros before the point but one, no trailing zeros after it.
    pub(crate) digits: String,
    /// Power of ten of the last digit as written: -1 for `1.0`, 0 for `1200`.
    pub(crate) written_to: i32,
    /// Power of ten of the last digit that is not zero: 2 for `1200`.
    pub(crate) significant_to: i32,
}

/// Digits of the longest number that is compared by size. Longer ones are identifiers, compared by
/// digits alone.
const MAX_COMPARED_DIGITS: usize = 15;

impl Value {
    /// From ASCII digits before and after the decimal point.
    pub(crate) fn new(whole: &str, fraction: &str) -> Self {
        let kept = fraction.trim_end_matches('0');
        let whole_kept = whole.trim_start_matches('0');
        let whole_kept = if whole_kept.is_empty() { "0" } else { whole_kept };
        let zeros = whole_kept.len() - whole_kept.trim_end_matches('0').len();
        let (digits, significant_to) = if kept.is_empty() {
            (whole_kept.to_owned(), zeros as i32)
        } else {
            (format!("{whole_kept}.{kept}"), -(kept.len() as i32))
        };
        Self { digits, written_to: -(fraction.len() as i32), significant_to }
    }

    pub(crate) fn integer(value: u64) -> Self {
        Self::new(&value.to_string(), "")
    }

    /// Times ten to the power.
    pub(crate) fn shift(&self, power: i32) -> Self {
        let (whole, fraction) = self.digits.split_once('.').unwrap_or((&self.digits, ""));
        let point = whole.len() as i32 + power;
        let all = format!("{whole}{fraction}");
        let padded = if point <= 0 {
            format!("{}{all}", "0".repeat((1 - point) as usize))
        } else {
            // Padded by hand: a width in a format string panics beyond 65,535, and publishers'
            // texts have longer numbers.
            let missing = (point as usize).saturating_sub(all.len());
            format!("{all}{}", "0".repeat(missing))
        };
        let (whole, fraction) = padded.split_at(point.max(1) as usize);
        let mut shifted = Self::new(whole, fraction);
        shifted.written_to = self.written_to + power;
        shifted
    }

    /// The size of the number; `None` if it is so long that it must be an identifier.
    pub(crate) fn size(&self) -> Option<f64> {
        Self::size_of(&self.digits)
    }

    /// The size of a number given by its canonical digits.
    pub(crate) fn size_of(digits: &str) -> Option<f64> {
        if digits.len() > MAX_COMPARED_DIGITS {
            return None;
        }
        digits.parse().ok()
    }

    /// The values that this one may be a rounding of: within half of the last digit that was
    /// written.
    pub(crate) fn rounding(&self) -> Option<(f64, f64)> {
        let half = 0.5 * 10f64.powi(self.written_to);
        self.size().map(|size| (size - half, size + half))
    }

    /// The values that this one may stand for after "about" or "more than": within one of its last
    /// significant digit, and within a quarter.
    pub(crate) fn vicinity(&self) -> Option<(f64, f64)> {
        let size = self.size()?;
        let step = 10f64.powi(self.significant_to).min(size / 4.0);
        Some((size - step, size + step))
    }
}
