//! Why an invocation fails.

use lambda_runtime::Diagnostic;

/// An invocation that failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct FunctionError {
    /// The stable code, `errorType` in the answer.
    pub error_type: &'static str,
    /// The explanation for people.
    pub message: String,
}

impl FunctionError {
    /// An error with a stable code.
    pub fn new(error_type: &'static str, message: impl ToString) -> Self {
        Self { error_type, message: message.to_string() }
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.error_type.to_owned(), error_message: error.message }
    }
}
