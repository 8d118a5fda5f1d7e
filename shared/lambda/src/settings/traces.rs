//! Where traces are sent.

use url::Url;

use super::{error::SettingsError, reader::Reader, reference::table, values};

/// The address of the X-Ray daemon, as Lambda sets it.
const DAEMON_ADDRESS: &str = "AWS_XRAY_DAEMON_ADDRESS";
/// Where the daemon listens unless it is told otherwise.
const DEFAULT_DAEMON_ADDRESS: &str = "127.0.0.1:2000";
/// The path of a collector that is named without one.
const OTLP_PATH: &str = "/v1/traces";

/// Where traces are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceTarget {
    /// Nowhere.
    Off,
    /// To the X-Ray daemon at this address, which may have a host name.
    XRay(String),
    /// To the OTLP collector at this URL, which includes the path.
    Otlp(Url),
}

impl Reader<'_> {
    /// Unset means X-Ray where there is a daemon, as in Lambda.
    pub(super) fn traces(&self) -> Result<TraceTarget, SettingsError> {
        let daemon = self.variable(DAEMON_ADDRESS).map(|address| udp_address(&address).to_owned());
        let xray = || TraceTarget::XRay(daemon.clone().unwrap_or_else(|| DEFAULT_DAEMON_ADDRESS.to_owned()));
        let chosen = self.optional(&table::TRACES, |value| match value {
            "off" => Some(TraceTarget::Off),
            "xray" => Some(xray()),
            _ => value.strip_prefix("otlp:").and_then(collector).map(TraceTarget::Otlp),
        })?;
        Ok(chosen.unwrap_or_else(|| if daemon.is_some() { xray() } else { TraceTarget::Off }))
    }
}

/// The address for UDP. The variable holds `host:port`, or `tcp:host:port udp:host:port`.
fn udp_address(value: &str) -> &str {
    value.split_whitespace().find_map(|part| part.strip_prefix("udp:")).unwrap_or(value)
}

fn collector(value: &str) -> Option<Url> {
    let mut url = values::url(value, ["http", "https"]).filter(|url| url.query().is_none() && !value.contains('@'))?;
    if url.path() == "/" {
        url.set_path(OTLP_PATH);
    }
    Some(url)
}
