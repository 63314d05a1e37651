//! Shapes of texts that make quadratic code slow: one thing repeated, or two things that meet.
//!
//! None is a document of others; all are made from a length.

use crate::growth::Shape;

const fn shape(name: &'static str, text: fn(usize) -> String) -> Shape {
    Shape { name, text }
}

/// Each part repeated to its share of `bytes`, one part behind the other.
fn runs(bytes: usize, parts: &[&str]) -> String {
    let share = bytes / parts.len();
    parts.iter().map(|part| part.repeat((share / part.len()).max(1))).collect()
}

/// The pieces that `piece` makes of 0, 1, 2 and so on.
fn numbered(bytes: usize, piece: fn(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&piece(number));
    }
    text
}

/// `head`, then one part repeated.
fn behind(head: &str, bytes: usize, part: &str) -> String {
    format!("{head}{}", runs(bytes, &[part]))
}

/// Plain texts, for whatever reads a document or an answer.
pub const TEXTS: &[Shape] = &[
    shape("a word, then signs", |bytes| runs(bytes, &["a", "$"])),
    shape("signs behind digits and spaces", |bytes| runs(bytes, &["5  $ "])),
    shape("digit, spaces, then signs", |bytes| runs(bytes, &["5", " ", "$"])),
    shape("percent signs and a word", |bytes| runs(bytes, &["%", "x"])),
    shape("a figure and a comma", |bytes| runs(bytes, &["1,"])),
    shape("a figure and a blank", |bytes| runs(bytes, &["1 "])),
    shape("groups of thousands", |bytes| runs(bytes, &["1 000 "])),
    shape("one endless number", |bytes| runs(bytes, &["7"])),
    shape("abbreviations", |bytes| runs(bytes, &["U.S."])),
    shape("full stops", |bytes| runs(bytes, &["a."])),
    shape("full stops and blanks", |bytes| runs(bytes, &["a. "])),
    shape("a full stop, then closing marks", |bytes| runs(bytes, &["a.", ")"])),
    shape("a full stop, then digits", |bytes| runs(bytes, &["a.) ", "1 "])),
    shape("Han without blanks", |bytes| runs(bytes, &["漢字"])),
    shape("Thai without blanks", |bytes| runs(bytes, &["ภาษา"])),
    shape("capitals", |bytes| runs(bytes, &["NATO "])),
    shape("one capital word", |bytes| runs(bytes, &["A"])),
    shape("capitalised words", |bytes| runs(bytes, &["Anna "])),
    shape("names with connectors", |bytes| runs(bytes, &["Court of "])),
    shape("a letter, then combining marks", |bytes| runs(bytes, &["e", "\u{301}"])),
    shape("letters with combining marks", |bytes| runs(bytes, &["e\u{301}\u{323}"])),
    shape("two kinds of combining marks", |bytes| runs(bytes, &["\u{301}\u{323}"])),
    shape("soft hyphens", |bytes| runs(bytes, &["a\u{ad}"])),
    shape("soft hyphens at line ends", |bytes| runs(bytes, &["a\u{ad} \n "])),
    shape("a soft hyphen, then spaces", |bytes| runs(bytes, &["a\u{ad}", " "])),
    shape("hyphens at line ends", |bytes| runs(bytes, &["ab-\n"])),
    shape("hyphen chains", |bytes| runs(bytes, &["twenty-"])),
    shape("hyphens", |bytes| runs(bytes, &["-"])),
    shape("number words", |bytes| runs(bytes, &["two and "])),
    shape("hundreds", |bytes| runs(bytes, &["hundred "])),
    shape("scales", |bytes| runs(bytes, &["million "])),
    shape("quotation marks", |bytes| runs(bytes, &["\""])),
    shape("apostrophes", |bytes| runs(bytes, &["l'"])),
    shape("nested brackets", |bytes| runs(bytes, &["(", ")"])),
    shape("opening brackets", |bytes| runs(bytes, &["["])),
    shape("line ends", |bytes| runs(bytes, &["\n"])),
    shape("line ends of two characters", |bytes| runs(bytes, &["\r\n"])),
    shape("tabs", |bytes| runs(bytes, &["\t"])),
    shape("blanks", |bytes| runs(bytes, &[" "])),
    shape("blanks, then a word", |bytes| runs(bytes, &[" ", "x"])),
    shape("one endless word", |bytes| runs(bytes, &["x"])),
    shape("one endless word of digits and letters", |bytes| runs(bytes, &["x7"])),
    shape("joined emoji", |bytes| runs(bytes, &["👩\u{200d}"])),
    shape("flags", |bytes| runs(bytes, &["🇫🇷"])),
    shape("emoji with tones", |bytes| runs(bytes, &["👍🏽"])),
    shape("Indic conjuncts", |bytes| runs(bytes, &["क्"])),
    shape("Hangul letters", |bytes| runs(bytes, &["ᄀ"])),
    shape("Arabic words", |bytes| runs(bytes, &["\u{643}\u{62a}\u{627}\u{628} "])),
    shape("direction marks", |bytes| runs(bytes, &["\u{202e}a\u{202c}"])),
    shape("mixed scripts", |bytes| runs(bytes, &["aбγ漢\u{5d0} "])),
    shape("dates", |bytes| runs(bytes, &["12.03.2021 "])),
    shape("chained dates", |bytes| runs(bytes, &["1/2/"])),
    shape("units", |bytes| runs(bytes, &["5 kg "])),
    shape("money in ranges", |bytes| runs(bytes, &["$10-"])),
    shape("series of numbers", |bytes| runs(bytes, &["5, "])),
    shape("list markers", |bytes| runs(bytes, &["1. a\n"])),
    shape("bullets", |bytes| runs(bytes, &["- a\n"])),
    shape("paragraphs of a letter", |bytes| runs(bytes, &["a\n\n"])),
    shape("blank lines with blanks", |bytes| runs(bytes, &["a\n \n"])),
    shape("a repeated sentence", |bytes| runs(bytes, &["The harbour opened in May and closed in July. "])),
    shape("two letters in turn", |bytes| runs(bytes, &["a b "])),
    shape("raised digits", |bytes| runs(bytes, &["x²"])),
    shape("units with raised digits", |bytes| runs(bytes, &["m²"])),
    shape("lowered digits", |bytes| runs(bytes, &["x₂"])),
    shape("fractions", |bytes| runs(bytes, &["½"])),
    shape("keys", |bytes| runs(bytes, &["1⃣"])),
    shape("ligatures", |bytes| runs(bytes, &["ﬁ"])),
    shape("dashes", |bytes| runs(bytes, &["a—"])),
    shape("ellipses", |bytes| runs(bytes, &["…"])),
    shape("currency codes", |bytes| runs(bytes, &["EUR "])),
    shape("less-than signs", |bytes| runs(bytes, &["<"])),
    shape("ampersands", |bytes| runs(bytes, &["&"])),
    shape("backslashes", |bytes| runs(bytes, &["\\"])),
    shape("backticks", |bytes| runs(bytes, &["`"])),
    shape("tildes, then text", |bytes| runs(bytes, &["~", "a\n"])),
    shape("opening tags of reasoning", |bytes| runs(bytes, &["<think>"])),
    shape("closing tags of reasoning", |bytes| runs(bytes, &["a </think> "])),
    shape("channels", |bytes| runs(bytes, &["<|channel|>"])),
    shape("control tokens", |bytes| runs(bytes, &["<|im_end|>"])),
    shape("base64", |bytes| runs(bytes, &["QUJDREVG"])),
    shape("words that differ", |bytes| numbered(bytes, |number| format!("w{number} "))),
    shape("names that differ", |bytes| numbered(bytes, |number| format!("Ab{number}c "))),
    shape("letters that differ", |bytes| {
        numbered(bytes, |number| format!("{} ", char::from_u32(0x4e00 + number as u32 % 20_000).unwrap_or_default()))
    }),
    shape("near-repeats", |bytes| {
        numbered(bytes, |number| format!("The harbour opened in {number} and closed again. "))
    }),
    shape("nested powers", |bytes| numbered(bytes, |number| format!("{} ", "ab".repeat(number % 64)))),
    shape("amounts that differ", |bytes| numbered(bytes, |number| format!("{number}.{number} % "))),
];

/// Web pages. A reader that flattens what is nested deeply is linear only from there on: 12 KiB are
/// enough for 512 levels.
pub const PAGES: &[Shape] = &[
    shape("nested divisions", |bytes| runs(bytes, &["<div>"])),
    shape("nested divisions that close", |bytes| runs(bytes, &["<div>", "</div>"])),
    shape("end tags without start", |bytes| runs(bytes, &["</p>"])),
    shape("nested formatting", |bytes| runs(bytes, &["<b>"])),
    shape("misnested formatting", |bytes| runs(bytes, &["<b><i></b>"])),
    shape("anchors in anchors", |bytes| runs(bytes, &["<a>"])),
    shape("nested lists", |bytes| runs(bytes, &["<ul><li>"])),
    shape("cells", |bytes| runs(bytes, &["<td>1"])),
    shape("cells in a table", |bytes| behind("<table>", bytes, "<td>1")),
    shape("rows in a table", |bytes| behind("<table>", bytes, "<tr><td>1")),
    shape("text that is moved out of a table", |bytes| behind("<table>", bytes, "a<tr>")),
    shape("spans of cells", |bytes| runs(bytes, &["<table><td rowspan=65534 colspan=1000>a</table>"])),
    shape("cells that span", |bytes| behind("<table>", bytes, "<tr><td rowspan=65534 colspan=1000>a")),
    shape("nested tables", |bytes| runs(bytes, &["<table><tr><td>"])),
    shape("less-than signs", |bytes| runs(bytes, &["<"])),
    shape("less-than signs and letters", |bytes| runs(bytes, &["<a "])),
    shape("ampersands", |bytes| runs(bytes, &["&"])),
    shape("references", |bytes| runs(bytes, &["&am"])),
    shape("numeric references", |bytes| runs(bytes, &["&#65;"])),
    shape("comments", |bytes| runs(bytes, &["<!-- -->"])),
    shape("comments that do not end", |bytes| runs(bytes, &["<!--"])),
    shape("comments that close nothing", |bytes| runs(bytes, &["<!-->--!"])),
    shape("declarations", |bytes| runs(bytes, &["<!a>"])),
    shape("processing instructions", |bytes| runs(bytes, &["<?a"])),
    shape("attributes", |bytes| behind("<p", bytes, " a=b")),
    shape("attributes that differ", |bytes| format!("<p {}>", numbered(bytes, |number| format!("a{number}=b ")))),
    shape("tags with quotes", |bytes| runs(bytes, &["<p a=\""])),
    shape("formatting with attributes that differ", |bytes| numbered(bytes, |number| format!("<font a={number}>a<p>"))),
    shape("scripts in a comment in a script", |bytes| behind("<script><!--", bytes, "<script </script ")),
    shape("end tags in a script", |bytes| behind("<script>", bytes, "</scrip ")),
    shape("end tags in a title", |bytes| behind("<title>", bytes, "</titl ")),
    shape("a title", |bytes| behind("<title>", bytes, "aab ")),
    shape("a title that is in the text", |bytes| format!("<title>{0}b</title>{0}", runs(bytes / 2, &["a"]))),
    shape("character data", |bytes| behind("<svg>", bytes, "<![CDATA[a]]>")),
    shape("character data that does not end", |bytes| behind("<svg>", bytes, "<![CDATA[ ]]")),
    shape("nested drawings", |bytes| behind("<svg>", bytes, "<g>")),
    shape("drawings", |bytes| runs(bytes, &["<svg><text>a</svg>"])),
    shape("templates", |bytes| runs(bytes, &["<template>"])),
    shape("preformatted blanks", |bytes| runs(bytes, &["<pre> \t"])),
    shape("preformatted lines", |bytes| runs(bytes, &["<pre>\n a</pre>"])),
    shape("raised text", |bytes| runs(bytes, &["<sup>1</sup>"])),
    shape("forms", |bytes| runs(bytes, &["<form><input>"])),
    shape("styles", |bytes| runs(bytes, &["<p style=\"display:none;display:block\">"])),
    shape("hidden text", |bytes| runs(bytes, &["<p hidden>a"])),
    shape("bodies", |bytes| runs(bytes, &["<body a=b>"])),
    shape("line breaks", |bytes| runs(bytes, &["<br>"])),
    shape("empty cells, then text", |bytes| runs(bytes, &["<td></td>", "a"])),
];

/// Plain text with what terminals, printers and converters leave in it.
pub const FILES: &[Shape] = &[
    shape("overstrikes", |bytes| runs(bytes, &["X\u{8}X"])),
    shape("underlines", |bytes| runs(bytes, &["_\u{8}"])),
    shape("backspaces behind a word", |bytes| runs(bytes, &["a", "\u{8}"])),
    shape("backspaces behind wide characters", |bytes| runs(bytes, &["漢", "\u{8}"])),
    shape("backspaces over and over", |bytes| runs(bytes, &["ab\u{8}\u{8}\u{8}"])),
    shape("escape characters", |bytes| runs(bytes, &["\u{1b}"])),
    shape("control sequences", |bytes| runs(bytes, &["\u{1b}[1m"])),
    shape("control sequences that do not end", |bytes| runs(bytes, &["\u{1b}[0"])),
    shape("introducers of one character", |bytes| runs(bytes, &["\u{9b}0"])),
    shape("titles of terminals", |bytes| runs(bytes, &["\u{1b}]0;a\u{7}"])),
    shape("titles of terminals that do not end", |bytes| runs(bytes, &["\u{1b}]0 "])),
    shape("strings that do not end", |bytes| runs(bytes, &["\u{1b}Pa"])),
    shape("a string, then lines", |bytes| runs(bytes, &["\u{1b}]", "a\n"])),
    shape("bells", |bytes| runs(bytes, &["\u{7}"])),
    shape("characters of Latin-1", |bytes| runs(bytes, &["\u{80}"])),
    shape("data URIs", |bytes| runs(bytes, &["data:image/png;base64,QUJD "])),
    shape("schemes", |bytes| runs(bytes, &["data:"])),
    shape("schemes and types", |bytes| runs(bytes, &["data:a/b,"])),
    shape("an endless header", |bytes| runs(bytes, &["data:", "a/"])),
    shape("pictures in Markdown", |bytes| runs(bytes, &["![a](data:image/png;base64,QUJD) "])),
    shape("labels", |bytes| runs(bytes, &["!["])),
    shape("nested labels", |bytes| runs(bytes, &["![", "]"])),
    shape("link ends", |bytes| runs(bytes, &["](data:a/b,"])),
    shape("pictures by reference", |bytes| runs(bytes, &["[a]: data:a/b,c\n![a][a]\n"])),
    shape("labels beside a definition", |bytes| behind("[a]: data:image/png;base64,QUJD\n", bytes, "![")),
    shape("wrapped base64", |bytes| {
        runs(bytes, &["data:image/png;base64,QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD\n"])
    }),
    shape("tags with data", |bytes| runs(bytes, &["<img alt=\"a\" src=\"data:image/png;base64,QUJD\">"])),
    shape("quoted data", |bytes| runs(bytes, &["\"data:a/b,"])),
    shape("data in brackets", |bytes| runs(bytes, &["(data:a/b,("])),
    shape("lines of base64", |bytes| {
        behind("data:image/png;base64,", bytes, "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD\n")
    }),
];

/// Files of JSON records.
pub const RECORDS: &[Shape] = &[
    shape("records", |bytes| runs(bytes, &["{\"text\": \"a\"}\n"])),
    shape("words", |bytes| runs(bytes, &["x\n"])),
    shape("nested arrays", |bytes| runs(bytes, &["["])),
    shape("nested objects", |bytes| runs(bytes, &["{\"text\":"])),
    shape("one long text", |bytes| format!("{{\"text\": \"{}\"}}", runs(bytes, &["a"]))),
    shape("halves of pairs", |bytes| format!("{{\"text\": \"a{}\"}}", runs(bytes, &["\\ud83d"]))),
    shape("escapes", |bytes| format!("{{\"text\": \"a{}\"}}", runs(bytes, &["\\n\\u00e9"]))),
    shape("numbers that are none", |bytes| format!("{{\"text\": \"a\", \"x\": [{}1]}}", runs(bytes, &["NaN,"]))),
    shape("fields that differ", |bytes| {
        format!("{{{}\"text\": \"a\"}}", numbered(bytes, |number| format!("\"f{number}\": 1, ")))
    }),
    shape("one field again and again", |bytes| format!("{{{}\"text\": \"a\"}}", runs(bytes, &["\"text\": \"b\", "]))),
    shape("elements of an array", |bytes| behind("[", bytes, "{\"text\": \"a\"},")),
    shape("commas", |bytes| runs(bytes, &[","])),
    shape("quotation marks", |bytes| runs(bytes, &["\""])),
    shape("byte order marks", |bytes| runs(bytes, &["\u{feff}"])),
];
