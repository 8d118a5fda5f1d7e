//! What an answer of Redis means: a reply, another way to go, or that it cannot do its work.

use redis::{RedisError, ServerError, ServerErrorKind, Value};

use super::topology::{Address, Node};

/// What became of a command.
#[derive(Debug)]
pub(super) enum Reply {
    Value(Value),
    /// It was refused by itself; Redis is well.
    Refused(ServerError),
    /// Nobody knows whether it was done.
    None,
}

impl Reply {
    /// The reply to a command about several keys, as if there had been one about each.
    pub(super) fn of_each(self, keys: usize) -> Vec<Self> {
        let mut replies: Vec<Self> = match self {
            Self::Value(Value::Array(values)) => values.into_iter().map(Self::Value).collect(),
            Self::Refused(error) => (0..keys).map(|_| Self::Refused(error.clone())).collect(),
            Self::Value(_) | Self::None => Vec::new(),
        };
        replies.resize_with(keys, || Self::None);
        replies
    }
}

/// Redis cannot do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Failure {
    reason: String,
    /// It takes no writes: trying again is of no use, and what it holds may be out of date.
    pub(super) refuses_writes: bool,
}

impl Failure {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refuses_writes: false }
    }

    /// Whoever waited has no more time.
    pub(super) fn given_up() -> Self {
        Self::new("a call was given up before it was answered")
    }
}

/// Where a key is to be asked for instead.
#[derive(Debug, Clone)]
pub(super) struct Redirect {
    pub(super) to: Address,
    /// The key is being moved there: the node has to be told that we know.
    pub(super) asking: bool,
}

/// What an answer means.
pub(super) enum Verdict {
    Reply(Reply),
    Redirected(Redirect),
    ScriptUnknown,
    Failed { failure: Failure, reconnect: bool },
}

/// What an answer means.
pub(super) fn judge(value: Value, node: &Node, cluster: bool) -> Verdict {
    let error = match value {
        Value::ServerError(error) => error,
        value => return Verdict::Reply(Reply::Value(value)),
    };
    let failed = |reconnect, refuses_writes| {
        let reason = format!("{}: {}", node.address, describe(&error));
        Verdict::Failed { failure: Failure { reason, refuses_writes }, reconnect }
    };
    match error.kind() {
        Some(ServerErrorKind::Moved | ServerErrorKind::Ask) if cluster => {
            let asking = error.kind() == Some(ServerErrorKind::Ask);
            let error = RedisError::from(error.clone());
            let to = error.redirect_node().and_then(|(to, _)| Address::parse(to, &node.address));
            match to {
                Some(to) => Verdict::Redirected(Redirect { to, asking }),
                None => failed(true, false),
            }
        }
        Some(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot) => Verdict::Failed {
            failure: Failure::new(format!("{} is part of a cluster, and the mode is standalone", node.address)),
            reconnect: false,
        },
        Some(ServerErrorKind::NoScript) => Verdict::ScriptUnknown,
        // A primary that was demoted: the name leads to another one by now.
        Some(ServerErrorKind::ReadOnly) => failed(true, true),
        Some(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown) => {
            failed(true, false)
        }
        Some(ServerErrorKind::TryAgain | ServerErrorKind::NoPerm) => failed(false, false),
        _ => match error.code() {
            // It cannot save to its disk, or to enough replicas.
            "MISCONF" | "NOREPLICAS" => failed(false, true),
            "NOAUTH" | "WRONGPASS" => failed(true, false),
            "BUSY" | "UNKILLABLE" => failed(false, false),
            _ => Verdict::Reply(Reply::Refused(error)),
        },
    }
}

/// The error as Redis has put it.
pub(super) fn describe(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}
