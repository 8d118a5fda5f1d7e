//! What traces cost.

use std::{io::sink, net::UdpSocket, sync::OnceLock, time::Duration};

use millrace_telemetry::trace::{Exporter, Resource, TARGET, TraceContext, TraceLayer, Tracer};
use tokio::time::Instant;
use tracing::{Instrument as _, subscriber::with_default};
use tracing_subscriber::{
    Layer as _, Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
};

/// How traces are set up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Traces {
    /// No subscriber: neither logs nor traces.
    Unused,
    /// Logs, and traces are off.
    Off,
    /// Logs, and traces that Lambda does not sample.
    NotSampled,
    /// Logs, and each trace is sent to a daemon of X-Ray.
    Sampled,
}

impl Traces {
    /// Does `work` with the subscriber of this set-up.
    pub fn subscribed(self, work: impl FnOnce()) {
        let filter = Targets::new().with_default(LevelFilter::WARN).with_target(TARGET, LevelFilter::OFF);
        let logs =
            Registry::default().with(tracing_subscriber::fmt::layer().json().with_writer(sink).with_filter(filter));
        match self {
            Self::Unused => work(),
            Self::Off => with_default(logs, work),
            Self::NotSampled | Self::Sampled => with_default(logs.with(TraceLayer::filtered()), work),
        }
    }

    /// Records an invocation as the functions do.
    pub async fn record<F: Future>(self, invocation: F) -> F::Output {
        let sampled = match self {
            Self::Unused | Self::Off => return invocation.await,
            Self::NotSampled => 0,
            Self::Sampled => 1,
        };
        let header = format!("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={sampled}");
        let Some(trace) = tracer().begin(TraceContext::parse_xray(&header), "r-1", false) else {
            return invocation.await;
        };
        let output = invocation.instrument(trace.span().clone()).await;
        trace.finish(None, Instant::now() + Duration::from_secs(1)).await;
        output
    }
}

/// A tracer whose daemon reads nothing.
fn tracer() -> &'static Tracer {
    static DAEMON: OnceLock<(UdpSocket, Tracer)> = OnceLock::new();
    let (_, tracer) = DAEMON.get_or_init(|| {
        let daemon = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let exporter = Exporter::xray(daemon.local_addr().expect("an address")).expect("a socket");
        (daemon, Tracer::new(exporter, Resource::default()))
    });
    tracer
}
