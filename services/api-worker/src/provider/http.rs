//! The transport that all providers share.
//!
//! - **TLS**, except to a loopback host. Redirects are not followed: neither a document nor a key
//!   goes to a host that nobody configured.
//! - **Time limits** on the connection, until an answer begins, and on the whole request, body
//!   included.
//! - The key is marked sensitive, and no error carries a URL, a header or a body.

use std::time::Duration;

use async_trait::async_trait;
use precis_base::loopback::is_loopback;
use precis_config::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::{Billing, Failure, FailureKind, NoReply, Problem, Provider, Remaining, Reply, Request, Wire, retry_after};

/// Largest answer that is read. A summary has a few kilobytes.
const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;
/// Largest error body that is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Where a provider is and how long it may take.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Start of every URL, up to where the wire format's own path begins.
    pub base_url: String,
    /// The key; `None` for a server of one's own that needs none.
    pub key: Option<Secret>,
    /// Time to establish a connection.
    pub connect_timeout: Duration,
    /// Time until an answer begins.
    pub first_byte_timeout: Duration,
    /// Time for a whole request.
    pub timeout: Duration,
}

/// Reason why a provider cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL with a host.
    #[error("is no http:// or https:// URL with a host and without user or password")]
    Invalid,
    /// Documents and the key would cross the network in clear text.
    #[error("is http:// to another machine: documents and the key would cross the network in clear; use https://")]
    ClearText,
    /// The key has characters that no header takes, or the platform's certificates cannot be read.
    #[error("cannot be used: {0}")]
    Unusable(String),
}

/// A provider over HTTP.
#[derive(Debug)]
pub struct HttpProvider<W> {
    wire: W,
    client: Client,
    url: Url,
    first_byte_timeout: Duration,
}

impl<W: Wire> HttpProvider<W> {
    /// Sets the transport up; sends nothing.
    ///
    /// # Errors
    /// An invalid or unsafe URL; a key that a header cannot carry.
    pub fn new(wire: W, settings: &HttpSettings) -> Result<Self, UrlError> {
        let base = check_url(&settings.base_url)?;
        let path = format!("{}{}", base.path().trim_end_matches('/'), wire.path());
        let mut url = base.clone();
        url.set_path(&path);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &settings.key {
            let (name, value) = wire.authorisation(key.expose());
            let unusable = |_| UrlError::Unusable("the key has characters that a header cannot carry".to_owned());
            let mut value = HeaderValue::from_str(&value).map_err(unusable)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        // The process may have a TLS provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("precis/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none());
        if is_local(&base) {
            builder = builder.no_proxy();
        } else {
            builder = builder.https_only(true);
        }
        let client = builder.build().map_err(|error| UrlError::Unusable(error.without_url().to_string()))?;
        Ok(Self { wire, client, url, first_byte_timeout: settings.first_byte_timeout })
    }

    fn failure(&self, kind: FailureKind, billing: Billing, detail: impl Into<String>) -> Failure {
        let detail = detail.into();
        Failure { provider: self.wire.name(), kind, detail, retry_after: None, billing, request_id: None }
    }

    /// The failure of a request without a complete answer.
    fn connection_failure(&self, error: &reqwest::Error) -> Failure {
        if error.is_connect() {
            return self.failure(FailureKind::Unreachable, Billing::NotBilled, "no connection");
        }
        let what = if error.is_timeout() { "no complete answer in time" } else { "the connection broke" };
        self.failure(FailureKind::Transient, Billing::Unknown, what)
    }

    /// The failure of a 200 without an answer. Even an error may be billed here, since the provider
    /// had accepted the request.
    fn no_reply(&self, none: NoReply) -> Failure {
        match none {
            NoReply::Unreadable(why) => self.failure(FailureKind::Unreadable, Billing::Unknown, why),
            NoReply::Problem(Problem { kind, code }) => {
                self.failure(kind, Billing::Unknown, format!("HTTP 200 with an error {code}").trim_end())
            }
        }
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let Problem { kind, code } = self.wire.problem(status.as_u16(), body);
        // Refused requests are not billed. With these four, a gateway may have lost a finished
        // answer.
        let billing = match status.as_u16() {
            408 | 500 | 502 | 504 => Billing::Unknown,
            _ => Billing::NotBilled,
        };
        let mut failure = self.failure(kind, billing, format!("HTTP {} {code}", status.as_u16()).trim_end());
        let now = OffsetDateTime::now_utc();
        failure.retry_after = retry_after(headers, PrimitiveDateTime::new(now.date(), now.time()));
        failure
    }
}

#[async_trait]
impl<W: Wire> Provider for HttpProvider<W> {
    fn name(&self) -> &'static str {
        self.wire.name()
    }

    async fn complete(&self, request: &Request) -> Result<Reply, Failure> {
        let mut post = self.client.post(self.url.clone()).json(&self.wire.body(request));
        for (name, value) in self.wire.headers(request) {
            post = post.header(name, value);
        }
        let response = match tokio::time::timeout(self.first_byte_timeout, post.send()).await {
            Ok(response) => response.map_err(|error| self.connection_failure(&error))?,
            Err(_) => return Err(self.failure(FailureKind::Transient, Billing::Unknown, "no answer began in time")),
        };
        let status = response.status();
        let headers = response.headers().clone();
        let request_id = headers.get(self.wire.request_id_header()).and_then(request_id);
        let limit = if status.is_success() { MAX_REPLY_BYTES } else { MAX_ERROR_BYTES };
        let body = read(response, limit).await;
        let result = match body {
            // The status of an error says enough, even where its body broke off.
            body if !status.is_success() => Err(self.refused(status, &headers, &body.unwrap_or_default())),
            Ok(body) => self.wire.reply(&body).map_err(|none| self.no_reply(none)),
            Err(BodyFailure::TooLarge) => {
                Err(self.failure(FailureKind::Unreadable, Billing::Unknown, "the answer is too large"))
            }
            Err(BodyFailure::Connection(error)) => Err(self.connection_failure(&error)),
        };
        match result {
            Ok(reply) => Ok(Reply { request_id, remaining: Remaining::from_headers(&headers), ..reply }),
            Err(failure) => Err(Failure { request_id, ..failure }),
        }
    }
}

/// The provider's identifier of a request, if it is plain: other text may quote the document.
pub(super) fn request_id(value: &HeaderValue) -> Option<String> {
    const MAX_ID_BYTES: usize = 128;
    let is_plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    value.to_str().ok().filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES).filter(is_plain).map(str::to_owned)
}

enum BodyFailure {
    TooLarge,
    Connection(reqwest::Error),
}

/// Reads a body of at most `limit` bytes.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyFailure::Connection)? {
        if body.len() + chunk.len() > limit {
            return Err(BodyFailure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Checks that a base URL is safe.
///
/// # Errors
/// [`UrlError::Invalid`] and [`UrlError::ClearText`].
pub(crate) fn check_url(text: &str) -> Result<Url, UrlError> {
    let url: Url = text.parse().map_err(|_| UrlError::Invalid)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match url.scheme() {
        "https" if plain && url.has_host() => Ok(url),
        "http" if plain && is_local(&url) => Ok(url),
        "http" if plain && url.has_host() => Err(UrlError::ClearText),
        _ => Err(UrlError::Invalid),
    }
}

fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

#[cfg(test)]
mod tests;
