//! Commands to nodes, whatever keys they have: for scans and server statistics.

use std::time::Duration;

use futures::future::try_join_all;
use redis::{Cmd, Pipeline, RedisError, Value, cmd};
use tokio::time::{Instant, timeout_at};

use super::{
    client::Client,
    connection::{Connection, Transport},
    reply::{Failure, time_out},
    routing::{by_address, to_node, to_primaries},
};

/// The answers of one node.
pub(super) struct NodeAnswers {
    /// One value for each command; an error of the server is a value.
    pub(super) values: Vec<Value>,
    /// The time until the last answer.
    pub(super) took: Duration,
}

impl Client {
    /// The addresses of all primaries, sorted: one round trip in a cluster, else none.
    pub(super) async fn addresses(&self, deadline: Instant) -> Result<Vec<String>, Failure> {
        let connection = self.connection(deadline).await?;
        let Transport::Cluster(cluster) = &connection.transport else {
            return Ok(vec![self.connector.address.clone()]);
        };
        let mut cluster = cluster.clone();
        let answer = timeout_at(deadline, cluster.route_command(cmd("PING"), to_primaries())).await;
        let nodes = self.check(&connection, answer.unwrap_or_else(|_| Err(time_out())))?;
        let mut addresses: Vec<String> = by_address(nodes).into_iter().map(|(address, _)| address).collect();
        addresses.sort();
        Ok(addresses)
    }

    /// Sends commands that change nothing to the node with this address, which means nothing to a
    /// single server. A lost connection is opened again once.
    pub(super) async fn ask(&self, address: &str, commands: &[Cmd], deadline: Instant) -> Result<NodeAnswers, Failure> {
        let mut reconnected = false;
        loop {
            let connection = self.connection(deadline).await?;
            let started = Instant::now();
            let answers = timeout_at(deadline, ask(&connection, address, commands)).await;
            match answers.unwrap_or_else(|_| Err(time_out())) {
                Err(error) if error.is_io_error() && !error.is_timeout() && !reconnected => {
                    reconnected = true;
                    self.discard(&connection);
                }
                answers => {
                    let values = self.check(&connection, answers)?;
                    return Ok(NodeAnswers { values, took: started.elapsed() });
                }
            }
        }
    }

    /// Discards a connection after an error.
    fn check<T>(&self, connection: &std::sync::Arc<Connection>, answer: Result<T, RedisError>) -> Result<T, Failure> {
        match &answer {
            Ok(_) => connection.answered(),
            Err(error) if error.is_timeout() && !connection.timed_out() => {}
            Err(_) => self.discard(connection),
        }
        answer.map_err(|error| Failure::new(format!("{}: {error}", self.connector.address)))
    }
}

async fn ask(connection: &Connection, address: &str, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
    match &connection.transport {
        Transport::Standalone(connection) => {
            let mut pipeline = Pipeline::with_capacity(commands.len());
            for command in commands {
                pipeline.add_command(command.clone());
            }
            connection.clone().send_packed_commands(&pipeline, 0, pipeline.len()).await
        }
        Transport::Cluster(connection) => {
            let route = to_node(address)?;
            try_join_all(commands.iter().map(|command| {
                let (mut connection, route) = (connection.clone(), route.clone());
                async move { connection.route_command(command.clone(), route).await }
            }))
            .await
        }
    }
}
