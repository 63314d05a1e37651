//! The header of a safetensors file, read as untrusted input.
//!
//! A file is a length in eight bytes, so many bytes of JSON, and the tensors' bytes. The format
//! demands that these lie back to back and fill the file, so that no byte has two meanings or none.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::EngineError;
use crate::gguf::broken;

/// Longest header that is read. A tensor takes a hundred bytes of it, and a model of 70 billion
/// weights has 723 tensors.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// Bytes of the length that comes first.
const LENGTH_BYTES: u64 = 8;

/// One tensor: its type by name, its shape, and its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    /// Byte of the file at which it begins.
    pub(super) start: u64,
    pub(super) bytes: u64,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The tensors of a header; its other entry, `__metadata__`, says nothing of them.
struct RawHeader(BTreeMap<String, RawEntry>);

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

/// Reads the entries one by one and refuses a name that comes twice: readers differ in which of
/// the two counts.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = RawHeader;

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
        let mut tensors = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let entry = map.next_value()?;
            if tensors.insert(name, entry).is_some() {
                return Err(serde::de::Error::custom("a tensor is there twice"));
            }
        }
        Ok(RawHeader(tensors))
    }
}

/// Reads and checks the header.
pub(super) fn header(reader: &mut (impl Read + Seek)) -> Result<BTreeMap<String, Entry>, EngineError> {
    let failed = |error: std::io::Error| broken(&error.to_string());
    let file_bytes = reader.seek(SeekFrom::End(0)).map_err(failed)?;
    if file_bytes < LENGTH_BYTES {
        return Err(broken(&format!("{file_bytes} bytes are no safetensors file")));
    }
    reader.rewind().map_err(failed)?;
    let mut length = [0; LENGTH_BYTES as usize];
    reader.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_BYTES || length > file_bytes - LENGTH_BYTES {
        return Err(broken(&format!(
            "its header claims {length} bytes, the file has {file_bytes}, and {MAX_HEADER_BYTES} are the most"
        )));
    }
    let mut text = vec![0; length as usize];
    reader.read_exact(&mut text).map_err(failed)?;
    checked(&text, LENGTH_BYTES + length, file_bytes)
}

/// The tensors of a header whose data lie from `data_start` to the end of the file.
fn checked(text: &[u8], data_start: u64, file_bytes: u64) -> Result<BTreeMap<String, Entry>, EngineError> {
    let raw: RawHeader =
        serde_json::from_slice(text).map_err(|error| broken(&format!("its header is not valid: {error}")))?;
    let mut entries = BTreeMap::new();
    let mut places = Vec::new();
    for (name, raw) in raw.0 {
        let bad = |what: &str| broken(&format!("the tensor `{name}` {what}"));
        let size = dtype_bytes(&raw.dtype).ok_or_else(|| bad(&format!("has the unknown type `{}`", raw.dtype)))?;
        let bytes = raw.shape.iter().try_fold(size, |bytes, dimension| bytes.checked_mul(*dimension));
        let (from, to) = raw.data_offsets;
        if bytes.is_none() || to.checked_sub(from) != bytes {
            return Err(bad(&format!(
                "has the shape {:?} in {}, which bytes {from} to {to} are not",
                raw.shape, raw.dtype
            )));
        }
        let start = data_start.checked_add(from).filter(|_| to <= file_bytes - data_start);
        let Some(start) = start else {
            return Err(bad(&format!("ends at byte {to} of {}: the file was cut off", file_bytes - data_start)));
        };
        let shape: Result<Vec<usize>, _> = raw.shape.iter().map(|dimension| usize::try_from(*dimension)).collect();
        let shape = shape.map_err(|_| bad("has an impossible shape"))?;
        places.push((from, to));
        entries.insert(name, Entry { dtype: raw.dtype, shape, start, bytes: to - from });
    }
    places.sort_unstable();
    let mut end = 0;
    for (from, to) in places {
        if from != end {
            return Err(broken(&format!("byte {} of its tensors belongs to none or to two of them", end.min(from))));
        }
        end = to;
    }
    if end != file_bytes - data_start {
        return Err(broken(&format!("{} bytes after its last tensor belong to none", file_bytes - data_start - end)));
    }
    Ok(entries)
}

/// Bytes of a number of this type.
fn dtype_bytes(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" => 1,
        "U16" | "I16" | "F16" | "BF16" => 2,
        "U32" | "I32" | "F32" => 4,
        "U64" | "I64" | "F64" => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
