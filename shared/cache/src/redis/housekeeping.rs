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
            (task, Err(SendError::Redis(error))) if !error.is_timeout() => self.state().task(task).sent = None,
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
    fn puts_ask_the_servers_once_a_minute() {
        let housekeeping = Housekeeping::new("t-");
        let asks = |now| put(&housekeeping, &["a"], now).first().is_some_and(|first| first == "INFO");
        assert!(asks(moment(0)) && !asks(moment(59)));
        assert!(asks(moment(60)) && !asks(moment(60)));
        let thawed = Moment { wall: moment(3_600).wall, ..moment(61) };
        assert!(asks(thawed), "although its monotonic clock stood still");
        assert!(!asks(thawed));
        housekeeping.take_answer(Task::ServerInformation, lost());
        assert!(asks(thawed), "the answer was lost");
    }

    #[test]
    fn a_user_who_may_not_ask_the_servers_does_not_ask_again() {
        let node = |answer| Value::Map(vec![(Value::SimpleString("h:1".to_owned()), answer)]);
        for refusal in ["-NOPERM this user has no permissions\r\n", "-ERR unknown command 'INFO'\r\n"] {
            let refusal = redis::parse_redis_value(refusal.as_bytes()).unwrap();
            for answer in [refusal.clone(), node(refusal)] {
                let housekeeping = Housekeeping::new("t-");
                housekeeping.take_answer(Task::ServerInformation, Ok(answer));
                assert!(!put(&housekeeping, &["a"], moment(1_000)).contains(&"INFO".to_owned()));
                assert_eq!(housekeeping.server_statistics(), None);
            }
        }
    }

    #[test]
    fn an_answer_without_figures_changes_nothing() {
        let housekeeping = Housekeeping::new("t-");
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let take = |answer| {
            housekeeping.take_answer(Task::ServerInformation, Ok(answer));
            housekeeping.server_statistics().map(|servers| servers.evictions)
        };
        assert_eq!(take(bulk("evicted_keys:5\r\nexpired_keys:1\r\n")), Some(5));
        let loading = redis::parse_redis_value(b"-LOADING Redis is loading the dataset in memory\r\n").unwrap();
        for answer in [Value::Nil, Value::Int(1), bulk("evicted_keys:many\r\nexpired_keys:1\r\n"), bulk(""), loading] {
            assert_eq!(take(answer), Some(5));
        }
        assert_eq!(put(&housekeeping, &["a"], moment(0))[0], "INFO", "none of the answers was a refusal");
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
