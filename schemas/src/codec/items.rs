//! Counts the items of a datum's arrays and maps before anything is allocated for them.
//!
//! An empty string is one byte of a datum and two dozen bytes of memory, so a record of one
//! megabyte can name a million items. The Avro library bounds the size of a block, which is far
//! more than that, so the datum is walked through once beforehand. Walking allocates nothing, and
//! lengths are skipped, not read.

use apache_avro::Schema;

/// Deepest nesting of a datum. The schemas of this crate nest six deep.
const MAX_DEPTH: usize = 32;

/// The datum has more items than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// Whether all arrays and maps of the datum together have at most `max` items. What cannot be
/// walked through has few enough: the decoder finds its fault, at the same place at the latest.
pub(super) fn check(schema: &Schema, datum: &[u8], max: usize) -> Result<(), TooMany> {
    let mut walk = Walk { root: schema, datum, left: max };
    match walk.value(schema, 0) {
        Err(Fault::TooMany) => Err(TooMany),
        Ok(()) | Err(Fault::Malformed) => Ok(()),
    }
}

enum Fault {
    TooMany,
    Malformed,
}

struct Walk<'a> {
    /// The whole schema.
    root: &'a Schema,
    datum: &'a [u8],
    /// How many more items may come.
    left: usize,
}

/// The record of this name within a schema. All types of this crate are in one namespace.
fn named<'a>(schema: &'a Schema, name: &str) -> Option<&'a Schema> {
    match schema {
        Schema::Record(record) if record.name.name() == name => Some(schema),
        Schema::Record(record) => record.fields.iter().find_map(|field| named(&field.schema, name)),
        Schema::Array(array) => named(&array.items, name),
        Schema::Map(map) => named(&map.types, name),
        Schema::Union(union) => union.variants().iter().find_map(|variant| named(variant, name)),
        _ => None,
    }
}

impl Walk<'_> {
    fn value(&mut self, schema: &Schema, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::TooMany);
        }
        match schema {
            Schema::Null => Ok(()),
            Schema::Boolean => self.skip(1),
            Schema::Float => self.skip(4),
            Schema::Double => self.skip(8),
            Schema::Fixed(fixed) | Schema::Duration(fixed) => self.skip(fixed.size as u64),
            Schema::Array(array) => self.blocks(|walk| walk.value(&array.items, depth + 1)),
            Schema::Map(map) => self.blocks(|walk| {
                walk.bytes()?;
                walk.value(&map.types, depth + 1)
            }),
            Schema::Record(record) => record.fields.iter().try_for_each(|field| self.value(&field.schema, depth + 1)),
            Schema::Union(union) => {
                let branch = usize::try_from(self.long()?).map_err(|_| Fault::Malformed)?;
                let schema = union.variants().get(branch).ok_or(Fault::Malformed)?;
                self.value(schema, depth + 1)
            }
            Schema::Bytes | Schema::String | Schema::BigDecimal | Schema::Decimal(_) | Schema::Uuid(_) => self.bytes(),
            // A type that stands further up in the same file. One that stands nowhere is not walked
            // through, so none of its records is read: its samples fail.
            Schema::Ref { name } => {
                let named = named(self.root, name.name()).ok_or(Fault::TooMany)?;
                self.value(named, depth + 1)
            }
            // Every other type is written as a number.
            _ => self.long().map(|_| ()),
        }
    }

    /// Blocks of items up to the empty one. A negative count comes with the block's size in bytes.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        loop {
            let count = self.long()?;
            if count < 0 {
                self.long()?;
            }
            let count = usize::try_from(count.unsigned_abs()).map_err(|_| Fault::TooMany)?;
            if count == 0 {
                return Ok(());
            }
            self.left = self.left.checked_sub(count).ok_or(Fault::TooMany)?;
            for _ in 0..count {
                item(self)?;
            }
        }
    }

    fn bytes(&mut self) -> Result<(), Fault> {
        let length = self.long()?;
        self.skip(u64::try_from(length).map_err(|_| Fault::Malformed)?)
    }

    fn skip(&mut self, length: u64) -> Result<(), Fault> {
        let length = usize::try_from(length).map_err(|_| Fault::Malformed)?;
        self.datum = self.datum.get(length..).ok_or(Fault::Malformed)?;
        Ok(())
    }

    /// A variable-length integer in zigzag order.
    fn long(&mut self) -> Result<i64, Fault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.datum.split_first().ok_or(Fault::Malformed)?;
            self.datum = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(Fault::Malformed)
    }
}
