//! Free ports.

use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that Linux and macOS use for outgoing connections, so that no client takes the
/// port of a server that is restarted. With the offset of the cluster bus, ports stay below too.
const RANGE: std::ops::Range<u16> = 10_000..22_000;
/// The distance between the bus port of a Redis cluster node and its client port.
const CLUSTER_BUS_OFFSET: u16 = 10_000;

/// A port without a listener. Another process may take it before it is used; then the caller tries
/// another one.
pub(crate) fn free_port() -> u16 {
    any(is_free)
}

/// A port that is free together with its cluster bus port.
pub(crate) fn free_cluster_port() -> u16 {
    any(|port| is_free(port) && is_free(port + CLUSTER_BUS_OFFSET))
}

fn any(suits: impl Fn(u16) -> bool) -> u16 {
    (0..1_000)
        .map(|_| fastrand::u16(RANGE))
        .find(|&port| suits(port))
        .unwrap_or_else(|| panic!("no free port in {RANGE:?}"))
}

/// Some servers listen on all interfaces, so both must be free.
fn is_free(port: u16) -> bool {
    [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED].into_iter().all(|address| TcpListener::bind((address, port)).is_ok())
}
