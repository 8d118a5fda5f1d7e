//! What a function is invoked with.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::runtime_api::CallerHeaders;

/// The time-out of an invocation, unless the test sets another one.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(60);

/// The payload, time-out and request id of an invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub(crate) payload: Bytes,
    pub(crate) timeout: Duration,
    pub(crate) request_id: Option<String>,
    pub(crate) headers: CallerHeaders,
}

impl Invocation {
    /// An invocation with this payload, which need not be JSON.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self {
            payload: payload.into(),
            timeout: INVOCATION_TIMEOUT,
            request_id: None,
            headers: CallerHeaders::default(),
        }
    }

    /// Sets the time-out. A function that does not answer in time is killed, as by Lambda.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the request id. A retry of an asynchronous invocation has the id of the first attempt.
    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    /// Sets the client context, which callers of the Invoke API may send.
    #[must_use]
    pub fn client_context(mut self, context: &str) -> Self {
        self.headers.client_context = Some(context.to_owned());
        self
    }

    /// Sets what Lambda says about the trace of the invocation. The default is a trace that is not
    /// sampled. Empty: Lambda says nothing.
    #[must_use]
    pub fn trace(mut self, header: &str) -> Self {
        self.headers.trace = Some(header.to_owned());
        self
    }
}

impl From<&Value> for Invocation {
    fn from(value: &Value) -> Self {
        Self::new(value.to_string())
    }
}

impl From<Value> for Invocation {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl From<&str> for Invocation {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}
