//! Calls of the upkeep. They wait longer than calls that serve, and ignore the circuit breaker.

use std::time::Duration;

use futures::future::try_join_all;
use redis::Cmd;
use tokio::time::Instant;

use super::{
    cache::Core,
    housekeeping::Traffic,
    nodes::NodeAnswers,
    reply::{Failure, Reply},
};
use crate::upkeep::UpkeepError;

/// The least time that a call gets.
const MIN_TIME: Duration = Duration::from_secs(2);

impl From<Failure> for UpkeepError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl Core {
    fn upkeep_deadline(&self, commands: usize, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.settings.time_of_call(commands).max(MIN_TIME))
    }

    /// Sends commands in one exchange. Returns the reply to each.
    pub(super) async fn upkeep_call(&self, commands: Vec<Cmd>, deadline: Instant) -> Result<Vec<Reply>, UpkeepError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let time = self.upkeep_deadline(commands.len(), deadline).saturating_duration_since(started);
        let exchange = self.client.exchange(commands, Traffic::Other, time, self.moment()).await;
        self.count_upkeep(exchange.round_trips, started);
        match exchange.failure {
            Some(failure) => Err(self.fail_upkeep(&failure)),
            None => {
                self.succeeded();
                Ok(exchange.replies)
            }
        }
    }

    /// Sends commands to nodes at the same time, whatever keys they have.
    pub(super) async fn upkeep_ask(
        &self,
        addresses: &[String],
        commands: &[Cmd],
        deadline: Instant,
    ) -> Result<Vec<NodeAnswers>, UpkeepError> {
        let started = Instant::now();
        let deadline = self.upkeep_deadline(0, deadline);
        let asked = addresses.iter().map(|address| self.client.ask(address, commands, deadline));
        let answers = try_join_all(asked).await;
        self.count_upkeep(1, started);
        answers.map_err(|failure| self.fail_upkeep(&failure))
    }

    /// The addresses of all primaries, sorted: one round trip in a cluster, else none.
    pub(super) async fn upkeep_addresses(&self, deadline: Instant) -> Result<Vec<String>, UpkeepError> {
        let started = Instant::now();
        let addresses = self.client.addresses(self.upkeep_deadline(0, deadline)).await;
        if self.client.is_cluster() {
            self.count_upkeep(1, started);
        }
        addresses.map_err(|failure| self.fail_upkeep(&failure))
    }

    fn count_upkeep(&self, round_trips: u64, started: Instant) {
        let mut counts = self.upkeep.counts();
        counts.calls += 1;
        counts.round_trips += round_trips;
        self.upkeep.latency.record(started.elapsed());
    }

    fn fail_upkeep(&self, failure: &Failure) -> UpkeepError {
        self.upkeep.counts().failures += 1;
        self.failed(failure);
        failure.clone().into()
    }
}
