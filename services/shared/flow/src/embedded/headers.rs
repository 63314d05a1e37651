//! Headers as one column: for each a 4-byte little-endian length and the name, then the same for
//! the value.

use crate::values::Headers;

/// A column that this crate did not write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

pub(super) fn encode(headers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers.iter() {
        for part in [name.as_bytes(), value] {
            bytes.extend((part.len() as u32).to_le_bytes());
            bytes.extend(part);
        }
    }
    bytes
}

pub(super) fn decode(mut bytes: &[u8]) -> Result<Headers, Damaged> {
    let mut headers = Headers::new();
    while !bytes.is_empty() {
        let name = String::from_utf8(take(&mut bytes)?.to_vec()).map_err(|_| Damaged)?;
        headers.push(name, take(&mut bytes)?);
    }
    Ok(headers)
}

fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Damaged> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Damaged)?;
    let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Damaged)?;
    *bytes = rest;
    Ok(part)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_lies_in_the_column_is_survived() {
        let headers = Headers::new().with("precis-origin", "documents.acme/2/41").with("", "");
        precis_fuzz::survives("embedded-headers", &[encode(&headers)], |bytes| {
            if let Ok(headers) = decode(bytes) {
                assert_eq!(encode(&headers), bytes);
            }
        });
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_the_same(pairs: Vec<(String, Vec<u8>)>) {
            let mut headers = Headers::new();
            for (name, value) in pairs {
                headers.push(name, value);
            }
            prop_assert_eq!(decode(&encode(&headers)).unwrap(), headers);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
