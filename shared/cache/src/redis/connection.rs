//! Connections to a server or a cluster, and how they are opened.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{Stream, future::try_join_all, stream};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, RedisError,
    TlsCertificates,
    aio::{ConnectionLike, MultiplexedConnection},
    auth::{BasicAuth, StreamingCredentialsProvider},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    reply::Failure,
    scripts,
    settings::{RedisCacheSettings, RedisCredentials, RedisMode, RedisSettingsError},
};

/// How often the cluster client repeats a command. After a lost connection it needs two
/// repetitions, to be redirected to the node and to connect to it, and one more for a slot that
/// moves.
const CLUSTER_RETRIES: u32 = 3;
/// How long the cluster client waits before it repeats a command, in milliseconds.
const CLUSTER_RETRY_WAIT_MS: (u64, u64) = (5, 50);
/// How long the cluster client waits for one answer of a node. The caller has a shorter deadline;
/// this one bounds what the client does by itself, such as reading the slots.
const CLUSTER_ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How many bytes the cluster client collects for a node before it writes them. With the default of
/// 8 KiB every fourth copy would take a system call.
const CLUSTER_WRITE_BUFFER: usize = 256 << 10;
/// After so many calls in a row without an answer in time, a connection to a single server is dead.
const MAX_TIME_OUTS: u32 = 2;
/// The same for a cluster. The client library can block forever when it reads the slots again while
/// many commands are under way, and only a new connection helps.
const MAX_CLUSTER_TIME_OUTS: u32 = 1;

/// A connection that many calls share.
pub(super) struct Connection {
    pub(super) transport: Transport,
    time_outs: AtomicU32,
}

/// The connection of the client library.
pub(super) enum Transport {
    Standalone(MultiplexedConnection),
    /// Connections to all nodes, which the library opens, repairs and routes.
    Cluster(ClusterConnection),
}

impl Connection {
    /// Notes that a call was answered in time.
    pub(super) fn answered(&self) {
        self.time_outs.store(0, Ordering::Relaxed);
    }

    /// Notes that a call was not answered in time. Returns whether the connection is dead now.
    pub(super) fn timed_out(&self) -> bool {
        let max = match self.transport {
            Transport::Standalone(_) => MAX_TIME_OUTS,
            Transport::Cluster(_) => MAX_CLUSTER_TIME_OUTS,
        };
        self.time_outs.fetch_add(1, Ordering::Relaxed) + 1 >= max
    }
}

/// Opens connections.
pub(super) struct Connector {
    /// The address, TLS and credentials of the URL.
    info: ConnectionInfo,
    /// `host:port` of the URL.
    pub(super) address: String,
    pub(super) mode: RedisMode,
    ca_file: Option<Vec<u8>>,
    credentials: Option<Arc<dyn RedisCredentials>>,
    connect_timeout: Duration,
    time_to_connect: Duration,
    /// The number of attempts.
    pub(super) attempts: AtomicU64,
}

impl Connector {
    pub(super) fn new(
        settings: &RedisCacheSettings,
        credentials: Option<Arc<dyn RedisCredentials>>,
    ) -> Result<Self, RedisSettingsError> {
        // The process decides which library does the cryptography; an earlier choice is kept.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let unusable = |error: RedisError| RedisSettingsError::Url(error.to_string());
        let info = settings.url.as_str().into_connection_info().map_err(unusable)?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => format!("{host}:{port}"),
            _ => return Err(RedisSettingsError::Url("it is neither redis:// nor rediss://".to_owned())),
        };
        if settings.mode == RedisMode::Cluster && info.redis_settings().db() != 0 {
            return Err(RedisSettingsError::Url("a cluster has only the database 0".to_owned()));
        }
        let (info, ca_file) = with_ca_file(info, settings)?;
        let connector = Self {
            info: info.set_tcp_settings(tcp_settings()),
            address,
            mode: settings.mode,
            ca_file,
            credentials,
            connect_timeout: settings.connect_timeout,
            time_to_connect: settings.time_to_connect(),
            attempts: AtomicU64::default(),
        };
        Ok(connector)
    }

    /// Opens a connection with new credentials, and loads the scripts.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let open = async {
            match self.mode {
                RedisMode::Standalone => Ok(Transport::Standalone(self.connect_to_server().await?)),
                RedisMode::Cluster => Ok(Transport::Cluster(self.connect_to_cluster().await?)),
            }
        };
        let time_out = |_| self.failure(format!("no connection within {} ms", self.time_to_connect.as_millis()));
        let transport = tokio::time::timeout(self.time_to_connect, open).await.map_err(time_out)??;
        Ok(Connection { transport, time_outs: AtomicU32::new(0) })
    }

    fn failure(&self, reason: impl fmt::Display) -> Failure {
        Failure::new(format!("cannot connect: {}: {reason}", self.address))
    }

    async fn connect_to_server(&self) -> Result<MultiplexedConnection, Failure> {
        let mut settings = self.info.redis_settings().clone();
        if let Some(credentials) = &self.credentials {
            let none = |error| Failure::new(format!("cannot connect: no credentials: {error}"));
            let credentials = credentials.credentials().await.map_err(none)?;
            settings = settings.set_username(credentials.user).set_password(credentials.password);
        }
        // Every call has a deadline, which depends on its size.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect_timeout)).set_response_timeout(None);
        let failed = |error: RedisError| self.failure(error);
        let client = Client::open(self.info.clone().set_redis_settings(settings)).map_err(failed)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        let mut pipeline = Pipeline::new();
        for command in scripts::load_commands() {
            pipeline.add_command(command);
        }
        let answers = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await.map_err(failed)?;
        for answer in answers {
            answer.extract_error().map_err(failed)?;
        }
        Ok(connection)
    }

    async fn connect_to_cluster(&self) -> Result<ClusterConnection, Failure> {
        let failed = |error: RedisError| self.failure(error);
        let mut builder = ClusterClient::builder([self.info.clone()])
            .tcp_settings(tcp_settings())
            .connection_timeout(self.connect_timeout)
            .response_timeout(CLUSTER_ANSWER_LIMIT)
            .overall_response_timeout(None)
            .write_backpressure_boundary(CLUSTER_WRITE_BUFFER)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_RETRY_WAIT_MS.0)
            .max_retry_wait(CLUSTER_RETRY_WAIT_MS.1);
        if let Some(root_cert) = self.ca_file.clone() {
            builder = builder.certs(TlsCertificates { client_tls: None, root_cert: Some(root_cert) });
        }
        if let Some(credentials) = &self.credentials {
            builder = builder.set_credentials_provider(CredentialsProvider(Arc::clone(credentials)));
        }
        let client = builder.build().map_err(failed)?;
        let connection = client.get_async_connection().await.map_err(failed)?;
        // The library sends these commands to every primary.
        let load = scripts::load_commands().into_iter().map(|command| {
            let mut connection = connection.clone();
            async move { connection.req_packed_command(&command).await?.extract_error() }
        });
        try_join_all(load).await.map_err(failed)?;
        Ok(connection)
    }
}

fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// The connection information with the certificates of the CA file, and the content of that file.
fn with_ca_file(
    info: ConnectionInfo,
    settings: &RedisCacheSettings,
) -> Result<(ConnectionInfo, Option<Vec<u8>>), RedisSettingsError> {
    let Some(path) = &settings.ca_file else { return Ok((info, None)) };
    let unusable = |reason: String| RedisSettingsError::CaFile { path: path.clone(), reason };
    let content = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    if CertificateDer::pem_slice_iter(&content).next().is_none() {
        return Err(unusable("it contains no certificate (PEM)".to_owned()));
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(content.clone()) };
    let client = Client::build_with_tls(info, certificates).map_err(|error| unusable(error.to_string()))?;
    Ok((client.get_connection_info().clone(), Some(content)))
}

/// Gives the cluster client new credentials for each connection that it opens.
struct CredentialsProvider(Arc<dyn RedisCredentials>);

impl StreamingCredentialsProvider for CredentialsProvider {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = Result<BasicAuth, RedisError>> + Send + 'static>> {
        let credentials = Arc::clone(&self.0);
        Box::pin(stream::once(async move {
            let credentials = credentials.credentials().await;
            let credentials = credentials
                .map_err(|error| RedisError::from((ErrorKind::AuthenticationFailed, "none", error.to_string())))?;
            Ok(BasicAuth::new(credentials.user, credentials.password))
        }))
    }
}
