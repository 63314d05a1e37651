//! Bytes from anyone: the decoder answers every input with a record or an error, never with a
//! panic, and never repeats what it read.

use precis_schemas::codec::{AvroRecord, CodecError, decode, encode};
use precis_schemas::{Document, Outcome, RoutedDocument, TierSwitch};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::samples::{Sample, for_each_record};

fn full<T: Sample>() -> Vec<u8> {
    encode(&T::full()).unwrap()
}

fn code<T: AvroRecord + std::fmt::Debug>(bytes: &[u8]) -> &'static str {
    decode::<T>(bytes).unwrap_err().code()
}

/// The header of a record, then these bytes.
fn behind_header<T: Sample>(datum: &[u8]) -> Vec<u8> {
    [&full::<T>()[..10], datum].concat()
}

#[test]
fn what_does_not_start_as_a_single_object_is_told_apart() {
    assert_eq!(code::<Document>(b""), "not_single_object");
    assert_eq!(code::<Document>(b"{\"document_id\": 1}"), "not_single_object");
    assert_eq!(code::<Document>(&full::<Document>()[..9]), "not_single_object");
    assert_eq!(code::<Document>(&[&[0, 0, 0, 0, 1][..], &full::<Document>()[10..]].concat()), "not_single_object");
}

#[test]
fn an_unknown_fingerprint_is_named() {
    let mut bytes = full::<Document>();
    bytes[2..10].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let error = decode::<Document>(&bytes).unwrap_err();
    assert_eq!(error, CodecError::UnknownSchema { record: "document", fingerprint: "0102030405060708".to_owned() });
}

#[test]
fn another_record_is_named() {
    let error = decode::<Document>(&full::<Outcome>()).unwrap_err();
    assert_eq!(error, CodecError::WrongRecord { expected: "document", found: "outcome" });
    assert_eq!(error.code(), "wrong_record");
}

/// Shorter by any number of bytes, and longer by one: never a record.
#[test]
fn a_truncated_or_extended_record_is_malformed() {
    fn check<T: Sample>() {
        let mut bytes = full::<T>();
        for length in 10..bytes.len() {
            assert_eq!(code::<T>(&bytes[..length]), "malformed_record", "{} cut to {length}", T::NAME);
        }
        bytes.push(0);
        assert_eq!(code::<T>(&bytes), "malformed_record", "{} with a byte more", T::NAME);
    }
    for_each_record!(check);
}

#[test]
fn lengths_are_not_taken_on_trust() {
    let longest = [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    let negative = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    let overlong = [0xFF; 16];
    let gibibyte = [0x80, 0x80, 0x80, 0x80, 0x08];
    for length in [&longest[..], &negative, &overlong, &gibibyte] {
        // The first field of a document is a string; deep in a routed one there are lists and a
        // map.
        assert_eq!(code::<Document>(&behind_header::<Document>(length)), "malformed_record");
        let whole = full::<RoutedDocument>();
        for cut in 10..whole.len() {
            // The last field is a number, for which the first two are values.
            if let Err(error) = decode::<RoutedDocument>(&[&whole[..cut], length].concat()) {
                assert_eq!(error.code(), "malformed_record", "after {cut} bytes");
            } else {
                assert!(cut > whole.len() - 10, "after {cut} bytes");
            }
        }
    }
}

/// A list may be written in blocks with their sizes in bytes, though no one here does.
#[test]
fn lists_in_sized_blocks_are_read() {
    let document = Document { subject_ids: vec!["ab".to_owned()], ..Document::new("d", 0) };
    let bytes = encode(&document).unwrap();
    let plain = [2, 4, b'a', b'b', 0];
    let sized = [1, 6, 4, b'a', b'b', 0];
    let at = bytes.windows(plain.len()).position(|window| window == plain).unwrap();
    let sized = [&bytes[..at], &sized[..], &bytes[at + plain.len()..]].concat();
    assert_eq!(decode::<Document>(&sized).unwrap(), document);
}

#[test]
fn errors_do_not_repeat_what_was_read() {
    let document = Document { text: Some("TOPSECRET".to_owned()), ..Document::new("TOPSECRET", 0) };
    let bytes = encode(&document).unwrap();
    for position in 10..bytes.len() {
        for byte in [0x00, 0x01, 0x7F, 0x80, 0xFF] {
            let mut bytes = bytes.clone();
            bytes[position] = byte;
            if let Err(error) = decode::<Document>(&bytes) {
                assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
            }
        }
    }
}

#[test]
fn an_amount_that_is_no_decimal_of_18_digits_is_malformed() {
    let bytes = encode(&Outcome::full()).unwrap();
    // -12.5 dollars are -12,500,000,000 nano-dollars: five bytes.
    let amount = [10, 0xFD, 0x16, 0xF1, 0x23, 0x00];
    let at = bytes.windows(amount.len()).position(|window| window == amount).unwrap();
    let with = |replacement: &[u8]| [&bytes[..at], replacement, &bytes[at + amount.len()..]].concat();
    assert!(decode::<Outcome>(&with(&amount)).is_ok());
    assert!(decode::<Outcome>(&with(&[4, 0xFF, 0xFE])).is_ok());
    let too_much = [16, 0x0D, 0xE0, 0xB6, 0xB3, 0xA7, 0x64, 0x00, 0x00];
    assert_eq!(code::<Outcome>(&with(&too_much)), "malformed_record");
    assert_eq!(code::<Outcome>(&with(&[0])), "malformed_record");
    assert_eq!(code::<Outcome>(&with(&[&[40][..], &[0; 20]].concat())), "malformed_record");
}

/// A damaged record that is still read can be written and read again.
#[test]
fn every_record_survives_broken_copies_of_itself() {
    fn check<T: Sample>() {
        let corpus = [encode(&T::full()).unwrap(), encode(&T::bare()).unwrap()];
        precis_fuzz::survives(T::NAME, &corpus, |bytes| {
            if let Ok(record) = decode::<T>(bytes) {
                let again = encode(&record).unwrap();
                assert_eq!(encode(&decode::<T>(&again).unwrap()).unwrap(), again);
            }
        });
    }
    for_each_record!(check);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode::<Document>(&bytes);
        prop_assert!(decode::<Outcome>(&bytes).is_err());
    }

    #[test]
    fn any_bytes_behind_a_header_are_answered(datum in vec(any::<u8>(), 0..400)) {
        let _ = decode::<Document>(&behind_header::<Document>(&datum));
        let _ = decode::<Outcome>(&behind_header::<Outcome>(&datum));
        let _ = decode::<RoutedDocument>(&behind_header::<RoutedDocument>(&datum));
        let _ = decode::<TierSwitch>(&behind_header::<TierSwitch>(&datum));
    }

    /// Whatever is still read after some bytes changed is a record that can be written and read
    /// again.
    #[test]
    fn mutated_records_are_answered(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = full::<RoutedDocument>();
        for (index, byte) in changes {
            let at = 10 + index.index(bytes.len() - 10);
            bytes[at] = byte;
        }
        if let Ok(record) = decode::<RoutedDocument>(&bytes) {
            let again = encode(&record).unwrap();
            prop_assert_eq!(encode(&decode::<RoutedDocument>(&again).unwrap()).unwrap(), again);
        }
    }
}

/// The encoded length of a block count.
fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// The datum of a document up to its subjects: an id, and zero or nothing for the rest.
fn up_to_subjects() -> Vec<u8> {
    let subject = "the only subject of this document";
    let document =
        Document { document_id: "a".to_owned(), subject_ids: vec![subject.to_owned()], ..Document::default() };
    let bytes = encode(&document).unwrap();
    let at = bytes.windows(subject.len()).position(|window| window == subject.as_bytes()).unwrap();
    // Before the text stand the block's count and the text's length, a byte each.
    bytes[..at - 2].to_vec()
}

/// A few bytes must not name more items than a record may have, in one block or in many.
#[test]
fn a_record_of_too_many_items_is_malformed() {
    let at = up_to_subjects();
    let one_block = [long(1_000_000), vec![0; 1_000_000]].concat();
    let with_size = [long(-1_000_000), long(1_000_000), vec![0; 1_000_000]].concat();
    let many_blocks = [long(1), vec![0]].concat().repeat(20_000);
    let endless = [long(i64::MAX), vec![0; 100]].concat();
    let below_zero = [long(i64::MIN), long(0), vec![0; 100]].concat();
    for items in [one_block, with_size, many_blocks, endless, below_zero] {
        let error = decode::<Document>(&[at.clone(), items].concat()).unwrap_err();
        assert!(error.to_string().contains("more items than a record may have"), "{error}");
    }
}

#[test]
fn a_record_of_as_many_items_as_allowed_is_read() {
    let with = |subjects: usize| {
        encode(&Document { subject_ids: vec![String::new(); subjects], ..Document::default() }).unwrap()
    };
    assert_eq!(decode::<Document>(&with(Document::MAX_ITEMS)).unwrap().subject_ids.len(), Document::MAX_ITEMS);
    assert_eq!(code::<Document>(&with(Document::MAX_ITEMS + 1)), "malformed_record");
}
