//! Version, mode, role, rights, eviction policy and latency of the shared cache.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use millrace_cache::redis::RedisMode;
use millrace_lambda::settings::RedisSettings;
use redis::{Cmd, RedisError, aio::MultiplexedConnection, cmd};

use crate::doctor::{
    findings::Findings,
    redis_connection::{Connector, Keys, Unconnected},
};

const CHECK: &str = "Redis";
/// The oldest version with ACLs by command and `GETEX`.
const MIN_MAJOR: u32 = 6;
/// Functions wait 200 ms for an answer by default.
const SLOW: Duration = Duration::from_millis(20);
const PINGS: usize = 11;
/// A script of one line, as the functions load theirs.
const SCRIPT: &str = "return 1";
/// No script has this digest.
const UNKNOWN_SCRIPT: &str = "0000000000000000000000000000000000000000";

/// Checks the cache of these settings. Keys begin with `prefix`.
pub async fn check(settings: &RedisSettings, prefix: &str, sdk: &SdkConfig, findings: &mut Findings) {
    if let Err(Unconnected { detail, correction }) = check_connected(settings, prefix, sdk, findings).await {
        findings.error(CHECK, detail, correction);
    }
}

async fn check_connected(
    settings: &RedisSettings,
    prefix: &str,
    sdk: &SdkConfig,
    findings: &mut Findings,
) -> Result<(), Unconnected> {
    let connector = Connector::new(settings, sdk).await?;
    let mut server = connector.server().await?;
    findings.ok(CHECK, connector.login());
    if check_information(&mut server, settings.mode, findings).await {
        let mut keys = connector.keys(server.clone()).await?;
        check_rights(&mut keys, prefix, findings).await;
    }
    check_latency(&mut server, findings).await;
    Ok(())
}

/// Version, mode, role and eviction policy, from `INFO`. Returns whether keys can be used.
async fn check_information(connection: &mut MultiplexedConnection, mode: RedisMode, findings: &mut Findings) -> bool {
    let info: String = match cmd("INFO").query_async(connection).await {
        Ok(info) => info,
        Err(error) => {
            let correction = "allow INFO to the user: without it, version and eviction policy are unknown";
            findings.warning(CHECK, format!("INFO is refused: {error}"), correction);
            return true;
        }
    };
    let fields: HashMap<&str, &str> = info.lines().filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let (name, version) = match field("valkey_version") {
        "" => ("Redis", field("redis_version")),
        version => ("Valkey", version),
    };
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < MIN_MAJOR {
        findings.error(CHECK, format!("{name} {version}"), format!("upgrade to version {MIN_MAJOR}.2 or newer"));
    } else {
        findings.ok(CHECK, format!("{name} {version}"));
    }
    check_eviction(field("maxmemory_policy"), field("maxmemory"), findings);
    let is_cluster = field("cluster_enabled") == "1";
    if is_cluster != (mode == RedisMode::Cluster) {
        let (detail, correction) = match is_cluster {
            true => ("the server is a node of a cluster", "set MILLRACE_REDIS_MODE=cluster"),
            false => ("the server is not a node of a cluster", "set MILLRACE_REDIS_MODE=standalone"),
        };
        findings.error(CHECK, detail, correction);
        return false;
    }
    // The client of a cluster finds the primaries by itself.
    if !is_cluster && field("role") != "master" {
        let correction = "use the address of the primary, or the primary endpoint of the replication group";
        findings.error(CHECK, "the server is a replica, which refuses writes", correction);
        return false;
    }
    true
}

fn check_eviction(policy: &str, limit: &str, findings: &mut Findings) {
    match (policy, limit) {
        ("noeviction", limit) if limit != "0" => {
            let correction = "set maxmemory-policy to allkeys-lru: every key is a copy";
            findings.error(CHECK, "maxmemory-policy is noeviction: writes fail when the memory is full", correction);
        }
        ("noeviction", _) => {
            let correction = "set maxmemory and the policy allkeys-lru, so that the memory has a limit";
            findings.warning(CHECK, "neither maxmemory nor an eviction policy is set", correction);
        }
        (policy, _) if policy.starts_with("volatile-") => {
            let correction = "set maxmemory-policy to allkeys-lru: some keys have no time to live";
            findings.warning(CHECK, format!("maxmemory-policy is {policy}"), correction);
        }
        (policy, _) => findings.ok(CHECK, format!("maxmemory-policy is {policy}")),
    }
}

/// Runs the commands of the functions on keys that expire at once.
async fn check_rights(keys: &mut Keys, prefix: &str, findings: &mut Findings) {
    let mut refused = Vec::new();
    for command in commands(prefix) {
        let name = name_of(&command);
        match keys.query(&command).await {
            Ok(_) => {}
            Err(error) if is_allowed(&error) => {}
            Err(error) if error.code() == Some("NOPERM") => refused.push(name),
            Err(error) => {
                let correction = "see docs/faults.md for what the functions do then";
                return findings.error(CHECK, format!("{name} failed: {error}"), correction);
            }
        }
    }
    if refused.is_empty() {
        findings.ok(CHECK, format!("the user may use keys with the prefix `{prefix}`"));
    } else {
        let correction = format!("give the user ~{prefix}* and the commands of infra/lib/cache.ts with ACL SETUSER");
        let detail = format!("the ACL of the user refuses {} on keys with the prefix `{prefix}`", refused.join(", "));
        findings.error(CHECK, detail, correction);
    }
}

async fn check_latency(connection: &mut MultiplexedConnection, findings: &mut Findings) {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let started = Instant::now();
        if cmd("PING").query_async::<()>(connection).await.is_err() {
            return;
        }
        times.push(started.elapsed());
    }
    times.sort();
    let median = times[PINGS / 2];
    let detail = format!("{:.2} ms for a PING (median of {PINGS})", median.as_secs_f64() * 1e3);
    if median > SLOW {
        findings.warning(CHECK, detail, "put the functions and the cache into the same region and network");
    } else {
        findings.ok(CHECK, detail);
    }
}

/// The commands of the functions, as `infra/lib/cache.ts` allows them.
fn commands(prefix: &str) -> Vec<Cmd> {
    let key = |kind: &str| format!("{prefix}doctor:{kind}:{:016x}", fastrand::u64(..));
    let (copy, set, figures) = (key("copy"), key("set"), key("figures"));
    let command = |name: &str, arguments: &[&str]| {
        let mut command = cmd(name);
        arguments.iter().for_each(|argument| {
            command.arg(argument);
        });
        command
    };
    vec![
        command("SET", &[&copy, "1", "PX", "1000"]),
        command("GET", &[&copy]),
        command("GETEX", &[&copy, "PX", "1000"]),
        command("MGET", &[&copy]),
        command("GETRANGE", &[&copy, "0", "1"]),
        command("DEL", &[&copy]),
        command("SCRIPT", &["LOAD", SCRIPT]),
        command("EVALSHA", &[UNKNOWN_SCRIPT, "1", &copy]),
        command("ZADD", &[&set, "0", "x"]),
        command("PEXPIRE", &[&set, "1000"]),
        command("ZREMRANGEBYRANK", &[&set, "0", "-1"]),
        command("BITFIELD", &[&figures, "GET", "u8", "0"]),
        // Not the channel of the functions, whose subscribers expect JSON.
        command("PUBLISH", &[&key("channel"), ""]),
    ]
}

fn name_of(command: &Cmd) -> String {
    let mut words = command.args_iter().filter_map(|argument| match argument {
        redis::Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    let first = words.next().unwrap_or_default();
    if first == "SCRIPT" { format!("{first} {}", words.next().unwrap_or_default()) } else { first }
}

/// Whether an error shows that the command itself is allowed.
fn is_allowed(error: &RedisError) -> bool {
    let text = error.to_string();
    error.code() == Some("NOSCRIPT") || text.contains("No matching script") || text.contains("channel")
}
