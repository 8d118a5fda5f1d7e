//! Classifies the answers of Redis.

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind, Value};

use crate::breaker::FailureKind;

/// The answer to a command that Redis could execute or refuse.
#[derive(Debug)]
pub(super) enum Reply {
    /// A value.
    Value(Value),
    /// The command was refused, but Redis works.
    Refused(ServerError),
    /// There is no answer: the command may have been executed or not.
    Missing,
}

impl Reply {
    /// Splits the answer to a command with some keys into one for each key.
    pub(super) fn split(self, keys: usize) -> Vec<Self> {
        let mut replies: Vec<Self> = match self {
            Self::Value(Value::Array(values)) => values.into_iter().map(Self::Value).collect(),
            reply if keys == 1 => vec![reply],
            Self::Refused(error) => (0..keys).map(|_| Self::Refused(error.clone())).collect(),
            Self::Value(_) | Self::Missing => Vec::new(),
        };
        replies.resize_with(keys, || Self::Missing);
        replies
    }

    /// The bytes of a string; none for anything else.
    pub(super) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Value(Value::BulkString(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// Why Redis could not execute a call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Failure {
    reason: String,
    pub(super) kind: FailureKind,
}

impl Failure {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: FailureKind::NotServed }
    }

    /// The caller has dropped the call.
    pub(super) fn cancelled() -> Self {
        Self::new("a call was cancelled before it was answered")
    }
}

/// The answer to a command.
pub(super) type Answer = Result<Value, RedisError>;

/// The error of a command that was not answered before the deadline.
pub(super) fn time_out() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}

/// The class of an answer.
pub(super) enum Class {
    /// An answer for the caller.
    Reply(Reply),
    /// The server does not have the script.
    ScriptMissing,
    /// The connection was lost, for example while the sandbox was frozen.
    ConnectionLost(Failure),
    /// No answer in time.
    TimedOut,
    /// Redis cannot serve.
    Failed {
        failure: Failure,
        /// Whether the next call needs a new connection.
        reconnect: bool,
    },
}

/// Classifies the answer of the server or cluster at `address`.
pub(super) fn classify(answer: Answer, address: &str, cluster: bool) -> Class {
    let error = match answer {
        Ok(Value::ServerError(error)) => error,
        Ok(value) => return Class::Reply(Reply::Value(value)),
        Err(error) if error.kind() == ErrorKind::Io && error.is_timeout() => return Class::TimedOut,
        Err(error) => match ServerError::try_from(error) {
            Ok(error) => error,
            Err(error) => return classify_client_error(&error, address),
        },
    };
    let failed = |reconnect, kind| {
        let failure = Failure { reason: format!("{address}: {}", describe(&error)), kind };
        Class::Failed { failure, reconnect }
    };
    match error.kind() {
        Some(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot) if !cluster => {
            let failure = Failure::new(format!("{address} is part of a cluster, and the mode is standalone"));
            Class::Failed { failure, reconnect: false }
        }
        Some(ServerErrorKind::NoScript) => Class::ScriptMissing,
        // A demoted primary: the name may lead to another server now.
        Some(ServerErrorKind::ReadOnly) => failed(true, FailureKind::RefusesWrites),
        Some(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => failed(true, FailureKind::NotServed),
        Some(ServerErrorKind::TryAgain | ServerErrorKind::NoPerm) => failed(false, FailureKind::NotServed),
        _ => match error.code() {
            // Redis cannot save to its disk, or has too few replicas.
            "MISCONF" | "NOREPLICAS" => failed(false, FailureKind::RefusesWrites),
            "NOAUTH" | "WRONGPASS" => failed(true, FailureKind::NotServed),
            "BUSY" | "UNKILLABLE" => failed(false, FailureKind::NotServed),
            _ => Class::Reply(Reply::Refused(error)),
        },
    }
}

fn classify_client_error(error: &RedisError, address: &str) -> Class {
    let failure = Failure::new(format!("{address}: {error}"));
    match error.is_io_error() {
        true => Class::ConnectionLost(failure),
        false => Class::Failed { failure, reconnect: true },
    }
}

/// The error in the words of the server.
pub(super) fn describe(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// Whether the user may not run the command, or the server does not have it: a renamed command is
/// unknown, with the code `ERR`. Neither passes by itself.
pub(super) fn is_forbidden(error: &ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoPerm) || error.code() == "ERR"
}
