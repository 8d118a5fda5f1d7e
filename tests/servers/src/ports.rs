//! Free ports.

use std::net::{Ipv4Addr, TcpListener};

/// Below what Linux and macOS hand out to outgoing connections, so that no client takes the port of
/// a server that is being started again. Plus 10,000, the bus of a Redis cluster, it stays there
/// too.
const RANGE: std::ops::Range<u16> = 10_000..22_000;
/// How far the bus port of a Redis cluster is from its client port.
const CLUSTER_BUS_OFFSET: u16 = 10_000;

/// A port on which no process listens. Another process may take it before it is used: then the start of
/// the server is tried again with another port.
pub(crate) fn free_port() -> u16 {
    any(is_free)
}

/// A port that is free, and whose cluster bus port is free as well.
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
