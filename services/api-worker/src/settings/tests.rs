#![allow(clippy::unwrap_used)]

use precis_config::Settings;

use super::*;

fn read(toml: &str) -> Result<ApiWorkerSettings, String> {
    let settings = Settings::parse("precis.toml", toml, []).unwrap();
    settings.section("api_worker").map_err(|error| error.to_string())
}

#[test]
fn defaults_and_a_whole_section_are_valid() {
    assert!(read("").is_ok());
    let settings = read(
        r#"
        [api_worker]
        tiers = ["mid"]
        [api_worker.openai]
        base_url = "http://127.0.0.1:8000/v1"
        keyless = true
        temperature = 0.0
        extra_output_tokens = 2048
        token_limit = "max_tokens"
        extra_body = { reasoning_effort = "low" }
        "#,
    )
    .unwrap();
    assert_eq!(settings.openai.decoding().extra_body["reasoning_effort"], "low");
    assert_eq!(settings.openai.timeout_ms, 120_000, "what is not set keeps its default");
}

#[test]
fn every_problem_is_told_with_its_key() {
    let problems = read(
        r#"
        [api_worker]
        tiers = ["Mid"]
        max_attempts = 11
        max_document_bytes = 0
        [api_worker.anthropic]
        base_url = "http://api.example.org"
        timeout_ms = 0
        connect_timeout_ms = 5001
        temperature = 3.0
        token_limit = "max_tokens"
        [api_worker.openai]
        max_concurrency = 0
        tokens_per_minute = 0
        extra_body = { model = "another", stream = true }
        [api_worker.openai.breaker]
        failure_share = 0.0
        open_ms = 0
        "#,
    )
    .unwrap_err();
    for key in [
        "api_worker.tiers",
        "api_worker.max_attempts",
        "api_worker.max_document_bytes",
        "api_worker.anthropic.base_url",
        "api_worker.anthropic.timeout_ms",
        "api_worker.anthropic.connect_timeout_ms",
        "api_worker.anthropic.temperature",
        "api_worker.anthropic.token_limit",
        "api_worker.openai.max_concurrency",
        "api_worker.openai.tokens_per_minute",
        "api_worker.openai.breaker.failure_share",
        "api_worker.openai.breaker.open_ms",
        "\"model\"",
        "\"stream\"",
    ] {
        assert!(problems.contains(key), "{key} is not in: {problems}");
    }
}

#[test]
fn a_key_comes_from_its_file_and_is_shown_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "sk-very-secret\n").unwrap();
    let settings = ProviderSettings { key_file: Some(path), ..ProviderSettings::default() };
    let key = settings.key("PRECIS_NO_SUCH_VARIABLE").unwrap().unwrap();
    assert_eq!(key.expose(), "sk-very-secret");
    assert!(!format!("{:?}", settings.http("https://example.org", Some(key))).contains("secret"));
    assert!(ProviderSettings::default().key("PRECIS_NO_SUCH_VARIABLE").unwrap().is_none());
}

#[test]
fn a_price_table_that_cannot_be_read_names_its_file() {
    let settings = ApiWorkerSettings { prices: Some("/no/such/prices.toml".into()), ..ApiWorkerSettings::default() };
    assert!(format!("{:#}", settings.load_prices().unwrap_err()).contains("/no/such/prices.toml"));
    assert!(ApiWorkerSettings::default().load_prices().is_ok());
}
