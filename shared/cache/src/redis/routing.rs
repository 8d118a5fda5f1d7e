//! Routes of commands in a cluster that are not routed by their key.

use redis::{
    ErrorKind, RedisError, Value,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
};

/// The route to every primary of a cluster. The answer is a map from addresses to answers.
pub(super) fn to_primaries() -> RoutingInfo {
    RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None))
}

/// The route to the node with this address.
pub(super) fn to_node(address: &str) -> Result<RoutingInfo, RedisError> {
    let unknown = || RedisError::from((ErrorKind::Client, "the address is not host:port", address.to_owned()));
    let (host, port) = address.rsplit_once(':').ok_or_else(unknown)?;
    let (host, port) = (host.to_owned(), port.parse().map_err(|_| unknown())?);
    Ok(RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port }))
}

/// The answers of several nodes, as the client library combines them.
pub(super) fn by_address(answer: Value) -> Vec<(String, Value)> {
    let Value::Map(nodes) = answer else { return Vec::new() };
    let address = |address: Value| match address {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => format!("{other:?}"),
    };
    nodes.into_iter().map(|(node, value)| (address(node), value)).collect()
}
