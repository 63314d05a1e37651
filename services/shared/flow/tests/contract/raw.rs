//! One Kafka request by hand: no client library sends a header whose name is not UTF-8, but a
//! broker takes it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Publishes one record with the value `0` and one header of this name to partition 0. Produce
/// request, version 3: <https://kafka.apache.org/protocol#The_Messages_Produce>.
pub(crate) async fn publish_header(broker: &str, topic: &str, name: &[u8]) {
    let batch = batch(name);
    let mut request = Vec::new();
    // Api key 0, version 3, correlation id, client id.
    request.extend([0, 0, 0, 3, 0, 0, 0, 7]);
    string(&mut request, b"raw");
    // No transactional id, acks of all, timeout, one topic, one partition: number 0.
    request.extend((-1_i16).to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    string(&mut request, topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    request.extend((batch.len() as i32).to_be_bytes());
    request.extend(batch);
    let mut stream = TcpStream::connect(broker).await.unwrap();
    stream.write_all(&(request.len() as i32).to_be_bytes()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let length = stream.read_i32().await.unwrap();
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer).await.unwrap();
    // Correlation id, one topic, its name, one partition, its number; then the error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(&answer[at..at + 2], [0, 0], "the broker took it");
}

/// A record batch of format 2.
fn batch(name: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 0];
    // No key, the value, one header without a value.
    varint(&mut record, -1);
    varint(&mut record, 1);
    record.push(b'0');
    varint(&mut record, 1);
    varint(&mut record, name.len() as i32);
    record.extend(name);
    varint(&mut record, -1);
    let mut checked = Vec::new();
    // Attributes, last offset delta, first and last timestamp, no producer id, epoch or sequence,
    // one record.
    checked.extend(0_i16.to_be_bytes());
    checked.extend(0_i32.to_be_bytes());
    checked.extend(1_700_000_000_000_i64.to_be_bytes());
    checked.extend(1_700_000_000_000_i64.to_be_bytes());
    checked.extend((-1_i64).to_be_bytes());
    checked.extend((-1_i16).to_be_bytes());
    checked.extend((-1_i32).to_be_bytes());
    checked.extend(1_i32.to_be_bytes());
    varint(&mut checked, record.len() as i32);
    checked.extend(record);
    let mut batch = Vec::new();
    // Base offset, length of what follows, leader epoch, format.
    batch.extend(0_i64.to_be_bytes());
    batch.extend((checked.len() as i32 + 9).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as i16).to_be_bytes());
    bytes.extend(text);
}

fn varint(bytes: &mut Vec<u8>, value: i32) {
    let mut rest = ((value << 1) ^ (value >> 31)) as u32;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
        crc
    })
}
