#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};

use super::{Planned, header};

#[test]
fn candle_reads_what_was_laid_out() {
    let list = Value::Array(vec![Value::String("a b".into()), Value::String("é".into())]);
    let values = [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::U32(3),
        Value::I32(-3),
        Value::U64(4),
        Value::I64(-4),
        Value::F32(0.5),
        Value::F64(0.25),
        Value::Bool(true),
        Value::String("text".into()),
        Value::Array(Vec::new()),
        list,
    ];
    let metadata: Vec<(String, Value)> =
        values.into_iter().enumerate().map(|(at, value)| (format!("key.{at}"), value)).collect();
    let formats = [
        GgmlDType::F32,
        GgmlDType::F16,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ];
    let tensors = formats.map(|format| Planned { name: format!("{format:?}"), shape: vec![3, 256], format });
    let bytes = header(&metadata, &tensors);
    let content = Content::read(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!(content.tensor_data_offset, bytes.len() as u64);
    for (key, value) in &metadata {
        assert_eq!(format!("{:?}", content.metadata[key]), format!("{value:?}"));
    }
    let mut offset = 0;
    for tensor in &tensors {
        let info = &content.tensor_infos[&tensor.name];
        assert_eq!((info.offset, info.ggml_dtype, info.shape.dims()), (offset, tensor.format, &[3, 256][..]));
        offset += tensor.bytes() + tensor.padding();
        assert!(offset.is_multiple_of(32));
    }
}
