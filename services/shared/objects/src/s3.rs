//! Objects in a bucket of S3, or of anything that speaks its protocol.
//!
//! A create is a `PutObject` with `If-None-Match: *`:
//!
//! | answer | meaning |
//! | --- | --- |
//! | 200 | ours: created |
//! | 412 | the object was there |
//! | 409 | another create of the key is under way: try again |
//! | 403, no bucket | denied: nothing was written |
//! | 5xx, time-out, broken connection | **ambiguous**: it may have been written |
//!
//! An ambiguous attempt is repeated under the same condition, which can do no harm. A 412 may then
//! come from our own first attempt, so the object is read and its bytes decide. Nothing is ever
//! deleted after an ambiguous failure.
//!
//! Only creates are retried here. The SDK retries reads, listings and deletes, which are safe to
//! repeat.

mod client;
mod fault;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use precis_chaos::Sabotage;

use crate::config::{S3Config, Sse};
use crate::error::ObjectError;
use crate::store::{MAX_KEY_BYTES, ObjectInfo, ObjectStore, Put, check_key, check_size, is_broken};
use fault::Fault;

/// Wait before the second attempt of a create; it doubles with each further attempt.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Longest backoff between attempts of a create.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Keys that S3 lists in one answer at most.
const LIST_PAGE_SIZE: usize = 1000;

/// An object store in an S3 bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or ends in a slash.
    prefix: String,
    endpoint: String,
    encryption: Option<ServerSideEncryption>,
    kms_key_id: Option<String>,
    max_object_bytes: u64,
    max_attempts: u32,
    attempt_timeout: Duration,
}

impl S3Store {
    /// Builds the client: TLS by ring, the platform's and the configured certificate authorities,
    /// credentials from the usual places. Sends nothing to the endpoint yet.
    ///
    /// # Errors
    /// [`ObjectError::Misconfigured`] when the certificate file cannot be read,
    /// [`ObjectError::Denied`] without credentials.
    pub async fn connect(config: &S3Config, max_object_bytes: u64) -> Result<Self, ObjectError> {
        let client = client::build(config).await?;
        Ok(Self {
            client,
            bucket: config.bucket.clone(),
            prefix: if config.prefix.is_empty() { String::new() } else { format!("{}/", config.prefix) },
            endpoint: config.endpoint.clone().unwrap_or_else(|| "AWS".to_owned()),
            encryption: match config.sse {
                Sse::None => None,
                Sse::Aes256 => Some(ServerSideEncryption::Aes256),
                Sse::Kms => Some(ServerSideEncryption::AwsKms),
            },
            kms_key_id: config.kms_key_id.clone(),
            max_object_bytes,
            max_attempts: config.max_attempts,
            attempt_timeout: Duration::from_millis(config.attempt_timeout_ms),
        })
    }

    /// The key as the bucket knows it.
    fn full_key(&self, key: &str) -> Result<String, ObjectError> {
        check_key(key)?;
        let full = format!("{}{key}", self.prefix);
        if full.len() > MAX_KEY_BYTES {
            return Err(ObjectError::InvalidKey {
                key: key.to_owned(),
                reason: "with the store's prefix it is longer than 1024 bytes",
            });
        }
        Ok(full)
    }

    /// One attempt of a create.
    async fn create_once(&self, key: &str, full_key: &str, bytes: &[u8]) -> Result<Put, Fault> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(full_key)
            .set_if_none_match((!is_broken(Sabotage::PlainPut, key)).then(|| "*".to_owned()))
            .content_type("application/octet-stream")
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone())
            .set_bucket_key_enabled((self.encryption == Some(ServerSideEncryption::AwsKms)).then_some(true))
            .body(ByteStream::from(bytes.to_vec()))
            .customize()
            .config_override(aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled()));
        match request.send().await {
            Ok(_) => Ok(Put::Created),
            Err(error) => match Fault::of(&error) {
                Fault::Precondition => Ok(Put::Exists),
                fault => Err(fault),
            },
        }
    }

    async fn fetch(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, ObjectError> {
        let full_key = self.full_key(key)?;
        // HTTP cannot request an empty range, and the object's absence must still be noticed.
        let requested = range.as_ref().map(|range| (range.start, range.end.max(range.start + 1)));
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(full_key)
            .set_range(requested.map(|(start, end)| format!("bytes={start}-{}", end - 1)));
        let output = match request.send().await {
            Ok(output) => output,
            Err(error) => {
                return match Fault::of(&error) {
                    Fault::NoSuchKey => Ok(None),
                    // The object is there and ends before the range starts.
                    Fault::RangeNotSatisfiable => Ok(Some(Vec::new())),
                    fault => Err(fault.into_error("read", key)),
                };
            }
        };
        let bytes = self.body(key, output).await?;
        Ok(Some(match range {
            Some(range) if range.is_empty() => Vec::new(),
            _ => bytes,
        }))
    }

    /// Reads an answer's body within the size limit and the time of one attempt.
    async fn body(&self, key: &str, output: GetObjectOutput) -> Result<Vec<u8>, ObjectError> {
        let length = output.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        check_size(key, length, self.max_object_bytes)?;
        let read = self.read_within_limit(key, output.body);
        tokio::time::timeout(self.attempt_timeout, read).await.unwrap_or_else(|_| {
            Err(unreadable(key, format!("the body took longer than {} ms", self.attempt_timeout.as_millis())))
        })
    }

    /// The whole body. What an endpoint says of its length is not believed: the bytes are counted.
    async fn read_within_limit(&self, key: &str, mut body: ByteStream) -> Result<Vec<u8>, ObjectError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| unreadable(key, format!("the body broke off: {error}")))?;
            check_size(key, (bytes.len() + chunk.len()) as u64, self.max_object_bytes)?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError> {
        let full_key = self.full_key(key)?;
        check_size(key, bytes.len() as u64, self.max_object_bytes)?;
        let mut ambiguous = false;
        let mut attempt = 1;
        let last = loop {
            match self.create_once(key, &full_key, &bytes).await {
                Ok(Put::Exists) if ambiguous => break None,
                Ok(put) => return Ok(put),
                Err(fault) if fault.is_final() => return Err(fault.into_error("create", key)),
                Err(fault) => {
                    ambiguous |= fault.may_have_landed();
                    if attempt >= self.max_attempts {
                        break Some(fault);
                    }
                    tracing::debug!(key, attempt, ?fault, "a create is tried again");
                }
            }
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        };
        // An earlier attempt may have created the object: its bytes tell.
        if ambiguous {
            match self.fetch(key, None).await? {
                Some(stored) if stored == bytes => return Ok(Put::Created),
                Some(_) => return Ok(Put::Exists),
                None => {}
            }
        }
        let unknown =
            || Fault::Unavailable { detail: "it existed and was gone again".to_owned(), may_have_landed: true };
        Err(last.unwrap_or_else(unknown).into_error("create", key))
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        self.fetch(key, None).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        self.fetch(key, Some(range)).await
    }

    async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        let mut found = Vec::new();
        let mut next = None;
        while found.len() < limit {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(format!("{}{prefix}", self.prefix))
                .max_keys((limit - found.len()).min(LIST_PAGE_SIZE) as i32)
                .set_continuation_token(next.take())
                .send()
                .await
                .map_err(|error| Fault::of(&error).into_error("list", prefix))?;
            found.extend(page.contents().iter().filter_map(|object| {
                let key = object.key()?.strip_prefix(&self.prefix)?.to_owned();
                Some(ObjectInfo { key, size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0) })
            }));
            match page.next_continuation_token {
                Some(token) => next = Some(token),
                None => break,
            }
        }
        Ok(found)
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let full_key = self.full_key(key)?;
        match self.client.delete_object().bucket(&self.bucket).key(full_key).send().await {
            Ok(_) => Ok(()),
            Err(error) => match Fault::of(&error) {
                Fault::NoSuchKey => Ok(()),
                fault => Err(fault.into_error("delete", key)),
            },
        }
    }

    fn describe(&self) -> String {
        format!("s3://{}/{} at {}", self.bucket, self.prefix, self.endpoint)
    }
}

fn unreadable(key: &str, detail: String) -> ObjectError {
    ObjectError::Unavailable { operation: "read", key: key.to_owned(), detail }
}

/// The wait after failed attempt number `attempt`, from 1.
fn backoff(attempt: u32) -> Duration {
    precis_base::backoff::wait(attempt.saturating_sub(1), FIRST_BACKOFF, MAX_BACKOFF, rand::random())
}
