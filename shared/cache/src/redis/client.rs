//! Sends calls to Redis, opens connections and repeats what may be repeated.
//!
//! A second round trip is made in two cases: the connection was lost while the sandbox was frozen,
//! or a server does not have a script. It is part of the call and of its time. All commands can be
//! repeated without harm. To single nodes of a cluster the client library reconnects by itself;
//! where it does not succeed, all of its connections are replaced.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use millrace_telemetry::trace::TARGET;
use redis::Cmd;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span, field::Empty};

use super::{
    batch::{Answers, Batch},
    connection::{Connection, Connector},
    housekeeping::{Housekeeping, Traffic},
    probe,
    reply::{Class, Failure, Reply, classify},
    settings::{RedisCacheSettings, RedisMode},
};
use crate::breaker::{FailureKind, Moment};

/// The maximum number of round trips of a call.
const MAX_ROUND_TRIPS: usize = 3;

/// The client of a server or cluster.
pub(super) struct Client {
    pub(super) connector: Connector,
    /// The connection that calls use; none: the next call opens one.
    current: Mutex<Option<Arc<Connection>>>,
    /// Locked while a connection is opened.
    connecting: tokio::sync::Mutex<()>,
    pub(super) housekeeping: Housekeeping,
}

/// The result of a call.
pub(super) struct Exchange {
    /// One for each command.
    pub(super) replies: Vec<Reply>,
    pub(super) round_trips: u64,
    /// Why replies are missing.
    pub(super) failure: Option<Failure>,
    timed_out: bool,
}

impl Client {
    pub(super) fn new(connector: Connector, key_prefix: &str) -> Self {
        Self {
            connector,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            housekeeping: Housekeeping::new(key_prefix),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.connector.mode == RedisMode::Cluster
    }

    /// Closes the connection: the next call opens a new one, to where the name leads then.
    pub(super) fn disconnect(&self) {
        *self.current() = None;
    }

    /// Closes this connection, unless a new one is open already.
    pub(super) fn discard(&self, connection: &Arc<Connection>) {
        self.current().take_if(|current| Arc::ptr_eq(current, connection));
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Arc<Connection>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a call was cancelled before its time was over: the connection may be dead.
    pub(super) fn cancelled(&self) {
        let current = self.current().clone();
        if let Some(connection) = current.filter(|connection| connection.timed_out()) {
            self.discard(&connection);
        }
    }

    /// The open connection, or a new one, which one caller opens for all.
    pub(super) async fn connection(&self, deadline: Instant) -> Result<Arc<Connection>, Failure> {
        if let Some(connection) = self.current().clone() {
            return Ok(connection);
        }
        let open = async {
            let _one_at_a_time = self.connecting.lock().await;
            if let Some(connection) = self.current().clone() {
                return Ok(connection);
            }
            let connection = Arc::new(self.connector.connect().await?);
            *self.current() = Some(Arc::clone(&connection));
            Ok(connection)
        };
        let in_time = timeout_at(deadline, open).await;
        in_time.unwrap_or_else(|_| Err(Failure::new("cannot connect in the time of a call")))
    }

    /// Sends the commands of a call, with housekeeping for its traffic, and waits for the replies.
    pub(super) async fn exchange(
        &self,
        commands: Vec<Cmd>,
        traffic: Traffic<'_>,
        time: Duration,
        now: Moment,
    ) -> Exchange {
        let deadline = Instant::now() + time;
        let mut exchange = Exchange::new(commands.len());
        let mut repetition =
            Repetition { commands: commands.into_iter().enumerate().collect(), ..Repetition::default() };
        for _ in 0..MAX_ROUND_TRIPS {
            let connection = match self.connection(deadline).await {
                Ok(connection) => connection,
                Err(failure) => {
                    exchange.fail(failure);
                    return exchange;
                }
            };
            let commands = std::mem::take(&mut repetition.commands);
            let batch = Batch::new(repetition.load_scripts, commands, self.housekeeping.due(traffic, now));
            exchange.round_trips += 1;
            let span = span_of(batch.call().count());
            let answers = batch.send(&connection, deadline).instrument(span.clone()).await;
            self.take_answers(&connection, &batch, answers, &mut exchange, &mut repetition);
            if let Some(reason) = exchange.failure_reason() {
                span.record("error.type", reason);
            }
            if repetition.commands.is_empty() {
                if exchange.timed_out {
                    exchange.fail(self.no_answer(time));
                }
                return exchange;
            }
        }
        exchange.fail(Failure::new("a script is missing each time after it was loaded"));
        exchange
    }

    /// Puts answers into the exchange, and commands that are to be sent again into the repetition.
    fn take_answers(
        &self,
        connection: &Arc<Connection>,
        batch: &Batch,
        answers: Answers,
        exchange: &mut Exchange,
        repetition: &mut Repetition,
    ) {
        let mut lost = false;
        for ((position, command), answer) in batch.positions.iter().zip(batch.call()).zip(answers.call) {
            match classify(answer, &self.connector.address, self.is_cluster()) {
                Class::Reply(reply) => exchange.replies[*position] = reply,
                Class::ScriptMissing => {
                    repetition.load_scripts = true;
                    repetition.commands.push((*position, command.clone()));
                }
                Class::ConnectionLost(failure) => {
                    lost = true;
                    match repetition.reconnected {
                        true => exchange.fail(failure),
                        false => repetition.commands.push((*position, command.clone())),
                    }
                }
                Class::TimedOut => exchange.timed_out = true,
                Class::Failed { failure, reconnect } => {
                    if reconnect {
                        self.discard(connection);
                    }
                    exchange.fail(failure);
                }
            }
        }
        for (task, answer) in batch.tasks.iter().zip(answers.housekeeping) {
            self.housekeeping.take_answer(*task, answer);
        }
        repetition.reconnected |= lost;
        if !exchange.timed_out {
            connection.answered();
        }
        if lost || exchange.timed_out && connection.timed_out() {
            self.discard(connection);
        }
    }

    fn no_answer(&self, time: Duration) -> Failure {
        Failure::new(format!("{}: no answer within {} ms", self.connector.address, time.as_millis()))
    }

    /// Whether the server, or every node of a cluster, accepts writes.
    pub(super) async fn probe(&self, settings: &RedisCacheSettings, now: Moment) -> Result<(), Failure> {
        self.connection(Instant::now() + settings.time_to_connect()).await?;
        let commands = probe::commands(&settings.key_prefix, settings.mode);
        match self.exchange(commands, Traffic::Other, settings.response_timeout, now).await.failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// The span of one round trip with this many commands.
fn span_of(commands: usize) -> Span {
    tracing::info_span!(
        target: TARGET,
        "redis",
        otel.kind = "client",
        db.system.name = "redis",
        db.operation.name = "PIPELINE",
        db.operation.batch.size = commands,
        "error.type" = Empty,
    )
}

/// The commands that are sent next.
#[derive(Default)]
struct Repetition {
    commands: Vec<(usize, Cmd)>,
    load_scripts: bool,
    reconnected: bool,
}

impl Exchange {
    fn new(commands: usize) -> Self {
        let replies = std::iter::repeat_with(|| Reply::Missing).take(commands).collect();
        Self { replies, round_trips: 0, failure: None, timed_out: false }
    }

    /// In a word, why replies are missing so far.
    fn failure_reason(&self) -> Option<&'static str> {
        match &self.failure {
            Some(_) => Some("failed"),
            None if self.timed_out => Some("timed_out"),
            None => None,
        }
    }

    /// Keeps the first failure, or the first one that refuses writes.
    fn fail(&mut self, failure: Failure) {
        match &self.failure {
            Some(known) if known.kind == FailureKind::RefusesWrites || failure.kind == FailureKind::NotServed => {}
            _ => self.failure = Some(failure),
        }
    }
}
