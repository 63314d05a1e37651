//! Sorts failed S3 requests by what may be done about them.

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::error::ObjectError;

/// Kind of a failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// 412: the object exists.
    Precondition,
    /// 409: another conditional write of this key is under way. Ours was not carried out.
    Conflict,
    /// There is no such object.
    NoSuchKey,
    /// The object ends before the range starts.
    RangeNotSatisfiable,
    /// Credentials, permissions, or a bucket that is not there.
    Denied { detail: String },
    /// The request itself is wrong: no retry helps.
    Refused { detail: String },
    /// The store is down, slow or overloaded.
    Unavailable { detail: String, may_have_landed: bool },
}

impl Fault {
    pub(super) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().unwrap_or_default();
        let detail = || match (status, error.as_service_error()) {
            (Some(status), Some(service)) => {
                format!("HTTP {status} {code} {}", service.message().unwrap_or_default()).trim_end().to_owned()
            }
            _ => DisplayErrorContext(error).to_string(),
        };
        match (status, code) {
            (_, "NoSuchBucket") => {
                Self::Denied { detail: "the bucket does not exist; create it or correct store.s3.bucket".to_owned() }
            }
            // A wrong clock or an expired token is as transient as an expired role.
            (Some(401 | 403), _)
            | (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidAccessKeyId") => {
                Self::Denied { detail: detail() }
            }
            (Some(412), _) => Self::Precondition,
            (Some(409), _) => Self::Conflict,
            (Some(404), _) => Self::NoSuchKey,
            (Some(416), _) => Self::RangeNotSatisfiable,
            (_, "RequestTimeout" | "SlowDown" | "Throttling" | "ThrottlingException") | (Some(408 | 429), _) => {
                Self::Unavailable { detail: detail(), may_have_landed: false }
            }
            (Some(400..=499), _) => Self::Refused { detail: detail() },
            _ => match error {
                // Nothing left this machine: there are no credentials, or the request could not be
                // built.
                SdkError::ConstructionFailure(_) => Self::Denied { detail: detail() },
                SdkError::DispatchFailure(failure) if failure.is_user() => Self::Denied { detail: detail() },
                _ => Self::Unavailable { detail: detail(), may_have_landed: true },
            },
        }
    }

    /// Whether trying again at once is useless.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Conflict | Self::Unavailable { .. } => false,
            Self::Precondition
            | Self::NoSuchKey
            | Self::RangeNotSatisfiable
            | Self::Denied { .. }
            | Self::Refused { .. } => true,
        }
    }

    /// Whether the write may have been carried out although it failed.
    pub(super) fn may_have_landed(&self) -> bool {
        matches!(self, Self::Unavailable { may_have_landed: true, .. })
    }

    pub(super) fn into_error(self, operation: &'static str, key: &str) -> ObjectError {
        let key = key.to_owned();
        match self {
            Self::Denied { detail } => {
                tracing::error!(operation, key, detail, "the object store denied access");
                ObjectError::Denied { operation, key, detail }
            }
            Self::Unavailable { detail, .. } => ObjectError::Unavailable { operation, key, detail },
            Self::Refused { detail } => ObjectError::Misconfigured {
                detail: format!("the object store refuses to {operation} {key}: {detail}"),
            },
            Self::Conflict => ObjectError::Unavailable {
                operation,
                key,
                detail: "another write of this key stayed under way".to_owned(),
            },
            Self::Precondition => {
                ObjectError::Unavailable { operation, key, detail: "unexpected answer: precondition failed".to_owned() }
            }
            Self::NoSuchKey => {
                ObjectError::Unavailable { operation, key, detail: "unexpected answer: no such key".to_owned() }
            }
            Self::RangeNotSatisfiable => ObjectError::Unavailable {
                operation,
                key,
                detail: "unexpected answer: range not satisfiable".to_owned(),
            },
        }
    }
}
