//! Readers of a GGUF file's header and metadata, with errors that name the key.

use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};

use crate::error::EngineError;

/// An error about the file; callers that know its path fill it in.
pub(crate) fn broken(reason: &str) -> EngineError {
    EngineError::BadModel { file: std::path::PathBuf::new(), reason: reason.to_owned() }
}

/// Reads the header: the metadata, and the place of each tensor, which must be within the file.
pub(crate) fn header(reader: &mut (impl Read + Seek)) -> Result<Content, EngineError> {
    // The parser is Candle's. It panics at some headers, such as an alignment of 0; they are as
    // broken as those that it refuses.
    let content = catch_unwind(AssertUnwindSafe(|| Content::read(reader)))
        .map_err(|_| broken("the header makes no sense"))?
        .map_err(|error| broken(&error.to_string()))?;
    let file_bytes = reader.seek(SeekFrom::End(0)).map_err(|error| broken(&error.to_string()))?;
    for (name, info) in &content.tensor_infos {
        let end = tensor_bytes(info)
            .and_then(|bytes| bytes.checked_add(info.offset)?.checked_add(content.tensor_data_offset))
            .ok_or_else(|| broken(&format!("`{name}` has the impossible shape {:?}", info.shape.dims())))?;
        if end > file_bytes {
            return Err(broken(&format!("`{name}` ends at byte {end}, the file at {file_bytes}: it was cut off")));
        }
    }
    Ok(content)
}

/// Bytes of a tensor as it is stored; `None` for an impossible shape.
pub(crate) fn tensor_bytes(info: &TensorInfo) -> Option<u64> {
    let values = info.shape.dims().iter().try_fold(1_usize, |values, size| values.checked_mul(*size))?;
    let block = info.ggml_dtype.block_size();
    let bytes = (values / block).checked_mul(info.ggml_dtype.type_size())?;
    values.is_multiple_of(block).then_some(bytes as u64)
}

fn value<'a>(content: &'a Content, key: &str) -> Result<&'a Value, EngineError> {
    content.metadata.get(key).ok_or_else(|| broken(&format!("the metadata has no `{key}`")))
}

fn wrong(key: &str, wanted: &str) -> EngineError {
    broken(&format!("`{key}` is not {wanted}"))
}

pub(crate) fn string<'a>(content: &'a Content, key: &str) -> Result<&'a str, EngineError> {
    value(content, key)?.to_string().map(String::as_str).map_err(|_| wrong(key, "a string"))
}

pub(crate) fn number(content: &Content, key: &str) -> Result<u32, EngineError> {
    to_number(value(content, key)?).ok_or_else(|| wrong(key, "a whole number"))
}

pub(crate) fn float(content: &Content, key: &str) -> Result<f64, EngineError> {
    let value = value(content, key)?;
    value.to_f32().map(f64::from).or_else(|_| value.to_f64()).map_err(|_| wrong(key, "a number"))
}

pub(crate) fn floats(content: &Content, key: &str) -> Result<Vec<f32>, EngineError> {
    let items = value(content, key)?.to_vec().map_err(|_| wrong(key, "an array"))?;
    items.iter().map(|item| item.to_f32().map_err(|_| wrong(key, "an array of numbers"))).collect()
}

pub(crate) fn boolean(content: &Content, key: &str) -> Result<bool, EngineError> {
    value(content, key)?.to_bool().map_err(|_| wrong(key, "a truth value"))
}

pub(crate) fn booleans(content: &Content, key: &str) -> Result<Vec<bool>, EngineError> {
    let items = value(content, key)?.to_vec().map_err(|_| wrong(key, "an array"))?;
    items.iter().map(|item| item.to_bool().map_err(|_| wrong(key, "an array of truth values"))).collect()
}

pub(crate) fn strings(content: &Content, key: &str) -> Result<Vec<String>, EngineError> {
    let items = value(content, key)?.to_vec().map_err(|_| wrong(key, "an array"))?;
    items.iter().map(|item| item.to_string().cloned().map_err(|_| wrong(key, "an array of strings"))).collect()
}

pub(crate) fn numbers(content: &Content, key: &str) -> Result<Vec<u32>, EngineError> {
    let items = value(content, key)?.to_vec().map_err(|_| wrong(key, "an array"))?;
    items.iter().map(|item| to_number(item).ok_or_else(|| wrong(key, "an array of whole numbers"))).collect()
}

fn to_number(value: &Value) -> Option<u32> {
    match value {
        Value::U8(number) => Some(u32::from(*number)),
        Value::U16(number) => Some(u32::from(*number)),
        Value::U32(number) => Some(*number),
        Value::I8(number) => u32::try_from(*number).ok(),
        Value::I16(number) => u32::try_from(*number).ok(),
        Value::I32(number) => u32::try_from(*number).ok(),
        Value::U64(number) => u32::try_from(*number).ok(),
        Value::I64(number) => u32::try_from(*number).ok(),
        _ => None,
    }
}
