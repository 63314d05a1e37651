//! Builds the SDK's client without its default features.
//!
//! TLS (by ring: the default's aws-lc would add minutes to each cold build), certificate
//! authorities, time-outs and retries are chosen here.

use std::path::Path;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{ProvideCredentials, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::config::S3Config;
use crate::error::ObjectError;

/// Compatible stores ignore the region, but a signature needs one.
const FALLBACK_REGION: &str = "us-east-1";

pub(super) async fn build(config: &S3Config) -> Result<Client, ObjectError> {
    let mut http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    if let Some(path) = &config.ca_file {
        http = http.tls_context(trust(path)?);
    }
    let attempt = Duration::from_millis(config.attempt_timeout_ms);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .operation_attempt_timeout(attempt)
        // All attempts, and the waits between them.
        .operation_timeout(attempt.saturating_mul(config.max_attempts.saturating_add(1)))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.build_https())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(config.max_attempts));
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let shared = loader.load().await;
    prove_credentials(&shared, &config.bucket).await?;
    let mut builder = aws_sdk_s3::config::Builder::from(&shared).force_path_style(config.force_path_style);
    if shared.region().is_none() {
        builder = builder.region(Region::new(FALLBACK_REGION));
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(builder.build()))
}

/// Fetches credentials before the first request, whose error would not say that they are missing.
async fn prove_credentials(shared: &aws_config::SdkConfig, bucket: &str) -> Result<(), ObjectError> {
    let Some(provider) = shared.credentials_provider() else { return Ok(()) };
    let found = provider.provide_credentials().await;
    found.map(|_| ()).map_err(|error| ObjectError::Denied {
        operation: "sign requests to",
        key: bucket.to_owned(),
        detail: format!("no credentials: {}", DisplayErrorContext(error)),
    })
}

/// The platform's certificate authorities and those of a PEM file.
fn trust(path: &Path) -> Result<TlsContext, ObjectError> {
    let unusable = |error: &dyn std::fmt::Display| ObjectError::Misconfigured {
        detail: format!("store.s3.ca_file {} cannot be used: {error}", path.display()),
    };
    let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
    let store = TrustStore::empty().with_native_roots(true).with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().map_err(|error| unusable(&error))
}
