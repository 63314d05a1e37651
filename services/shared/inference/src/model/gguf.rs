//! Reading values out of a GGUF file's metadata, with errors that name the key.

use candle_core::quantized::gguf_file::{Content, Value};

use crate::error::EngineError;

/// An error about the file as such; the path is filled in where it is known.
pub(crate) fn broken(reason: &str) -> EngineError {
    EngineError::BadModel { file: std::path::PathBuf::new(), reason: reason.to_owned() }
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

pub(crate) fn boolean(content: &Content, key: &str) -> Result<bool, EngineError> {
    value(content, key)?.to_bool().map_err(|_| wrong(key, "a truth value"))
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
