//! Why a request of upkeep was not done.

use millrace_domain::Timestamp;

/// A request that can never be done as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(String);

impl BadRequest {
    /// The stable name of this error.
    pub const ERROR_TYPE: &'static str = "BadRequest";

    /// A request that cannot be done for this reason: the field, its value and what is allowed.
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self(detail.into())
    }

    /// The stable name of this error.
    pub fn error_type(&self) -> &'static str {
        Self::ERROR_TYPE
    }
}

/// Why a request was not done, or not known to be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// It can never be done as it is.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// The shared cache did not answer, or refused.
    #[error("the shared cache cannot be used: {reason}")]
    CacheUnavailable {
        /// What it said, or that it said nothing.
        reason: String,
    },
    /// The store did not answer, or refused.
    #[error("the store cannot be used: {reason}")]
    StoreUnavailable {
        /// What it said, or that it said nothing.
        reason: String,
    },
    /// Emergency mode is on, in which nothing reads the table that need not.
    #[error("emergency mode is on until {until}: rebuilding would read the table; switch it off first")]
    EmergencyMode {
        /// When it ends by itself.
        until: Timestamp,
    },
}

impl MaintenanceError {
    /// The stable name of this error.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::BadRequest(error) => error.error_type(),
            Self::CacheUnavailable { .. } => "CacheUnavailable",
            Self::StoreUnavailable { .. } => "StoreUnavailable",
            Self::EmergencyMode { .. } => "EmergencyMode",
        }
    }
}
