#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::super::{Inputs, Kind, ReadOptions, collect};

fn read(bytes: &[u8], kind: Kind) -> Inputs {
    let options = ReadOptions { stdin: kind, ..ReadOptions::default() };
    collect(&[PathBuf::from("-")], &mut &*bytes, &options)
}

/// What the command at the end of the message makes of the bytes.
fn follow(message: &str, bytes: &[u8]) -> Vec<u8> {
    let command = message.split_once("for example with ").map(|(_, command)| command).unwrap();
    let mut words = command.split_whitespace();
    let mut child =
        Command::new(words.next().unwrap()).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// The text after the advice was followed, beside the encoding that was advised.
fn converted(bytes: &[u8]) -> (String, String) {
    let refused = read(bytes, Kind::Text);
    assert_eq!((refused.documents.len(), refused.problems[0].code), (0, "not_utf8"));
    let message = refused.problems[0].message.clone();
    let read = read(&follow(&message, bytes), Kind::Text);
    assert_eq!(read.problems, [], "{message}");
    (read.documents[0].text.clone(), message)
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn utf32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
    text.chars().flat_map(|character| bytes(character.into())).collect()
}

#[test]
fn the_advised_conversion_leads_to_the_text() {
    let french = "Le café est fermé, l\u{2019}hôtel aussi \u{2013} «\u{a0}dommage\u{a0}» \u{201c}oui\u{201d} 5\u{a0}€.";
    let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(french);
    assert_eq!(converted(&bytes).0, french);

    let latin = "Grüße aus Köln, wo es schön ist.";
    let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(latin);
    assert_eq!(converted(&bytes).0, latin);

    let russian = "Сегодня хорошая погода, и мы идём гулять в парк.";
    for encoding in [encoding_rs::WINDOWS_1251, encoding_rs::KOI8_R] {
        let (bytes, _, _) = encoding.encode(russian);
        assert_eq!(converted(&bytes).0, russian, "{}", encoding.name());
    }
    let japanese = "今日は天気がいいので、公園へ散歩に行きます。";
    for encoding in [encoding_rs::SHIFT_JIS, encoding_rs::EUC_JP, encoding_rs::ISO_2022_JP] {
        let (bytes, _, _) = encoding.encode(japanese);
        assert_eq!(converted(&bytes).0, japanese, "{}", encoding.name());
    }
    let chinese = "今天天气很好，我们去公园散步。";
    let (bytes, _, _) = encoding_rs::GBK.encode(chinese);
    assert_eq!(converted(&bytes).0, chinese);
}

#[test]
fn wide_encodings_without_a_mark_are_named_rightly() {
    for text in ["Plain words.\nTwo lines.", "日本語の文章です。\n二行目。", "Grüße \u{1F600}!"] {
        for (bytes, name) in [
            (utf16(text, u16::to_le_bytes), "-f utf-16le "),
            (utf16(text, u16::to_be_bytes), "-f utf-16be "),
            (utf32(text, u32::to_le_bytes), "-f utf-32le "),
            (utf32(text, u32::to_be_bytes), "-f utf-32be "),
        ] {
            let (found, message) = converted(&bytes);
            assert_eq!(found, text);
            assert!(message.contains(name), "{message}");
            let records = self::read(&bytes, Kind::Jsonl);
            assert_eq!((records.problems.len(), records.problems[0].name.as_str()), (1, "stdin"));
        }
    }
}

#[test]
fn wide_encodings_with_a_mark_are_read() {
    let text = "Plain words, Grüße, 日本語 \u{1F600}. ".repeat(2_000);
    let text = text.trim_end();
    let marked = format!("\u{feff}{text}");
    for bytes in [
        utf16(&marked, u16::to_le_bytes),
        utf16(&marked, u16::to_be_bytes),
        utf32(&marked, u32::to_le_bytes),
        utf32(&marked, u32::to_be_bytes),
    ] {
        let inputs = read(&bytes, Kind::Text);
        assert_eq!(inputs.problems, []);
        assert_eq!(inputs.documents[0].text, text);
    }
    let record = utf16("\u{feff}{\"text\": \"Größe\"}\r\n{\"text\": \"b\"}\r\n", u16::to_le_bytes);
    assert_eq!(read(&record, Kind::Jsonl).documents.len(), 2);
}

#[test]
fn a_broken_wide_character_becomes_a_replacement() {
    let mut bytes = utf16("\u{feff}ab", u16::to_le_bytes);
    bytes.extend([0x3D, 0xD8, b'c', 0, b'd']);
    assert_eq!(read(&bytes, Kind::Text).documents[0].text, "ab\u{FFFD}c\u{FFFD}");
}

#[test]
fn damaged_utf8_is_not_taken_for_another_encoding() {
    let mut bytes = "Grüße aus Köln, schöne Tage, für Jürgen.".as_bytes().to_vec();
    bytes.push(0xC3);
    let (text, message) = converted(&bytes);
    assert_eq!(text, "Grüße aus Köln, schöne Tage, für Jürgen.");
    assert!(message.contains("iconv -c"), "{message}");
}

#[test]
fn files_of_other_formats_are_told_once_for_what_they_are() {
    let filler: Vec<u8> = (0..40_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (start, what) in [
        (&b"\x1f\x8b\x08"[..], "gzip -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd -dc"),
        (b"\xfd7zXZ\0", "xz -dc"),
        (b"BZh91AY&SY", "bzip2 -dc"),
        (b"PK\x03\x04", "zip"),
        (b"%PDF-1.7\n", "pdftotext"),
        (b"\x89PNG\r\n", "binary"),
    ] {
        let bytes = [start, &filler].concat();
        for kind in [Kind::Text, Kind::Html, Kind::Jsonl, Kind::Json] {
            let inputs = read(&bytes, kind);
            let [problem] = inputs.problems.as_slice() else { panic!("{what}: {:?}", inputs.problems) };
            assert!(problem.code == "binary" && problem.message.contains(what), "{problem:?}");
            assert_eq!(problem.name, "stdin");
        }
    }
}

/// Each line is its own problem, and all of them name the encoding of the file.
#[test]
fn lines_in_another_encoding_name_it() {
    let (bytes, _, _) =
        encoding_rs::WINDOWS_1252.encode("{\"text\": \"l\u{2019}été\"}\n{\"text\": \"a\"}\n{\"text\": \"à\"}");
    let inputs = read(&bytes, Kind::Jsonl);
    assert_eq!((inputs.documents.len(), inputs.problems.len()), (1, 2));
    assert!(inputs.problems.iter().all(|problem| problem.message.contains("windows-1252")), "{:?}", inputs.problems);
}
