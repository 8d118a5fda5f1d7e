//! Where traces are sent.

use super::{error, read};
use crate::settings::TraceTarget;

fn target(vars: &[(&str, &str)]) -> String {
    match read(vars).unwrap().traces {
        TraceTarget::Off => "off".to_owned(),
        TraceTarget::XRay(address) => format!("xray {address}"),
        TraceTarget::Otlp(url) => format!("otlp {url}"),
    }
}

#[test]
fn traces_go_to_xray_where_there_is_a_daemon() {
    let daemon = ("AWS_XRAY_DAEMON_ADDRESS", "169.254.79.129:2000");
    for unset in ["", "xray"] {
        assert_eq!(target(&[("MILLRACE_TRACES", unset), daemon]), "xray 169.254.79.129:2000");
    }
    assert_eq!(target(&[]), "off");
    assert_eq!(target(&[daemon]), "xray 169.254.79.129:2000");
    assert_eq!(target(&[("MILLRACE_TRACES", "off"), daemon]), "off");
    assert_eq!(target(&[("MILLRACE_TRACES", "xray")]), "xray 127.0.0.1:2000");
    let both = ("AWS_XRAY_DAEMON_ADDRESS", "tcp:10.0.0.1:2000 udp:10.0.0.2:2001");
    assert_eq!(target(&[both]), "xray 10.0.0.2:2001");
}

#[test]
fn a_collector_is_named_by_its_url() {
    for (value, expected) in [
        ("otlp:http://localhost:4318", "otlp http://localhost:4318/v1/traces"),
        ("otlp:http://localhost:4318/", "otlp http://localhost:4318/v1/traces"),
        ("otlp:https://collector.example/otlp/v1/traces", "otlp https://collector.example/otlp/v1/traces"),
    ] {
        assert_eq!(target(&[("MILLRACE_TRACES", value)]), expected);
    }
    for value in ["on", "otlp", "otlp:", "otlp:localhost:4318", "otlp:grpc://localhost:4317", "otlp:http://x/?a=b"] {
        let expected = format!("MILLRACE_TRACES={value} is not allowed; allowed: off, xray, otlp:<URL of a collector>");
        assert!(error("MILLRACE_TRACES", value).starts_with(&expected), "{}", error("MILLRACE_TRACES", value));
    }
}
