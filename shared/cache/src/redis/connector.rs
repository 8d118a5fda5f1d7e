//! Opens connections, and finds out about the nodes of a cluster.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisError,
    TlsCertificates, Value, cmd, io::tcp::TcpSettings,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::statistics::Counter;

use super::{
    command::load_scripts,
    settings::{RedisCredentials, RedisMode, RedisTierError, RedisTierSettings},
    topology::{Address, Node, SlotRange, Topology, slot_ranges},
};

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{address}: {error}")]
    Redis { address: Address, error: RedisError },
    #[error("{address}: no connection within {} ms", .after.as_millis())]
    TimedOut { address: Address, after: Duration },
    #[error("no credentials: {0}")]
    Credentials(String),
    #[error("{0} knows of no node that has keys")]
    NoNodes(Address),
}

/// Opens connections.
pub(super) struct Connector {
    /// The address, TLS and credentials of the URL.
    seed: ConnectionInfo,
    seed_address: Address,
    mode: RedisMode,
    credentials: Option<Arc<dyn RedisCredentials>>,
    connect_timeout: Duration,
    config: AsyncConnectionConfig,
    /// Connections tried.
    pub(super) tried: Counter,
}

impl Connector {
    pub(super) fn new(
        settings: &RedisTierSettings,
        credentials: Option<Arc<dyn RedisCredentials>>,
    ) -> Result<Self, RedisTierError> {
        // Which library does the cryptography is a choice of the process; another one made before stands.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let unusable = |error: RedisError| RedisTierError::Url(error.to_string());
        let seed = settings.url.as_str().into_connection_info().map_err(unusable)?;
        let seed = match &settings.ca_file {
            None => seed,
            Some(path) => {
                let unusable = |reason: String| RedisTierError::CaFile { path: path.clone(), reason };
                let root_cert = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
                if CertificateDer::pem_slice_iter(&root_cert).next().is_none() {
                    return Err(unusable("there is no certificate (PEM) in it".to_owned()));
                }
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
                let client = Client::build_with_tls(seed, certificates).map_err(|error| unusable(error.to_string()))?;
                client.get_connection_info().clone()
            }
        };
        let seed_address = match seed.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Address { host: host.clone(), port: *port }
            }
            _ => return Err(RedisTierError::Url("it is neither redis:// nor rediss://".to_owned())),
        };
        if settings.mode == RedisMode::Cluster && seed.redis_settings().db() != 0 {
            return Err(RedisTierError::Url("a cluster has no databases but 0".to_owned()));
        }
        let seed = seed.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        // Every use has a deadline of its own, which depends on how much is asked.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(None);
        Ok(Self {
            seed,
            seed_address,
            mode: settings.mode,
            credentials,
            connect_timeout: settings.connect_timeout,
            config,
            tried: Counter::default(),
        })
    }

    /// Connections to all nodes that have keys, and to those `besides`. Sound ones of before are kept.
    pub(super) async fn connect(
        &self,
        before: Option<&Topology>,
        besides: &[Address],
    ) -> Result<Topology, ConnectError> {
        let sound: Vec<Arc<Node>> =
            before.into_iter().flat_map(Topology::nodes).filter(|node| node.is_sound()).cloned().collect();
        if self.mode == RedisMode::Standalone {
            let node = match sound.into_iter().next() {
                Some(node) => node,
                None => self.open(&self.seed_address).await?,
            };
            return Ok(Topology::alone(node));
        }
        let known: Vec<Address> =
            before.into_iter().flat_map(Topology::nodes).map(|node| node.address.clone()).collect();
        let (mut opened, ranges) = self.ask_for_slots(sound, known).await?;

        let mut wanted: Vec<Address> = Vec::new();
        for address in ranges.iter().map(|range| &range.address).chain(besides) {
            if !wanted.contains(address) {
                wanted.push(address.clone());
            }
        }
        let missing = wanted.iter().filter(|address| opened.iter().all(|node| node.address != **address));
        let results = join_all(missing.map(|address| self.open(address))).await;
        let mut last_error = None;
        for result in results {
            match result {
                Ok(node) => opened.push(node),
                Err(error) => {
                    tracing::debug!(%error, "a node of the Redis cluster cannot be reached");
                    last_error = Some(error);
                }
            }
        }
        // Nodes that have lost their keys are let go of.
        opened.retain(|node| wanted.contains(&node.address));
        match (opened.is_empty(), last_error) {
            (true, Some(error)) => Err(error),
            _ => Ok(Topology::spread(opened, &ranges)),
        }
    }

    /// Asks the first node that answers which slots lie where: one that is connected already, then the
    /// URL's, then those known before.
    async fn ask_for_slots(
        &self,
        sound: Vec<Arc<Node>>,
        known: Vec<Address>,
    ) -> Result<(Vec<Arc<Node>>, Vec<SlotRange>), ConnectError> {
        let mut nodes = sound;
        for node in &nodes {
            match slots_of(node).await {
                Ok(ranges) => return Ok((nodes, ranges)),
                Err(_) => node.discard(),
            }
        }
        nodes.clear();
        let mut first_error = None;
        for address in std::iter::once(&self.seed_address).chain(&known) {
            let asked = async {
                let node = self.open(address).await?;
                let ranges = slots_of(&node).await?;
                Ok::<_, ConnectError>((node, ranges))
            };
            match asked.await {
                Ok((node, ranges)) => return Ok((vec![node], ranges)),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| ConnectError::NoNodes(self.seed_address.clone())))
    }

    /// A connection to one node, with fresh credentials; it has the scripts.
    async fn open(&self, address: &Address) -> Result<Arc<Node>, ConnectError> {
        let open = async {
            let mut settings = self.seed.redis_settings().clone();
            if let Some(credentials) = &self.credentials {
                let credentials =
                    credentials.credentials().await.map_err(|error| ConnectError::Credentials(error.to_string()))?;
                settings = settings.set_username(credentials.user).set_password(credentials.password);
            }
            let (host, port) = (address.host.clone(), address.port);
            let place = match self.seed.addr().clone() {
                ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                    ConnectionAddr::TcpTls { host, port, insecure, tls_params }
                }
                _ => ConnectionAddr::Tcp(host, port),
            };
            let info = self.seed.clone().set_addr(place).set_redis_settings(settings);
            self.tried.add(1);
            let failed = |error| ConnectError::Redis { address: address.clone(), error };
            let client = Client::open(info).map_err(failed)?;
            let mut connection =
                client.get_multiplexed_async_connection_with_config(&self.config).await.map_err(failed)?;
            let mut pipeline = Pipeline::new();
            for load in load_scripts() {
                pipeline.add_command(load);
            }
            let answers = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await.map_err(failed)?;
            for answer in answers {
                answer.extract_error().map_err(failed)?;
            }
            Ok(connection)
        };
        let connection = tokio::time::timeout(self.connect_timeout, open)
            .await
            .map_err(|_| ConnectError::TimedOut { address: address.clone(), after: self.connect_timeout })??;
        Ok(Arc::new(Node::new(address.clone(), connection)))
    }
}

async fn slots_of(node: &Node) -> Result<Vec<SlotRange>, ConnectError> {
    let mut command = cmd("CLUSTER");
    command.arg("SLOTS");
    let answer = node.connection.clone().send_packed_command(&command).await.and_then(Value::extract_error);
    let answer = answer.map_err(|error| ConnectError::Redis { address: node.address.clone(), error })?;
    let ranges = slot_ranges(answer, &node.address);
    if ranges.is_empty() { Err(ConnectError::NoNodes(node.address.clone())) } else { Ok(ranges) }
}
