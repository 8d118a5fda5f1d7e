//! Reasons for which a server refuses writes while it answers reads.

use std::fs;
use std::time::Duration;

use super::server::Redis;

/// How often a test looks whether a snapshot has ended.
const POLL: Duration = Duration::from_millis(10);

/// Why a server refuses writes. It answers reads all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRefusal {
    /// `MISCONF`: the last snapshot could not be written, as on a full disk.
    FailedSnapshot,
    /// `NOREPLICAS`: fewer replicas than `min-replicas-to-write`.
    MissingReplicas,
    /// `READONLY`: a replica, such as a former primary. Its primary does not answer, so it keeps
    /// its keys. Not for the node of a cluster, which redirects to its primary.
    ReadOnlyReplica,
    /// `OOM`: no memory left, and no eviction. Only writes that need memory are refused.
    OutOfMemory,
}

impl WriteRefusal {
    /// The code of the error.
    pub fn code(self) -> &'static str {
        match self {
            Self::FailedSnapshot => "MISCONF",
            Self::MissingReplicas => "NOREPLICAS",
            Self::ReadOnlyReplica => "READONLY",
            Self::OutOfMemory => "OOM",
        }
    }
}

impl Redis {
    /// Makes it refuse writes. Returns when it does.
    pub async fn refuse_writes(&self, why: WriteRefusal) {
        match why {
            WriteRefusal::FailedSnapshot => {
                // The finished snapshot cannot replace a directory.
                fs::create_dir(self.snapshot()).expect("there is no snapshot");
                self.cli::<()>(&["CONFIG", "SET", "save", "3600 1"]).await;
                self.take_snapshot("err").await;
            }
            WriteRefusal::MissingReplicas => {
                self.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
            }
            WriteRefusal::ReadOnlyReplica => self.cli::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await,
            WriteRefusal::OutOfMemory => self.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await,
        }
    }

    /// Ends what [`refuse_writes`](Self::refuse_writes) began. Its keys are as they were.
    pub async fn accept_writes(&self, why: WriteRefusal) {
        match why {
            WriteRefusal::FailedSnapshot => {
                fs::remove_dir(self.snapshot()).expect("the directory was made before");
                self.take_snapshot("ok").await;
                self.cli::<()>(&["CONFIG", "SET", "save", ""]).await;
            }
            WriteRefusal::MissingReplicas => {
                self.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
            }
            WriteRefusal::ReadOnlyReplica => self.promote().await,
            WriteRefusal::OutOfMemory => self.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await,
        }
    }

    fn snapshot(&self) -> std::path::PathBuf {
        self.server.dir.path().join("dump.rdb")
    }

    /// Takes a snapshot and waits until the server reports its result.
    async fn take_snapshot(&self, result: &str) {
        self.cli::<()>(&["BGSAVE"]).await;
        while self.info("rdb_last_bgsave_status").await != result {
            tokio::time::sleep(POLL).await;
        }
    }
}
