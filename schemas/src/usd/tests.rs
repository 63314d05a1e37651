#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[test]
fn amounts_are_shown_with_cents_at_least_and_no_idle_zeros() {
    for (nanos, shown) in [
        (0, "$0.00"),
        (1_500_000_000, "$1.50"),
        (450_000, "$0.00045"),
        (1, "$0.000000001"),
        (-12_340_000_000, "-$12.34"),
        (999_999_999_999_999_999, "$999999999.999999999"),
    ] {
        assert_eq!(Usd::from_nanos(nanos).unwrap().to_string(), shown);
    }
    assert_eq!(format!("{:>8}", usd("1.5")), "   $1.50");
}

#[test]
fn texts_that_are_not_exact_amounts_are_refused() {
    for text in ["", ".", "1.", ".5", "1e3", "+1", "1,5", "$1", "0.0000000001", "1000000000", " 1", "--1", "NaN", "९"]
    {
        assert!(text.parse::<Usd>().is_err(), "{text:?}");
    }
    assert_eq!(usd("-0.15").nanos(), -150_000_000);
    assert_eq!(usd("3").nanos(), 3_000_000_000);
}

#[test]
fn amounts_end_at_eighteen_digits() {
    assert_eq!(Usd::from_nanos(Usd::MAX.nanos() + 1), None);
    assert_eq!(Usd::from_nanos(i64::MIN), None);
    assert_eq!(Usd::MAX.checked_add(Usd::from_nanos(1).unwrap()), None);
    assert_eq!(Usd::ZERO.checked_sub(Usd::MAX).unwrap().nanos(), -Usd::MAX.nanos());
    assert_eq!(Usd::ZERO.checked_sub(Usd::MAX).unwrap().checked_sub(Usd::MAX), None);
    assert_eq!(Usd::MAX.checked_add(Usd::MAX), None);
}

#[test]
fn tokens_cost_their_exact_price_rounded_up_once() {
    assert_eq!(Usd::for_tokens(usd("0.15"), 3_000), Some(usd("0.00045")));
    assert_eq!(Usd::for_tokens(usd("15"), 1), Some(usd("0.000015")));
    // 37.5 nano-dollars a token: one token is rounded up, two are exact.
    assert_eq!(Usd::for_tokens(usd("0.0375"), 1).unwrap().nanos(), 38);
    assert_eq!(Usd::for_tokens(usd("0.0375"), 2).unwrap().nanos(), 75);
    assert_eq!(Usd::for_tokens(usd("0.0375"), 0), Some(Usd::ZERO));
    assert_eq!(Usd::for_tokens(Usd::MAX, u64::MAX), None);
    assert_eq!(Usd::for_tokens(usd("-1"), 1), None);
}

#[test]
fn json_holds_digits_and_numbers_are_read_as_written() {
    assert_eq!(serde_json::to_string(&usd("0.00045")).unwrap(), "\"0.00045\"");
    for written in ["0.1", "0.15", "3", "0.000000001", "123456.789", "2.5e0", "-3"] {
        let read: Usd = serde_json::from_str(written).unwrap();
        assert_eq!(read, usd(if written == "2.5e0" { "2.5" } else { written }), "{written}");
    }
    for wrong in ["1e-10", "1e12", "null", "true", "[1]"] {
        assert!(serde_json::from_str::<Usd>(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_amount_survives_text_and_decimal(nanos in -999_999_999_999_999_999_i64..=999_999_999_999_999_999) {
        let amount = Usd::from_nanos(nanos).unwrap();
        prop_assert_eq!(format!("{}{}", amount.sign(), amount.digits()).parse(), Ok(amount));
        prop_assert_eq!(Usd::from_decimal(&amount.to_decimal()), Some(amount));
        let padding = if nanos < 0 { 0xFF } else { 0 };
        prop_assert_eq!(Usd::from_decimal(&[&[padding; 3][..], &amount.to_decimal()].concat()), Some(amount));
    }

    /// The shortest two's complement: a byte less would be another number.
    #[test]
    fn decimals_are_as_short_as_can_be(nanos in -100_000_i64..100_000) {
        let decimal = Usd::from_nanos(nanos).unwrap().to_decimal();
        prop_assert_ne!(Usd::from_decimal(&decimal[1..]), Usd::from_nanos(nanos));
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
        if let Some(amount) = Usd::from_decimal(&bytes) {
            prop_assert!(amount.nanos().abs() <= Usd::MAX.nanos());
        }
    }
}

/// Texts and numbers of configuration and JSON, and the bytes of Avro.
#[test]
fn broken_amounts_are_survived_and_what_is_read_reads_back() {
    let valid = ["-1234.567890123", "\"0.1\"", "1e3", "18446744073709551615"].map(|text| text.as_bytes().to_vec());
    precis_fuzz::survives("usd", &[&valid[..], &[vec![0x0D, 0xE0, 0xB6, 0xB3]]].concat(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for amount in
            [text.parse().ok(), serde_json::from_slice(bytes).ok(), Usd::from_decimal(bytes)].into_iter().flatten()
        {
            let written = serde_json::to_string::<Usd>(&amount).unwrap();
            assert_eq!(serde_json::from_str::<Usd>(&written).unwrap(), amount);
            assert_eq!(Usd::from_decimal(&amount.to_decimal()), Some(amount));
        }
    });
}
