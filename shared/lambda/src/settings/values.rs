//! The types of settings that are more than a number.

use std::{fmt, path::PathBuf, str::FromStr as _, time::Duration};

use http::Uri;
use millrace_cache::redis::RedisMode;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Longest table prefix: a DynamoDB table name has at most 255 characters.
const MAX_PREFIX_LENGTH: usize = 200;
/// The target of spans that say what an event belongs to.
pub(crate) const SPAN_TARGET: &str = "millrace_invocation";

/// Where queues and records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// Amazon DynamoDB.
    DynamoDb,
    /// The embedded store, in this file.
    Sqlite(PathBuf),
}

impl StoreChoice {
    /// Reads `dynamodb` or `sqlite:<path>`.
    pub(super) fn parse(value: &str) -> Option<Self> {
        match value.split_once(':') {
            None if value == "dynamodb" => Some(Self::DynamoDb),
            // Each connection would have an in-memory database of its own.
            Some(("sqlite", path)) if !path.is_empty() && !path.starts_with(":memory:") => {
                Some(Self::Sqlite(PathBuf::from(path)))
            }
            _ => None,
        }
    }
}

/// The shared cache tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// The server.
    pub url: RedisUrl,
    /// How it is laid out.
    pub mode: RedisMode,
    /// The certificates to trust; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The replication group of ElastiCache that IAM tokens are made for; none: no tokens.
    pub iam_cache_name: Option<String>,
}

/// How long the shared cache tier is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisLimits {
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long an answer is waited for.
    pub response_timeout: Duration,
    /// After how many failures in a row it is left alone.
    pub breaker_failures: u32,
    /// For how long it is left alone before it is tried again.
    pub breaker_cool_down: Duration,
}

/// A `redis://` or `rediss://` URL. It may hold a password, so it does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let uri = Uri::from_str(value).ok()?;
        let database = uri.path().trim_start_matches('/');
        let well_formed = matches!(uri.scheme_str(), Some("redis" | "rediss"))
            && has_host(&uri)
            && (database.is_empty() || database.parse::<u32>().is_ok());
        well_formed.then(|| Self(value.to_owned()))
    }

    /// The user, where IAM tokens can be made for one: over TLS, and without a password.
    pub fn token_user(&self) -> Option<&str> {
        let (user_info, _) = self.0.strip_prefix("rediss://")?.rsplit_once('@')?;
        (!user_info.is_empty() && !user_info.contains(':')).then_some(user_info)
    }

    /// The URL with its password, for the client.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may hold anything, so it does not show either.
        let shown = self.0.split(['?', '#']).next().unwrap_or_default();
        match (shown.split_once("://"), shown.rfind('@')) {
            (Some((scheme, _)), Some(at)) => write!(f, "{scheme}://***{}", &shown[at..]),
            _ => f.write_str(shown),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// Who may do what over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authentication {
    /// What the request's authorizer context allows.
    #[default]
    Authorizer,
    /// Everybody may do everything: for local use.
    None,
}

/// Whose pages may use the API from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Everybody's.
    Any,
    /// Those of these origins, each as a browser sends it.
    Listed(Vec<String>),
}

impl Default for CorsOrigins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl CorsOrigins {
    /// Reads `*`, or origins separated by commas.
    pub(super) fn parse(value: &str) -> Option<Self> {
        if value == "*" {
            return Some(Self::Any);
        }
        let origins = value.split(',').map(|origin| origin_of(origin.trim()));
        origins.collect::<Option<Vec<String>>>().map(Self::Listed)
    }
}

/// An origin: scheme and host, and a port where it is not the scheme's own; in lower case, without a path.
fn origin_of(value: &str) -> Option<String> {
    let uri = Uri::from_str(value).ok()?;
    let rest = value.split_once("://")?.1;
    let well_formed = matches!(uri.scheme_str(), Some("http" | "https"))
        && has_host(&uri)
        && uri.authority().is_some_and(|authority| {
            let port = authority.port();
            authority.as_str() == rest && !rest.contains('@') && port.is_none_or(|port| is_sent(port.as_str(), &uri))
        })
        && !value.bytes().any(|byte| byte.is_ascii_uppercase());
    well_formed.then(|| value.to_owned())
}

/// Whether a browser sends a port: not the one that the scheme has anyway, nor with zeros in front.
fn is_sent(port: &str, uri: &Uri) -> bool {
    let own = if uri.scheme_str() == Some("https") { "443" } else { "80" };
    port != own && !port.starts_with('0')
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    directives: String,
}

impl LogSettings {
    /// Reads a level or directives such as `info,millrace_store=debug`; none where they are not allowed.
    pub fn parse(value: &str) -> Option<Self> {
        let parts: Vec<&str> = value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        // The library takes a bare word for a target, so that a misspelt level would turn off all logs.
        let is_level = |part: &str| LevelFilter::from_str(part).is_ok();
        let clear = parts.iter().all(|part| part.contains('=') || is_level(part));
        let directives = parts.join(",");
        let allowed = !parts.is_empty() && clear && Targets::from_str(&directives).is_ok();
        allowed.then_some(Self { directives })
    }

    /// The filter for a subscriber. The span of an invocation is always on: every event carries its
    /// request id, whatever the level.
    pub(crate) fn filter(&self) -> Targets {
        // What was parsed once is parsed again.
        Targets::from_str(&self.directives).unwrap_or_default().with_target(SPAN_TARGET, LevelFilter::ERROR)
    }
}

/// How a Redis server is laid out.
pub(super) fn redis_mode(value: &str) -> Option<RedisMode> {
    match value {
        "standalone" => Some(RedisMode::Standalone),
        "cluster" => Some(RedisMode::Cluster),
        _ => None,
    }
}

/// The path of a file.
pub(super) fn path(value: &str) -> Option<PathBuf> {
    Some(PathBuf::from(value))
}

/// The name of an ElastiCache replication group: 1 to 40 letters, digits and hyphens.
pub(super) fn cache_name(value: &str) -> Option<String> {
    let allowed = (1..=40).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // The service knows them in lower case, and so must what is signed.
    allowed.then(|| value.to_ascii_lowercase())
}

/// A table prefix: what a DynamoDB table name may have.
pub(super) fn table_prefix(value: &str) -> Option<String> {
    let allowed = value.len() <= MAX_PREFIX_LENGTH
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    allowed.then(|| value.to_owned())
}

/// The URL of an SQS queue.
pub(super) fn queue_url(value: &str) -> Option<String> {
    let uri = Uri::from_str(value).ok()?;
    let well_formed = matches!(uri.scheme_str(), Some("http" | "https"))
        && has_host(&uri)
        && uri.path().len() > 1
        && uri.query().is_none()
        && !value.contains(['@', '#']);
    well_formed.then(|| value.to_owned())
}

/// Whether a URL has a host, and a port only where it is one.
fn has_host(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let host_and_port = authority.as_str().rsplit('@').next().unwrap_or_default();
    let port = host_and_port.strip_prefix(authority.host()).unwrap_or_default();
    !authority.host().is_empty() && (port.is_empty() || authority.port_u16().is_some_and(|port| port > 0))
}
