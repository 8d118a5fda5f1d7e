//! Carries commands to the nodes and back: one pipeline a node, all at the same time.
//!
//! A second round trip is made where the first one could not do: a connection that was cut while nobody
//! used it (a sandbox was frozen), a key that moved to another node, a script that a node has lost. All
//! of it within the time of the one call. Repeating commands does no harm: none does anything twice.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use redis::{ErrorKind, Pipeline, RedisError, cmd};
use tokio::time::{Instant, timeout_at};

use super::{
    command::{Command, load_scripts},
    companions::{Companion, Companions},
    connector::{ConnectError, Connector},
    settings::RedisTierSettings,
    topology::{Address, Node, Topology},
    verdict::{Failure, Redirect, Reply, Verdict, judge},
};
use crate::{breaker::Moment, statistics::ServerStatistics};

/// Most round trips of a call.
const MAX_ROUND_TRIPS: usize = 3;

/// Connections to Redis.
pub(super) struct Client {
    connector: Connector,
    current: Mutex<Option<Arc<Topology>>>,
    /// CachedCopy by whoever connects. How the last attempt failed, if it did.
    connecting: tokio::sync::Mutex<Option<ConnectError>>,
    attempts: AtomicU64,
    /// What rides along.
    pub(super) companions: Companions,
}

/// What became of a call.
pub(super) struct Exchange {
    /// One for each command.
    pub(super) replies: Vec<Reply>,
    pub(super) round_trips: u64,
    /// Why some command has no reply.
    pub(super) failure: Option<Failure>,
}

/// A command on its way.
#[derive(Debug, Clone)]
struct Pending {
    at: usize,
    redirect: Option<Redirect>,
}

/// The commands that go to one node.
struct Batch<'a> {
    node: &'a Arc<Node>,
    pipeline: Pipeline,
    /// What each answer belongs to.
    answers: Vec<Sent>,
}

/// What was sent.
enum Sent {
    Command(Pending),
    /// Something that a command needs before it.
    Preparation,
    /// Something that rides along.
    Companion(Companion),
}

impl Client {
    pub(super) fn new(connector: Connector, key_prefix: &str) -> Self {
        Self {
            connector,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
            companions: Companions::new(key_prefix),
        }
    }

    /// Connections tried.
    pub(super) fn connections(&self) -> u64 {
        self.connector.tried.get()
    }

    /// What the nodes there are have said of themselves.
    pub(super) fn server_statistics(&self) -> Option<ServerStatistics> {
        let topology = self.current()?;
        self.companions.information.sum(topology.nodes().iter().map(|node| &node.address))
    }

    /// Connects, if need be.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Arc<Topology>, Failure> {
        self.topology(&[], deadline).await
    }

    /// Lets go of all connections: the next call gets new ones, to where the name leads then.
    pub(super) fn discard(&self) {
        if let Some(topology) = self.current().as_ref() {
            topology.discard();
        }
    }

    /// A call that was given up before its time: the connection may be dead.
    pub(super) fn given_up(&self, commands: &[Command]) {
        if let Some(topology) = self.current() {
            let mut nodes: Vec<&Arc<Node>> = commands.iter().filter_map(|c| topology.node_of(&c.key)).collect();
            nodes.sort_by_key(|node| Arc::as_ptr(node));
            nodes.dedup_by_key(|node| Arc::as_ptr(node));
            nodes.into_iter().for_each(|node| node.timed_out());
        }
    }

    fn current(&self) -> Option<Arc<Topology>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connections there are, if all are sound; otherwise new ones, which one caller makes for all.
    pub(super) async fn topology(&self, besides: &[Address], deadline: Instant) -> Result<Arc<Topology>, Failure> {
        let usable = |topology: &Arc<Topology>| {
            topology.is_sound() && besides.iter().all(|address| topology.node_at(address).is_some())
        };
        if let Some(topology) = self.current().filter(usable) {
            return Ok(topology);
        }
        let seen = self.attempts.load(Ordering::Acquire);
        let connect = async {
            let mut last = self.connecting.lock().await;
            let current = self.current();
            if let Some(topology) = current.as_ref().filter(|topology| usable(topology)) {
                return Ok(Arc::clone(topology));
            }
            if self.attempts.load(Ordering::Acquire) != seen
                && let Some(error) = last.as_ref()
            {
                // Whoever this caller waited for has just tried.
                return Err(error.clone());
            }
            let result = self.connector.connect(current.as_deref(), besides).await;
            self.attempts.fetch_add(1, Ordering::Release);
            match result {
                Ok(topology) => {
                    let topology = Arc::new(topology);
                    *last = None;
                    *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&topology));
                    Ok(topology)
                }
                Err(error) => {
                    *last = Some(error.clone());
                    Err(error)
                }
            }
        };
        match timeout_at(deadline, connect).await {
            Ok(Ok(topology)) => Ok(topology),
            Ok(Err(error)) => Err(Failure::new(format!("cannot connect: {error}"))),
            Err(_) => Err(Failure::new("cannot connect in the time of a call")),
        }
    }

    /// Sends commands and waits for what becomes of them, for so long at most.
    /// The commands are under way afterwards, or spent.
    pub(super) async fn exchange(&self, commands: &mut [Command], time: Duration, now: Moment) -> Exchange {
        let deadline = Instant::now() + time;
        let mut exchange = Exchange {
            replies: std::iter::repeat_with(|| Reply::None).take(commands.len()).collect(),
            round_trips: 0,
            failure: None,
        };
        let mut pending: Vec<Pending> = (0..commands.len()).map(|at| Pending { at, redirect: None }).collect();
        let (mut load, mut reconnected) = (false, false);
        for _ in 0..MAX_ROUND_TRIPS {
            let targets: Vec<Address> =
                pending.iter().filter_map(|pending| Some(pending.redirect.as_ref()?.to.clone())).collect();
            let topology = match self.topology(&targets, deadline).await {
                Ok(topology) => topology,
                Err(failure) => {
                    exchange.failure.get_or_insert(failure);
                    return exchange;
                }
            };
            let mut batches = batches(&topology, commands, std::mem::take(&mut pending), load, &mut exchange);
            exchange.round_trips += u64::from(!batches.is_empty());
            for batch in &mut batches {
                let tag = topology.tag_of(batch.node);
                for (companion, command) in
                    self.companions.with(batch.commands(commands), &batch.node.address, tag, now)
                {
                    batch.pipeline.add_command(command);
                    batch.answers.push(Sent::Companion(companion));
                }
            }
            let sent = batches.into_iter().map(|batch| async move {
                let mut connection = batch.node.connection.clone();
                let answers = connection.send_packed_commands(&batch.pipeline, 0, batch.pipeline.len());
                let result = timeout_at(deadline, answers).await;
                (batch, result)
            });
            for (Batch { node, pipeline, answers: sent }, result) in join_all(sent).await {
                // What is sent once more is taken from the pipeline that it was sent with.
                let mut once_more = |place: usize, sent: &Pending| {
                    if let Some(cmd) = pipeline.cmd_iter().nth(place) {
                        commands[sent.at].cmd = cmd.clone();
                    }
                };
                match result {
                    Ok(Ok(values)) if values.len() == sent.len() => {
                        node.answered();
                        for (place, (sent, value)) in sent.into_iter().zip(values).enumerate() {
                            let sent = match sent {
                                Sent::Command(pending) => pending,
                                Sent::Preparation => continue,
                                Sent::Companion(companion) => {
                                    self.companions.answered(companion, &node.address, value);
                                    continue;
                                }
                            };
                            match judge(value, node, topology.is_cluster()) {
                                Verdict::Reply(reply) => exchange.replies[sent.at] = reply,
                                Verdict::Redirected(redirect) => {
                                    if !redirect.asking {
                                        topology.outdate();
                                    }
                                    once_more(place, &sent);
                                    pending.push(Pending { at: sent.at, redirect: Some(redirect) });
                                }
                                Verdict::ScriptUnknown => {
                                    load = true;
                                    once_more(place, &sent);
                                    pending.push(sent);
                                }
                                Verdict::Failed { failure, reconnect } => {
                                    if reconnect {
                                        node.discard();
                                    }
                                    exchange.failed(failure);
                                }
                            }
                        }
                    }
                    Ok(Ok(_)) => {
                        node.discard();
                        exchange.failed(Failure::new(format!("{}: answers are missing", node.address)));
                    }
                    Ok(Err(error)) if is_time_out(&error) => {
                        node.timed_out();
                        exchange.failed(no_answer(node, time));
                    }
                    Ok(Err(error)) => {
                        node.discard();
                        for sent in &sent {
                            if let Sent::Companion(companion) = sent {
                                self.companions.cut_off(*companion, &node.address);
                            }
                        }
                        if error.is_io_error() && !reconnected {
                            // A redirection leads to the same place through the new connections.
                            for (place, sent) in sent.into_iter().enumerate() {
                                if let Sent::Command(sent) = sent {
                                    once_more(place, &sent);
                                    pending.push(sent);
                                }
                            }
                        } else {
                            exchange.failed(Failure::new(format!("{}: {error}", node.address)));
                        }
                    }
                    Err(_) => {
                        node.timed_out();
                        exchange.failed(no_answer(node, time));
                    }
                }
            }
            if pending.is_empty() {
                return exchange;
            }
            reconnected |= !topology.is_sound();
        }
        exchange.failed(Failure::new("a command was sent from node to node, or its script is lost each time"));
        exchange
    }

    /// Whether every node takes writes.
    pub(super) async fn probe(&self, settings: &RedisTierSettings, now: Moment) -> Result<(), Failure> {
        let topology = self.topology(&[], Instant::now() + settings.time_to_connect()).await?;
        let key_prefix = &settings.key_prefix;
        let mut commands: Vec<Command> =
            topology.one_key_each(|n| format!("{key_prefix}probe:{n}")).into_iter().map(Command::probe).collect();
        match self.exchange(&mut commands, settings.response_timeout, now).await.failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

impl Exchange {
    /// The worst failure is kept, then the first one.
    fn failed(&mut self, failure: Failure) {
        match &self.failure {
            Some(known) if known.refuses_writes || !failure.refuses_writes => {}
            _ => self.failure = Some(failure),
        }
    }
}

/// One pipeline for each node. Where a script is unknown, it is loaded before it is used.
fn batches<'a>(
    topology: &'a Topology,
    commands: &mut [Command],
    pending: Vec<Pending>,
    load: bool,
    exchange: &mut Exchange,
) -> Vec<Batch<'a>> {
    let mut batches: Vec<Batch<'a>> = Vec::new();
    for pending in pending {
        let count = commands.len();
        let command = &mut commands[pending.at];
        let node = match &pending.redirect {
            Some(redirect) => topology.node_at(&redirect.to),
            None => topology.node_of(&command.key),
        };
        let Some(node) = node else {
            exchange.failed(Failure::new("the node that has some of the keys cannot be reached"));
            continue;
        };
        let at = batches.iter().position(|batch| Arc::ptr_eq(batch.node, node)).unwrap_or_else(|| {
            let mut batch =
                Batch { node, pipeline: Pipeline::with_capacity(count + 1), answers: Vec::with_capacity(count + 1) };
            if load {
                load_scripts().into_iter().for_each(|load| batch.prepare(load));
            }
            batches.push(batch);
            batches.len() - 1
        });
        let batch = &mut batches[at];
        if pending.redirect.as_ref().is_some_and(|redirect| redirect.asking) {
            batch.prepare(cmd("ASKING"));
        }
        batch.pipeline.add_command(std::mem::take(&mut command.cmd));
        batch.answers.push(Sent::Command(pending));
    }
    batches
}

impl Batch<'_> {
    fn prepare(&mut self, command: redis::Cmd) {
        self.pipeline.add_command(command);
        self.answers.push(Sent::Preparation);
    }

    /// The commands that are in it.
    fn commands<'c>(&'c self, commands: &'c [Command]) -> impl Iterator<Item = &'c Command> {
        self.answers.iter().filter_map(|sent| match sent {
            Sent::Command(pending) => Some(&commands[pending.at]),
            Sent::Preparation | Sent::Companion(_) => None,
        })
    }
}

fn no_answer(node: &Node, time: Duration) -> Failure {
    Failure::new(format!("{}: no answer within {} ms", node.address, time.as_millis()))
}

pub(super) fn is_time_out(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Io && error.is_timeout()
}
