//! Housekeeping commands, sent in the same pipeline as a call: they take no round trip.
//!
//! | task | sent with | how often |
//! |---|---|---|
//! | server information | a put | once a minute |
//! | emergency mode: read the flag | a get or a put | at most every two seconds |
//! | active players: add the players of a put to a sorted set | a put | always |
//! | figures of the performance history | a get or a put | at most once a second, or a minute at a time |
//!
//! Their failure does not matter to the call. A command that the user may not run is not sent
//! again. In a cluster each key lies on one node; their size is bounded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_domain::{Timestamp, codec::CachedQueue};
use millrace_performance::{Figures, Minute};
use redis::{Cmd, ServerError, Value, cmd};

use super::{
    figures::{self, UnsentFigures},
    reply::{Answer, describe, is_forbidden},
    scripts::millis,
    server_information,
};
use crate::{breaker::Moment, emergency::Emergency, statistics::ServerStatistics, upkeep::NodeFigures};

/// The maximum number of active players, 100 bytes each.
const MAX_ACTIVE: i64 = 10_000;
/// How long a player counts as active.
pub(super) const ACTIVE_FOR: Duration = Duration::from_secs(3_600);

/// A housekeeping task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    ServerInformation,
    Emergency,
    ActivePlayers,
    Figures,
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
            // `UnsentFigures` decides.
            Self::Figures => 0,
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
    prefix: String,
    keys: Keys,
    state: Mutex<State>,
}

/// The keys of the housekeeping and the upkeep.
pub(super) struct Keys {
    /// The flag of emergency mode.
    pub(super) emergency: String,
    /// Active players by the time of their last change.
    pub(super) active: String,
    /// Samples of statistics.
    pub(super) samples: String,
}

#[derive(Default)]
struct State {
    /// By [`Task`].
    tasks: [TaskState; 4],
    servers: Option<ServerStatistics>,
    emergency: Option<Emergency>,
    figures: UnsentFigures,
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
        Self { emergency: key("emergency"), active: key("active"), samples: key("statistics") }
    }
}

impl Housekeeping {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), keys: Keys::new(prefix), state: Mutex::default() }
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
        if !matches!(traffic, Traffic::Other)
            && let Some((minute, figures)) = state.figures.take_due(now)
        {
            commands.extend(figures::add(&self.prefix, minute, figures).map(|command| (Task::Figures, command)));
        }
        let Traffic::Put(copies) = traffic else { return commands };
        if !state.task(Task::ActivePlayers).forbidden {
            commands.push((Task::ActivePlayers, self.add_active(copies, now)));
            if state.claim(Task::ActivePlayers, now) {
                commands.extend(self.trim_active().map(|command| (Task::ActivePlayers, command)));
            }
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

    /// Adds figures, which are sent with the next calls, unless the user may not add them.
    pub(super) fn add_figures(&self, minute: Minute, figures: &Figures) {
        let mut state = self.state();
        if !state.task(Task::Figures).forbidden {
            state.figures.add(minute, figures);
        }
    }

    /// Takes all figures that are not sent yet.
    pub(super) fn take_unsent_figures(&self) -> BTreeMap<Minute, Figures> {
        self.state().figures.take_all()
    }

    /// Takes the answer to a command.
    pub(super) fn take_answer(&self, task: Task, answer: Answer) {
        match (task, answer) {
            // The connection was lost before the answer. A thawed sandbox finds its connection
            // closed, so the next call sends the command again.
            (Task::Figures, Err(error)) if !error.is_timeout() => self.state().figures.put_back(),
            (task, Err(error)) if !error.is_timeout() => self.state().task(task).sent = None,
            (Task::Figures, Err(_) | Ok(Value::Array(_))) => self.state().figures.settle(),
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
        let mut state = self.state();
        state.task(task).forbidden |= is_forbidden(error) && task != Task::Emergency;
        if task == Task::Figures {
            match state.task(task).forbidden {
                true => state.figures = UnsentFigures::default(),
                false => state.figures.put_back(),
            }
        }
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
