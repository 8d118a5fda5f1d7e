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
    reply::{Answer, SendError, describe, is_forbidden},
    scripts::millis,
    server_information::ServerInformation,
};
use crate::{breaker::Moment, emergency::Emergency, statistics::ServerStatistics};

const EMERGENCY_INTERVAL: Duration = Duration::from_secs(2);
const TRIM_INTERVAL: Duration = Duration::from_secs(60);
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
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
    information: ServerInformation,
    emergency: Option<Emergency>,
    emergency_read: Option<Moment>,
    active_trimmed: Option<Moment>,
    active_forbidden: bool,
    report: Option<String>,
    report_sent: Option<Moment>,
    report_forbidden: bool,
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
        if matches!(traffic, Traffic::Put(_)) && state.information.claim(now) {
            commands.push((Task::ServerInformation, cmd("INFO")));
        }
        if !matches!(traffic, Traffic::Other) && is_due(&mut state.emergency_read, EMERGENCY_INTERVAL, now) {
            commands.push((Task::Emergency, self.read_emergency()));
        }
        let Traffic::Put(copies) = traffic else { return commands };
        if !state.active_forbidden {
            commands.push((Task::ActivePlayers, self.add_active(copies, now)));
            if is_due(&mut state.active_trimmed, TRIM_INTERVAL, now) {
                commands.extend(self.trim_active().map(|command| (Task::ActivePlayers, command)));
            }
        }
        if let Some(report) = state.report.take() {
            state.report_sent = Some(now);
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
        let state = self.state();
        let due = state.report_sent.is_none_or(|sent| now.since(sent) >= REPORT_INTERVAL);
        due && state.report.is_none() && !state.report_forbidden
    }

    /// Sends a report along with the next put.
    pub(super) fn offer_report(&self, report: String) {
        self.state().report = Some(report);
    }

    /// Takes the answer to a command.
    pub(super) fn take_answer(&self, task: Task, answer: Answer) {
        match (task, answer) {
            (task, Err(SendError::Redis(error))) if !error.is_timeout() => self.take_loss(task),
            (_, Err(_)) => {}
            (Task::ServerInformation, Ok(answer)) => self.take_information(answer),
            (Task::Emergency, Ok(Value::BulkString(text))) => self.take_flag(&text),
            (task, Ok(Value::ServerError(error))) => self.take_refusal(task, &error),
            _ => {}
        }
    }

    /// Takes an answer to `INFO`, of a server or of the nodes of a cluster.
    pub(super) fn take_information(&self, answer: Value) {
        self.state().information.take_answer(answer);
    }

    /// The last reports of the servers.
    pub(super) fn server_statistics(&self) -> Option<ServerStatistics> {
        self.state().information.statistics()
    }

    fn take_refusal(&self, task: Task, error: &ServerError) {
        tracing::debug!(error = describe(error), ?task, "Redis refuses a housekeeping command");
        let mut state = self.state();
        match task {
            Task::ActivePlayers => state.active_forbidden |= is_forbidden(error),
            Task::Report => state.report_forbidden |= is_forbidden(error),
            Task::ServerInformation | Task::Emergency => {}
        }
    }

    /// The connection was lost before the answer. A thawed sandbox finds its connection closed, so
    /// the next call sends the command again. A report is lost, and the next one may be sent at
    /// once.
    fn take_loss(&self, task: Task) {
        let mut state = self.state();
        match task {
            Task::ServerInformation => state.information.ask_again(),
            Task::Emergency => state.emergency_read = None,
            Task::ActivePlayers => state.active_trimmed = None,
            Task::Report => state.report_sent = None,
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

/// Whether something is due; then the caller does it.
fn is_due(last: &mut Option<Moment>, interval: Duration, now: Moment) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= interval);
    if due {
        *last = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use millrace_domain::{PlayerId, Queue};

    use super::*;

    const ASK: &str = "GET t-upkeep:emergency";

    fn moment(seconds: u64) -> Moment {
        Moment { monotonic: Duration::from_secs(seconds), wall: Duration::from_secs(1_000_000 + seconds) }
    }

    fn copies(players: &[&str]) -> Vec<Arc<CachedQueue>> {
        let queue = |player: &&str| Queue::new(PlayerId::new(player).unwrap(), Timestamp::from_millis(0));
        players.iter().map(|player| Arc::new(CachedQueue { queue: queue(player), progress_known: true })).collect()
    }

    fn due(housekeeping: &Housekeeping, traffic: Traffic<'_>, now: Moment) -> Vec<String> {
        housekeeping.due(traffic, now).iter().map(|(_, command)| words(command)).collect()
    }

    fn put(housekeeping: &Housekeeping, players: &[&str], now: Moment) -> Vec<String> {
        due(housekeeping, Traffic::Put(&copies(players)), now)
    }

    fn words(command: &Cmd) -> String {
        let words = command.args_iter().map(|word| match word {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "?".to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn lost() -> Answer {
        let error = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        Err(SendError::Redis(error.into()))
    }

    #[test]
    fn gets_read_the_emergency_flag_every_two_seconds() {
        let housekeeping = Housekeeping::new("t-");
        assert_eq!(due(&housekeeping, Traffic::Get, moment(0)), [ASK]);
        assert!(due(&housekeeping, Traffic::Get, moment(1)).is_empty());
        assert_eq!(due(&housekeeping, Traffic::Get, moment(2)), [ASK]);
        housekeeping.take_answer(Task::Emergency, lost());
        assert_eq!(due(&housekeeping, Traffic::Get, moment(2)), [ASK]);
        assert!(due(&housekeeping, Traffic::Other, moment(100)).is_empty());
    }

    #[test]
    fn puts_add_active_players_and_trim_the_list_once_a_minute() {
        let housekeeping = Housekeeping::new("t-");
        let add = |second: u64| format!("ZADD t-upkeep:active {0} a {0} b", 1_000_000_000 + 1_000 * second);
        let trim = "ZREMRANGEBYRANK t-upkeep:active 0 -10001";
        let expire = "PEXPIRE t-upkeep:active 3600000";
        let both = ["a", "b"];
        assert_eq!(put(&housekeeping, &both, moment(0)), ["INFO", ASK, &add(0), trim, expire]);
        assert_eq!(put(&housekeeping, &both, moment(1)), [add(1)]);
        assert_eq!(put(&housekeeping, &both, moment(60))[2..], [&add(60), trim, expire]);
        let refusal = redis::parse_redis_value(b"-NOPERM no\r\n").unwrap();
        housekeeping.take_answer(Task::ActivePlayers, Ok(refusal));
        assert!(put(&housekeeping, &both, moment(61)).is_empty(), "a forbidden command is not sent again");
    }

    #[test]
    fn a_report_is_sent_with_a_put_and_the_next_one_ten_seconds_later() {
        let housekeeping = Housekeeping::new("t-");
        assert!(housekeeping.wants_report(moment(0)));
        housekeeping.offer_report("{}".to_owned());
        assert!(!housekeeping.wants_report(moment(0)), "a report waits");
        assert_eq!(due(&housekeeping, Traffic::Get, moment(1)), [ASK], "gets send no report");
        let sent = ["LPUSH t-upkeep:reports {}", "LTRIM t-upkeep:reports 0 999", "PEXPIRE t-upkeep:reports 3600000"];
        let with_put = put(&housekeeping, &["a"], moment(2));
        assert_eq!(with_put[with_put.len() - 3..], sent);
        assert_eq!(put(&housekeeping, &["a"], moment(2)).len(), 1, "active players only");
        assert!(!housekeeping.wants_report(moment(11)) && housekeeping.wants_report(moment(12)));
        housekeeping.take_answer(Task::Report, lost());
        assert!(housekeeping.wants_report(moment(3)), "the report was lost");
        let refusal = redis::parse_redis_value(b"-NOPERM no\r\n").unwrap();
        housekeeping.take_answer(Task::Report, Ok(refusal));
        assert!(!housekeeping.wants_report(moment(100)));
    }

    #[test]
    fn the_latest_switch_of_emergency_mode_counts() {
        let housekeeping = Housekeeping::new("t-");
        let read = |text: &str| {
            housekeeping.take_answer(Task::Emergency, Ok(Value::BulkString(text.as_bytes().to_vec())));
            housekeeping.emergency().map(|emergency| (emergency.enabled, emergency.switched_at.as_millis()))
        };
        assert_eq!(read("nonsense"), None);
        assert_eq!(read("on 10 99"), Some((true, 10)));
        assert_eq!(read("off 9 99"), Some((true, 10)), "an earlier switch");
        housekeeping.take_answer(Task::Emergency, Ok(Value::Nil));
        assert_eq!(read("nonsense"), Some((true, 10)));
        assert_eq!(read("off 11 99"), Some((false, 11)));
    }
}
