//! What a Redis server is to be like, and its configuration file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Redis, Server, certificates, field_of, query};
use crate::ports::{free_cluster_port, free_port};
use crate::process::{self, Process, blocking};
use crate::tools;

/// The names of files in the directory of a server.
pub(super) const SOCKET: &str = "redis.sock";
const CONFIGURATION: &str = "redis.conf";

/// What a server is to be like. Start it with [`start`](Self::start).
#[derive(Clone, Default)]
pub struct RedisBuilder {
    directives: Vec<String>,
    password: Option<String>,
    tls: bool,
    cluster: bool,
    primary: Option<Redis>,
}

impl RedisBuilder {
    /// Limits its memory, such as `2mb`, and says what it does at the limit, such as `allkeys-lru`, or
    /// `noeviction`, which answers writes with `OOM`.
    pub fn maxmemory(self, limit: &str, policy: &str) -> Self {
        self.config("maxmemory", limit).config("maxmemory-policy", policy)
    }

    /// Requires this password of the user `default`.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.config("requirepass", password)
    }

    /// Adds a user, with its rules as `ACL SETUSER` takes them: `user("app", "on >secret ~* +@all")`.
    pub fn user(self, name: &str, rules: &str) -> Self {
        self.config("user", &format!("{name} {rules}"))
    }

    /// Has it speak TLS, with a certificate for `localhost` and `127.0.0.1`, signed by an authority of
    /// its own: [`Redis::ca_file`]. It asks clients for none.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Has it start as a replica of a server without TLS.
    pub fn replica_of(mut self, primary: &Redis) -> Self {
        self.primary = Some(primary.clone());
        self
    }

    /// Adds a line to its configuration: any directive of `redis.conf`, its value quoted as there.
    pub fn config(mut self, directive: &str, value: &str) -> Self {
        self.directives.push(format!("{directive} {value}"));
        self
    }

    /// Has it be a node of a cluster.
    pub(super) fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Starts it and waits until it answers, a replica until it has what its primary holds.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start(self) -> Redis {
        blocking(move || process::start(|| self.attempt())).await
    }

    fn attempt(&self) -> Result<Redis, String> {
        let dir = process::directory();
        let port = if self.cluster { free_cluster_port() } else { free_port() };
        let ca_file = self
            .tls
            .then(|| certificates::write(dir.path()))
            .transpose()
            .unwrap_or_else(|error| panic!("cannot make certificates: {error}"));
        let configuration = self.configuration(dir.path(), port);
        fs::write(dir.path().join(CONFIGURATION), configuration)
            .unwrap_or_else(|error| panic!("cannot configure Redis: {error}"));
        let mut process = spawn(dir.path());
        let password = self.password.as_deref();
        process.wait_until(|| {
            if self.primary.is_none() {
                return query::<String>(dir.path(), password, &["PING"]).is_ok();
            }
            query(dir.path(), password, &["INFO", "replication"])
                .is_ok_and(|info: String| field_of(&info, "master_link_status").as_deref() == Some("up"))
        })?;
        Ok(Redis {
            server: Arc::new(Server {
                port,
                password: self.password.clone(),
                ca_file,
                process: Mutex::new(process),
                dir,
            }),
        })
    }

    fn configuration(&self, dir: &Path, port: u16) -> String {
        let mut text = format!(
            "bind 127.0.0.1\ndir {0}\nunixsocket {0}/{SOCKET}\nsave \"\"\nappendonly no\n\
             repl-diskless-sync-delay 0\n",
            dir.display()
        );
        let _ = if self.tls {
            let files = dir.display();
            writeln!(
                text,
                "port 0\ntls-port {port}\ntls-auth-clients no\n\
                 tls-cert-file {files}/{}\ntls-key-file {files}/{}\ntls-ca-cert-file {files}/{}",
                certificates::CERTIFICATE,
                certificates::KEY,
                certificates::AUTHORITY
            )
        } else {
            writeln!(text, "port {port}")
        };
        if self.cluster {
            text += "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 2000\n\
                     cluster-announce-ip 127.0.0.1\n";
        }
        if let Some(primary) = &self.primary {
            let _ = writeln!(text, "replicaof 127.0.0.1 {}", primary.port());
            if let Some(password) = &primary.server.password {
                let _ = writeln!(text, "masterauth {password}");
            }
        }
        for directive in &self.directives {
            let _ = writeln!(text, "{directive}");
        }
        text
    }
}

/// Starts the server that is configured in a directory.
pub(super) fn spawn(dir: &Path) -> Process {
    // What a killed one left there would be taken for the new one's.
    let _ = fs::remove_file(dir.join(SOCKET));
    let program = tools::redis_server();
    Process::spawn("redis-server", program.as_os_str(), dir, |command| {
        command.arg(dir.join(CONFIGURATION));
    })
}
