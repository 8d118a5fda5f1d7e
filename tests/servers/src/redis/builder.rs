//! Configures and starts a Redis or Valkey server.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::certificates;
use super::program::RedisProgram;
use super::query::{field_of, query, socket};
use super::server::{Redis, Server, configuration, spawn};
use crate::ports::{free_cluster_port, free_port};
use crate::process::{self, blocking};

impl Redis {
    /// Starts `redis-server` without password and limits.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A configuration with nothing set.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }
}

/// The configuration of a server. Start it with [`start`](Self::start).
#[derive(Clone, Default)]
pub struct RedisBuilder {
    program: RedisProgram,
    directives: Vec<String>,
    password: Option<String>,
    tls: bool,
    cluster: bool,
    primary: Option<Redis>,
}

impl RedisBuilder {
    /// Chooses the program. The default is `redis-server`.
    pub fn program(mut self, program: RedisProgram) -> Self {
        self.program = program;
        self
    }

    /// Limits its memory, such as `2mb`. The policy says what it does at the limit, such as
    /// `allkeys-lru`, or `noeviction`, which answers writes with `OOM`.
    pub fn maxmemory(self, limit: &str, policy: &str) -> Self {
        self.config("maxmemory", limit).config("maxmemory-policy", policy)
    }

    /// Requires this password of the user `default`.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.config("requirepass", password)
    }

    /// Adds a user with rules as `ACL SETUSER` takes them: `user("app", "on >secret ~* +@all")`.
    pub fn user(self, name: &str, rules: &str) -> Self {
        self.config("user", &format!("{name} {rules}"))
    }

    /// Makes it speak TLS with a certificate for `localhost` and `127.0.0.1`. A test authority
    /// signs the certificate: [`Redis::ca_file`]. Clients need no certificate. `redis-server` only.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Makes it start as a replica of a server without TLS.
    pub fn replica_of(mut self, primary: &Redis) -> Self {
        self.primary = Some(primary.clone());
        self
    }

    /// Adds a line to its configuration: any directive of `redis.conf`, its value quoted as there.
    pub fn config(mut self, directive: &str, value: &str) -> Self {
        self.directives.push(format!("{directive} {value}"));
        self
    }

    /// Makes it a node of a cluster.
    pub(super) fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Starts it and waits until it answers; a replica until it has the keys of its primary.
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
        fs::write(configuration(dir.path()), self.directives(dir.path(), port))
            .unwrap_or_else(|error| panic!("cannot configure {}: {error}", self.program.name()));
        let mut process = spawn(self.program, dir.path());
        let password = self.password.as_deref();
        process.wait_until(|| {
            if self.primary.is_none() {
                return query::<String>(dir.path(), password, &["PING"]).is_ok();
            }
            query(dir.path(), password, &["INFO", "replication"])
                .is_ok_and(|info: String| field_of(&info, "master_link_status").as_deref() == Some("up"))
        })?;
        let (program, password) = (self.program, self.password.clone());
        let server = Server { program, port, password, ca_file, process: Mutex::new(process), dir };
        Ok(Redis { server: Arc::new(server) })
    }

    /// The text of the configuration file.
    fn directives(&self, dir: &Path, port: u16) -> String {
        let mut text = format!(
            "bind 127.0.0.1\ndir {}\nunixsocket {}\nsave \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n",
            dir.display(),
            socket(dir).display()
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
