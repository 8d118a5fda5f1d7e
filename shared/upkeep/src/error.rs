//! Why a request was not carried out.

use millrace_cache::UpkeepError as CacheError;
use millrace_domain::Timestamp;

/// A request that can never be carried out as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(String);

impl BadRequest {
    /// A bad request: the field, its value and what is allowed.
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self(detail.into())
    }

    /// The stable name of this error.
    pub fn error_type(&self) -> &'static str {
        "BadRequest"
    }
}

/// Why a request was not carried out, or is not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpkeepError {
    /// The shared cache does not answer, or refuses.
    #[error("the shared cache cannot be used: {reason}")]
    CacheUnavailable {
        /// What happened.
        reason: String,
    },
    /// The store does not answer, or refuses.
    #[error("the store cannot be used: {reason}")]
    StoreUnavailable {
        /// What happened.
        reason: String,
    },
    /// Emergency mode is on, in which the table is not read.
    #[error("emergency mode is on until {until}: a rebuild would read the table; switch it off first")]
    EmergencyMode {
        /// When it ends.
        until: Timestamp,
    },
}

impl UpkeepError {
    /// The stable name of this error.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::CacheUnavailable { .. } => "CacheUnavailable",
            Self::StoreUnavailable { .. } => "StoreUnavailable",
            Self::EmergencyMode { .. } => "EmergencyMode",
        }
    }
}

impl From<CacheError> for UpkeepError {
    fn from(CacheError(reason): CacheError) -> Self {
        Self::CacheUnavailable { reason }
    }
}
