//! The layout of a GGUF file (version 3): everything before the tensors' bytes.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Value, ValueType};

/// Bytes at whose multiples tensors begin: GGUF's default, which needs no metadata.
pub(super) const ALIGNMENT: u64 = 32;

/// One tensor that will be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) format: GgmlDType,
}

impl Planned {
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        let blocks = self.shape.iter().product::<usize>() / self.format.block_size();
        (blocks * self.format.type_size()) as u64
    }

    /// Bytes of zero after it.
    pub(super) fn padding(&self) -> u64 {
        self.bytes().next_multiple_of(ALIGNMENT) - self.bytes()
    }
}

/// The header: metadata in the order given, then the tensors, then zeros up to the first of them.
pub(super) fn header(metadata: &[(String, Value)], tensors: &[Planned]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"GGUF");
    bytes.extend_from_slice(&3_u32.to_le_bytes());
    bytes.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_text(&mut bytes, key);
        bytes.extend_from_slice(&code(value.value_type()).to_le_bytes());
        put_value(&mut bytes, value);
    }
    let mut offset = 0;
    for tensor in tensors {
        put_text(&mut bytes, &tensor.name);
        bytes.extend_from_slice(&(tensor.shape.len() as u32).to_le_bytes());
        for dimension in tensor.shape.iter().rev() {
            bytes.extend_from_slice(&(*dimension as u64).to_le_bytes());
        }
        bytes.extend_from_slice(&format_code(tensor.format).to_le_bytes());
        bytes.extend_from_slice(&u64::to_le_bytes(offset));
        offset += tensor.bytes() + tensor.padding();
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
    bytes
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(number) => bytes.push(*number),
        Value::I8(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::U16(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::I16(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::U32(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::I32(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::U64(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::I64(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::F32(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::F64(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::Bool(truth) => bytes.push(u8::from(*truth)),
        Value::String(text) => put_text(bytes, text),
        Value::Array(items) => {
            // An array read by Candle has lost the type of its items where there are none.
            let kind = items.first().map_or(ValueType::U32, Value::value_type);
            bytes.extend_from_slice(&code(kind).to_le_bytes());
            bytes.extend_from_slice(&(items.len() as u64).to_le_bytes());
            for item in items {
                put_value(bytes, item);
            }
        }
    }
}

/// The number of a type of metadata in the format.
fn code(kind: ValueType) -> u32 {
    match kind {
        ValueType::U8 => 0,
        ValueType::I8 => 1,
        ValueType::U16 => 2,
        ValueType::I16 => 3,
        ValueType::U32 => 4,
        ValueType::I32 => 5,
        ValueType::F32 => 6,
        ValueType::Bool => 7,
        ValueType::String => 8,
        ValueType::Array => 9,
        ValueType::U64 => 10,
        ValueType::I64 => 11,
        ValueType::F64 => 12,
    }
}

/// The number of a tensor's format; only those that are ever written.
fn format_code(format: GgmlDType) -> u32 {
    match format {
        GgmlDType::F32 => 0,
        GgmlDType::Q5_0 => 6,
        GgmlDType::Q5_1 => 7,
        GgmlDType::Q8_0 => 8,
        GgmlDType::Q4K => 12,
        GgmlDType::Q5K => 13,
        GgmlDType::Q6K => 14,
        GgmlDType::F16 => 1,
        other => unreachable!("`types::format` never chooses {other:?}"),
    }
}

#[cfg(test)]
mod tests;
