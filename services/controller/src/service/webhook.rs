//! Alarms as signed requests to an address of the operators (Standard Webhooks).
//!
//! ```text
//!  alarm ─▶ told within a day? ─no─▶ claimed by nobody? ─▶ claim created ─▶ request ─▶ 2xx ─▶ note created
//!             │ yes                     │ another's, new                       │ else, five times
//!             ▼                         ▼                                      ▼
//!           nothing                   nothing                             the next round, or another controller
//! ```
//!
//! Several controllers see the same alarm, and each may be started anew: so claims and notes are
//! objects in the store, created once. An alarm is told once, unless its teller dies after the
//! request and before the note. Whoever tells it then sends the same `webhook-id`, by which the
//! receiver knows it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use precis_base::loopback::is_loopback;
use precis_config::Secret;
use precis_objects::{ObjectStore, Put, keys};
use precis_pipeline::now_ms;
use reqwest::{Client, Url, redirect};
use ring::hmac;

use super::event::{ALARM_HOURS, QualityFell};
use crate::settings::WebhookSettings;

/// The variable with the secret.
pub const SECRET_VARIABLE: &str = "PRECIS_WEBHOOK_SECRET";

/// What a secret of Standard Webhooks begins with; the rest is base64.
const SECRET_PREFIX: &str = "whsec_";

/// Tries of one claim.
const MAX_TRIES: u32 = 5;
/// The pause after the first of them; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a claim keeps others from telling: longer than all tries of one take.
const CLAIM_MS: i64 = 10 * 60 * 1000;
/// Claims of one alarm, after which it is given up.
const MAX_CLAIMS: u32 = 100;
/// Notes of one group that are looked at: those of the last days.
const MAX_NOTES: usize = 1_000;

/// The operators' address.
pub struct Webhook {
    url: Url,
    key: hmac::Key,
    client: Client,
    store: Arc<dyn ObjectStore>,
}

/// What became of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was told now.
    Now,
    /// It was told before, or somebody else is at it.
    Before,
    /// The address did not take it; the next round tries again.
    NotYet,
}

impl Webhook {
    /// The webhook of the settings; `None` where they have none.
    ///
    /// # Errors
    /// An address that is no `https://` URL, unless it is on this machine; no secret.
    pub fn of(settings: &WebhookSettings, store: Arc<dyn ObjectStore>) -> anyhow::Result<Option<Self>> {
        let Some(url) = &settings.url else { return Ok(None) };
        let secret = Secret::from_env_or_file(SECRET_VARIABLE, settings.secret_file.as_deref())?;
        let secret = secret.with_context(|| {
            format!(
                "controller.webhook.url is set and no secret: set {SECRET_VARIABLE}, or controller.webhook.secret_file"
            )
        })?;
        Self::new(url, &secret, Duration::from_millis(settings.timeout_ms), store).map(Some)
    }

    fn new(url: &str, secret: &Secret, timeout: Duration, store: Arc<dyn ObjectStore>) -> anyhow::Result<Self> {
        let url: Url = url.parse().context("controller.webhook.url is no URL")?;
        let is_local = url.host_str().is_some_and(is_loopback);
        if !(url.scheme() == "https" || url.scheme() == "http" && is_local) {
            bail!("controller.webhook.url must be https, unless it is on this machine");
        }
        let bytes = match secret.expose().strip_prefix(SECRET_PREFIX) {
            Some(encoded) => {
                STANDARD.decode(encoded).ok().context("the webhook's secret has no base64 after whsec_")?
            }
            None => secret.expose().as_bytes().to_vec(),
        };
        // The process may have a TLS provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("precis/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(redirect::Policy::none());
        let client = if is_local { client.no_proxy() } else { client.https_only(true) };
        let client = client.build().map_err(reqwest::Error::without_url).context("the webhook cannot be used")?;
        Ok(Self { url, key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), client, store })
    }

    /// Tells an alarm, unless it, or an earlier one of its group within a day, was told.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell(&self, event: &QualityFell) -> anyhow::Result<Told> {
        let group = event.group_name();
        if self.was_told(&group, event).await? {
            return Ok(Told::Before);
        }
        let note = keys::alarm(&group, event.hour.number());
        let Some(claim) = self.claim(&note).await? else { return Ok(Told::Before) };
        let id = format!("alarm_{}", &keys::hash(&note)[..32]);
        let body = serde_json::to_vec(event)?;
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=MAX_TRIES {
            match self.send(&id, &body).await {
                Ok(()) => {
                    self.store.put_if_absent(&note, id.into_bytes()).await?;
                    return Ok(Told::Now);
                }
                Err(why) => tracing::warn!(attempt, why, "the webhook did not take an alarm"),
            }
            if attempt < MAX_TRIES {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        // So the next round need not wait until the claim is old.
        self.store.delete(&claim).await?;
        Ok(Told::NotYet)
    }

    /// Whether a note of this group lies within a day of the alarm.
    async fn was_told(&self, group: &str, event: &QualityFell) -> anyhow::Result<bool> {
        let prefix = keys::alarms_of(group);
        let notes = self.store.list(&prefix, MAX_NOTES).await?;
        let hours = notes.iter().filter_map(|note| note.key[prefix.len()..].parse::<i64>().ok());
        let near = |hour: i64| hour.abs_diff(event.hour.number()) <= u64::from(ALARM_HOURS);
        Ok(hours.into_iter().any(near))
    }

    /// The next claim, taken; `None` while another is new.
    async fn claim(&self, note: &str) -> anyhow::Result<Option<String>> {
        for number in 0..MAX_CLAIMS {
            let key = format!("{note}.claim-{number}");
            if self.store.put_if_absent(&key, now_ms().to_string().into_bytes()).await? == Put::Created {
                return Ok(Some(key));
            }
            let claimed = self.store.get(&key).await?.unwrap_or_default();
            let at: i64 = std::str::from_utf8(&claimed).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
            if now_ms().saturating_sub(at) < CLAIM_MS {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// One request; the error is for the log and holds no URL.
    async fn send(&self, id: &str, body: &[u8]) -> Result<(), String> {
        let timestamp = now_ms() / 1000;
        let response = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature(&self.key, id, timestamp, body))
            .body(body.to_vec())
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("HTTP {}", status.as_u16())) }
    }
}

/// The signature of Standard Webhooks, version 1.
fn signature(key: &hmac::Key, id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests;
