//! A fresh, empty store of each kind for a test.

use std::sync::Arc;

use aws_sdk_s3::Client;
use precis_objects::{DirectoryConfig, ObjectStore, S3Config, StoreConfig, StoreKind};

/// Largest object in these tests.
pub(crate) const MAX_OBJECT_BYTES: u64 = 4 * 1024 * 1024;

/// A temporary directory, removed with the value.
pub(crate) struct Directory {
    root: tempfile::TempDir,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn open(&self) -> Arc<dyn ObjectStore> {
        let directory = DirectoryConfig { path: self.root.path().join("objects") };
        let config = StoreConfig { max_object_bytes: MAX_OBJECT_BYTES, directory, ..StoreConfig::default() };
        precis_objects::open(&config).await.unwrap()
    }
}

/// A bucket of its own on the endpoint that the harness started.
pub(crate) struct S3 {
    pub(crate) config: S3Config,
}

impl S3 {
    pub(crate) async fn new() -> Self {
        let endpoint = std::env::var("PRECIS_TEST_S3").expect("PRECIS_TEST_S3 names the endpoint; make test sets it");
        let bucket = format!("objects-{:016x}", rand::random::<u64>());
        let config = S3Config {
            bucket: bucket.clone(),
            prefix: "some/prefix".to_owned(),
            endpoint: Some(endpoint.clone()),
            region: Some("us-east-1".to_owned()),
            force_path_style: true,
            ..S3Config::default()
        };
        admin(&endpoint).await.create_bucket().bucket(&bucket).send().await.unwrap();
        Self { config }
    }

    pub(crate) async fn open(&self) -> Arc<dyn ObjectStore> {
        let config = StoreConfig {
            kind: StoreKind::S3,
            max_object_bytes: MAX_OBJECT_BYTES,
            s3: self.config.clone(),
            ..StoreConfig::default()
        };
        precis_objects::open(&config).await.unwrap()
    }
}

/// A client for what the store never does, such as making a bucket.
pub(crate) async fn admin(endpoint: &str) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(http)
        .region("us-east-1")
        .endpoint_url(endpoint)
        .load()
        .await;
    Client::from_conf(aws_sdk_s3::config::Builder::from(&shared).force_path_style(true).build())
}
