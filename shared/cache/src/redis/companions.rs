//! What rides along in the pipelines of others, and so costs no round trip.
//!
//! - **What a node says of itself** (`information`) with a put, once a minute.
//! - **Emergency mode**: whether it is on is asked with a get or a put, at most every two seconds.
//! - **Who is active**: the players of a put are put into a list of those that changed lately, which is cut
//!   to its length once a minute.
//! - **Reports**: what the process has done in the last seconds, with a put, at most every ten seconds.
//!
//! Each node has a flag and lists of its own: a key of a cluster lies on one node, and no call has to wait
//! for a node that it has no other business with. Nothing of this matters to the call that it rides with:
//! who may not ask is refused, and everything else goes on.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use millrace_domain::Timestamp;
use redis::{Cmd, ServerErrorKind, Value, cmd};

use super::{
    command::{Command, Role},
    information::{Information, question},
    topology::Address,
    verdict::describe,
};
use crate::{breaker::Moment, emergency::Emergency};

/// How long a node is not asked again whether emergency mode is on.
const EMERGENCY_INTERVAL: Duration = Duration::from_secs(2);
/// How long a node's list is not cut again.
const CUT_INTERVAL: Duration = Duration::from_secs(60);
/// Most players of a node's list, some 100 bytes each.
const MAX_ACTIVE: usize = 10_000;
/// How long a player is remembered as active.
pub(super) const ACTIVE_FOR: Duration = Duration::from_secs(3_600);
/// How long no other report of this process is taken along.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// Most reports of a node's list, some hundred bytes each.
const MAX_REPORTS: i64 = 1_000;
/// How long the list of reports is kept after the last one.
const REPORTS_FOR: Duration = Duration::from_secs(3_600);

/// Something that rides along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Companion {
    Information,
    Emergency,
    Active,
    Report,
}

/// What rides along, and what it has brought back.
pub(super) struct Companions {
    prefix: String,
    pub(super) information: Information,
    nodes: Mutex<HashMap<Address, Rides, RandomState>>,
    emergency: Mutex<Option<Emergency>>,
    reports: Mutex<Reports>,
    /// The user may not keep a list of who is active.
    no_list: AtomicBool,
    /// The user may not keep reports.
    no_reports: AtomicBool,
}

/// The report that waits for a put, and when the last one went.
#[derive(Default)]
struct Reports {
    waiting: Option<String>,
    sent: Option<Moment>,
}

/// When something last rode to a node.
#[derive(Default)]
struct Rides {
    emergency: Option<Moment>,
    cut: Option<Moment>,
}

impl Companions {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            information: Information::default(),
            nodes: Mutex::default(),
            emergency: Mutex::default(),
            reports: Mutex::default(),
            no_list: AtomicBool::new(false),
            no_reports: AtomicBool::new(false),
        }
    }

    /// What rides with these commands to a node, one of whose keys is made with the number `tag`.
    pub(super) fn with<'a>(
        &self,
        commands: impl Iterator<Item = &'a Command>,
        address: &Address,
        tag: Option<u32>,
        now: Moment,
    ) -> Vec<(Companion, Cmd)> {
        let mut gets = false;
        let mut changed: Vec<&str> = Vec::new();
        for command in commands {
            match command.role {
                Role::Get => gets = true,
                Role::Put => changed.extend(self.player_of(&command.key)),
                Role::Other => {}
            }
        }
        let mut riders = Vec::new();
        if !changed.is_empty() && self.information.claim(address, now) {
            riders.push((Companion::Information, question()));
        }
        let Some(tag) = tag else { return riders };
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        // The name of a node is put there once, and looked up with every call.
        if !nodes.contains_key(address) {
            nodes.insert(address.clone(), Rides::default());
        }
        let Some(rides) = nodes.get_mut(address) else { return riders };
        if (gets || !changed.is_empty()) && is_due(&mut rides.emergency, EMERGENCY_INTERVAL, now) {
            riders.push((Companion::Emergency, self.ask_for_emergency(tag)));
        }
        if !changed.is_empty() && !self.no_list.load(Ordering::Relaxed) {
            let key = self.active_key(tag);
            let at = millis(now.wall);
            let mut add = cmd("ZADD");
            add.arg(&key);
            changed.iter().for_each(|player| {
                add.arg(at).arg(*player);
            });
            riders.push((Companion::Active, add));
            if is_due(&mut rides.cut, CUT_INTERVAL, now) {
                let mut cut = cmd("ZREMRANGEBYRANK");
                cut.arg(&key).arg(0).arg(-(MAX_ACTIVE as i64) - 1);
                let mut forget = cmd("PEXPIRE");
                forget.arg(&key).arg(millis(ACTIVE_FOR));
                riders.extend([(Companion::Active, cut), (Companion::Active, forget)]);
            }
        }
        drop(nodes);
        if !changed.is_empty()
            && let Some(report) = self.take_report(now)
        {
            let key = self.reports_key(tag);
            let (mut push, mut cut, mut forget) = (cmd("LPUSH"), cmd("LTRIM"), cmd("PEXPIRE"));
            push.arg(&key).arg(report);
            cut.arg(&key).arg(0).arg(MAX_REPORTS - 1);
            forget.arg(&key).arg(millis(REPORTS_FOR));
            riders.extend([push, cut, forget].map(|command| (Companion::Report, command)));
        }
        riders
    }

    /// Whether it is time for another report.
    pub(super) fn wants_report(&self, now: Moment) -> bool {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let due = reports.sent.is_none_or(|sent| now.since(sent) >= REPORT_INTERVAL);
        due && reports.waiting.is_none() && !self.no_reports.load(Ordering::Relaxed)
    }

    /// Has a report wait for the next put.
    pub(super) fn offer_report(&self, report: String) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).waiting = Some(report);
    }

    fn take_report(&self, now: Moment) -> Option<String> {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let report = reports.waiting.take()?;
        reports.sent = Some(now);
        Some(report)
    }

    /// What a companion has brought back.
    pub(super) fn answered(&self, companion: Companion, address: &Address, answer: Value) {
        match (companion, answer) {
            (Companion::Information, answer) => self.information.answered(address, answer),
            (Companion::Emergency, Value::BulkString(text)) => self.heard(&text),
            (Companion::Active | Companion::Report, Value::ServerError(error)) => {
                let refused = if companion == Companion::Active { &self.no_list } else { &self.no_reports };
                // A command that was renamed is unknown: `ERR`.
                if error.kind() == Some(ServerErrorKind::NoPerm) || error.code() == "ERR" {
                    refused.store(true, Ordering::Relaxed);
                }
                tracing::debug!(node = %address, error = describe(&error), ?companion, "Redis takes nothing along");
            }
            (Companion::Emergency, Value::ServerError(error)) => {
                tracing::debug!(node = %address, error = describe(&error), "Redis does not tell of emergency mode");
            }
            _ => {}
        }
    }

    /// The connection was cut before the node answered: it rides again with the next call. Somebody thawed
    /// finds all connections cut.
    pub(super) fn cut_off(&self, companion: Companion, address: &Address) {
        match companion {
            Companion::Information => self.information.unclaim(address),
            Companion::Emergency | Companion::Active => {
                let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(rides) = nodes.get_mut(address) {
                    match companion {
                        Companion::Emergency => rides.emergency = None,
                        _ => rides.cut = None,
                    }
                }
            }
            // It is lost; the next one goes sooner.
            Companion::Report => self.reports.lock().unwrap_or_else(PoisonError::into_inner).sent = None,
        }
    }

    /// What was said last of emergency mode. That nothing is said any more means nothing: a flag may be
    /// lost, and ends by itself.
    pub(super) fn emergency(&self) -> Option<Emergency> {
        *self.emergency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what was said, unless something was said later.
    pub(super) fn learn(&self, said: Emergency) {
        let mut known = self.emergency.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| known.said_at > said.said_at) {
            return;
        }
        if *known != Some(said) {
            let now = Timestamp::from_millis(millis(wall()));
            tracing::warn!(on = said.is_on(now), until = %said.until, "emergency mode was switched");
        }
        *known = Some(said);
    }

    /// Remembers what a flag says; what is none is left alone.
    pub(super) fn heard(&self, text: &[u8]) {
        if let Some(said) = std::str::from_utf8(text).ok().and_then(Emergency::parse) {
            self.learn(said);
        }
    }

    /// The command that asks a node for its flag.
    pub(super) fn ask_for_emergency(&self, tag: u32) -> Cmd {
        let mut get = cmd("GET");
        get.arg(self.emergency_key(tag));
        get
    }

    pub(super) fn emergency_key(&self, tag: u32) -> String {
        format!("{}upkeep:emergency:{{{tag}}}", self.prefix)
    }

    pub(super) fn active_key(&self, tag: u32) -> String {
        format!("{}upkeep:active:{{{tag}}}", self.prefix)
    }

    pub(super) fn reports_key(&self, tag: u32) -> String {
        format!("{}upkeep:reports:{{{tag}}}", self.prefix)
    }

    /// Whose queue a key holds.
    fn player_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.prefix.as_str())?.strip_prefix("queue:")
    }
}

/// Whether something is due. Whoever is told so does it.
fn is_due(last: &mut Option<Moment>, interval: Duration, now: Moment) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= interval);
    if due {
        *last = Some(now);
    }
    due
}

fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: u64) -> Moment {
        Moment { monotonic: Duration::from_secs(seconds), wall: Duration::from_secs(1_000_000 + seconds) }
    }

    fn address(port: u16) -> Address {
        Address { host: "h".to_owned(), port }
    }

    fn get(player: &str) -> Command {
        Command::get([format!("t-queue:{player}")].into_iter())
    }

    fn put(player: &str) -> Command {
        Command::put(format!("t-queue:{player}"), &[], Duration::from_secs(1))
    }

    fn riders(companions: &Companions, commands: &[Command], port: u16, now: Moment) -> Vec<String> {
        let riders = companions.with(commands.iter(), &address(port), Some(3), now);
        riders.iter().map(|(_, cmd)| words(cmd)).collect()
    }

    fn words(cmd: &Cmd) -> String {
        let args = cmd.args_iter().map(|arg| match arg {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => "?".to_owned(),
        });
        args.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_get_asks_for_emergency_mode_every_two_seconds_and_each_node_by_itself() {
        let companions = Companions::new("t-");
        let asked = ["GET t-upkeep:emergency:{3}"];
        assert_eq!(riders(&companions, &[get("a")], 1, moment(0)), asked);
        assert!(riders(&companions, &[get("a")], 1, moment(1)).is_empty());
        assert_eq!(riders(&companions, &[get("a")], 2, moment(1)), asked);
        assert_eq!(riders(&companions, &[get("a")], 1, moment(2)), asked);
        companions.cut_off(Companion::Emergency, &address(1));
        assert_eq!(riders(&companions, &[get("a")], 1, moment(2)), asked);
        let probe = Command::probe("t-probe:1".to_owned());
        assert!(riders(&companions, &[probe], 1, moment(100)).is_empty());
    }

    #[test]
    fn a_put_tells_who_is_active_and_cuts_the_list_once_a_minute() {
        let companions = Companions::new("t-");
        let add = |second: u64| format!("ZADD t-upkeep:active:{{3}} {0} a {0} b", 1_000_000_000 + 1_000 * second);
        let cut = "ZREMRANGEBYRANK t-upkeep:active:{3} 0 -10001";
        let expire = "PEXPIRE t-upkeep:active:{3} 3600000";
        let both = [put("a"), put("b")];
        let all = ["INFO", "GET t-upkeep:emergency:{3}", &add(0), cut, expire];
        assert_eq!(riders(&companions, &both, 1, moment(0)), all);
        assert_eq!(riders(&companions, &both, 1, moment(1)), [add(1)]);
        assert_eq!(riders(&companions, &both, 1, moment(60))[2..], [&add(60), cut, expire]);
        let error = redis::parse_redis_value(b"-NOPERM no\r\n").unwrap();
        companions.answered(Companion::Active, &address(1), error);
        assert!(riders(&companions, &both, 1, moment(61)).is_empty(), "who may not is not asked again");
    }

    #[test]
    fn a_report_goes_with_a_put_and_the_next_one_ten_seconds_later() {
        let companions = Companions::new("t-");
        assert!(companions.wants_report(moment(0)));
        companions.offer_report("{}".to_owned());
        assert!(!companions.wants_report(moment(0)), "one waits");
        assert_eq!(riders(&companions, &[get("a")], 1, moment(1)).len(), 1, "a get takes none along");
        let sent = [
            "LPUSH t-upkeep:reports:{3} {}",
            "LTRIM t-upkeep:reports:{3} 0 999",
            "PEXPIRE t-upkeep:reports:{3} 3600000",
        ];
        let with_put = riders(&companions, &[put("a")], 1, moment(2));
        assert_eq!(with_put[with_put.len() - 3..], sent);
        assert_eq!(riders(&companions, &[put("a")], 1, moment(2)).len(), 1, "who is active, and no more");
        assert!(!companions.wants_report(moment(11)) && companions.wants_report(moment(12)));
        companions.cut_off(Companion::Report, &address(1));
        assert!(companions.wants_report(moment(3)), "it was lost");
        let refusal = redis::parse_redis_value(b"-NOPERM no\r\n").unwrap();
        companions.answered(Companion::Report, &address(1), refusal);
        assert!(!companions.wants_report(moment(100)));
    }

    #[test]
    fn what_was_said_last_counts() {
        let companions = Companions::new("t-");
        let answer = |text: &str| {
            companions.answered(Companion::Emergency, &address(1), Value::BulkString(text.as_bytes().to_vec()));
            companions.emergency().map(|emergency| (emergency.enabled, emergency.said_at.as_millis()))
        };
        assert_eq!(answer("nonsense"), None);
        assert_eq!(answer("on 10 99"), Some((true, 10)));
        assert_eq!(answer("off 9 99"), Some((true, 10)), "an old word of another node");
        companions.answered(Companion::Emergency, &address(1), Value::Nil);
        assert_eq!(answer("nonsense"), Some((true, 10)));
        assert_eq!(answer("off 11 99"), Some((false, 11)));
    }
}
