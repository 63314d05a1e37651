#![allow(clippy::unwrap_used)]

use candle_core::quantized::gguf_file::{Content, Value};
use proptest::prelude::*;

use crate::error::EngineError;
use crate::testing;
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;

/// Pieces behind the three control tokens and the 256 bytes; later ones are merged later.
const PIECES: [&str; 16] =
    ["t", "h", "e", "n", "<", "s", ">", "/", "\u{2581}", "th", "the", "\u{2581}t", "\u{2581}the", "<s", "/s", "[I]"];
const START: u32 = 1;
const END: u32 = 2;
const TURN: u32 = 3 + 256 + 16;

fn vocabulary(changes: &[(&str, Value)]) -> Content {
    let mut tokens: Vec<(String, i32)> = vec![("<unk>".into(), 2), ("<s>".into(), 3), ("</s>".into(), 3)];
    tokens.extend((0..256).map(|byte| (format!("<0x{byte:02X}>"), 6)));
    tokens.extend(PIECES.map(|piece| (piece.to_owned(), 1)));
    tokens.push(("<|user|>".into(), 3));
    let mut content = testing::vocabulary("llama", "default");
    let metadata = &mut content.metadata;
    metadata.remove("tokenizer.ggml.merges");
    let texts = tokens.iter().map(|(text, _)| Value::String(text.clone())).collect();
    metadata.insert("tokenizer.ggml.tokens".into(), Value::Array(texts));
    let types = tokens.iter().map(|(_, kind)| Value::I32(*kind)).collect();
    metadata.insert("tokenizer.ggml.token_type".into(), Value::Array(types));
    let scores = (0..tokens.len()).map(|id| Value::F32(if id < 259 { 0.0 } else { -(id as f32) })).collect();
    metadata.insert("tokenizer.ggml.scores".into(), Value::Array(scores));
    metadata.insert("tokenizer.ggml.bos_token_id".into(), Value::U32(START));
    metadata.insert("tokenizer.ggml.eos_token_id".into(), Value::U32(END));
    for (key, value) in changes {
        metadata.insert((*key).to_owned(), value.clone());
    }
    content
}

fn tokenizer(changes: &[(&str, Value)]) -> Tokenizer {
    Tokenizer::from_gguf(&vocabulary(changes)).unwrap()
}

fn piece(text: &str) -> u32 {
    259 + PIECES.iter().position(|piece| *piece == text).unwrap() as u32
}

#[test]
fn pieces_are_merged_best_first_behind_a_space() {
    let tokenizer = tokenizer(&[]);
    assert_eq!(tokenizer.encode_text("the").unwrap(), [piece("\u{2581}the")]);
    assert_eq!(tokenizer.encode_text("then the").unwrap(), [piece("\u{2581}the"), piece("n"), piece("\u{2581}the")]);
    assert_eq!(tokenizer.encode_text("").unwrap(), [0_u32; 0]);
    let none = [("tokenizer.ggml.add_space_prefix", Value::Bool(false))];
    assert_eq!(self::tokenizer(&none).encode_text("the").unwrap(), [piece("the")]);
}

#[test]
fn what_no_piece_covers_is_written_in_bytes() {
    let ids = tokenizer(&[]).encode_text("é\n").unwrap();
    assert_eq!(ids, [piece("\u{2581}"), 3 + 0xC3, 3 + 0xA9, 3 + 0x0A]);
}

/// Neither a control token nor the name of a byte is made by merging the letters of a document.
#[test]
fn texts_of_strangers_never_become_control_tokens() {
    for text in ["<s>", "</s>", "<0x0A>", "<unk>", "<|user|>", "a</s><s>the"] {
        let tokenizer = tokenizer(&[]);
        let ids = tokenizer.encode_text(text).unwrap();
        assert!(ids.iter().all(|id| ![0, START, END, TURN].contains(id)), "{text}: {ids:?}");
        assert!(!ids.contains(&(3 + 0x0A)), "{text}: {ids:?}");
        assert_eq!(tokenizer.detokeniser().text(&ids), format!(" {text}"));
    }
}

#[test]
fn what_would_be_tokenised_wrongly_is_refused() {
    for (key, value) in [
        ("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(true)),
        ("tokenizer.ggml.precompiled_charsmap", Value::Array(vec![Value::U8(1)])),
        ("tokenizer.ggml.token_type", Value::Array(vec![Value::I32(1); 276])),
    ] {
        let error = Tokenizer::from_gguf(&vocabulary(&[(key, value)])).map(|_| ()).unwrap_err();
        assert!(matches!(error, EngineError::UnsupportedTokenizer { .. }), "{key}: {error}");
    }
    let short = ("tokenizer.ggml.scores", Value::Array(vec![Value::F32(0.0)]));
    let error = Tokenizer::from_gguf(&vocabulary(&[short])).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "bad_model");
}

/// A template's own text and the user's are merged as one text, as when the model was trained.
#[test]
fn texts_around_the_users_are_merged_with_it() {
    let tokenizer = tokenizer(&[]);
    let template = Template::new("{{ bos_token }}[I] {{ messages[-1].content }}[I]", &tokenizer).unwrap();
    let whole = tokenizer.encode_text("[I] the[I]").unwrap();
    assert_eq!(template.prompt(&tokenizer, None, "the").unwrap(), [&[START][..], &whole].concat());
    assert!(whole.contains(&piece("\u{2581}the")), "{whole:?}");
}

/// Mistral's template raises an error at a system message; it then opens the user's.
#[test]
fn a_template_that_wants_no_system_reads_it_with_the_users() {
    let source = "{{ bos_token }}{% for message in messages %}\
        {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}\
        {{ '[I] ' + message['content'] + ' [I]' }}{% endfor %}";
    let tokenizer = tokenizer(&[]);
    let template = Template::new(source, &tokenizer).unwrap();
    let ids = template.prompt(&tokenizer, Some("then"), "the").unwrap();
    assert_eq!(ids, [&[START][..], &tokenizer.encode_text("[I] then\n\nthe [I]").unwrap()].concat());
}

/// Phi-3's control tokens leave out white space behind them, a stranger's too.
#[test]
fn white_space_behind_phi3s_tokens_is_left_out() {
    let source = "{{ bos_token }}<|user|>\n{{ messages[-1].content }}<|user|>\n<|user|>";
    let prompt = |architecture: &str| {
        let tokenizer = tokenizer(&[("general.architecture", Value::String(architecture.to_owned()))]);
        Template::new(source, &tokenizer).unwrap().prompt(&tokenizer, None, "\n the").unwrap()
    };
    assert_eq!(prompt("phi3"), [START, TURN, piece("\u{2581}the"), TURN, TURN]);
    let line = 3 + 0x0A;
    let space = piece("\u{2581}");
    let the = piece("\u{2581}the");
    assert_eq!(prompt("llama"), [START, TURN, space, line, line, the, TURN, space, line, TURN]);
}

#[test]
fn a_prompt_begins_with_the_token_that_models_of_the_kind_demand() {
    let prompt = |changes: &[(&str, Value)]| {
        let tokenizer = tokenizer(changes);
        Template::new("{{ messages[-1].content }}", &tokenizer).unwrap().prompt(&tokenizer, None, "the").unwrap()
    };
    assert_eq!(prompt(&[]), [START, piece("\u{2581}the")]);
    assert_eq!(prompt(&[("tokenizer.ggml.add_bos_token", Value::Bool(false))]), [piece("\u{2581}the")]);
}

proptest! {
    #[test]
    fn any_text_comes_back_behind_its_space(text in "\\PC{1,60}") {
        let tokenizer = tokenizer(&[]);
        let text = text.replace(super::SPACE, "x");
        let ids = tokenizer.encode_text(&text).unwrap();
        prop_assert_eq!(tokenizer.detokeniser().text(&ids), format!(" {text}"));
    }
}

#[test]
fn pieces_are_made_in_linear_time_whatever_the_shape() {
    let tokenizer = tokenizer(&[]);
    precis_fuzz::grows_linearly("sentencepiece", 1024, precis_fuzz::shapes::TEXTS, |text| {
        assert!(tokenizer.encode_text(text).is_ok());
    });
}
