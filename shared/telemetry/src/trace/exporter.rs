//! Where traces are sent.

use std::{
    fmt,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::time::timeout_at;

use super::{otlp, pause::Pause, recording::Finished, resource::Resource, xray};

/// How long the export over OTLP may delay an answer.
const OTLP_TIMEOUT: Duration = Duration::from_millis(500);

/// Sends requests to an OTLP collector.
#[async_trait]
pub trait OtlpTransport: Send + Sync {
    /// Posts one request in Protocol Buffers.
    ///
    /// # Errors
    /// In words, if the collector cannot be reached or does not accept the request.
    async fn post(&self, body: Vec<u8>) -> Result<(), String>;
}

/// Where traces are sent.
pub enum Exporter {
    /// To the daemon of X-Ray, as segment documents in UDP datagrams.
    XRay(UdpSocket),
    /// To a collector, over OTLP.
    Otlp {
        /// Sends the requests.
        transport: Arc<dyn OtlpTransport>,
        /// The pause after failures.
        pause: OtlpPause,
    },
}

/// The pause after failures of a collector.
#[derive(Debug, Default)]
pub struct OtlpPause(Pause);

impl Exporter {
    /// Sends to the X-Ray daemon at this address. Nothing is sent yet.
    ///
    /// # Errors
    /// [`std::io::Error`] if the system has no socket for the address.
    pub fn xray(daemon: SocketAddr) -> std::io::Result<Self> {
        let any: SocketAddr = match daemon {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(daemon)?;
        Ok(Self::XRay(socket))
    }

    /// Sends over OTLP.
    pub fn otlp(transport: Arc<dyn OtlpTransport>) -> Self {
        Self::Otlp { transport, pause: OtlpPause::default() }
    }

    /// Whether exports are useless at the moment.
    pub(super) fn is_paused(&self) -> bool {
        match self {
            Self::XRay(_) => false,
            Self::Otlp { pause, .. } => pause.0.is_on(Instant::now()),
        }
    }

    /// Sends the spans of an invocation, until `deadline` at the latest. Failures are logged.
    pub(super) async fn export(&self, finished: &Finished, resource: &Resource, deadline: tokio::time::Instant) {
        match self {
            Self::XRay(socket) => {
                for datagram in xray::datagrams(finished) {
                    // A daemon that is not there is no reason to do anything.
                    if let Err(error) = socket.send(&datagram) {
                        tracing::debug!(%error, "the daemon of X-Ray does not take segments");
                    }
                }
            }
            Self::Otlp { transport, pause } => {
                let deadline = deadline.min(tokio::time::Instant::now() + OTLP_TIMEOUT);
                let sent = timeout_at(deadline, transport.post(otlp::request(finished, resource))).await;
                match sent.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                    Ok(()) => {
                        if pause.0.succeeded() {
                            tracing::info!("the OTLP collector takes traces again");
                        }
                    }
                    Err(reason) => {
                        let pause_s = pause.0.failed(Instant::now()).as_secs();
                        tracing::warn!(reason, pause_s, "the OTLP collector does not take traces; pausing");
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XRay(_) => "XRay",
            Self::Otlp { .. } => "Otlp",
        })
    }
}
