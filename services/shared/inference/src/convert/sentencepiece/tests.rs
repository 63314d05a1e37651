#![allow(clippy::unwrap_used)]

use super::{Piece, pieces};

/// A field of the wire format with bytes in it.
pub(crate) fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(bytes);
    field
}

/// A `tokenizer.model` of that kind with these pieces.
pub(crate) fn model(kind: u8, pieces: &[(&str, f32, u8)]) -> Vec<u8> {
    let mut model = Vec::new();
    for (text, score, kind) in pieces {
        let mut piece = bytes_field(1, text.as_bytes());
        piece.push(2 << 3 | 5);
        piece.extend_from_slice(&score.to_le_bytes());
        piece.extend_from_slice(&[3 << 3, *kind]);
        model.extend(bytes_field(1, &piece));
    }
    // Fields of other types, which a reader must step over.
    let mut trainer = vec![1 << 3, 5, 4 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0, 3 << 3, kind];
    trainer.extend(bytes_field(10, &[b'x'; 300]));
    model.extend(bytes_field(2, &trainer));
    model
}

#[test]
fn pieces_come_with_score_and_type() {
    let found = pieces(&model(2, &[("<unk>", 0.0, 2), ("\u{2581}the", -3.5, 1), ("<0x0A>", 0.0, 6)])).unwrap();
    let piece = |text: &str, score, kind| Piece { text: text.into(), score, kind };
    assert_eq!(found, [piece("<unk>", 0.0, 2), piece("\u{2581}the", -3.5, 1), piece("<0x0A>", 0.0, 6)]);
}

#[test]
fn a_model_that_is_not_bpe_is_refused() {
    let error = pieces(&model(1, &[("a", 0.0, 1)])).unwrap_err();
    assert_eq!(error.code(), "unsupported_tokenizer");
}

#[test]
fn a_model_that_was_cut_off_is_refused() {
    let whole = model(2, &[("a", 0.0, 1)]);
    let error = pieces(&whole[..whole.len() - 1]).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    for bad in [model(2, &[("a", f32::NAN, 1)]), model(2, &[("a", 0.0, 9)]), vec![0xFF; 12]] {
        assert_eq!(pieces(&bad).unwrap_err().code(), "bad_model");
    }
}

#[test]
fn broken_sentencepiece_models_are_survived() {
    let valid = model(2, &[("<unk>", 0.0, 2), ("\u{2581}the", -3.5, 1)]);
    precis_fuzz::survives("sentencepiece", &[valid], |bytes| {
        let _ = pieces(bytes);
    });
}
