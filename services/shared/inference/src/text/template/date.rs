//! The date that templates are told: always the same.
//!
//! Some families write today's date into the system message (`strftime_now`). With a clock the bits
//! of an answer would depend on the day on which its worker started. The same document would get
//! another answer on another day, two workers would not agree, and the store's key of an answer
//! would not show it. With a document's own date every prompt would begin differently, and the
//! engine could share no beginning. A summary says what its document says, so it needs no date. The
//! date here is the one that Llama's templates use where there is no clock, and on which they were
//! tested.

/// `strftime` letters and their values on Friday, 26 July 2024, 00:00:00 UTC, in the C locale.
const DIRECTIVES: [(char, &str); 30] = [
    ('a', "Fri"),
    ('A', "Friday"),
    ('b', "Jul"),
    ('B', "July"),
    ('c', "Fri Jul 26 00:00:00 2024"),
    ('C', "20"),
    ('d', "26"),
    ('D', "07/26/24"),
    ('e', "26"),
    ('f', "000000"),
    ('F', "2024-07-26"),
    ('h', "Jul"),
    ('H', "00"),
    ('I', "12"),
    ('j', "208"),
    ('m', "07"),
    ('M', "00"),
    ('p', "AM"),
    ('R', "00:00"),
    ('s', "1721952000"),
    ('S', "00"),
    ('T', "00:00:00"),
    ('u', "5"),
    ('w', "5"),
    ('x', "07/26/24"),
    ('X', "00:00:00"),
    ('y', "24"),
    ('Y', "2024"),
    ('%', "%"),
    ('n', "\n"),
];

/// The date in this format. `%z` and `%Z` are empty, as in Python's `datetime.now()` without a
/// zone. `%-d` has no leading zeros. Text that is no directive stays as it is.
pub(super) fn formatted(format: &str) -> String {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    while let Some((text, directive)) = rest.split_once('%') {
        out.push_str(text);
        let (bare, letter) = match directive.strip_prefix('-') {
            Some(letter) => (true, letter),
            None => (false, directive),
        };
        let mut letters = letter.chars();
        let letter = letters.next();
        let known = DIRECTIVES.iter().find(|(known, _)| Some(*known) == letter);
        match (known, letter) {
            (Some((_, value)), _) if !bare => out.push_str(value),
            (Some((_, value)), _) => {
                let without_zeros = value.trim_start_matches('0');
                out.push_str(if without_zeros.is_empty() { "0" } else { without_zeros });
            }
            (None, Some('z' | 'Z')) => {}
            (None, _) => {
                out.push('%');
                rest = directive;
                continue;
            }
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::formatted;

    #[test]
    fn dates_are_written_as_python_writes_them() {
        for (format, expected) in [
            ("%d %b %Y", "26 Jul 2024"),
            ("%Y-%m-%d", "2024-07-26"),
            ("%B %-d, %Y", "July 26, 2024"),
            ("%-m/%-d %-H h", "7/26 0 h"),
            ("%A, %H:%M:%S%z", "Friday, 00:00:00"),
            ("100 %%", "100 %"),
            ("%", "%"),
            ("%Q 5%", "%Q 5%"),
            ("%é%d", "%é26"),
            ("", ""),
        ] {
            assert_eq!(formatted(format), expected, "{format}");
        }
    }
}
