//! Commands that are sent at the same time.
//!
//! To a single server they are one pipeline. In a cluster each command is sent separately on the
//! multiplexed connection to its node: the client library refuses a pipeline over several slots.

use std::pin::pin;

use futures::{StreamExt, stream::FuturesUnordered};
use redis::{Cmd, Pipeline, RedisError, Value, aio::ConnectionLike, cluster_async::ClusterConnection};
use tokio::time::{Instant, error::Elapsed, sleep_until, timeout_at};

use super::{
    connection::{Connection, Transport},
    housekeeping::Task,
    reply::{Answer, time_out},
    scripts,
};

/// Commands that are sent at the same time.
pub(super) struct Batch {
    /// The commands that load scripts, then those of the call, then the housekeeping.
    pipeline: Pipeline,
    scripts: usize,
    /// The positions of its commands within the call: a repetition has only some of them.
    pub(super) positions: Vec<usize>,
    pub(super) tasks: Vec<Task>,
}

/// The answers to a batch.
#[derive(Default)]
pub(super) struct Answers {
    /// One for each position.
    pub(super) call: Vec<Answer>,
    /// One for each task.
    pub(super) housekeeping: Vec<Answer>,
}

impl Batch {
    /// The commands of a call with their positions, and housekeeping. With `load_scripts` the
    /// scripts are loaded before.
    pub(super) fn new(load_scripts: bool, call: Vec<(usize, Cmd)>, housekeeping: Vec<(Task, Cmd)>) -> Self {
        let mut pipeline = Pipeline::with_capacity(call.len() + housekeeping.len());
        if load_scripts {
            for command in scripts::load_commands() {
                pipeline.add_command(command);
            }
        }
        let scripts = pipeline.len();
        let mut add = |command| {
            pipeline.add_command(command);
        };
        let positions = call.into_iter().map(|(position, command)| {
            add(command);
            position
        });
        let positions = positions.collect();
        let tasks = housekeeping.into_iter().map(|(task, command)| {
            add(command);
            task
        });
        let tasks = tasks.collect();
        Self { pipeline, scripts, positions, tasks }
    }

    /// The commands of the call.
    pub(super) fn call(&self) -> impl Iterator<Item = &Cmd> {
        self.pipeline.cmd_iter().skip(self.scripts).take(self.positions.len())
    }

    /// Sends all commands and waits for their answers until the deadline.
    pub(super) async fn send(&self, connection: &Connection, deadline: Instant) -> Answers {
        match &connection.transport {
            Transport::Standalone(connection) => {
                let mut connection = connection.clone();
                let sent = connection.send_packed_commands(&self.pipeline, 0, self.pipeline.len());
                let mut answers = each(timeout_at(deadline, sent).await, self.pipeline.len()).into_iter();
                answers.by_ref().take(self.scripts).for_each(drop);
                Answers { call: answers.by_ref().take(self.positions.len()).collect(), housekeeping: answers.collect() }
            }
            Transport::Cluster(connection) => {
                let mut commands = self.pipeline.cmd_iter();
                // The scripts have to be there before the other commands.
                send_each(connection, commands.by_ref().take(self.scripts), deadline).await;
                let mut answers = send_each(connection, commands, deadline).await;
                let housekeeping = answers.split_off(self.positions.len());
                Answers { call: answers, housekeeping }
            }
        }
    }
}

/// Sends each command to its node. One that is not answered until the deadline does not affect the
/// others.
async fn send_each(
    connection: &ClusterConnection,
    commands: impl Iterator<Item = &Cmd>,
    deadline: Instant,
) -> Vec<Answer> {
    let mut sent: FuturesUnordered<_> = commands
        .enumerate()
        .map(|(place, command)| {
            let mut connection = connection.clone();
            async move { (place, connection.req_packed_command(command).await) }
        })
        .collect();
    let mut answers: Vec<Answer> = vec![Err(time_out()); sent.len()];
    // One timer for all commands.
    let mut timer = pin!(sleep_until(deadline));
    loop {
        tokio::select! {
            biased;
            answer = sent.next() => match answer {
                Some((place, answer)) => answers[place] = answer,
                None => return answers,
            },
            () = &mut timer => return answers,
        }
    }
}

/// The answers to a pipeline.
fn each(result: Result<Result<Vec<Value>, RedisError>, Elapsed>, commands: usize) -> Vec<Answer> {
    let error = match result {
        Ok(Ok(values)) if values.len() == commands => return values.into_iter().map(Ok).collect(),
        Ok(Ok(values)) => {
            let detail = format!("{} of {commands}", values.len());
            (redis::ErrorKind::UnexpectedReturnType, "answers are missing", detail).into()
        }
        Ok(Err(error)) => error,
        Err(_) => time_out(),
    };
    vec![Err(error); commands]
}
