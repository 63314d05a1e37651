//! Bytes that another Avro implementation wrote from the same `.avsc` files (`golden/make.py`),
//! byte for byte ours.

use std::fs;
use std::path::Path;

use precis_schemas::codec::{decode, encode, schema_header_of};
use precis_schemas::{Answer, Document, LedgerAttempt, Outcome, Purpose, RoutedDocument, Usd};

use crate::samples::{Sample, for_each_record};

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run tests/golden/make.py", path.display()))
}

#[test]
fn records_of_another_implementation_are_read() {
    fn check<T: Sample>() {
        assert_eq!(decode::<T>(&golden(&format!("{}.full.bin", T::NAME))).unwrap(), T::full());
        assert_eq!(decode::<T>(&golden(&format!("{}.bare.bin", T::NAME))).unwrap(), T::bare());
    }
    for_each_record!(check);
}

/// Equal bytes: what we write, the other implementation reads as it reads its own.
#[test]
fn records_are_written_as_another_implementation_writes_them() {
    fn check<T: Sample>() {
        assert_eq!(encode(&T::full()).unwrap(), golden(&format!("{}.full.bin", T::NAME)), "{}", T::NAME);
        assert_eq!(encode(&T::bare()).unwrap(), golden(&format!("{}.bare.bin", T::NAME)), "{}", T::NAME);
    }
    for_each_record!(check);
}

/// What older services stored and published: `<record>.v1.bin` was written with version 1.
#[test]
fn records_of_version_1_are_read_without_figures() {
    let outcome: Outcome = decode(&golden("outcome.v1.bin")).unwrap();
    assert_eq!(outcome, Outcome { scores: None, quality_index: None, ..Outcome::full() });
    let headers = ["outcome.v1.bin", "outcome.full.bin"].map(|name| schema_header_of(&golden(name)));
    assert_eq!(headers, [Some("outcome.v1".to_owned()), Some("outcome.v2".to_owned())]);
    assert_eq!((schema_header_of(b"outcome"), schema_header_of(&[0xC3, 1, 0, 0, 0, 0, 0, 0, 0, 0])), (None, None));
    let answer: Answer = decode(&golden("answer.v1.bin")).unwrap();
    assert_eq!(answer, Answer { scores: None, ..Answer::full() });
}

/// Work and ledger of older services: nobody judged anything.
#[test]
fn records_of_version_1_ask_for_no_evaluation() {
    let routed: RoutedDocument = decode(&golden("routed_document.v1.bin")).unwrap();
    assert_eq!(routed, RoutedDocument { evaluation: None, ..RoutedDocument::full() });
    let attempt: LedgerAttempt = decode(&golden("ledger_attempt.v1.bin")).unwrap();
    assert_eq!(attempt, LedgerAttempt { purpose: Purpose::Production, ..LedgerAttempt::full() });
}

/// A publisher gives what it has; the rest comes from the schema.
#[test]
fn a_document_of_two_fields_takes_the_defaults() {
    let document: Document = decode(&golden("document.bare.bin")).unwrap();
    assert_eq!(document, Document::new("d", 0));
    assert_eq!(document.content_type, "text/plain");
}

#[test]
fn the_decimal_of_another_implementation_is_exact() {
    let outcome: Outcome = decode(&golden("outcome.full.bin")).unwrap();
    assert_eq!(outcome.cost, Usd::from_nanos(-12_500_000_000).unwrap());
}
