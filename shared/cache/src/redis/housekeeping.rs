//! Housekeeping commands, sent in the same pipeline as a call: they take no round trip.
//!
//! | task | sent with | how often |
//! |---|---|---|
//! | server information | a put | once a minute |
//! | emergency mode: read the flag | a get or a put | at most every two seconds |
//! | active players: add the players of a put to a sorted set | a put | always |
//! | report: what the process did in the last seconds | a put | at most every ten seconds |
//!
//! Their failure does not matter to the call. A command that the user may not run is not sent
//! again. In a cluster each key lies on one node; their size is bounded.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_domain::{Timestamp, codec::CachedQueue};
use redis::{Cmd, ServerError, Value, cmd};

use super::{
    reply::{Answer, describe, is_forbidden},
    scripts::millis,
    server_information,
};
use crate::{breaker::Moment, emergency::Emergency, statistics::ServerStatistics, upkeep::NodeFigures};

/// The maximum number of active players, 100 bytes each.
const MAX_ACTIVE: i64 = 10_000;
/// How long a player counts as active.
pub(super) const ACTIVE_FOR: Duration = Duration::from_secs(3_600);
/// The maximum number of reports, some hundred bytes each.
const MAX_REPORTS: i64 = 1_000;
/// How long the list of reports lives after the last one.
const REPORTS_FOR: Duration = Duration::from_secs(3_600);

/// A housekeeping task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    ServerInformation,
    Emergency,
    ActivePlayers,
    Report,
}

impl Task {
    /// How long it is not repeated.
    fn interval(self) -> Duration {
        Duration::from_secs(match self {
            // An answer has 5 KB and takes the CPU time of some 15 reads; a thousand processes that
            // ask every minute take a thousandth of a server's time.
            Self::ServerInformation => 60,
            Self::Emergency => 2,
            // The set is trimmed then; each put adds its players.
            Self::ActivePlayers => 60,
            Self::Report => 10,
        })
    }
}

/// The kind of a call, which decides about its housekeeping.
#[derive(Debug, Clone, Copy)]
pub(super) enum Traffic<'a> {
    /// Reads copies.
    Get,
    /// Puts copies that a command has changed.
    Put(&'a [Arc<CachedQueue>]),
    /// Anything else.
    Other,
}

/// When housekeeping is due, and what it has read.
pub(super) struct Housekeeping {
    keys: Keys,
    state: Mutex<State>,
}

/// The keys of the housekeeping and the upkeep.
pub(super) struct Keys {
    /// The flag of emergency mode.
    pub(super) emergency: String,
    /// Active players by the time of their last change.
    pub(super) active: String,
    /// Reports of processes.
    pub(super) reports: String,
    /// Samples of statistics.
    pub(super) samples: String,
}

#[derive(Default)]
struct State {
    /// By [`Task`].
    tasks: [TaskState; 4],
    servers: Option<ServerStatistics>,
    emergency: Option<Emergency>,
    report: Option<String>,
}

#[derive(Default)]
struct TaskState {
    sent: Option<Moment>,
    /// The user may not run its commands. The server logs each refusal, so they are not sent again.
    forbidden: bool,
}

impl State {
    fn task(&mut self, task: Task) -> &mut TaskState {
        &mut self.tasks[task as usize]
    }

    fn is_due(&mut self, task: Task, now: Moment) -> bool {
        let TaskState { sent, forbidden } = self.task(task);
        !*forbidden && sent.is_none_or(|sent| now.since(sent) >= task.interval())
    }

    /// Whether a task is due; then the caller does it.
    fn claim(&mut self, task: Task, now: Moment) -> bool {
        let due = self.is_due(task, now);
        if due {
            self.task(task).sent = Some(now);
        }
        due
    }
}

impl Keys {
    fn new(prefix: &str) -> Self {
        let key = |name: &str| format!("{prefix}upkeep:{name}");
        Self { emergency: key("emergency"), active: key("active"), reports: key("reports"), samples: key("statistics") }
    }
}

impl Housekeeping {
    pub(super) fn new(prefix: &str) -> Self {
        Self { keys: Keys::new(prefix), state: Mutex::default() }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commands that are due with a call.
    pub(super) fn due(&self, traffic: Traffic<'_>, now: Moment) -> Vec<(Task, Cmd)> {
        let mut state = self.state();
        let mut commands = Vec::new();
        if matches!(traffic, Traffic::Put(_)) && state.claim(Task::ServerInformation, now) {
            commands.push((Task::ServerInformation, cmd("INFO")));
        }
        if !matches!(traffic, Traffic::Other) && state.claim(Task::Emergency, now) {
            commands.push((Task::Emergency, self.read_emergency()));
        }
        let Traffic::Put(copies) = traffic else { return commands };
        if !state.task(Task::ActivePlayers).forbidden {
            commands.push((Task::ActivePlayers, self.add_active(copies, now)));
            if state.claim(Task::ActivePlayers, now) {
                commands.extend(self.trim_active().map(|command| (Task::ActivePlayers, command)));
            }
        }
        if let Some(report) = state.report.take() {
            state.task(Task::Report).sent = Some(now);
            commands.extend(self.add_report(&report).map(|command| (Task::Report, command)));
        }
        commands
    }

    /// The command that reads the flag of emergency mode.
    pub(super) fn read_emergency(&self) -> Cmd {
        let mut command = cmd("GET");
        command.arg(&self.keys.emergency);
        command
    }

    fn add_active(&self, copies: &[Arc<CachedQueue>], now: Moment) -> Cmd {
        let mut command = cmd("ZADD");
        command.arg(&self.keys.active);
        for copy in copies {
            command.arg(millis(now.wall)).arg(copy.queue.player_id.as_str());
        }
        command
    }

    fn trim_active(&self) -> [Cmd; 2] {
        let (mut trim, mut expire) = (cmd("ZREMRANGEBYRANK"), cmd("PEXPIRE"));
        trim.arg(&self.keys.active).arg(0).arg(-MAX_ACTIVE - 1);
        expire.arg(&self.keys.active).arg(millis(ACTIVE_FOR));
        [trim, expire]
    }

    fn add_report(&self, report: &str) -> [Cmd; 3] {
        let (mut push, mut trim, mut expire) = (cmd("LPUSH"), cmd("LTRIM"), cmd("PEXPIRE"));
        push.arg(&self.keys.reports).arg(report);
        trim.arg(&self.keys.reports).arg(0).arg(MAX_REPORTS - 1);
        expire.arg(&self.keys.reports).arg(millis(REPORTS_FOR));
        [push, trim, expire]
    }

    /// Whether the next put has room for a report.
    pub(super) fn wants_report(&self, now: Moment) -> bool {
        let mut state = self.state();
        state.report.is_none() && state.is_due(Task::Report, now)
    }

    /// Sends a report along with the next put.
    pub(super) fn offer_report(&self, report: String) {
        self.state().report = Some(report);
    }

    /// Takes the answer to a command.
    pub(super) fn take_answer(&self, task: Task, answer: Answer) {
        match (task, answer) {
            // The connection was lost before the answer. A thawed sandbox finds its connection
            // closed, so the next call sends the command again. A report is lost, and the next one
            // may be sent at once.
            (task, Err(error)) if !error.is_timeout() => self.state().task(task).sent = None,
            (_, Err(_)) => {}
            (Task::ServerInformation, Ok(answer)) => self.take_information(answer),
            (Task::Emergency, Ok(Value::BulkString(text))) => self.take_flag(&text),
            (task, Ok(Value::ServerError(error))) => self.take_refusal(task, &error),
            _ => {}
        }
    }

    /// Takes an answer to `INFO`, of a server or of the nodes of a cluster.
    fn take_information(&self, answer: Value) {
        let answers = server_information::of_primaries(answer);
        for answer in &answers {
            if let Value::ServerError(error) = answer {
                self.take_refusal(Task::ServerInformation, error);
            }
        }
        let nodes: Vec<NodeFigures> = answers.into_iter().map(server_information::read).collect();
        self.take_figures(&nodes);
    }

    /// Takes what the servers report. Reports without figures change nothing.
    pub(super) fn take_figures(&self, nodes: &[NodeFigures]) {
        if let Some(sum) = server_information::sum(nodes) {
            self.state().servers = Some(sum);
        }
    }

    /// The sum of the last reports of the servers.
    pub(super) fn server_statistics(&self) -> Option<ServerStatistics> {
        self.state().servers
    }

    fn take_refusal(&self, task: Task, error: &ServerError) {
        tracing::debug!(error = describe(error), ?task, "Redis refuses a housekeeping command");
        // Every process must learn of emergency mode: its flag is read again.
        self.state().task(task).forbidden |= is_forbidden(error) && task != Task::Emergency;
    }

    /// The last known switch of emergency mode. A missing flag means nothing: flags may be evicted,
    /// and a switch ends by itself.
    pub(super) fn emergency(&self) -> Option<Emergency> {
        self.state().emergency
    }

    /// Takes a switch of emergency mode, unless a later one is known.
    pub(super) fn take_switch(&self, switch: Emergency) {
        let mut state = self.state();
        if state.emergency.is_some_and(|known| known.switched_at > switch.switched_at) {
            return;
        }
        if state.emergency.replace(switch) != Some(switch) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = Timestamp::from_millis(millis(now));
            tracing::warn!(on = switch.is_on(now), until = %switch.until, "emergency mode was switched");
        }
    }

    /// Takes the text of the flag; other texts are ignored.
    pub(super) fn take_flag(&self, text: &[u8]) {
        if let Some(switch) = std::str::from_utf8(text).ok().and_then(Emergency::parse) {
            self.take_switch(switch);
        }
    }
}

#[cfg(test)]
mod tests;
