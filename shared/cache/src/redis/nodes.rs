//! Commands to a node, whatever keys it has: for scans and server statistics.

use std::{collections::BTreeMap, time::Duration};

use futures::future::{join_all, try_join_all};
use redis::{Cmd, Pipeline, RedisError, Value, cluster_async::ClusterConnection, cluster_routing::RoutingInfo, cmd};
use tokio::time::{Instant, timeout_at};

use super::{
    client::Client,
    connection::{Connection, Transport},
    reply::Failure,
    routing::{by_address, to_node, to_primaries},
};

/// The answers of one primary.
pub(super) struct NodeAnswers {
    /// `host:port`.
    pub(super) address: String,
    /// One value for each command; an error of the server is a value.
    pub(super) values: Vec<Value>,
}

/// The primaries that get commands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Nodes<'a> {
    /// Every primary.
    All,
    /// The primary with this address. To a single server the address means nothing.
    One(&'a str),
}

impl Client {
    /// The addresses of all primaries, sorted.
    pub(super) async fn addresses(&self, deadline: Instant) -> Result<Vec<String>, Failure> {
        if !self.is_cluster() {
            return Ok(vec![self.connector.address.clone()]);
        }
        let answers = self.ask(Nodes::All, &[cmd("PING")], deadline).await?;
        Ok(answers.into_iter().map(|node| node.address).collect())
    }

    /// Sends commands that change nothing. A lost connection is opened again once.
    pub(super) async fn ask(
        &self,
        nodes: Nodes<'_>,
        commands: &[Cmd],
        deadline: Instant,
    ) -> Result<Vec<NodeAnswers>, Failure> {
        let mut reconnected = false;
        loop {
            let connection = self.connection(deadline).await?;
            let started = Instant::now();
            let address = &self.connector.address;
            match timeout_at(deadline, ask(&connection, nodes, commands, address)).await {
                Ok(Ok(answers)) => {
                    connection.answered();
                    return Ok(answers);
                }
                Ok(Err(error)) if error.is_io_error() && !error.is_timeout() && !reconnected => {
                    reconnected = true;
                    self.discard(&connection);
                }
                Ok(Err(error)) => {
                    self.discard(&connection);
                    return Err(Failure::new(format!("{address}: {error}")));
                }
                Err(_) => {
                    if connection.timed_out() {
                        self.discard(&connection);
                    }
                    let waited = started.elapsed().as_millis();
                    return Err(Failure::new(format!("{address}: no answer within {waited} ms")));
                }
            }
        }
    }

    /// How long each of these nodes takes to answer a `PING`.
    pub(super) async fn ping_each(&self, addresses: &[String], deadline: Instant) -> Result<Vec<Duration>, Failure> {
        let pings = addresses.iter().map(|address| async move {
            let started = Instant::now();
            self.ask(Nodes::One(address), &[cmd("PING")], deadline).await?;
            Ok(started.elapsed())
        });
        join_all(pings).await.into_iter().collect()
    }
}

async fn ask(
    connection: &Connection,
    nodes: Nodes<'_>,
    commands: &[Cmd],
    address: &str,
) -> Result<Vec<NodeAnswers>, RedisError> {
    match (&connection.transport, nodes) {
        (Transport::Standalone(connection), _) => {
            let mut pipeline = Pipeline::with_capacity(commands.len());
            for command in commands {
                pipeline.add_command(command.clone());
            }
            let values = connection.clone().send_packed_commands(&pipeline, 0, pipeline.len()).await?;
            Ok(vec![NodeAnswers { address: address.to_owned(), values }])
        }
        (Transport::Cluster(connection), Nodes::One(address)) => {
            let route = to_node(address)?;
            let values = commands.iter().map(|command| send(connection, command, route.clone()));
            let values = try_join_all(values).await?;
            Ok(vec![NodeAnswers { address: address.to_owned(), values }])
        }
        (Transport::Cluster(connection), Nodes::All) => {
            let maps = commands.iter().map(|command| send(connection, command, to_primaries()));
            let mut answers: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for map in try_join_all(maps).await? {
                for (address, value) in by_address(map) {
                    answers.entry(address).or_default().push(value);
                }
            }
            Ok(answers.into_iter().map(|(address, values)| NodeAnswers { address, values }).collect())
        }
    }
}

async fn send(connection: &ClusterConnection, command: &Cmd, route: RoutingInfo) -> Result<Value, RedisError> {
    connection.clone().route_command(command.clone(), route).await
}
