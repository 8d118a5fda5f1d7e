//! What metrics, logs and traces cost.
//!
//! The speed of a shared machine varies more within a minute than telemetry costs. So the levels
//! are measured in turns, each in a process: `tracing` decides once for a process which spans are
//! recorded.

use std::{env, io::sink, net::UdpSocket, process::Command, sync::OnceLock, time::Duration};

use millrace_telemetry::trace::{Exporter, Resource, TARGET, TraceContext, TraceLayer, Tracer};
use tokio::time::Instant;
use tracing::{Instrument as _, subscriber::set_global_default};
use tracing_subscriber::{
    Layer as _, Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
};

/// The argument that asks for one round of one level.
const ROUND: &str = "--telemetry-round";
/// The number of processes of each level.
const ROUNDS: usize = 41;
/// The number of batches of a round.
const BATCHES: usize = 400;

/// What an invocation tells about itself. Each level has all of the one before.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Telemetry {
    Nothing,
    Metrics,
    /// Traces are off, as they are by default.
    Logs,
    /// A trace that Lambda does not sample.
    NotSampled,
    /// Each trace is sent to a daemon of X-Ray.
    Sampled,
}

impl Telemetry {
    pub const ALL: [Self; 5] = [Self::Nothing, Self::Metrics, Self::Logs, Self::NotSampled, Self::Sampled];

    /// The level that the arguments of this process ask for one round of.
    pub fn of_this_round() -> Option<Self> {
        let name = env::args().skip_while(|argument| argument != ROUND).nth(1)?;
        Self::ALL.into_iter().find(|level| format!("{level:?}") == name)
    }

    /// Prints the median CPU time of a round's batches in nanoseconds. `run` processes a batch.
    pub fn print_round(self, mut run: impl FnMut() -> Duration) {
        self.subscribe();
        let times = (0..BATCHES).map(|_| run().as_nanos() as f64);
        println!("{}", median(times.collect()));
    }

    /// The median CPU time of a batch with each level, in nanoseconds.
    pub fn measure_in_turns() -> [f64; Self::ALL.len()] {
        let program = env::current_exe().expect("the path of the benchmark");
        let round = |level: Self| {
            let output = Command::new(&program).args([ROUND, &format!("{level:?}")]).output().expect("a round");
            let text = String::from_utf8(output.stdout).expect("text");
            text.trim().parse::<f64>().unwrap_or_else(|_| panic!("the median of a round, not {text:?}"))
        };
        let rounds: Vec<_> = (0..ROUNDS).map(|_| Self::ALL.map(round)).collect();
        Self::ALL.map(|level| median(rounds.iter().map(|times| times[level as usize]).collect()))
    }

    /// Installs the subscriber of this level for the whole process, as the functions do.
    fn subscribe(self) {
        let filter = Targets::new().with_default(LevelFilter::WARN).with_target(TARGET, LevelFilter::OFF);
        let logs = tracing_subscriber::fmt::layer().json().with_writer(sink).with_filter(filter);
        let logs = Registry::default().with(logs);
        match self {
            Self::Nothing | Self::Metrics => Ok(()),
            Self::Logs => set_global_default(logs),
            Self::NotSampled | Self::Sampled => set_global_default(logs.with(TraceLayer::filtered())),
        }
        .expect("the first subscriber of the process");
    }

    /// Records an invocation as the functions do.
    pub async fn record<F: Future>(self, invocation: F) -> F::Output {
        let sampled = match self {
            Self::Nothing | Self::Metrics | Self::Logs => return invocation.await,
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

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
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
