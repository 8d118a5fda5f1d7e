//! Connections to the shared cache, with the settings of the functions.

use std::{fs, path::Path, time::Duration};

use aws_config::SdkConfig;
use millrace_cache::redis::{RedisCredentials as _, RedisMode};
use millrace_lambda::{
    elasticache::TokenSigner,
    settings::{IamCache, RedisSettings},
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult,
    TlsCertificates, Value, aio::MultiplexedConnection, cluster::ClusterClient, cluster_async::ClusterConnection, cmd,
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// What servers say if a login is refused.
const REFUSALS: [&str; 5] =
    ["WRONGPASS", "NOAUTH", "invalid username-password", "Password authentication failed", "NOPERM"];

/// Why there is no connection, and how to correct it.
#[derive(Debug)]
pub struct Unconnected {
    pub detail: String,
    pub correction: String,
}

impl Unconnected {
    fn new(detail: impl Into<String>, correction: impl Into<String>) -> Self {
        Self { detail: detail.into(), correction: correction.into() }
    }
}

/// The connection for commands with keys: to the server, or to all nodes of a cluster.
pub enum Keys {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Keys {
    pub async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// What the settings say about the connection.
pub struct Connector {
    info: ConnectionInfo,
    certificates: Option<TlsCertificates>,
    mode: RedisMode,
    /// Whether the password is an IAM token.
    has_token: bool,
}

impl Connector {
    /// Reads the CA file, and makes an IAM token if the settings ask for one.
    ///
    /// # Errors
    /// [`Unconnected`] if the settings cannot be used.
    pub async fn new(settings: &RedisSettings, sdk: &SdkConfig) -> Result<Self, Unconnected> {
        // The process decides which library does the cryptography.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let unusable = |error: RedisError| {
            Unconnected::new(format!("the URL cannot be used: {error}"), "correct MILLRACE_REDIS_URL")
        };
        let mut info = settings.url.expose().into_connection_info().map_err(unusable)?;
        let certificates = settings.ca_file.as_deref().map(certificates).transpose()?;
        if let Some(certificates) = &certificates {
            info = with_certificates(info, certificates)?;
        }
        if let Some(cache) = &settings.iam_cache {
            info = with_token(info, cache, settings.url.token_user().unwrap_or_default(), sdk).await?;
        }
        Ok(Self { info, certificates, mode: settings.mode, has_token: settings.iam_cache.is_some() })
    }

    /// Connects to the server of the URL.
    ///
    /// # Errors
    /// [`Unconnected`].
    pub async fn server(&self) -> Result<MultiplexedConnection, Unconnected> {
        let connected = tokio::time::timeout(TIMEOUT, self.connect()).await;
        connected.map_err(|_| timed_out())?.map_err(|error| self.explain(&error))
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT));
        let limits = limits.set_response_timeout(Some(TIMEOUT));
        let client = Client::open(self.info.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&limits).await?;
        cmd("PING").query_async::<()>(&mut connection).await?;
        Ok(connection)
    }

    /// The connection for commands with keys. `server` is the connection to the server of the URL.
    ///
    /// # Errors
    /// [`Unconnected`] if a node of the cluster cannot be reached.
    pub async fn keys(&self, server: MultiplexedConnection) -> Result<Keys, Unconnected> {
        if self.mode == RedisMode::Standalone {
            return Ok(Keys::Server(server));
        }
        let mut builder = ClusterClient::builder([self.info.clone()]);
        builder = builder.connection_timeout(TIMEOUT).response_timeout(TIMEOUT);
        if let Some(certificates) = self.certificates.clone() {
            builder = builder.certs(certificates);
        }
        let client = builder.build().map_err(|error| self.explain(&error))?;
        let connected = tokio::time::timeout(TIMEOUT, client.get_async_connection()).await.map_err(|_| timed_out())?;
        Ok(Keys::Cluster(connected.map_err(|error| self.explain(&error))?))
    }

    /// Who has logged in, for people.
    pub fn login(&self) -> String {
        let user = self.info.redis_settings().username().unwrap_or("default");
        let by = if self.has_token { " with an IAM token of these credentials" } else { "" };
        format!("logged in as {user}{by}")
    }

    fn explain(&self, error: &RedisError) -> Unconnected {
        if error.is_timeout() {
            return timed_out();
        }
        let text = error.to_string();
        let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        if error.kind() == ErrorKind::AuthenticationFailed || has(&REFUSALS) {
            let correction = match self.has_token {
                true => {
                    "check the user in MILLRACE_REDIS_URL and MILLRACE_REDIS_IAM_CACHE_NAME, and allow these \
                     credentials elasticache:Connect to the cache and to the user"
                }
                false => "check user and password in MILLRACE_REDIS_URL",
            };
            return Unconnected::new(format!("the login is refused: {text}"), correction);
        }
        let correction = match has(&["certificate", "UnknownIssuer"]) {
            true => "set MILLRACE_REDIS_CA_FILE to the certificates of the authority that signs the server's",
            false => {
                "check MILLRACE_REDIS_URL: address, port, and rediss:// where the server uses TLS; start the server"
            }
        };
        Unconnected::new(format!("no connection: {text}"), correction)
    }
}

fn timed_out() -> Unconnected {
    Unconnected::new(
        format!("no connection within {} s", TIMEOUT.as_secs()),
        "check the address, the security group, and whether this machine is in the network of the cache",
    )
}

fn certificates(path: &Path) -> Result<TlsCertificates, Unconnected> {
    let content = fs::read(path).map_err(|error| unusable_file(&format!("{}: {error}", path.display())))?;
    Ok(TlsCertificates { client_tls: None, root_cert: Some(content) })
}

fn with_certificates(info: ConnectionInfo, certificates: &TlsCertificates) -> Result<ConnectionInfo, Unconnected> {
    let client = Client::build_with_tls(info, certificates.clone());
    Ok(client.map_err(|error| unusable_file(&error.to_string()))?.get_connection_info().clone())
}

fn unusable_file(reason: &str) -> Unconnected {
    Unconnected::new(
        format!("the CA file cannot be used: {reason}"),
        "set MILLRACE_REDIS_CA_FILE to a file of certificates (PEM), with rediss:// in MILLRACE_REDIS_URL",
    )
}

async fn with_token(
    info: ConnectionInfo,
    cache: &IamCache,
    user: &str,
    sdk: &SdkConfig,
) -> Result<ConnectionInfo, Unconnected> {
    let none = |error: &dyn std::fmt::Display| {
        let correction = "log in to AWS, choose a profile with --profile, and set AWS_REGION to that of the cache";
        Unconnected::new(format!("no IAM token for {user} of {}: {error}", cache.name), correction)
    };
    let signer = TokenSigner::new(sdk, cache, user).map_err(|error| none(&error))?;
    let token = signer.credentials().await.map_err(|error| none(&error))?;
    let settings = info.redis_settings().clone().set_username(token.user).set_password(token.password);
    Ok(info.set_redis_settings(settings))
}
