//! Opens what traces are sent to.

use std::{env, io, net::ToSocketAddrs as _, sync::Arc};

use millrace_telemetry::trace::{Exporter, Resource, Tracer};

use crate::{
    otlp_client::OtlpClient,
    settings::{Settings, TraceTarget},
};

/// The tracer of this process; none if traces are off. Traces are no reason not to start: if
/// nothing can be sent, they are off.
pub fn open(settings: &Settings) -> Option<Tracer> {
    let exporter = match &settings.traces {
        TraceTarget::Off => return None,
        TraceTarget::XRay(address) => match xray(address) {
            Ok(exporter) => exporter,
            Err(error) => {
                // The logs are not started yet.
                eprintln!("traces are off: the X-Ray daemon at {address} cannot be used: {error}");
                return None;
            }
        },
        TraceTarget::Otlp(url) => Exporter::otlp(Arc::new(OtlpClient::new(url.as_str()))),
    };
    Some(Tracer::new(exporter, resource(settings)))
}

fn xray(address: &str) -> io::Result<Exporter> {
    let resolved = address.to_socket_addrs()?.next();
    Exporter::xray(resolved.ok_or_else(|| io::Error::other("the name has no address"))?)
}

/// The process, by the semantic conventions of OpenTelemetry.
fn resource(settings: &Settings) -> Resource {
    let mut attributes = vec![
        ("service.name", settings.function_name.clone()),
        ("service.namespace", "millrace".to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
        ("telemetry.sdk.name", "millrace".to_owned()),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("cloud.provider", "aws".to_owned()),
        ("cloud.platform", "aws_lambda".to_owned()),
    ];
    let variables = [
        ("faas.name", "AWS_LAMBDA_FUNCTION_NAME"),
        ("faas.version", "AWS_LAMBDA_FUNCTION_VERSION"),
        ("faas.instance", "AWS_LAMBDA_LOG_STREAM_NAME"),
        ("cloud.region", "AWS_REGION"),
    ];
    attributes.extend(variables.into_iter().filter_map(|(name, variable)| Some((name, env::var(variable).ok()?))));
    Resource { attributes }
}
