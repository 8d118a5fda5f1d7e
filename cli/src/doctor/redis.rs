//! Version, role, rights, eviction policy and latency of the shared cache.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use redis::{Client, RedisError, RedisResult, aio::MultiplexedConnection, cmd};

use crate::doctor::findings::Findings;

const CHECK: &str = "Redis";
const TIMEOUT: Duration = Duration::from_secs(5);
/// The oldest version with ACLs by command and `GETEX`.
const MIN_MAJOR: u32 = 6;
/// Functions wait 200 ms for an answer by default.
const SLOW: Duration = Duration::from_millis(20);
const PINGS: usize = 11;
/// A script of one line, as the functions load theirs.
const SCRIPT: &str = "return 1";

/// Checks the server at a URL. Keys begin with `prefix`.
pub async fn check(url: &str, prefix: &str, findings: &mut Findings) {
    let connected = tokio::time::timeout(TIMEOUT, connect(url)).await;
    let mut connection = match connected {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return refused(&error, findings),
        Err(_) => {
            let correction =
                "check the address, the security group, and whether this machine is in the network of the cache";
            return findings.error(CHECK, format!("no connection within {} s", TIMEOUT.as_secs()), correction);
        }
    };
    check_information(&mut connection, findings).await;
    check_rights(&mut connection, prefix, findings).await;
    check_latency(&mut connection, findings).await;
}

async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let mut connection = Client::open(url)?.get_multiplexed_async_connection().await?;
    cmd("PING").query_async::<()>(&mut connection).await?;
    Ok(connection)
}

fn refused(error: &RedisError, findings: &mut Findings) {
    let text = error.to_string();
    let is_login = ["WRONGPASS", "NOAUTH", "invalid username-password", "Password authentication failed", "NOPERM"]
        .iter()
        .any(|part| text.contains(part));
    let (detail, correction) = match is_login || error.kind() == redis::ErrorKind::AuthenticationFailed {
        true => (format!("the login is refused: {text}"), "check user and password in MILLRACE_REDIS_URL"),
        false => (
            format!("no connection: {text}"),
            "check MILLRACE_REDIS_URL: address, port, and rediss:// where the server uses TLS; start the server",
        ),
    };
    findings.error(CHECK, detail, correction);
}

/// Version, role and eviction policy, from `INFO`.
async fn check_information(connection: &mut MultiplexedConnection, findings: &mut Findings) {
    let info: String = match cmd("INFO").query_async(connection).await {
        Ok(info) => info,
        Err(error) => {
            let correction = "allow INFO to the user: without it, version and eviction policy are unknown";
            return findings.warning(CHECK, format!("INFO is refused: {error}"), correction);
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
    if field("role") != "master" {
        let correction = "use the address of the primary, or the primary endpoint of the replication group";
        findings.error(CHECK, "the server is a replica, which refuses writes", correction);
    }
    let (policy, limit) = (field("maxmemory_policy"), field("maxmemory"));
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

/// Runs the commands of the functions on a key that expires at once.
async fn check_rights(connection: &mut MultiplexedConnection, prefix: &str, findings: &mut Findings) {
    let key = format!("{prefix}doctor:{:016x}", fastrand::u64(..));
    let set = cmd("SET").arg(&key).arg("1").arg("PX").arg(1_000).to_owned();
    let expiring = cmd("GETEX").arg(&key).arg("PX").arg(1_000).to_owned();
    let commands = [
        ("SET", set),
        ("GET", cmd("GET").arg(&key).to_owned()),
        ("GETEX", expiring),
        ("MGET", cmd("MGET").arg(&key).to_owned()),
        ("GETRANGE", cmd("GETRANGE").arg(&key).arg(0).arg(1).to_owned()),
        ("DEL", cmd("DEL").arg(&key).to_owned()),
        ("SCRIPT LOAD", cmd("SCRIPT").arg("LOAD").arg(SCRIPT).to_owned()),
    ];
    let mut refused = Vec::new();
    for (name, command) in commands {
        match command.query_async::<redis::Value>(connection).await {
            Ok(_) => {}
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
