//! The provider trait against a server that nobody here wrote and that really generates:
//! llama.cpp's, with its Chat Completions.
//!
//! `make verify-provider` builds it from its source package, starts it and names it in
//! `PRECIS_TEST_LLAMA`; its key is [`KEY`], its context `PRECIS_TEST_LLAMA_CONTEXT` tokens for each
//! request.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use precis_api_worker::provider::{
    Billing, FailureKind, Finish, HttpProvider, HttpSettings, OpenAi, Provider, Request,
};
use precis_config::Secret;
use precis_policy::Tokens;
use serde_json::{Value, json};

/// What the server was started with.
const KEY: &str = "sk-test-very-secret";
const DOCUMENT: &str = include_str!("../../../tests/documents/social-contract.txt");

fn url() -> String {
    std::env::var("PRECIS_TEST_LLAMA").expect("PRECIS_TEST_LLAMA names the server; make verify-provider sets it")
}

fn settings() -> HttpSettings {
    HttpSettings {
        base_url: format!("{}/v1", url()),
        key: Some(Secret::new(KEY)),
        connect_timeout: Duration::from_secs(5),
        first_byte_timeout: Duration::from_secs(300),
        timeout: Duration::from_secs(300),
    }
}

fn provider(settings: &HttpSettings) -> Arc<dyn Provider> {
    Arc::new(HttpProvider::new(OpenAi::default(), settings).unwrap())
}

fn request(text: &str, max_output_tokens: u32) -> Request {
    Request {
        model: "smollm2".to_owned(),
        system: "You write summaries.".to_owned(),
        user: format!("{text}\n\nSummarise this in two sentences."),
        max_output_tokens,
        temperature: Some(0.0),
        extra: serde_json::Map::new(),
        attempt_id: "attempt-1".to_owned(),
    }
}

/// A question to the server beside the wire format.
async fn ask(path: &str, body: &Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(format!("{}{path}", url())).bearer_auth(KEY).json(body).send().await.unwrap();
    answer.error_for_status().unwrap().json().await.unwrap()
}

/// How many tokens the server's own tokenizer makes of the request.
async fn prompt_tokens(request: &Request) -> u64 {
    let messages =
        json!([{ "role": "system", "content": request.system }, { "role": "user", "content": request.user }]);
    let prompt = ask("/apply-template", &json!({ "messages": messages })).await["prompt"].clone();
    let tokens = ask("/tokenize", &json!({ "content": prompt, "add_special": true, "parse_special": true })).await;
    tokens["tokens"].as_array().unwrap().len() as u64
}

fn read(usage: Option<Tokens>) -> (u64, u64, u64) {
    let usage = usage.unwrap();
    (usage.input, usage.cached_input, usage.output)
}

#[tokio::test]
async fn tokens_are_those_that_the_servers_tokenizer_counts() {
    let request = request(DOCUMENT, 200);
    let reply = provider(&settings()).complete(&request).await.unwrap();
    assert!(reply.text.split_whitespace().count() > 5, "{}", reply.text);
    let (input, cached, output) = read(reply.usage);
    assert_eq!(input + cached, prompt_tokens(&request).await);
    let written = ask("/tokenize", &json!({ "content": reply.text })).await["tokens"].as_array().unwrap().len() as u64;
    // The token that ends the answer is counted, but is not in the text. A small model may go in
    // circles until its limit.
    assert!((written..=written + 1).contains(&output), "{written} and {reply:?}");
}

#[tokio::test]
async fn a_cut_answer_says_so_and_is_billed_to_its_last_token() {
    let reply = provider(&settings()).complete(&request(DOCUMENT, 7)).await.unwrap();
    assert_eq!((reply.finish, reply.usage.unwrap().output), (Finish::Length, 7));
}

#[tokio::test]
async fn a_document_that_exceeds_the_context_is_too_long() {
    let context: usize = std::env::var("PRECIS_TEST_LLAMA_CONTEXT").unwrap().parse().unwrap();
    let failure = provider(&settings()).complete(&request(&"word ".repeat(context), 50)).await.unwrap_err();
    assert_eq!((failure.kind, failure.billing), (FailureKind::TooLong, Billing::NotBilled), "{failure:?}");
}

#[tokio::test]
async fn another_key_is_refused() {
    let settings = HttpSettings { key: Some(Secret::new("sk-of-somebody-else")), ..settings() };
    let failure = provider(&settings).complete(&request(DOCUMENT, 7)).await.unwrap_err();
    assert_eq!((failure.kind, failure.billing), (FailureKind::Auth, Billing::NotBilled), "{failure:?}");
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_our_fault() {
    let mut request = request(DOCUMENT, 7);
    request.extra.insert("messages".to_owned(), json!("not a list"));
    let failure = provider(&settings()).complete(&request).await.unwrap_err();
    assert_eq!((failure.kind, failure.billing), (FailureKind::BadRequest, Billing::NotBilled), "{failure:?}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_may_have_been_billed() {
    let settings = HttpSettings { first_byte_timeout: Duration::from_millis(5), ..settings() };
    let failure = provider(&settings).complete(&request(DOCUMENT, 200)).await.unwrap_err();
    assert_eq!((failure.kind, failure.billing), (FailureKind::Transient, Billing::Unknown), "{failure:?}");
}
