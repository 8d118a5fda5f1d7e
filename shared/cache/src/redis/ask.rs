//! Questions to nodes, whatever keys they have: to say something of themselves, or to tell their keys.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use redis::{Cmd, Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use super::{
    client::{Client, is_time_out},
    topology::{Address, Node},
    verdict::Failure,
};

/// What a node has answered.
pub(super) struct Answered {
    pub(super) address: Address,
    /// One for each question; an error of the server is one.
    pub(super) values: Vec<Value>,
    pub(super) took: Duration,
}

impl Client {
    /// The nodes there are, in an order that stays while they do.
    pub(super) async fn addresses(&self, deadline: Instant) -> Result<Vec<Address>, Failure> {
        let topology = self.topology(&[], deadline).await?;
        let mut addresses: Vec<Address> = topology.nodes().iter().map(|node| node.address.clone()).collect();
        addresses.sort_by(|one, other| (&one.host, one.port).cmp(&(&other.host, other.port)));
        Ok(addresses)
    }

    /// A number for each node with which keys are made that belong to it.
    pub(super) async fn tags(&self, deadline: Instant) -> Result<Vec<u32>, Failure> {
        Ok(self.topology(&[], deadline).await?.tags().iter().flatten().copied().collect())
    }

    /// Asks one node, or all of them at the same time. A connection that was cut is made anew once: the
    /// questions change nothing.
    pub(super) async fn ask(
        &self,
        of: Option<&Address>,
        questions: &[Cmd],
        deadline: Instant,
    ) -> Result<Vec<Answered>, Failure> {
        let mut pipeline = Pipeline::with_capacity(questions.len());
        for question in questions {
            pipeline.add_command(question.clone());
        }
        let mut reconnected = false;
        loop {
            let topology = self.topology(&[], deadline).await?;
            let nodes: Vec<Arc<Node>> =
                topology.nodes().iter().filter(|node| of.is_none_or(|of| *of == node.address)).cloned().collect();
            if nodes.is_empty() {
                return Err(Failure::new("the node that was asked is not there any more"));
            }
            let pipeline = &pipeline;
            let asked = nodes.into_iter().map(|node| async move {
                let started = Instant::now();
                let mut connection = node.connection.clone();
                let answers = connection.send_packed_commands(pipeline, 0, pipeline.len());
                let result = timeout_at(deadline, answers).await;
                (node, result, started.elapsed())
            });
            let (mut answered, mut cut) = (Vec::new(), None);
            for (node, result, took) in join_all(asked).await {
                let address = node.address.clone();
                match result {
                    Ok(Ok(values)) if values.len() == questions.len() => {
                        node.answered();
                        answered.push(Answered { address, values, took });
                    }
                    Ok(Ok(_)) => {
                        node.discard();
                        return Err(Failure::new(format!("{address}: answers are missing")));
                    }
                    Ok(Err(error)) if !is_time_out(&error) => {
                        node.discard();
                        cut = Some(Failure::new(format!("{address}: {error}")));
                    }
                    Ok(Err(_)) | Err(_) => {
                        node.timed_out();
                        return Err(Failure::new(format!("{address}: no answer within {} ms", took.as_millis())));
                    }
                }
            }
            match cut {
                None => return Ok(answered),
                Some(failure) if reconnected => return Err(failure),
                Some(_) => reconnected = true,
            }
        }
    }
}
