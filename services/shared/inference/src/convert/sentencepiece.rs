//! The pieces of a `SentencePiece` model (`tokenizer.model`), read as untrusted input.
//!
//! The file is a protocol buffer, of which three fields matter: the pieces (1) with text (1), score
//! (2) and type (3), and in the trainer's settings (2) the kind of the model (3).

use crate::error::EngineError;
use crate::gguf::broken;

/// `trainer_spec.model_type` of byte-pair encoding.
const BPE: u64 = 2;
/// Highest type of a piece.
const MAX_KIND: u64 = 6;

/// One piece of the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    /// Its type; the numbers are those of `tokenizer.ggml.token_type`.
    pub(super) kind: u32,
}

/// The pieces in the order of their ids.
pub(super) fn pieces(bytes: &[u8]) -> Result<Vec<Piece>, EngineError> {
    let mut pieces = Vec::new();
    let mut kind_of_model = 1;
    let mut message = Message(bytes);
    while let Some(field) = message.next()? {
        match field {
            (1, Field::Bytes(piece)) => pieces.push(self::piece(piece)?),
            (2, Field::Bytes(trainer)) => {
                let mut trainer = Message(trainer);
                while let Some(field) = trainer.next()? {
                    if let (3, Field::Number(kind)) = field {
                        kind_of_model = kind;
                    }
                }
            }
            _ => {}
        }
    }
    if kind_of_model != BPE {
        return Err(EngineError::UnsupportedTokenizer {
            tokenizer: format!("a SentencePiece model of type {kind_of_model}"),
            known: "SentencePiece models of type 2 (BPE)",
        });
    }
    Ok(pieces)
}

fn piece(bytes: &[u8]) -> Result<Piece, EngineError> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: super::vocabulary::kinds::NORMAL };
    let mut message = Message(bytes);
    while let Some(field) = message.next()? {
        match field {
            (1, Field::Bytes(text)) => {
                let text = std::str::from_utf8(text).map_err(|_| broken("a piece of tokenizer.model is no UTF-8"))?;
                text.clone_into(&mut piece.text);
            }
            (2, Field::Fixed32(bits)) => piece.score = f32::from_bits(bits),
            (3, Field::Number(kind)) if (1..=MAX_KIND).contains(&kind) => piece.kind = kind as u32,
            (3, _) => return Err(broken("a piece of tokenizer.model has an unknown type")),
            _ => {}
        }
    }
    if !piece.score.is_finite() {
        return Err(broken("a piece of tokenizer.model has no score"));
    }
    Ok(piece)
}

/// The value of a field.
enum Field<'a> {
    Number(u64),
    Fixed32(u32),
    Fixed64,
    Bytes(&'a [u8]),
}

/// The rest of a message.
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    /// The next field and its number; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, EngineError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Fixed64
            }
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Field::Fixed32(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
            _ => return Err(broken("tokenizer.model is no protocol buffer")),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, EngineError> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7F).wrapping_shl(7 * place);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(broken("a number of tokenizer.model has more than ten bytes"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], EngineError> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.0.len());
        let (taken, rest) = self.0.split_at(length.ok_or_else(|| broken("tokenizer.model was cut off"))?);
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
